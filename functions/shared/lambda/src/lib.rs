//! What every function starts with under Lambda: its environment, its clients, logs, metrics, and batches of SQS
//! messages.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod aws;
mod environment;
mod function;
mod https;
mod json_lines;
mod logs;
mod metrics;
mod sqs_batch;
mod start;
mod stream;

pub use environment::{Clients, Environment, EnvironmentError, timeouts};
pub use function::{BuildFunction, Function, QueueHandler, ScheduleHandler, StreamHandler, handle_messages, run};
pub use logs::{OURS, log_filter};
pub use metrics::Metrics;
pub use stream::{Image, StreamEvent, TableChange};
