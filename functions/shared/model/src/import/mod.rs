//! The rules of a batch import: which customer a row is about, what becomes of that customer, and how an import is
//! taken back.
//!
//! ```text
//!   Request ──► match_rows ──► one Fate per row ──► apply_row, row by row ──► content to write, Image to undo it with
//!                  ▲    │
//!            Known │    │ Missing        what has been read of the store, and what still has to be
//! ```
//!
//! Rows are independent: a row that can't be taken over costs itself alone. They count in their order, so that a
//! customer who comes twice is added by the first row and updated by the second.

mod field;
mod generated;
mod image;
mod matching;
mod overwrite;
mod request;

pub use field::Field;
pub use generated::{Fingerprint, salt};
pub use image::{Image, Reversal, fold_images};
pub use matching::{Claim, Claimants, Fate, Known, Matched, Missing, match_rows};
pub use overwrite::{Application, apply_row};
pub use request::{Overwrite, Request, Row};
