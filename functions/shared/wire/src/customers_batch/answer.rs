use std::fmt::Write;

use quick_xml::escape::escape;
use serde::Serialize;

use crate::customers_batch::RowProblem;

/// The requested form of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The form of the document.
    pub format: Format,
    /// Whether JSON comes without white space.
    pub condensed: bool,
}

/// The form of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// XML.
    Xml,
    /// JSON.
    Json,
    /// A script that calls this function with JSON. The name is a plain path of identifiers.
    Jsonp(String),
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was carried out.
    Imported(Imported),
    /// It was not, and nothing was written: why, in words for the caller.
    Error(String),
}

/// The result of an import: new + updated + ignored + failed = rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The id of the import.
    pub import: String,
    /// Rows that brought a customer.
    pub new: u64,
    /// Rows with an existing customer.
    pub updated: u64,
    /// Rows that were dropped, because their customer is to stay as it is.
    pub ignored: u64,
    /// Whether the import can be undone.
    pub saves_undo: bool,
    /// What was generated, row by row.
    pub generated: Vec<GeneratedIds>,
    /// Rows that are no customers, and count as ignored.
    pub ignored_rows: Vec<RowProblem>,
    /// The rows that were not taken over.
    pub failures: Vec<RowProblem>,
}

/// What was generated for one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GeneratedIds {
    /// The row's number, from 1.
    pub row: u32,
    /// The customer's id, to be sent as `code` from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The card number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card_number: Option<String>,
}

impl Answer {
    /// The answer's media type and its text. The counts stand where the source has them, with our own fields beside
    /// them.
    pub fn render(&self, output: &Output) -> (&'static str, String) {
        match &output.format {
            Format::Xml => ("text/xml; charset=utf-8", self.to_xml()),
            Format::Json => ("application/json; charset=utf-8", self.to_json(output.condensed)),
            Format::Jsonp(callback) => {
                let json = for_script(&self.to_json(output.condensed));
                ("text/javascript; charset=utf-8", format!("{callback}({json});"))
            }
        }
    }

    fn to_json(&self, condensed: bool) -> String {
        let document = match self {
            Self::Imported(imported) => Document { batch: Some(Batch::of(imported)), error: None, status: "success" },
            Self::Error(error) => Document { batch: None, error: Some(error), status: "error" },
        };
        let text = if condensed { serde_json::to_string(&document) } else { serde_json::to_string_pretty(&document) };
        // Serialisation to a string fails on non-string keys and on I/O only, and neither occurs.
        #[allow(clippy::expect_used)]
        text.expect("an answer is plain data")
    }

    fn to_xml(&self) -> String {
        let imported = match self {
            Self::Imported(imported) => imported,
            Self::Error(error) => {
                return format!("<response status=\"error\"><error>{}</error></response>", escape(error.as_str()));
            }
        };
        let Imported { import, new, updated, ignored, saves_undo, generated, ignored_rows, failures } = imported;
        let mut xml = format!(
            "<response status=\"success\"><batch status=\"imported\"><customers><new>{new}</new><updated>{updated}</updated>\
             </customers><import><id>{import}</id><ignored>{ignored}</ignored><failed>{}</failed><undo>{}</undo></import>",
            failures.len(),
            undo_state(*saves_undo)
        );
        for GeneratedIds { row, code, card_number } in generated {
            element(&mut xml, "generated", *row, &[("code", code.as_deref()), ("card_number", card_number.as_deref())]);
        }
        for RowProblem { row, reason } in ignored_rows {
            element(&mut xml, "ignored_row", *row, &[("reason", Some(reason))]);
        }
        for RowProblem { row, reason } in failures {
            element(&mut xml, "failure", *row, &[("reason", Some(reason))]);
        }
        xml.push_str("</batch></response>");
        xml
    }
}

/// JSON as a script may hold it: these two characters end a line of a script, and in JSON they occur only in texts.
fn for_script(json: &str) -> String {
    json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// The element of a row, with those children that have a value.
fn element(xml: &mut String, name: &str, row: u32, children: &[(&str, Option<&str>)]) {
    // Writing to a string does not fail.
    let _ = write!(xml, "<{name}><row>{row}</row>");
    for (child, text) in children {
        if let Some(text) = text {
            let _ = write!(xml, "<{child}>{}</{child}>", escape(*text));
        }
    }
    let _ = write!(xml, "</{name}>");
}

fn undo_state(saves_undo: bool) -> &'static str {
    if saves_undo { "saved" } else { "none" }
}

#[derive(Serialize)]
struct Document<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<Batch<'a>>,
}

#[derive(Serialize)]
struct Batch<'a> {
    status: &'static str,
    customers: Customers,
    import: Import<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    generated: &'a [GeneratedIds],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ignored_rows: &'a [RowProblem],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    failures: &'a [RowProblem],
}

#[derive(Serialize)]
struct Customers {
    new: u64,
    updated: u64,
}

#[derive(Serialize)]
struct Import<'a> {
    id: &'a str,
    ignored: u64,
    failed: usize,
    undo: &'static str,
}

impl<'a> Batch<'a> {
    fn of(imported: &'a Imported) -> Self {
        Self {
            status: "imported",
            customers: Customers { new: imported.new, updated: imported.updated },
            import: Import {
                id: &imported.import,
                ignored: imported.ignored,
                failed: imported.failures.len(),
                undo: undo_state(imported.saves_undo),
            },
            generated: &imported.generated,
            ignored_rows: &imported.ignored_rows,
            failures: &imported.failures,
        }
    }
}
