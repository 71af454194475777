//! Polls a source, whatever its kind. A request names connections and a purpose; each connection is visited under its
//! own lease, in steps, until there is nothing to do at this moment. Nothing waits for the source to have news: when
//! the connection is due again stands in its state, and the function `schedule-polls` sends the next request.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod poller;
mod visit;

pub use poller::{FRONT, Poller, WATCH_EVERY, aside};
pub use visit::{Ahead, Next, Poll, Polling, Tended};
