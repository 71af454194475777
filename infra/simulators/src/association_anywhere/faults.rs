//! What an answer looks like when it meets a fault.

use axum::response::{IntoResponse, Response};

use super::{
    documents::{self, Dialect, xml},
    types::{AaFault, Fault, Procedure},
};

/// The answer of a fault with which the procedure is not carried out; `None` for the others.
pub(super) fn instead_of_answer(fault: &Fault, procedure: Procedure, dialect: Dialect) -> Option<Response> {
    let document = match fault {
        Fault::WrongCredentials => documents::refusal(procedure, documents::WRONG_CREDENTIALS),
        Fault::Own(AaFault::Empty) => documents::empty(procedure),
        Fault::Own(AaFault::ErrorDocument(message)) => documents::error(procedure, message),
        Fault::Own(AaFault::FailureStatus(message)) => documents::status(procedure, "FAILURE", message),
        common => return common.instead_of_answer(documents::XML_TYPE, documents::entity_bomb),
    };
    Some(xml(dialect.spelled(document)).into_response())
}
