//! The documents of the sources' systems, without I/O: bytes in, domain types out, and requests as text. So are those
//! of the receivers of changes: [`business_catalyst`], [`customers_batch`] and [`webhook`]. In [`customers_batch`] we
//! answer requests, too.
//!
//! Nothing here opens a connection, reads a clock or writes a log. An input that has no more for the moment returns
//! [`WouldBlock`](std::io::ErrorKind::WouldBlock), and every reader of answers continues from there when it is called
//! again: so no reader waits. What comes from a source is hostile until it is proven otherwise: every reader streams,
//! has [`Limits`], refuses any DOCTYPE and any entity that XML itself does not define, and reports in a [`ReadError`]
//! what is wrong and where, without ever repeating a customer's data.
//!
//! ```text
//!   Read ──► decode ──► scan ──► one reader per document ──► model::Content, model::QueuedCustomer, …
//!            (UTF-8)    (tags)   (association_anywhere, business_catalyst, connector)
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod association_anywhere;
pub mod business_catalyst;
mod charset;
pub mod connector;
pub mod customers_batch;
mod dates;
mod decode;
mod dispatcher;
mod error;
mod handler;
mod limits;
mod name;
mod parse_context;
mod picked;
mod record;
mod redacted_ranges;
mod redaction;
mod reference;
mod request_text;
mod scan;
mod secret_name;
mod source_message;
mod tag;
mod token_skipper;
mod vocabulary;
pub mod webhook;

pub use association_anywhere::{
    Credentials, Detail, DetailsReader, Dialect, Section, details_request, enqueue_request, purge_request,
    queue_request,
};
pub use charset::Charset;
pub use error::{Location, ReadError, RecordError};
pub use limits::Limits;
pub use redaction::redact;
