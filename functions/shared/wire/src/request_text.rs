//! Text of the requests that we send.

use quick_xml::escape::escape;

/// An element that holds a text.
pub(crate) fn element(name: &str, text: &str) -> String {
    // A carriage return as it is would reach the source as a line feed.
    let escaped = escape(text).replace('\r', "&#13;");
    format!("<{name}>{escaped}</{name}>")
}
