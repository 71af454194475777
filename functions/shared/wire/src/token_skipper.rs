//! Skips tokens that are longer than any that is kept: finds their end without holding them in memory.

use crate::secret_name::has_secret_attribute;

/// A token that is being skipped.
pub(crate) enum SkippedToken {
    /// A comment or a processing instruction, which ends with this text and is ignored.
    Ignored(&'static str),
    /// A CDATA section.
    CharacterData,
    /// A start tag, or an empty element's.
    Tag {
        /// The element's name as written.
        name: String,
        /// The quote that an attribute's value is within.
        quote: Option<u8>,
        /// The last byte: before the final `>`, a `/` makes the element an empty one.
        last: u8,
        /// Whether the known part of the tag has an attribute that holds a secret.
        beginning_holds_secret: bool,
    },
}

impl SkippedToken {
    /// The token that begins so; `None` if it is of a kind that can't be long.
    pub(crate) fn new(beginning: &str) -> Option<Self> {
        if beginning.starts_with("<!--") {
            return Some(Self::Ignored("-->"));
        }
        if beginning.starts_with("<?") {
            return Some(Self::Ignored("?>"));
        }
        if beginning.starts_with("<![CDATA[") {
            return Some(Self::CharacterData);
        }
        let tag = beginning.strip_prefix('<')?;
        let name_length = tag.find([' ', '\t', '\r', '\n', '/', '>'])?;
        let is_tag = !tag.starts_with(['!', '/']) && name_length > 0;
        is_tag.then(|| Self::Tag {
            name: tag[..name_length].to_owned(),
            quote: None,
            last: 0,
            beginning_holds_secret: has_secret_attribute(beginning),
        })
    }

    /// How much of `text` belongs to the token and can be dropped, and whether the token has ended there.
    pub(crate) fn pass(&mut self, text: &str) -> (usize, bool) {
        match self {
            Self::Ignored(end) => pass_to(text, end),
            Self::CharacterData => pass_to(text, "]]>"),
            Self::Tag { quote, last, .. } => {
                for (position, byte) in text.bytes().enumerate() {
                    match (*quote, byte) {
                        (None, b'>') => return (position + 1, true),
                        (None, b'"' | b'\'') => *quote = Some(byte),
                        (Some(open), _) if open == byte => *quote = None,
                        _ => {}
                    }
                    *last = byte;
                }
                (text.len(), false)
            }
        }
    }
}

fn pass_to(text: &str, end: &str) -> (usize, bool) {
    match text.find(end) {
        Some(position) => (position + end.len(), true),
        // The end may be cut between this piece and the next.
        None => (text.floor_char_boundary(text.len().saturating_sub(end.len() - 1)), false),
    }
}
