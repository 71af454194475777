//! Writing a document, straight into the answer.

use std::fmt::{Arguments, Display, Write};

use quick_xml::escape::partial_escape;

pub(crate) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// An element with this text.
pub(crate) fn element(out: &mut String, name: &str, text: impl Display) {
    let text = text.to_string();
    write_or_ignore(out, format_args!("<{name}>{}</{name}>", partial_escape(&text)));
}

/// Writing to a `String` cannot fail.
pub(crate) fn write_or_ignore(out: &mut String, arguments: Arguments<'_>) {
    let _ = out.write_fmt(arguments);
}
