//! Stand-ins for the systems that customer-sync talks to: its sources and its destinations.
//!
//! A simulator behaves as the system's own documents say, over real sockets, and fails on demand as a real server does:
//! it hangs, answers half a document, refuses the credentials, or holds one customer that can't be parsed.
//!
//! This crate knows nothing of the product's own parsers and types. It is a second, independent reading of the same
//! source documents, so that a misreading on one side shows up as a failing story instead of agreeing with itself.
//!
//! No simulator draws a random number that the seed does not decide, and only a delay on purpose waits. None reads a
//! clock but the webhook receiver, unless it is given another one: a signature is good for minutes.

pub mod association_anywhere;
pub mod business_catalyst;
pub mod cli;
pub mod connector;
mod control;
mod faults;
mod http;
pub mod loyalty;
mod names;
mod news;
mod random;
mod server;
mod simulator;
pub mod webhook;
mod xml;

pub use control::Controlled;
pub use http::http_client;
pub use simulator::{Simulator, System};
