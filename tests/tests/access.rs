//! Who comes in by which door, what one that is broken costs the others, and how much comes out of it at once.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

#[path = "access/bounds.rs"]
mod bounds;
#[path = "access/credentials.rs"]
mod credentials;
#[path = "access/failures.rs"]
mod failures;
#[path = "access/registrations.rs"]
mod registrations;
#[path = "access/support.rs"]
mod support;
