use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use crate::customers_batch::multipart::{self, Pairs};
use crate::customers_batch::problem::shown;
use crate::customers_batch::{Format, Output, Problem, read_output};

/// The fields of a form, by their names in lower case. Values are bytes: one that is not text does not affect the
/// others.
pub struct Form(BTreeMap<String, Vec<u8>>);

/// Why a body is no usable form, and the requested form of the answer, as far as that can be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem}")]
pub struct FormProblem {
    /// What is wrong.
    pub problem: Problem,
    /// The requested form of the answer.
    pub output: Output,
}

/// The default output, if none can be read.
impl From<Problem> for FormProblem {
    fn from(problem: Problem) -> Self {
        Self { problem, output: Output { format: Format::Xml, condensed: false } }
    }
}

/// Fields of one form. A request has some thirty: headers and parameters.
const MOST_FIELDS: usize = 500;

impl Form {
    /// Reads the body of a POST: `application/x-www-form-urlencoded`, which is the default, or `multipart/form-data`.
    ///
    /// # Errors
    /// If the body is no such form, has more than 500 fields, or has one of them twice.
    pub fn read(content_type: Option<&str>, body: &[u8]) -> Result<Self, FormProblem> {
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let pairs = if media_type.eq_ignore_ascii_case("multipart/form-data") {
            multipart::read(content_type.unwrap_or_default(), body)?
        } else if media_type.is_empty() || media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            urlencoded(body)
        } else {
            let problem = "the request must be a form: application/x-www-form-urlencoded or multipart/form-data";
            return Err(Problem(problem.to_owned()).into());
        };
        let mut form = Self(BTreeMap::new());
        let mut problem = None;
        for (name, value) in pairs {
            let name = String::from_utf8_lossy(&name).to_lowercase();
            if form.0.contains_key(&name) {
                // The first of each name decides the form of the answer.
                let name = shown(&name).unwrap_or_default();
                problem.get_or_insert(Problem(format!("the form has a field twice {name}").trim_end().to_owned()));
            } else if form.0.len() == MOST_FIELDS {
                problem.get_or_insert(Problem(format!("the form has more than {MOST_FIELDS} fields")));
                break;
            } else {
                form.0.insert(name, value);
            }
        }
        match problem {
            Some(problem) => Err(FormProblem { problem, output: read_output(&form).0 }),
            None => Ok(form),
        }
    }

    /// The bytes of a field, if it is there.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(&name.to_lowercase()).map(Vec::as_slice)
    }

    /// The text of a field without the white space around it; `None` if the field is missing or blank.
    ///
    /// # Errors
    /// If it is not UTF-8, or holds a control character.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        let Some(bytes) = self.bytes(name) else { return Ok(None) };
        let text = std::str::from_utf8(bytes).map_err(|_| Problem::of(name, "is not UTF-8"))?.trim();
        if text.chars().any(char::is_control) {
            return Err(Problem::of(name, "holds a control character"));
        }
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// The text of a field.
    ///
    /// # Errors
    /// As [`text`](Self::text), and if it is missing or blank.
    pub(super) fn required(&self, name: &str) -> Result<&str, Problem> {
        self.text(name)?.ok_or_else(|| Problem::of(name, "is missing"))
    }

    /// The names of the fields, in lower case.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// The names alone: values are secrets and personal data.
impl fmt::Debug for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.keys()).finish()
    }
}

fn urlencoded(body: &[u8]) -> Pairs {
    // One more than a form may have is enough to refuse it.
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).take(MOST_FIELDS + 1);
    let decoded = pairs.map(|pair| {
        let mut parts = pair.splitn(2, |byte| *byte == b'=').map(percent_decoded);
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    });
    decoded.collect()
}

/// `+` is a space; a `%` without two hexadecimal digits stands for itself, as in browsers.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match escaped(rest) {
            Some(byte) => (byte, &rest[3..]),
            None if *first == b'+' => (b' ', after),
            None => (*first, after),
        };
        decoded.push(byte);
        rest = after;
    }
    decoded
}

/// The byte that a text begins with, if it is written as `%` and two digits.
fn escaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    Some(hexadecimal(*high)? << 4 | hexadecimal(*low)?)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
