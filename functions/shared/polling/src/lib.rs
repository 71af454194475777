//! Polls a source, whatever its kind: a lease on each connection, and one step after the other.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod poller;

pub use poller::{Next, Poll, Poller, Polling, WATCH_EVERY, aside};
