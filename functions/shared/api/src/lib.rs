//! What the HTTP functions share: credentials, refused requests, page cursors.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod credential_cache;
mod gate;
mod page_cursor;
mod refusals;

pub use credential_cache::{Credential, CredentialDigest, CredentialList, Lookup, usable_token};
pub use gate::Gate;
pub use page_cursor::{read_cursor, write_cursor};
pub use refusals::request_id;
