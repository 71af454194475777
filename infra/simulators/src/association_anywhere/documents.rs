//! The documents of all answers but a customer's own part of them. They are written in camelCase, and spelled as the
//! answer must be at the end.

use std::fmt::Arguments;

use super::{
    state::{Action, Queued},
    types::Procedure,
};
use crate::{
    server::Document,
    xml::{DECLARATION, Piece, element, partial_escape, pieces, write_or_ignore},
};

pub(super) const XML_TYPE: &str = "text/xml; charset=UTF-8";

/// An XML document without a fault.
pub(super) fn xml(document: String) -> Document {
    Document::ok(XML_TYPE, document)
}

/// Which spelling of element names an answer uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `cust-id`.
    Hyphen,
    /// `custId`.
    Camel,
}

impl Dialect {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Hyphen => Self::Camel,
            Self::Camel => Self::Hyphen,
        }
    }

    /// The document with its names in this spelling.
    pub(super) fn spelled(self, document: String) -> String {
        if self == Self::Camel {
            return document;
        }
        let mut out = String::with_capacity(document.len() + document.len() / 16);
        for piece in pieces(&document) {
            match piece {
                Piece::Tag(tag) => {
                    for letter in tag.chars() {
                        if letter.is_ascii_uppercase() {
                            out.push('-');
                        }
                        out.push(letter.to_ascii_lowercase());
                    }
                }
                Piece::Other(text) => out.push_str(text),
            }
        }
        out
    }
}

pub(super) const WRONG_CREDENTIALS: &str = "Invalid username or password";

/// The root of an answer. What wraps a bulk details answer is documented nowhere, so clients must not look at it.
fn root(procedure: Procedure) -> &'static str {
    match procedure {
        Procedure::Queue => "queuedCusts",
        Procedure::Details => "custInfoResponse",
        Procedure::Purge => "purgeStatus",
        Procedure::Enqueue => "enqueueStatus",
    }
}

/// The queue without reasons holds bare ids; the one with reasons a group for each customer.
pub(super) fn queue(
    with_reasons: bool,
    entries: &[Queued],
    texts: &[String],
    zeros: &str,
    greatest_number: Option<u64>,
) -> String {
    let root = root(Procedure::Queue);
    let mut out = format!("{DECLARATION}<{root}><status>SUCCESS</status>");
    if let Some(number) = greatest_number {
        element(&mut out, "maxQueueNum", number);
    }
    if !with_reasons {
        out.push_str("<customers>");
    }
    for entry in entries {
        if !with_reasons {
            element(&mut out, "custId", format_args!("{zeros}{}", entry.id));
            continue;
        }
        let (action, reason) = action_and_reason(entry);
        out.push_str("<customer>");
        element(&mut out, "custId", format_args!("{zeros}{}", entry.id));
        element(&mut out, "action", action);
        element(&mut out, "reason", reason);
        out.push_str("</customer>");
    }
    for text in texts {
        write_or_ignore(&mut out, format_args!("<customer><custId>{text}</custId></customer>"));
    }
    if !with_reasons {
        out.push_str("</customers>");
    }
    write_or_ignore(&mut out, format_args!("</{root}>\n"));
    out
}

const REASONS: [&str; 5] =
    ["Membership renewed", "Address changed", "E-mail changed", "Name & salutation changed", "Subscription changed"];

fn action_and_reason(entry: &Queued) -> (&'static str, &'static str) {
    match entry.action {
        Action::Insert => ("INSERT", "New customer"),
        Action::Delete => ("DELETE", "Customer deleted"),
        Action::Update => ("UPDATE", REASONS[(entry.id % REASONS.len() as u64) as usize]),
    }
}

/// A document with this in its root.
fn document(procedure: Procedure, content: Arguments<'_>) -> String {
    let root = root(procedure);
    format!("{DECLARATION}<{root}>{content}</{root}>\n")
}

/// A `status` with its `message`, as all procedures but details answer.
pub(super) fn status(procedure: Procedure, status: &str, message: &str) -> String {
    if message.is_empty() {
        return document(procedure, format_args!("<status>{status}</status><message/>"));
    }
    let message = partial_escape(message);
    document(procedure, format_args!("<status>{status}</status><message>{message}</message>"))
}

/// A document with only an `error` in its root.
pub(super) fn error(procedure: Procedure, message: &str) -> String {
    document(procedure, format_args!("<error>{}</error>", partial_escape(message)))
}

/// How a procedure refuses: details with an `error`, the others with a `FAILURE`.
pub(super) fn refusal(procedure: Procedure, message: &str) -> String {
    match procedure {
        Procedure::Details => error(procedure, message),
        Procedure::Queue | Procedure::Purge | Procedure::Enqueue => status(procedure, "FAILURE", message),
    }
}

/// Well-formed, and nothing in it; a queue at least says that it was successful.
pub(super) fn empty(procedure: Procedure) -> String {
    match procedure {
        Procedure::Queue => status(procedure, "SUCCESS", ""),
        Procedure::Details | Procedure::Purge | Procedure::Enqueue => {
            format!("{DECLARATION}<{}/>\n", root(procedure))
        }
    }
}

/// A document with a name that grows without bounds when expanded.
pub(super) fn entity_bomb() -> String {
    crate::xml::entity_bomb(
        "<custInfoResponse><custInfo><custId>1</custId><name><displayName>&laugh10;</displayName></name></custInfo>\
         </custInfoResponse>",
    )
}
