//! What every function starts with: configuration, logs, metrics, clients, the SQS batch runner, the vendors' clients,
//! and who may come in.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod association_anywhere;
pub mod business_catalyst;
pub mod connections;
mod cursor;
mod doors;
mod environment;
mod gated;
pub mod imports;
mod lambda;
mod messages;
mod metrics;
mod poller;
pub mod status;
mod vendor;
mod window;

pub use cursor::{read_cursor, write_cursor};
pub use doors::{Doors, Fingerprint};
pub use environment::{Clients, Environment, MissingVariable, timeouts};
pub use gated::ANSWER_TIME;
pub use lambda::{deadline_of, start};
pub use messages::each_message;
pub use metrics::Metrics;
pub use poller::{Next, Poll, Poller, WATCH_EVERY, aside};
pub use vendor::{Trouble, VendorHttp};
