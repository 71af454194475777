//! What the HTTP functions share: credentials, refused requests, page cursors, and what API Gateway and Lambda do to
//! paths and answers.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod answer_size;
mod credential_cache;
mod gate;
mod page_cursor;
mod path;
mod refusals;

pub use answer_size::{MOST_BYTES_QUOTED, bytes_quoted};
pub use credential_cache::{Credential, CredentialList, Lookup};
pub use gate::Gate;
pub use page_cursor::{read_cursor, write_cursor};
pub use path::is_as_sent;
pub use refusals::request_id;
