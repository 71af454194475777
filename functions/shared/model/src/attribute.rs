use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a vendor sends beyond the fields of [`Content`](crate::Content), by the vendor's own section names.
pub type Attributes = BTreeMap<String, Attribute>;

/// One piece of a vendor's data, kept as structure without interpretation.
///
/// The vendors speak XML, where every leaf is text: numbers and booleans stay as they were written, so nothing is
/// lost to a conversion. Keys are ordered, so that equal data have equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Attribute {
    /// The text of an element or of an XML attribute.
    Text(String),
    /// Repeated elements, in the vendor's order.
    List(Vec<Attribute>),
    /// Child elements and XML attributes (`@name`) by name; text beside them stands under `#text`.
    Object(Attributes),
}
