//! Writing a document, straight into the answer.

use std::fmt::{Arguments, Write};

pub(crate) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// An element with text that may need escaping.
pub(crate) fn text_element(out: &mut String, name: &str, text: &str) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    escape_into(out, text);
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// An element with text that is safe as it is.
pub(crate) fn element(out: &mut String, name: &str, text: Arguments<'_>) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    write_or_ignore(out, text);
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// Writes a text so that it is safe between two tags.
pub(crate) fn escape_into(out: &mut String, text: &str) {
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
pub(crate) fn write_or_ignore(out: &mut String, arguments: Arguments<'_>) {
    let _ = out.write_fmt(arguments);
}
