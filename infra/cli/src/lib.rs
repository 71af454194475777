//! The `customer-sync` command: runs everything on one machine, and operates a deployed stack.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod commands;
mod target;

pub use target::{Target, TargetError};
