//! InTouch Connector, API version 2011-11 (the source's *Connector API Guide* and its guides for partners that
//! receive).
//!
//! A hub between the systems of health clubs pushes its records to us: **prospects** and **members**, which are one
//! resource, `user`; **staff**, whose documents are the same as a user's; and **lead sources**. Each document names the
//! record in `providerInfo`, and is answered with the `uuid` that we gave the record. What the source's document does
//! not show is our own minimal dialect: `leadInfo` of a user, the wrappers of lists, `uuid` in what is fetched, and the
//! element around an error.
//!
//! Requests carry no namespace and answers carry one; a request may carry it as well. Names of elements match in any
//! case. Unknown elements are kept; known ones must be valid: a push is refused as a whole, with everything that is
//! wrong with it at once.

mod answer;
mod country;
mod error;
mod lead_source;
mod provider;
mod read;
mod user;

pub use answer::{Reason, Shown, ShownLeadSource, ShownUser, error, listed, one, page, response};
pub use error::PushError;
pub use lead_source::read_lead_source;
pub use user::{LEAD_INFO, LEAD_SOURCE_ID, Lead, OWNER_ID, User, read_staff, read_user};

use model::ExternalKey;

use crate::Limits;

/// The namespace of every answer.
pub const NAMESPACE: &str = "http://www.intouchfollowup.com/api/2011-11";

/// One document that was pushed.
#[derive(Clone, Debug, PartialEq)]
pub struct Push<T> {
    /// The sender's key of the record.
    pub key: ExternalKey,
    /// What it says.
    pub content: T,
}

/// How much of a pushed document is read: 1 MB in another encoding may become three times as long in UTF-8.
pub fn limits() -> Limits {
    Limits { document_bytes: 3 * 1024 * 1024, ..Limits::default() }
}
