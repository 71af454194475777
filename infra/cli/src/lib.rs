//! The `customer-sync` command: runs everything on one machine, and operates a deployed stack.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod commands;
pub mod engine;
mod private;
mod target;

pub use target::{Target, TargetError};

/// The template of the deployment, which `customer-sync local` carries out on one machine.
pub const TEMPLATE: &str = include_str!("../../../template.yaml");
