use api::{MOST_BYTES_QUOTED, bytes_quoted};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use crate::freshness::{self, FRESH_AS_OF, FreshAsOf};

/// Bytes of an answer's rows.
const MOST_BYTES: usize = 4_000_000;
/// How many rows are read at first, before it is known how large they are: one may have 390 KB.
const FIRST_ROWS: usize = 50;
/// How many rows are read at once, when they are known to be small.
const MOST_ROWS: usize = 100;

/// The rows of an answer, as JSON: as many as fit, and at least one.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    json: String,
    count: usize,
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
        self.count
    }

    /// Adds a row; `false` if it does not fit.
    pub(crate) fn take(&mut self, row: &impl Serialize) -> Result<bool, serde_json::Error> {
        let json = serde_json::to_string(row)?;
        let (bytes, bytes_quoted) = (self.bytes + json.len() + 1, self.bytes_quoted + bytes_quoted(&json) + 1);
        if self.count > 0 && (bytes > MOST_BYTES || bytes_quoted > MOST_BYTES_QUOTED) {
            return Ok(false);
        }
        if self.count > 0 {
            self.json.push(',');
        }
        self.json.push_str(&json);
        (self.count, self.bytes, self.bytes_quoted) = (self.count + 1, bytes, bytes_quoted);
        Ok(true)
    }

    /// How many rows to read next, of `left` at most: about as many as still fit, so that little is read in vain.
    pub(crate) fn to_read(&self, left: usize) -> usize {
        let fit = match self.bytes.checked_div(self.count) {
            None => FIRST_ROWS,
            Some(average) => MOST_BYTES.saturating_sub(self.bytes) / average.max(1) + 1,
        };
        fit.min(MOST_ROWS).min(left).max(1)
    }

    /// The rows, as JSON without brackets.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// The answer: an object with the rows under `name`, the `others`, and how fresh it is, which a header says too.
    pub(crate) fn into_answer(self, name: &str, others: &[(&str, serde_json::Value)], fresh: &FreshAsOf) -> Response {
        let others: String = others.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect();
        let body = format!("{{\"{name}\":[{}]{others},\"fresh_as_of\":{}}}", self.json, json!(fresh));
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        with_freshness((json, body).into_response(), fresh)
    }
}

/// Says in a header how fresh an answer is.
pub(crate) fn with_freshness(mut response: Response, fresh: &FreshAsOf) -> Response {
    if let Some(value) = freshness::header(fresh) {
        response.headers_mut().insert(FRESH_AS_OF, value);
    }
    response
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
