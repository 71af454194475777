//! A Connector pushes prospects, members, staff and lead sources, through the gateway as it would on AWS.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

mod documents;
mod erasure;
mod fetching;
mod handing_over;
mod matching;
mod model;
mod properties;
mod refusals;
mod saving;
mod sender;
mod simulated;
