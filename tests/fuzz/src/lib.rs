//! Fuzz targets: each reads any bytes as one of the product's parsers would, and checks what must hold of every input.
//!
//! - No input causes a panic.
//! - What a parser holds at once stays within 8 times the input and 1 MiB, or what the target says: the most bytes that
//!   are live at a time, as the crate's own allocator counts them. Answers that are handed on record by record are
//!   dropped one by one, as the functions do.
//! - The work grows with the input and no faster: see [`budget`].
//! - What a target says beyond that in its [`holds`](Target::holds), such as: an answer that comes in pieces is read as
//!   the same answer at once, and what our writer writes is read again as it was.
//!
//! `cargo test -p fuzz` runs every target over its seeds (`corpus`), over the inputs that once failed (`regressions`),
//! and over a fixed number of inputs that are made from these ([`generate`]), the same ones in every run.
//! `tests/fuzz/run` runs them for long, guided by coverage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "a target fails by a panic")]

pub mod budget;
pub mod corpus;
pub mod generate;
pub mod meter;
mod pieces;
mod targets;

pub use targets::TARGETS;

/// One parser.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called, here and in the folders of its inputs.
    pub name: &'static str,
    /// Reads an input to its end. What this allocates is counted.
    pub read: fn(&[u8]),
    /// Checks what must hold of an input beyond that.
    pub holds: fn(&[u8]),
    /// Bytes that may be held at once: for each byte of the input, and beside it.
    pub peak: (u64, u64),
}

impl Target {
    /// The target of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Checks everything that must hold of an input.
    ///
    /// The input itself is often small. So is each that libFuzzer makes, while most of what goes wrong with memory and
    /// time does so in a large one: therefore a part of the input is repeated, too, for one input in 1,024.
    pub fn check(&self, input: &[u8]) {
        budget::check(self, input);
        let hash = generate::hash(input);
        if hash.is_multiple_of(32) {
            (self.holds)(input);
        }
        if hash.is_multiple_of(1_024) {
            budget::check(self, &generate::enlarged(input, hash, budget::ENLARGED));
        }
    }

    /// The same, with every part of the check for every input.
    pub fn check_all(&self, input: &[u8]) {
        budget::check(self, input);
        (self.holds)(input);
        budget::check(self, &generate::enlarged(input, generate::hash(input), budget::ENLARGED));
    }
}
