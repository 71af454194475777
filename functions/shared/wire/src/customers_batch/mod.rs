//! The batch import of the Sticky Street loyalty API, from the receiving side: a form in, an answer out.
//!
//! The dialect has two versions. Field names are matched in upper or lower case.
//!
//! | | legacy | `API=1.5` |
//! |---|---|---|
//! | secret | `user_password` | `user_api_key`, or the header `api_access_key`, which wins |
//! | undo | saved unless `no_undo=yes` | saved only with `allow_undo=yes` |
//! | several campaigns | separated by pipe comma pipe | separated by commas, spaces tolerated |
//! | custom columns | `custom_field` | `custom_field_1`, `custom_field_2`, … |
//!
//! What the source's document leaves open is read like this:
//!
//! - The numbers of the headers give their order. One number may be left out, two in a row may not; a number that is
//!   left out takes no column of the data. Data that disagree have too many columns, and fail loudly.
//! - A blank line is no row. Rows are numbered from 1, without such lines. A first row that repeats the headers is
//!   ignored, and a byte order mark at the beginning of the data is no part of it.
//! - Values are taken without the white space around them. There is no quoting: a delimiter in a value adds a column,
//!   and a row with more or fewer columns than there are headers fails; quotes are part of their value. Zero-width and
//!   bidirectional marks are no part of codes, card numbers and addresses.
//! - Without `overwrite_duplicates`, matches are ignored: overwriting must be requested.
//!
//! No error text repeats a value of the request, except the name of a column and of a campaign.

mod answer;
mod callback;
mod form;
mod multipart;
mod problem;
mod request;
mod rows;

pub use answer::{Answer, Format, GeneratedIds, Imported, Output};
pub use form::{Form, FormProblem};
pub use problem::{Problem, RowProblem};
pub use request::{
    Access, BatchRequest, MOST_ROWS, MOST_SECRETS, Version, expect_batch, read_access, read_output, read_request,
};
