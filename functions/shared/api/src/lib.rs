//! What the HTTP functions share: credentials, refused requests, page cursors.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod credential_cache;
mod page_cursor;
mod refusals;

pub use credential_cache::{Credential, CredentialCache, CredentialDigest, CredentialList, Lookup, usable_token};
pub use page_cursor::{read_cursor, write_cursor};
pub use refusals::{Refusals, request_id};
