//! Who comes in by which door, what one that is broken costs the others, and how much comes out of it at once.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

#[path = "doors/bounds.rs"]
mod bounds;
#[path = "doors/credentials.rs"]
mod credentials;
#[path = "doors/failures.rs"]
mod failures;
#[path = "doors/registrations.rs"]
mod registrations;
#[path = "doors/support.rs"]
mod support;
