//! What has no field in a record: the source's own data as structure, without loss.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

use model::{Attribute, Attributes};

use super::tree::Element;

/// Collects data by name; a name that comes more than once gets a list.
#[derive(Default)]
pub(crate) struct UnmappedData {
    data: Attributes,
    /// The names whose value is such a list, and not a list by itself.
    repeated: BTreeSet<String>,
}

impl UnmappedData {
    pub(crate) fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    pub(crate) fn insert(&mut self, name: String, value: Attribute) {
        let mut present = match self.data.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(value);
                return;
            }
            Entry::Occupied(present) => present,
        };
        if self.repeated.insert(present.key().clone()) {
            let first = present.insert(Attribute::List(Vec::new()));
            present.insert(Attribute::List(vec![first, value]));
        } else if let Attribute::List(values) = present.get_mut() {
            values.push(value);
        }
    }

    /// Inserts an element under its own name.
    pub(crate) fn insert_element(&mut self, element: Element) {
        self.insert(element.key().to_owned(), attribute_of(element));
    }

    /// Inserts the XML attributes of an element, and its text if it has any.
    pub(crate) fn insert_own_data(&mut self, element: Element) {
        for (name, value) in element.attributes() {
            self.insert(format!("@{name}"), Attribute::Text(value.to_owned()));
        }
        let text = element.text();
        if !text.is_empty() {
            self.insert("#text".to_owned(), Attribute::Text(text.to_owned()));
        }
    }

    /// Inserts what was left over of a section, under the section's name.
    pub(crate) fn insert_leftover(&mut self, name: &str, leftover: Attributes) {
        if !leftover.is_empty() {
            self.insert(name.to_owned(), Attribute::Object(leftover));
        }
    }

    pub(crate) fn into_attributes(self) -> Attributes {
        self.data
    }
}

/// An element as structure: text if that is all it holds, a list if it only wraps elements that its name is the plural
/// of, and otherwise an object of its children, its attributes (`@name`) and its text (`#text`).
pub(crate) fn attribute_of(element: Element) -> Attribute {
    if element.is_plain() {
        return Attribute::Text(element.text().to_owned());
    }
    if is_list(element) {
        return Attribute::List(element.children().map(attribute_of).collect());
    }
    let mut kept = UnmappedData::default();
    kept.insert_own_data(element);
    for child in element.children() {
        kept.insert_element(child);
    }
    Attribute::Object(kept.into_attributes())
}

/// Whether an element only wraps a list. Its shape is then the same for one entry as for many.
fn is_list(element: Element) -> bool {
    let Some(first) = element.children().next() else {
        return false;
    };
    is_plural(element.folded_name(), first.folded_name())
        && !element.has_attributes()
        && element.children().all(|child| child.key() == first.key())
        && element.text().is_empty()
}

/// Whether `plural` is `singular` with `s`, `es`, or `ies` for its `y`.
fn is_plural(plural: &str, singular: &str) -> bool {
    match plural.strip_prefix(singular) {
        Some(ending) => matches!(ending, "s" | "es"),
        None => singular.strip_suffix('y').is_some_and(|stem| plural.strip_prefix(stem) == Some("ies")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_are_told_by_their_ending() {
        for (plural, singular) in [("websites", "website"), ("aliases", "alias"), ("companies", "company")] {
            assert!(is_plural(plural, singular), "{plural}");
        }
        for (plural, singular) in [("website", "website"), ("bio", "b"), ("details", "detail-"), ("s", "y"), ("", "")] {
            assert!(!is_plural(plural, singular), "{plural}");
        }
    }
}
