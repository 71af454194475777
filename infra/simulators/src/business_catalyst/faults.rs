//! What an answer looks like when it meets a fault.

use axum::response::{IntoResponse, Response};

use super::{
    responses::{WRONG_CREDENTIALS, empty_response, listing_response},
    soap::{Blame, SoapVersion, UNABLE_TO_PROCESS},
    types::{BcFault, Fault, NAMESPACE, Operation},
};
use crate::xml::entity_bomb;

/// The answer of a fault with which the operation is not carried out; `None` for the others.
pub(super) fn instead_of_answer(
    fault: &Fault,
    version: SoapVersion,
    operation: Operation,
    record_start: u64,
) -> Option<Response> {
    let no_contacts = |contacts| match operation {
        Operation::Retrieve => version.answer(&listing_response(contacts, record_start, false)),
        Operation::UpdateInsert => version.answer(&empty_response(operation)),
    };
    let answer = match fault {
        Fault::WrongCredentials => version.error(WRONG_CREDENTIALS),
        Fault::Own(BcFault::SoapFault(text)) => version.error(text),
        Fault::Own(BcFault::FaultText(text)) => version.fault(Blame::Server, text),
        Fault::Own(BcFault::NoContactsFault) => version.fault(Blame::Server, UNABLE_TO_PROCESS),
        Fault::Own(BcFault::EmptyResult) => no_contacts(Some(&[])),
        Fault::Own(BcFault::NoResult) => no_contacts(None),
        common => return common.instead_of_answer(version.content_type(), || bomb(version)),
    };
    Some(answer.into_response())
}

/// An answer with a contact's name that grows without bounds when expanded.
fn bomb(version: SoapVersion) -> String {
    entity_bomb(&version.envelope(&format!(
        "<ContactList_RetrieveResponse xmlns=\"{NAMESPACE}\"><ContactList_RetrieveResult>\
         <ContactRecord><entityId>1</entityId><fullName>&laugh10;</fullName></ContactRecord>\
         </ContactList_RetrieveResult><recordStart>0</recordStart><moreRecords>false</moreRecords>\
         </ContactList_RetrieveResponse>"
    )))
}
