//! Stand-ins for the systems that customer-sync talks to.
//!
//! A simulator behaves as the source's own documents say, over real sockets, and fails on demand as a real server does:
//! it hangs, answers half a document, refuses the credentials, or holds one customer that can't be parsed.
//!
//! This crate knows nothing of the product's own parsers and types. It is a second, independent reading of the same
//! source documents, so that a misreading on one side shows up as a failing story instead of agreeing with itself.
//!
//! No simulator reads a clock or draws a random number that the seed does not decide; only a delay on purpose waits.

pub mod association_anywhere;
pub mod business_catalyst;
pub mod cli;
pub mod connector;
mod control;
mod faults;
mod names;
mod random;
mod server;
mod xml;
