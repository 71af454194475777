//! What an answer looks like when it meets a fault.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{Fault, server::Acknowledgement};
use crate::faults::{cut_body, huge_document, plain_status, retry_after};

/// The answer of a fault with which the event is not applied; `None` for the others.
pub(super) fn instead_of_answer(fault: &Fault) -> Option<Response> {
    Some(match fault {
        Fault::Delay(_) | Fault::Hang | Fault::CutBody | Fault::Huge(_) => return None,
        Fault::Status(status) => plain_status(*status).into_response(),
        Fault::RetryAfter { status, seconds } => retry_after(*status, *seconds),
        Fault::Redirect(location) => {
            (StatusCode::FOUND, [(header::LOCATION, location.as_str())], plain_status(302).1).into_response()
        }
    })
}

/// The answer to an event that was applied, now or before, as the fault leaves it.
pub(super) fn spoil(fault: Option<&Fault>, acknowledgement: Acknowledgement) -> Response {
    match fault {
        Some(Fault::CutBody) => cut_body(Acknowledgement::CONTENT_TYPE, acknowledgement.document().to_owned()),
        Some(Fault::Huge(bytes)) => huge_document("text/xml; charset=utf-8", *bytes),
        _ => acknowledgement.into_response(),
    }
}
