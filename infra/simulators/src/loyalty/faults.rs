//! What an answer looks like when it meets a fault.

use axum::response::{IntoResponse, Response};

use super::{
    Fault,
    answers::{Answer, Document, Format, WRONG_CREDENTIALS},
};
use crate::{
    faults::{cut_body, huge_document, maintenance_page, plain_status, retry_after},
    xml::{entity_bomb, with_wrong_end_tag},
};

/// The answer of a fault with which the batch is not imported; `None` for the others.
pub(super) fn instead_of_answer(fault: &Fault, format: Format) -> Option<Response> {
    let error = |message: &str| format.write(&Answer::Error(message.to_owned())).into_response();
    Some(match fault {
        Fault::Delay(_)
        | Fault::Hang
        | Fault::CutBody
        | Fault::Malformed
        | Fault::UnescapedAmpersand
        | Fault::WrongCounts(_) => return None,
        Fault::Status(status) => plain_status(*status).into_response(),
        Fault::RetryAfter { status, seconds } => retry_after(*status, *seconds),
        Fault::NotXml => maintenance_page(),
        Fault::Doctype => Document { content_type: Format::Xml.content_type(), text: bomb() }.into_response(),
        Fault::Huge(bytes) => huge_document(format.content_type(), *bytes),
        Fault::ErrorAnswer(message) => error(message),
        Fault::WrongCredentials => error(WRONG_CREDENTIALS),
    })
}

/// An answer with a count that grows without bounds when expanded.
fn bomb() -> String {
    entity_bomb(
        "<response status=\"success\"><batch status=\"imported\"><customers><new>&laugh10;</new>\
         <updated>0</updated></customers></batch></response>",
    )
}

/// What the answer to an imported batch says, as the fault leaves it.
pub(super) fn misstate(fault: Option<&Fault>, answer: &mut Answer) {
    let Answer::Imported { imported, account } = answer else { return };
    match fault {
        Some(Fault::UnescapedAmpersand) => *account = Some("Smith & Sons"),
        Some(Fault::WrongCounts(difference)) => {
            let size = difference.unsigned_abs();
            if *difference >= 0 {
                imported.new = imported.new.saturating_add(size);
            } else {
                let of_new = size.min(imported.new);
                imported.new -= of_new;
                imported.updated = imported.updated.saturating_sub(size - of_new);
            }
        }
        _ => {}
    }
}

/// The document of a request that was carried out, as the fault leaves it.
pub(super) async fn spoil(fault: Option<&Fault>, document: Document) -> Response {
    match fault {
        Some(Fault::Delay(delay)) => {
            tokio::time::sleep(*delay).await;
            document.into_response()
        }
        Some(Fault::CutBody) => cut_body(document.content_type, document.text),
        Some(Fault::Malformed) => Document { text: with_wrong_end_tag(&document.text), ..document }.into_response(),
        _ => document.into_response(),
    }
}
