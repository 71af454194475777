//! The `customer-sync` command: runs everything on one machine, and operates a deployed stack.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod commands;
mod login;
mod target;

pub use login::Login;
pub use target::{DIRECTORY, Target, TargetError};
