//! What must hold of the readers, as stories, through the public interface only.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod asked;
mod connector;
mod content;
mod customers_batch;
mod details;
mod encodings;
mod forbidden;
mod hostile;
mod leftovers;
mod limits;
mod properties;
mod queue;
mod sample;
mod secrets;
mod starved;
mod streaming;
mod webhook;
