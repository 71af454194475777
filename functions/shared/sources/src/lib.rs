//! The clients of the sources: they send requests at the pace that a connection allows, and read the answers.
//!
//! [`AssociationAnywhereClient`](association_anywhere::AssociationAnywhereClient) and
//! [`BusinessCatalystClient`](business_catalyst::BusinessCatalystClient) are built from three layers: `http` sends and
//! reads answers as they come in (as a [`Body`]), `source_client` waits for a slot and reports to the circuit breaker,
//! the two modules know the documents.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod association_anywhere;
mod body;
pub mod business_catalyst;
mod coding;
pub mod companions;
mod contact_page;
pub mod exchange;
mod feed;
mod http;
mod seats;
pub mod send_window;
mod source_client;

pub use body::Body;
pub use coding::Coding;
pub use contact_page::{ContactPage, UNIDENTIFIED};
pub use feed::Feed;
pub use http::{SourceError, SourceHttp, Transport};
pub use source_client::ANSWER_TIME;
