//! The sections that have fields of their own: an entry has a value of fields, and a leftover of everything else in it.

use model::{Attribute, Attributes};

use super::tree::Element;
use super::unmapped::UnmappedData;

/// One entry of a section, such as a `phone` of `phones`.
pub(crate) struct Entry<T> {
    /// The fields.
    pub(crate) value: T,
    /// What has no field.
    pub(crate) leftover: Attributes,
    /// Whether the source says that the entry is preferred.
    pub(crate) preferred: bool,
    /// Whether the source says that the entry is the best.
    pub(crate) best: bool,
}

impl<T> Entry<T> {
    pub(crate) fn new(value: T, leftover: Attributes) -> Self {
        Self { value, leftover, preferred: false, best: false }
    }
}

/// Reads one element's children into fields: `take` gets each child's folded name and text, and returns whether a field
/// holds it now. The leftover is what it did not take, and children that hold more than a text.
pub(crate) fn read_fields(element: Element, mut take: impl FnMut(&str, &str) -> bool) -> Attributes {
    let mut leftover = UnmappedData::default();
    leftover.insert_own_data(element);
    for child in element.children() {
        let taken = take(child.known_name(), child.text());
        if !taken || !child.is_plain() {
            leftover.insert_element(child);
        }
    }
    leftover.into_attributes()
}

/// Puts a text into an empty field. `false` if the field is filled already: a second value is left over.
pub(crate) fn fill(field: &mut Option<String>, text: impl AsRef<str> + Into<String>) -> bool {
    if field.is_some() {
        return false;
    }
    if !text.as_ref().is_empty() {
        *field = Some(text.into());
    }
    true
}

/// The source's `true`.
pub(crate) fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

/// A section's entries, however many elements of its name a record has.
#[derive(Default)]
pub(crate) struct Entries<T> {
    entries: Vec<Entry<T>>,
    /// What stands on or in the section's element beside its entries.
    beside: UnmappedData,
}

impl<T: Ord> Entries<T> {
    /// Reads a section's element, with entries named `entry_name`. An empty entry is left out.
    pub(crate) fn read(&mut self, section: Element, entry_name: &str, read_entry: impl Fn(Element) -> Entry<T>) {
        self.read_some(section, entry_name, |element| Some(read_entry(element)));
    }

    /// The same for a section with several kinds of entries: `read_entry` returns those of this kind.
    pub(crate) fn read_some(
        &mut self,
        section: Element,
        entry_name: &str,
        mut read_entry: impl FnMut(Element) -> Option<Entry<T>>,
    ) {
        self.beside.insert_own_data(section);
        let is_entry = |child: &Element| child.known_name() == entry_name;
        if self.entries.is_empty() {
            // Nearly every section has one or two, and a first entry would make room for four.
            self.entries.reserve_exact(section.children().filter(is_entry).take(2).count());
        }
        for child in section.children() {
            if !is_entry(&child) {
                self.beside.insert_element(child);
            } else if !child.is_empty() {
                self.entries.extend(read_entry(child));
            }
        }
    }

    /// Adds an entry that was read elsewhere.
    pub(crate) fn push(&mut self, entry: Entry<T>) {
        self.entries.push(entry);
    }

    /// The first entry with such a value.
    pub(crate) fn find(&mut self, is_sought: impl Fn(&T) -> bool) -> Option<&mut Entry<T>> {
        self.entries.iter_mut().find(|entry| is_sought(&entry.value))
    }

    /// Brings the entries into the one order that equal data have: the source states none. `mark_primary` is called for
    /// the entry to use: the first that is preferred, or else the first that is the best. It comes first.
    fn arrange(&mut self, mark_primary: impl Fn(&mut T)) {
        self.entries.sort_by(|one, other| (&one.value, &one.leftover).cmp(&(&other.value, &other.leftover)));
        let preferred = self.entries.iter().position(|entry| entry.preferred);
        let primary = preferred.or_else(|| self.entries.iter().position(|entry| entry.best));
        if let Some(position) = primary {
            self.entries[..=position].rotate_right(1);
            mark_primary(&mut self.entries[0].value);
        }
    }

    /// The entries' values, [arranged](Self::arrange). Their leftovers go to `attributes` under the section's name, one
    /// object per entry in the same order, and what stood beside them under that name with `#section` appended.
    pub(crate) fn into_values(
        mut self,
        name: &str,
        attributes: &mut UnmappedData,
        mark_primary: impl Fn(&mut T),
    ) -> Vec<T> {
        self.arrange(mark_primary);
        let has_leftovers = self.entries.iter().any(|entry| !entry.leftover.is_empty());
        let mut values = Vec::with_capacity(self.entries.len());
        let mut leftovers = Vec::with_capacity(if has_leftovers { self.entries.len() } else { 0 });
        for entry in self.entries {
            values.push(entry.value);
            if has_leftovers {
                leftovers.push(Attribute::Object(entry.leftover));
            }
        }
        if has_leftovers {
            attributes.insert(name.to_owned(), Attribute::List(leftovers));
        }
        if !self.beside.is_empty() {
            attributes.insert(format!("{name}#section"), Attribute::Object(self.beside.into_attributes()));
        }
        values
    }
}
