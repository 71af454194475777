//! What every function starts with: configuration, logs, metrics, clients, the SQS batch runner, the vendors' clients,
//! and who may come in.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod association_anywhere;
pub mod business_catalyst;
mod coding;
pub mod connections;
mod cursor;
mod doors;
mod environment;
mod feed;
mod gated;
pub mod imports;
mod lambda;
mod logs;
mod messages;
mod metrics;
mod poller;
mod refusals;
mod seats;
pub mod status;
mod vendor;
mod window;

pub use cursor::{read_cursor, write_cursor};
pub use doors::{Door, Doors, DoorsRead, Fingerprint, Opened, usable_token};
pub use environment::{Clients, Environment, MissingVariable, timeouts};
pub use gated::ANSWER_TIME;
pub use lambda::{deadline_of, start};
pub use logs::log_filter;
pub use messages::each_message;
pub use metrics::Metrics;
pub use poller::{Next, Poll, Poller, WATCH_EVERY, aside};
pub use refusals::{Refusals, request_id};
pub use vendor::{Trouble, VendorHttp};
