//! What an answer looks like when it meets a fault.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{
    Fault, NAMESPACE, Operation,
    responses::{WRONG_CREDENTIALS, empty_response, listing_response},
    soap::{Answer, Blame, SoapVersion, UNABLE_TO_PROCESS},
    state::Listed,
};
use crate::{
    faults::{cut_body, huge_document, maintenance_page, plain_status, retry_after},
    xml::{entity_bomb, with_wrong_end_tag},
};

/// The answer of a fault with which the operation is not carried out; `None` for the others.
pub(super) fn instead_of_answer(
    fault: &Fault,
    version: SoapVersion,
    operation: Operation,
    record_start: u64,
) -> Option<Response> {
    let answer = match fault {
        Fault::Delay(_) | Fault::Hang | Fault::CutBody | Fault::Malformed | Fault::RepeatPages | Fault::Endless => {
            return None;
        }
        Fault::Status(status) => return Some(plain_status(*status).into_response()),
        Fault::RetryAfter { status, seconds } => return Some(retry_after(*status, *seconds)),
        Fault::NotXml => return Some(maintenance_page()),
        Fault::Huge(bytes) => return Some(huge_document(version.content_type(), *bytes)),
        Fault::Doctype => bomb(version),
        Fault::SoapFault(text) => version.error(text),
        Fault::FaultText(text) => version.fault(Blame::Server, text),
        Fault::NoContactsFault => version.fault(Blame::Server, UNABLE_TO_PROCESS),
        Fault::WrongCredentials => version.error(WRONG_CREDENTIALS),
        Fault::EmptyResult | Fault::NoResult => match operation {
            Operation::Retrieve => {
                let no_contacts: Option<&[Listed]> = if *fault == Fault::EmptyResult { Some(&[]) } else { None };
                version.answer(&listing_response(no_contacts, record_start, false))
            }
            Operation::UpdateInsert => version.answer(&empty_response(operation)),
        },
    };
    Some(answer.into_response())
}

/// An answer with a contact's name that grows without bounds when expanded.
fn bomb(version: SoapVersion) -> Answer {
    let document = entity_bomb(&version.envelope(&format!(
        "<ContactList_RetrieveResponse xmlns=\"{NAMESPACE}\"><ContactList_RetrieveResult>\
         <ContactRecord><entityId>1</entityId><fullName>&laugh10;</fullName></ContactRecord>\
         </ContactList_RetrieveResult><recordStart>0</recordStart><moreRecords>false</moreRecords>\
         </ContactList_RetrieveResponse>"
    )));
    Answer { status: StatusCode::OK, content_type: version.content_type(), document }
}

/// The answer of an operation that was carried out, as the fault leaves it. What a listing holds was spoiled before.
pub(super) async fn spoil(fault: Option<&Fault>, answer: Answer) -> Response {
    match fault {
        Some(Fault::Delay(delay)) => {
            tokio::time::sleep(*delay).await;
            answer.into_response()
        }
        Some(Fault::CutBody) => cut_body(answer.content_type, answer.document),
        Some(Fault::Malformed) => Answer { document: with_wrong_end_tag(&answer.document), ..answer }.into_response(),
        _ => answer.into_response(),
    }
}
