//! What every function starts with under Lambda: its environment, its clients, logs, metrics, and batches of SQS
//! messages.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod environment;
mod logs;
mod metrics;
mod sqs_batch;
mod start;

pub use environment::{Clients, Environment, EnvironmentError, timeouts};
pub use logs::{OURS, log_filter};
pub use metrics::Metrics;
pub use sqs_batch::process_batch;
pub use start::{deadline_of, start};
