use std::fmt;

use serde::Serialize;
use thiserror::Error;

/// Why a whole request can't be carried out, in words for the caller. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Problem(pub String);

impl Problem {
    /// A problem of one field of the form.
    pub(super) fn of(field: &str, problem: impl fmt::Display) -> Self {
        Self(format!("`{field}`: {problem}"))
    }
}

/// Why one row can't be taken over.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize)]
#[error("row {row}: {reason}")]
pub struct RowProblem {
    /// The row's number, from 1.
    pub row: u32,
    /// Why, with the column and without its value.
    pub reason: String,
}

/// A name from the request, as part of an error, if it looks like one: a malformed form may have personal data in the
/// place of names.
pub(super) fn shown(name: &str) -> Option<String> {
    let is_name =
        (1..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then(|| format!("`{name}`"))
}
