//! The documents of all answers but a customer's own part of them, and ways to spoil a document.

use std::fmt::Write;

use super::{
    Procedure,
    state::{Action, Queued},
};

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

    /// The name in this spelling.
    fn name(self, hyphen: &'static str, camel: &'static str) -> &'static str {
        match self {
            Self::Hyphen => hyphen,
            Self::Camel => camel,
        }
    }
}

pub(super) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
pub(super) const WRONG_CREDENTIALS: &str = "Invalid username or password";
pub(super) const MAINTENANCE_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Maintenance</title></head>\
    <body><h1>We'll be back soon</h1><p>The system is down for maintenance<br>Please try again later & thank you</body></html>\n";

/// The root of an answer. What wraps a bulk details answer is documented nowhere, so clients must not look at it.
fn root(procedure: Procedure, dialect: Dialect) -> &'static str {
    match procedure {
        Procedure::Queue => dialect.name("queued-custs", "queuedCusts"),
        Procedure::Details => dialect.name("cust-info-response", "custInfoResponse"),
        Procedure::Purge => dialect.name("purge-status", "purgeStatus"),
        Procedure::Enqueue => dialect.name("enqueue-status", "enqueueStatus"),
    }
}

/// The queue without reasons holds bare ids; the one with reasons a group for each customer. The spelling is told apart
/// from the form, so that an answer can come in the wrong one.
pub(super) fn queue(dialect: Dialect, with_reasons: bool, entries: &[Queued], greatest_number: Option<u64>) -> String {
    let bytes_an_entry = if with_reasons { 110 } else { 32 };
    let mut out = String::with_capacity(300 + entries.len() * bytes_an_entry);
    let root = root(Procedure::Queue, dialect);
    let cust_id = dialect.name("cust-id", "custId");
    out.push_str(DECLARATION);
    write_or_ignore(&mut out, format_args!("<{root}><status>SUCCESS</status>"));
    if let Some(number) = greatest_number {
        let name = dialect.name("max-queue-num", "maxQueueNum");
        write_or_ignore(&mut out, format_args!("<{name}>{number}</{name}>"));
    }
    if !with_reasons {
        out.push_str("<customers>");
    }
    for entry in entries {
        if with_reasons {
            let (action, reason) = action_and_reason(entry);
            let group = format_args!(
                "<customer><{cust_id}>{}</{cust_id}><action>{action}</action><reason>{reason}</reason></customer>",
                entry.id
            );
            write_or_ignore(&mut out, group);
        } else {
            write_or_ignore(&mut out, format_args!("<{cust_id}>{}</{cust_id}>", entry.id));
        }
    }
    if !with_reasons {
        out.push_str("</customers>");
    }
    write_or_ignore(&mut out, format_args!("</{root}>\n"));
    out
}

/// Already escaped.
const REASONS: [&str; 5] = [
    "Membership renewed",
    "Address changed",
    "E-mail changed",
    "Name &amp; salutation changed",
    "Subscription changed",
];

fn action_and_reason(entry: &Queued) -> (&'static str, &'static str) {
    match entry.action {
        Action::Insert => ("INSERT", "New customer"),
        Action::Delete => ("DELETE", "Customer deleted"),
        Action::Update => ("UPDATE", REASONS[(entry.id % REASONS.len() as u64) as usize]),
    }
}

/// A `status` with its `message`, as all procedures but details answer.
pub(super) fn status(procedure: Procedure, dialect: Dialect, status: &str, message: &str) -> String {
    let root = root(procedure, dialect);
    let mut out = format!("{DECLARATION}<{root}><status>{status}</status>");
    if message.is_empty() {
        out.push_str("<message/>");
    } else {
        out.push_str("<message>");
        escape_into(&mut out, message);
        out.push_str("</message>");
    }
    write_or_ignore(&mut out, format_args!("</{root}>\n"));
    out
}

/// A document whose root holds only an `error`.
pub(super) fn error(procedure: Procedure, dialect: Dialect, message: &str) -> String {
    let root = root(procedure, dialect);
    let mut out = format!("{DECLARATION}<{root}><error>");
    escape_into(&mut out, message);
    write_or_ignore(&mut out, format_args!("</error></{root}>\n"));
    out
}

