//! Documents that no client should take in, and ways to spoil a good one.

use super::writing::{DECLARATION, write_or_ignore};

/// What a server shows to people while it is down. It is not XML.
pub(crate) const MAINTENANCE_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Maintenance</title></head>\
    <body><h1>We'll be back soon</h1><p>The system is down for maintenance<br>Please try again later & thank you</body></html>\n";

/// The document with ten entities, each ten times the one before. Its `&laugh10;` would expand to ten thousand million
/// laughs.
pub(crate) fn entity_bomb(document: &str) -> String {
    let mut out = format!("{DECLARATION}<!DOCTYPE bomb [\n<!ENTITY laugh0 \"ha\">\n");
    for step in 1..=10 {
        let ten_times = format!("&laugh{};", step - 1).repeat(10);
        write_or_ignore(&mut out, format_args!("<!ENTITY laugh{step} \"{ten_times}\">\n"));
    }
    out + "]>\n" + document + "\n"
}

/// Elements in elements, 10,000 deep.
pub(crate) fn too_deep() -> String {
    "<nested>".repeat(10_000) + &"</nested>".repeat(10_000)
}

/// A part of a document, as far as corruption it needs to know.
pub(crate) enum Piece<'a> {
    /// `<name`, `</name`, without what follows the name.
    Tag(&'a str),
    /// Anything else, CDATA sections included.
    Other(&'a str),
}

/// Cuts a document that a simulator wrote (no comments, no `<` in an attribute) into pieces.
pub(crate) fn pieces(document: &str) -> impl Iterator<Item = Piece<'_>> {
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
            let ends = |(place, letter): &(usize, char)| matches!(letter, '>' | ' ') || (*letter == '/' && *place > 0);
            (1 + tag.char_indices().find(ends).map_or(tag.len(), |(place, _)| place), true)
        } else {
            (rest.find('<').unwrap_or(rest.len()), false)
        };
        let (piece, after) = rest.split_at(length);
        rest = after;
        Some(if is_tag { Piece::Tag(piece) } else { Piece::Other(piece) })
    })
}

/// The document with the first end tag of its second half under another name.
pub(crate) fn with_wrong_end_tag(document: &str) -> String {
    let mut read = 0;
    for piece in pieces(document) {
        let (Piece::Tag(text) | Piece::Other(text)) = piece;
        if matches!(piece, Piece::Tag(_)) && read >= document.len() / 2 && text.starts_with("</") {
            return format!("{}</mismatched{}", &document[..read], &document[read + text.len()..]);
        }
        read += text.len();
    }
    format!("{document}</mismatched>")
}
