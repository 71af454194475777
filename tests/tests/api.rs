//! What the integrator's own UI reads: every route of the API, which readers it answers, and what it refuses.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

#[path = "api/changes.rs"]
mod changes;
#[path = "api/contracts.rs"]
mod contracts;
#[path = "api/customers.rs"]
mod customers;
#[path = "api/lists.rs"]
mod lists;
#[path = "api/openapi.rs"]
mod openapi;
#[path = "api/operate.rs"]
mod operate;
#[path = "api/page.rs"]
mod page;
#[path = "api/readers.rs"]
mod readers;
#[path = "api/search.rs"]
mod search;
#[path = "api/support.rs"]
mod support;
#[path = "api/tenants.rs"]
mod tenants;
