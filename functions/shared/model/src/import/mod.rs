//! The rules of a batch import: which customer a row is about, what becomes of that customer, and how an import is
//! undone.
//!
//! ```text
//!   Request ──► Matching ──► one RowOutcome per row ──► apply_rows, by customer ──► content to write, BeforeImage to undo it with
//!                 ▲    │
//!           Known │    │ Missing        what has been read of the store, and what still has to be
//! ```
//!
//! Rows are independent: a row that can't be taken over costs itself alone. They count in their order, so that a
//! customer that comes twice is added by the first row and updated by the second.

mod claims;
mod field;
mod generated;
mod image;
mod matching;
mod overwrite;
mod request;

pub use claims::{Claim, Claimants};
pub use field::Field;
pub use generated::{IdSecret, RequestFingerprint, salt};
pub use image::{BeforeImage, NO_STATE, UndoAction, reversal, state_made_by};
pub use matching::{Known, MOST_ROWS_OF_ONE, Matched, Matching, Missing, RowOutcome};
pub use overwrite::{Application, RowExtras, apply_rows};
pub use request::{Overwrite, Request, Row, UnreadableRow};
