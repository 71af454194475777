//! What every function starts with: configuration, logs, metrics, clients, the SQS batch runner, and the vendors'
//! clients.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod association_anywhere;
pub mod business_catalyst;
pub mod connections;
mod environment;
mod gated;
mod lambda;
mod messages;
mod metrics;
mod poller;
pub mod status;
mod vendor;

pub use environment::{Clients, Environment, MissingVariable};
pub use lambda::{deadline_of, start};
pub use messages::each_message;
pub use metrics::Metrics;
pub use poller::{Next, Poll, Poller, WATCH_EVERY};
pub use vendor::{Trouble, VendorHttp};
