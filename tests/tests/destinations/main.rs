//! Changes go out: from the change feed to a site of Business Catalyst, a loyalty service and a receiver of webhooks.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a story that fails may panic")]

mod addresses;
mod arriving;
mod blame;
mod echo;
mod operating;
mod refusals;
mod standing;
mod trouble;

/// The three destinations.
const ALL: [&str; 3] = ["site", "loyalty", "hook"];
