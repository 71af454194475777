//! Worlds to tell stories in: the functions of `template.yaml`, the embedded DynamoDB, the queues and simulated sources
//! behind real HTTP, on a clock that only the story moves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "a story that fails may panic")]

mod association_anywhere;
mod business_catalyst;
pub mod costs;
mod deployment;
mod destinations;
mod log;
pub mod openapi;

use tokio::net::TcpListener;

pub use association_anywhere::AssociationAnywhereFixture;
pub use business_catalyst::BusinessCatalystFixture;
pub use deployment::{MOST_PAGES, StoreBudget, TestDeployment};
pub use destinations::DestinationsFixture;
pub use log::Log;

/// The logical ids of the template.
pub const CONTROL_TABLE: &str = "ControlTable";
/// The shadow table.
pub const SHADOW_TABLE: &str = "ShadowTable";
/// The table of batch imports.
pub const IMPORT_TABLE: &str = "ImportTable";
/// The feed table of the template.
pub const FEED_TABLE: &str = "FeedTable";
/// The queue of chunks of ids.
pub const WORK_QUEUE: &str = "WorkQueue";
/// The queue of chunks of contacts.
pub const CONTACTS_QUEUE: &str = "ContactsQueue";
/// The queue of requests to poll Association Anywhere.
pub const QUEUE_POLLS: &str = "QueuePolls";
/// The queue of requests to poll Business Catalyst.
pub const CONTACT_POLLS: &str = "ContactPolls";
/// The queue of requests to look at destinations.
pub const PUSH_REQUESTS: &str = "PushRequests";
/// The bearer token of the tenant `acme`.
pub const TOKEN: &str = "acme-token";
/// The bearer token of the tenant `acme` that [`TestDeployment::add_operator`] registers.
pub const OPERATOR: &str = "operator-token";
/// User name and password of the connection `intouch`.
pub const CONNECTOR_LOGIN: (&str, &str) = ("intouch", "connector-password");

/// A free port of this machine, and its address.
pub async fn listen() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (format!("http://{}", listener.local_addr().unwrap()), listener)
}
