//! What the integrator's own UI reads: every route of the API, which readers it answers, and what it refuses.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

#[path = "api/contracts.rs"]
mod contracts;
#[path = "api/customers.rs"]
mod customers;
#[path = "api/lists.rs"]
mod lists;
#[path = "api/readers.rs"]
mod readers;
#[path = "api/support.rs"]
mod support;
