//! `customer-sync` as its users see it: the built program, its output and its exit codes.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

mod association_anywhere;
mod business_catalyst;
mod check;
mod connector;
mod cost;
mod destinations;
mod doors;
mod forget;
mod imports;
mod killed;
mod login;
mod pause;
mod persons;
mod readers;
mod refusals;
mod source;
mod support;
mod verify;
mod whereabouts;
