use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a source sends beyond the fields of [`Content`](crate::Content), by the source's own section names.
pub type Attributes = BTreeMap<String, Attribute>;

/// One piece of a source's data, kept as structure without interpretation.
///
/// The sources speak XML, where every leaf is text: numbers and booleans stay as they were written, so nothing is
/// lost to a conversion. Keys are ordered, so that equal data have equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Attribute {
    /// The text of an element or of an XML attribute.
    Text(String),
    /// Repeated elements, in the source's order.
    List(Vec<Attribute>),
    /// Child elements and XML attributes (`@name`) by name; text beside them stands under `#text`.
    Object(Attributes),
}
