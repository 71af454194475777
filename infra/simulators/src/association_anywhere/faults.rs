//! What an answer looks like when it meets a fault.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

use super::{Fault, Procedure, documents, documents::Dialect};
use crate::{
    faults::{cut_body, huge_document, maintenance_page, plain_status, retry_after},
    xml::with_wrong_end_tag,
};

/// The answer of a fault with which the procedure is not carried out; `None` for the others.
pub(super) fn instead_of_answer(fault: &Fault, procedure: Procedure, dialect: Dialect) -> Option<Response> {
    let document = match fault {
        Fault::Delay(_) | Fault::Hang | Fault::CutBody | Fault::Malformed | Fault::Duplicates | Fault::WrongDialect => {
            return None;
        }
        Fault::Status(status) => return Some(plain_status(*status).into_response()),
        Fault::RetryAfter { status, seconds } => return Some(retry_after(*status, *seconds)),
        Fault::NotXml => return Some(maintenance_page()),
        Fault::Huge(bytes) => return Some(huge_document(XML_TYPE, *bytes)),
        Fault::Doctype => return Some(xml(documents::entity_bomb())),
        Fault::Empty => documents::empty(procedure),
        Fault::ErrorDocument(message) => documents::error(procedure, message),
        Fault::FailureStatus(message) => documents::status(procedure, "FAILURE", message),
        Fault::WrongCredentials => documents::refusal(procedure, documents::WRONG_CREDENTIALS),
    };
    Some(xml(dialect.spelled(document)))
}

/// The answer of a procedure that was carried out, as the fault leaves it. Names and entries were spoiled before.
pub(super) async fn spoil(fault: Option<&Fault>, document: String) -> Response {
    match fault {
        Some(Fault::Delay(delay)) => {
            tokio::time::sleep(*delay).await;
            xml(document)
        }
        Some(Fault::CutBody) => cut_body(XML_TYPE, document),
        Some(Fault::Malformed) => xml(with_wrong_end_tag(&document)),
        _ => xml(document),
    }
}

const XML_TYPE: &str = "text/xml; charset=UTF-8";

/// An XML document without a fault.
fn xml(document: String) -> Response {
    ([(header::CONTENT_TYPE, XML_TYPE)], document).into_response()
}
