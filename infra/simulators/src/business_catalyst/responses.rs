//! The bodies of answers.

use super::{
    records::write_record,
    state::Listed,
    types::{NAMESPACE, Operation},
};
use crate::xml::element;

pub(super) const WRONG_CREDENTIALS: &str = "Invalid username or password";

/// A page; one without `contacts` lacks the element that would hold them.
pub(super) fn listing_response(contacts: Option<&[Listed]>, record_start: u64, more_records: bool) -> String {
    let mut out = format!("<ContactList_RetrieveResponse xmlns=\"{NAMESPACE}\">");
    match contacts {
        None => {}
        Some([]) => out.push_str("<ContactList_RetrieveResult />"),
        Some(contacts) => {
            out.push_str("<ContactList_RetrieveResult>");
            for listed in contacts {
                write_record(&mut out, listed);
            }
            out.push_str("</ContactList_RetrieveResult>");
        }
    }
    element(&mut out, "recordStart", record_start);
    element(&mut out, "moreRecords", more_records);
    out.push_str("</ContactList_RetrieveResponse>");
    out
}

/// The response element with nothing in it, which is all that an update answers.
pub(super) fn empty_response(operation: Operation) -> String {
    format!("<{}Response xmlns=\"{NAMESPACE}\" />", operation.name())
}
