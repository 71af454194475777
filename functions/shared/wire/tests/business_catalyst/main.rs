//! What must hold of the Business Catalyst documents, as stories, through the public interface only.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod attributes;
mod content;
mod customers;
mod envelopes;
mod faults;
mod hostile;
mod pages;
mod passwords;
mod properties;
mod records;
mod requests;
mod sample;
mod streaming;
mod update_insert;
