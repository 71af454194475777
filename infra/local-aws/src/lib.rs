//! Runs the functions of `template.yaml` on one machine: does in this process what AWS would do for them.
//!
//! The handlers are those that run under Lambda, and they call DynamoDB and SQS through the AWS SDK; only the SDK's
//! HTTP client is replaced. Anything in the template that this engine can't do is an error.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cost;
mod dynamodb;
mod estimate;
mod event_source;
mod functions;
mod gateway;
mod interference;
mod invocation;
mod meter;
pub mod private_files;
mod sdk;
mod secrets;
mod server;
mod sqs;
mod stream_source;
mod template;
mod work;

pub use cost::{Bill, Deployed, HOURS_A_MONTH, Prices};
pub use dynamodb::{Conflicts, EmbeddedDynamoDb, Habits, rewrite};
pub use estimate::{Estimate, Figures, IdleHours, Measured, Planned, deployed};
pub use functions::{Engine, EngineError};
pub use interference::{Answer, Call, Interference};
pub use meter::{Invocations, Meter, Report, Usage};
pub use secrets::LocalSecrets;
pub use sqs::{LocalSqs, Mishap, ReceivedMessage};
pub use template::{Function, HttpRoute, Queue, QueueTrigger, Schedule, StreamTrigger, Table, Template, TemplateError};
pub use work::Work;

/// The template of the deployment, which `customer-sync local` runs on one machine.
pub const TEMPLATE: &str = include_str!("../../../template.yaml");
