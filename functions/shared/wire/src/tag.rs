//! Start tags.

use std::ops::Range;

use quick_xml::events::BytesStart;

use crate::name::NameBuffer;
use crate::reference::{self, BadReference};
use crate::secret_name::is_secret;

/// A start tag.
pub(crate) struct StartTag<'a> {
    /// The part of the name before the colon, or nothing.
    pub(crate) prefix: &'a str,
    /// The part after it.
    pub(crate) local: &'a str,
    /// The local name in lower case and without `-` and `_`, for matching.
    pub(crate) folded: &'a str,
    /// The number of the name, as written, in the document; `None` if the name is [not kept](crate::name::Names).
    pub(crate) number: Option<usize>,
    pub(crate) all_attributes: &'a AttributeList,
}

impl StartTag<'_> {
    /// Names, as written, and values; without the declarations of namespaces.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all_attributes.entries().filter(|(name, _)| declared_prefix(name).is_none())
    }

    /// The namespaces that the tag declares: each prefix, empty for the default namespace, with its namespace.
    pub(crate) fn namespace_declarations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all_attributes.entries().filter_map(|(name, value)| Some((declared_prefix(name)?, value)))
    }
}

/// The prefix that an attribute of this name declares; `None` for an attribute that declares none.
fn declared_prefix(name: &str) -> Option<&str> {
    if name == "xmlns" { Some("") } else { name.strip_prefix("xmlns:") }
}

/// The attributes of one tag, with references resolved; reused from tag to tag.
#[derive(Default)]
pub(crate) struct AttributeList {
    text: String,
    /// The name and the value of each.
    entries: Vec<(Range<usize>, Range<usize>)>,
    /// Whether one was dropped because its name is that of a secret.
    pub(crate) holds_secret: bool,
    /// How many characters that XML forbids were left out.
    pub(crate) left_out: u64,
}

/// What is wrong with a tag's attributes.
pub(crate) enum BadAttributes {
    /// They break a rule of XML.
    Malformed(&'static str),
    /// A value holds a reference that is not resolved.
    Reference(BadReference),
}

impl AttributeList {
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
        self.holds_secret = false;
        self.left_out = 0;
    }

    /// Reads the attributes of this tag, and of no other, without those that hold secrets.
    pub(crate) fn read(&mut self, tag: &BytesStart) -> Result<(), BadAttributes> {
        self.clear();
        if tag.attributes_raw().is_empty() {
            return Ok(());
        }
        let Self { text, entries, holds_secret, left_out } = self;
        let mut buffer = NameBuffer::default();
        // quick-xml's own search for duplicates compares each attribute with all before it.
        for attribute in tag.attributes().with_checks(false) {
            let Ok(attribute) = attribute else {
                return Err(BadAttributes::Malformed("an attribute that has no name, no `=` or no quoted value"));
            };
            let name = attribute.key.into_inner();
            let Some((_, folded)) = buffer.read(name) else {
                return Err(BadAttributes::Malformed("an attribute with a name that XML does not allow"));
            };
            if is_secret(folded) {
                *holds_secret = true;
                continue;
            }
            let name_start = text.len();
            text.push_str(name);
            let value_start = text.len();
            *left_out += reference::push_attribute_value(&attribute.value, text).map_err(BadAttributes::Reference)?;
            entries.push((name_start..value_start, value_start..text.len()));
        }
        if self.has_duplicates() {
            return Err(BadAttributes::Malformed("an attribute that is given twice"));
        }
        Ok(())
    }

    fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (&self.text[name.clone()], &self.text[value.clone()]))
    }

    fn has_duplicates(&self) -> bool {
        if self.entries.len() < 2 {
            return false;
        }
        let mut names: Vec<&str> = self.entries().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    }
}
