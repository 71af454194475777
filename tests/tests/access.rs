//! Which credentials open which API, what a broken registration costs the others, and how large answers are.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

#[path = "access/bounds.rs"]
mod bounds;
#[path = "access/credentials.rs"]
mod credentials;
#[path = "access/digests.rs"]
mod digests;
#[path = "access/failures.rs"]
mod failures;
#[path = "access/registrations.rs"]
mod registrations;
#[path = "access/support.rs"]
mod support;
