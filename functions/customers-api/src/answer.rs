use api::{MOST_BYTES_QUOTED, bytes_quoted};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::freshness::{FRESH_AS_OF, FreshAsOf};
use crate::problem::Problem;

/// Bytes of an answer's rows.
const MOST_BYTES: usize = 4_000_000;
/// How many rows are read at first, before it is known how large they are: one may have 390 KB.
const FIRST_ROWS: usize = 50;
/// How many rows are read at once, when they are known to be small.
const MOST_ROWS: usize = 100;

/// The rows of an answer, as JSON: as many as fit, and at least one.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    json: Vec<Box<RawValue>>,
    bytes: usize,
    bytes_quoted: usize,
}

impl Rows {
    /// No rows yet, in an answer that also holds these texts, each at most once.
    pub(crate) fn beside<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut rows = Self::default();
        for text in texts {
            // As JSON in JSON a byte may become six: a control character.
            rows.bytes += text.len() + 3;
            rows.bytes_quoted += bytes_quoted(text) + 7;
        }
        rows
    }

    /// How many rows there are.
    pub(crate) fn count(&self) -> usize {
        self.json.len()
    }

    /// Adds a row; `false` if it does not fit.
    pub(crate) fn take(&mut self, row: &impl Serialize) -> Result<bool, serde_json::Error> {
        let json = to_raw_value(row)?;
        let (bytes, bytes_quoted) =
            (self.bytes + json.get().len() + 1, self.bytes_quoted + bytes_quoted(json.get()) + 1);
        if !self.json.is_empty() && (bytes > MOST_BYTES || bytes_quoted > MOST_BYTES_QUOTED) {
            return Ok(false);
        }
        self.json.push(json);
        (self.bytes, self.bytes_quoted) = (bytes, bytes_quoted);
        Ok(true)
    }

    /// How many rows to read next, of `left` at most: about as many as still fit, so that little is read in vain.
    pub(crate) fn to_read(&self, left: usize) -> usize {
        let fit = match self.bytes.checked_div(self.count()) {
            None => FIRST_ROWS,
            Some(average) => MOST_BYTES.saturating_sub(self.bytes) / average.max(1) + 1,
        };
        fit.min(MOST_ROWS).min(left).max(1)
    }
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

/// An answer with this body. A header says how fresh it is.
pub(crate) fn answer(body: &impl Serialize, fresh: &FreshAsOf) -> Result<Response, Problem> {
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let mut response = (json, serde_json::to_string(body)?).into_response();
    if let Some(value) = fresh.header() {
        response.headers_mut().insert(FRESH_AS_OF, value);
    }
    Ok(response)
}

/// Logs which tenant read how many records, for the people that must answer for it.
pub(crate) fn note_read(tenant: &str, route: &str, records: usize) {
    tracing::info!(tenant, route, records, "personal data were read");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows_of(row: &str) -> usize {
        let mut rows = Rows::default();
        while rows.take(&row).unwrap() {}
        rows.count()
    }

    #[test]
    fn rows_end_at_four_megabytes_and_earlier_where_lambda_would_have_to_write_more() {
        assert_eq!(rows_of(&"q".repeat(399_997)), 10);
        // Each quotation mark takes one more backslash in our JSON, and two more in Lambda's.
        assert_eq!(rows_of(&"\"".repeat(199_998)), 7);
    }

    #[test]
    fn the_first_row_always_fits() {
        assert_eq!(rows_of(&"q".repeat(5_000_000)), 1);
        let mut rows = Rows::beside([&*"q".repeat(5_000_000)]);
        assert!(rows.take(&"a").unwrap() && !rows.take(&"b").unwrap());
    }

    #[test]
    fn rows_are_read_as_many_as_fit() {
        let mut rows = Rows::default();
        assert_eq!((rows.to_read(500), rows.to_read(7)), (50, 7));
        rows.take(&"q".repeat(390_000)).unwrap();
        assert_eq!(rows.to_read(499), 10);
        let mut small = Rows::default();
        small.take(&"q").unwrap();
        assert_eq!(small.to_read(499), 100);
    }
}
