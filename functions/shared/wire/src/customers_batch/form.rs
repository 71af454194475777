use std::collections::BTreeMap;
use std::fmt;

use percent_encoding::percent_decode;
use thiserror::Error;

use crate::customers_batch::callback::is_identifier_path;
use crate::customers_batch::multipart::{self, Pairs};
use crate::customers_batch::problem::shown;
use crate::customers_batch::{Format, Output, Problem};

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
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}

/// The requested form of the answer, as well as it can be read, and what is wrong with it.
pub fn read_output(form: &Form) -> (Output, Result<(), Problem>) {
    let condensed = form.text("condensed").is_ok_and(is_yes);
    let (format, problem) = read_format(form);
    (Output { format, condensed }, problem)
}

fn read_format(form: &Form) -> (Format, Result<(), Problem>) {
    let output = match form.text("output") {
        Ok(output) => output,
        Err(problem) => return (Format::Xml, Err(problem)),
    };
    let is = |name: &str| output.is_some_and(|output| output.eq_ignore_ascii_case(name));
    if output.is_some() && !is("XML") && !is("JSON") {
        return (Format::Xml, Err(Problem::of("output", "must be XML or JSON")));
    }
    match form.text("callback") {
        // XML is no script.
        Ok(_) if is("XML") => (Format::Xml, Ok(())),
        Err(problem) if is("XML") => (Format::Xml, Err(problem)),
        Ok(None) if output.is_none() => (Format::Xml, Ok(())),
        Ok(None) => (Format::Json, Ok(())),
        Ok(Some(callback)) if is_identifier_path(callback) => (Format::Jsonp(callback.to_owned()), Ok(())),
        Ok(Some(_)) => {
            let problem = "must be the name of a JavaScript function, such as a.b_1";
            (Format::Json, Err(Problem::of("callback", problem)))
        }
        Err(problem) => (Format::Json, Err(problem)),
    }
}

pub(super) fn is_yes(value: Option<&str>) -> bool {
    value == Some("yes")
}
