//! The batch import of the Sticky Street loyalty API, from both sides. We receive a form and give an answer; or we send
//! customers as a form, and read the receiver's answer.
//!
//! The dialect has two versions.
//!
//! | | legacy | `API=1.5` |
//! |---|---|---|
//! | secret | `user_password` | `user_api_key`, or the header `api_access_key`, which wins |
//! | undo | saved unless `no_undo=yes` | saved only with `allow_undo=yes` |
//! | several campaigns | separated by pipe comma pipe | separated by commas, spaces tolerated |
//! | custom columns | `custom_field` | `custom_field_1`, `custom_field_2`, … |
//!
//! No error text repeats a value of a customer. Those of the receiving side name columns and campaigns.
//!
//! # Receiving
//!
//! What the source's document leaves open is read like this:
//!
//! - Field names are matched in upper or lower case.
//! - The numbers of the headers give their order. One number may be left out, two in a row may not; a number that is
//!   left out takes no column of the data. Data that disagree have too many columns, and fail loudly.
//! - A blank line is no row. Rows are numbered from 1, without such lines. A first row that repeats the headers is
//!   ignored, and a byte order mark at the beginning of the data is no part of it.
//! - Values are taken without the white space around them. There is no quoting: a delimiter in a value adds a column,
//!   and a row with more or fewer columns than there are headers fails; quotes are part of their value. Zero-width and
//!   bidirectional marks are no part of codes, card numbers and addresses.
//! - Without `overwrite_duplicates`, matches are ignored: overwriting must be requested.
//!
//! # Sending
//!
//! A customer is a [`RowToSend`], its public id is the `code`, and [`batches_of`] distributes rows over requests.
//!
//! - **What became empty at the source** becomes empty at the receiver as far as the dialect can say so: every row has
//!   every column that we know ([`SENT_COLUMNS`]), and an empty value if the customer has none. By the source's document
//!   `update` changes "the fields that are given" and leaves alone those "that are not part of the import", and the
//!   headers say which fields are: so an empty value in a column with a header empties the field. A receiver may read it
//!   as not given and keep the old value, as our own receiving side does; only `yes` empties it there. But `yes` empties
//!   the fields that we never send, too, such as the card number.
//! - **A customer that was deleted** is a row with its `code` alone: the dialect has no deletion. Sent like any other,
//!   such a row empties what was sent before, and adds a customer that the receiver never had.
//! - **There is no quoting.** The delimiter is one that stands in no value; rows that have none in common go in batches
//!   of their own. A value with a line end can't be sent.
//! - Values are sent without the white space around them. Their bounds are those of the receiving side, for the
//!   source's document gives none: a receiver that refuses a row says only how many it took.
//! - No undo state is asked for: the document wants automated imports not to fill the list of them.

mod answer;
mod callback;
mod form;
mod multipart;
mod problem;
mod request;
mod rows;
mod sending;

pub use answer::{Answer, Format, GeneratedIds, Imported, Output};
pub use form::{Form, FormProblem, read_output};
pub use problem::{Problem, RowProblem};
pub use request::{Access, BatchRequest, Version, expect_batch, read_access, read_request};
pub use rows::{MOST_ROWS, MOST_SECRETS};
pub use sending::{
    BatchAnswer, BatchToSend, Dialect, RowError, RowToSend, SENT_COLUMNS, batches_of, read_batch_answer,
};