/// How a procedure says no: details with an `error`, the others with a `FAILURE`.
pub(super) fn refusal(procedure: Procedure, dialect: Dialect, message: &str) -> String {
    match procedure {
        Procedure::Details => error(procedure, dialect, message),
        Procedure::Queue | Procedure::Purge | Procedure::Enqueue => status(procedure, dialect, "FAILURE", message),
    }
}

/// Well-formed, and nothing in it; a queue at least says that it was successful.
pub(super) fn empty(procedure: Procedure, dialect: Dialect) -> String {
    match procedure {
        Procedure::Queue => status(procedure, dialect, "SUCCESS", ""),
        Procedure::Details | Procedure::Purge | Procedure::Enqueue => {
            format!("{DECLARATION}<{}/>\n", root(procedure, dialect))
        }
    }
}

/// Ten entities, each ten times the one before: expanded it would be ten thousand million laughs.
pub(super) fn entity_bomb() -> String {
    let mut out = format!("{DECLARATION}<!DOCTYPE bomb [\n<!ENTITY laugh0 \"ha\">\n");
    for step in 1..=10 {
        let before = format!("&laugh{};", step - 1).repeat(10);
        write_or_ignore(&mut out, format_args!("<!ENTITY laugh{step} \"{before}\">\n"));
    }
    out.push_str("]>\n<custInfoResponse><custInfo><custId>1</custId><name><displayName>&laugh10;</displayName></name>");
    out.push_str("</custInfo></custInfoResponse>\n");
    out
}

/// A part of a document, as far as spoiling it needs to know.
enum Piece<'a> {
    /// `<name`, `</name`, without what follows the name.
    Tag(&'a str),
    /// Anything else, CDATA sections included.
    Other(&'a str),
}

/// Cuts a document that this simulator wrote (no comments, no attributes) into pieces.
fn pieces(document: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = document;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (length, is_tag) = if rest.starts_with("<![CDATA[") {
            (rest.find("]]>").map_or(rest.len(), |end| end + 3), false)
        } else if rest.starts_with("<?") {
            (rest.find("?>").map_or(rest.len(), |end| end + 2), false)
        } else if let Some(tag) = rest.strip_prefix('<') {
            // The slash of an end tag is part of the tag, the one of an empty element is not.
            let end = tag.char_indices().find(|&(place, letter)| letter == '>' || (letter == '/' && place > 0));
            (1 + end.map_or(tag.len(), |(place, _)| place), true)
        } else {
            (rest.find('<').unwrap_or(rest.len()), false)
        };
        let (piece, after) = rest.split_at(length);
        rest = after;
        Some(if is_tag { Piece::Tag(piece) } else { Piece::Other(piece) })
    })
}

/// The document with the first end tag of its second half under another name.
pub(super) fn with_wrong_end_tag(document: &str) -> String {
    let mut out = String::with_capacity(document.len() + 20);
    let mut read = 0;
    let mut done = false;
    for piece in pieces(document) {
        match piece {
            Piece::Tag(tag) if !done && read >= document.len() / 2 && tag.starts_with("</") => {
                out.push_str("</mismatched");
                read += tag.len();
                done = true;
            }
            Piece::Tag(text) | Piece::Other(text) => {
                out.push_str(text);
                read += text.len();
            }
        }
    }
    if !done {
        out.push_str("</mismatched>");
    }
    out
}

/// The document with `custId` spelled `cust-id`, and so on.
pub(super) fn with_hyphenated_names(document: &str) -> String {
    let mut out = String::with_capacity(document.len() + document.len() / 16);
    for piece in pieces(document) {
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

/// Writes a text so that it is safe between two tags.
pub(super) fn escape_into(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(place) = rest.find(['&', '<', '>']) {
        out.push_str(&rest[..place]);
        out.push_str(match rest.as_bytes()[place] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            _ => "&gt;",
        });
        rest = &rest[place + 1..];
    }
    out.push_str(rest);
}

/// Writing to a `String` cannot fail.
pub(super) fn write_or_ignore(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(arguments);
}
