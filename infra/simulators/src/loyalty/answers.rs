//! The documents of answers, in XML and in JSON.

use serde_json::{Value, json};

use super::{customers::Imported, requests::Fields};
use crate::{
    server::Document,
    xml::{element, write_or_ignore},
};

pub(super) const WRONG_CREDENTIALS: &str = "Invalid user or password";

/// How a request wants its answer.
#[derive(Clone, Copy)]
pub(super) enum Format {
    Xml,
    Json {
        /// Without white space.
        condensed: bool,
    },
}

/// What an answer says.
pub(super) enum Answer {
    Imported {
        imported: Imported,
        /// Another element, with a text that needs escaping and is not escaped in XML.
        account: Option<&'static str>,
    },
    Error(String),
}

impl Format {
    pub(super) fn of(fields: &Fields) -> Self {
        if fields.text("output").eq_ignore_ascii_case("JSON") {
            Self::Json { condensed: fields.text("condensed") == "yes" }
        } else {
            Self::Xml
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Xml => "text/xml; charset=utf-8",
            Self::Json { .. } => "application/json; charset=utf-8",
        }
    }

    pub(super) fn write(self, answer: &Answer) -> Document {
        let text = match self {
            Self::Xml => xml(answer),
            Self::Json { condensed: true } => json(answer).to_string(),
            Self::Json { condensed: false } => format!("{:#}\n", json(answer)),
        };
        Document::ok(self.content_type(), text)
    }
}

fn xml(answer: &Answer) -> String {
    let mut out = String::new();
    match answer {
        Answer::Imported { imported: Imported { new, updated, generated_codes }, account } => {
            out.push_str("<response status=\"success\"><batch status=\"imported\"><customers>");
            element(&mut out, "new", new);
            element(&mut out, "updated", updated);
            out.push_str("</customers>");
            if !generated_codes.is_empty() {
                out.push_str("<generated>");
                for code in generated_codes {
                    element(&mut out, "code", code);
                }
                out.push_str("</generated>");
            }
            out.push_str("</batch>");
            if let Some(account) = account {
                write_or_ignore(&mut out, format_args!("<account>{account}</account>"));
            }
        }
        Answer::Error(message) => {
            out.push_str("<response status=\"error\">");
            element(&mut out, "error", message);
        }
    }
    out + "</response>\n"
}

fn json(answer: &Answer) -> Value {
    match answer {
        Answer::Imported { imported: Imported { new, updated, generated_codes }, account } => {
            let mut batch = json!({ "status": "imported", "customers": { "new": new, "updated": updated } });
            if !generated_codes.is_empty() {
                batch["generated"] = json!(generated_codes);
            }
            let mut answer = json!({ "status": "success", "batch": batch });
            if let Some(account) = account {
                answer["account"] = json!(account);
            }
            answer
        }
        Answer::Error(message) => json!({ "status": "error", "error": message }),
    }
}
