use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// What a source sends beyond the fields of [`Content`](crate::Content), by the source's own section names.
pub type Attributes = BTreeMap<String, Attribute>;

/// One piece of a source's data, kept as structure without interpretation.
///
/// The sources speak XML, where every leaf is text: numbers and booleans stay as they were written, so nothing is
/// lost to a conversion. Keys are ordered, so that equal data have equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Attribute {
    /// The text of an element or of an XML attribute.
    Text(String),
    /// Repeated elements, in the source's order.
    List(Vec<Attribute>),
    /// Child elements and XML attributes (`@name`) by name; text beside them stands under `#text`.
    Object(Attributes),
}

/// As serde reads an untagged enum, but at once: serde would copy each list and each object, with all that is in it,
/// once for every level above it.
impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AttributeVisitor)
    }
}

struct AttributeVisitor;

impl<'de> Visitor<'de> for AttributeVisitor {
    type Value = Attribute;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a list or an object")
    }

    fn visit_str<E>(self, text: &str) -> Result<Attribute, E> {
        Ok(Attribute::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Attribute, E> {
        Ok(Attribute::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Attribute, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            list.push(entry);
        }
        Ok(Attribute::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Attribute, A::Error> {
        let mut object = Attributes::new();
        while let Some((name, value)) = entries.next_entry()? {
            object.insert(name, value);
        }
        Ok(Attribute::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_no_list_and_no_object_is_refused() {
        for json in ["1", "true", "null", r#"["a",1]"#, r#"{"a":null}"#] {
            assert!(serde_json::from_str::<Attribute>(json).is_err(), "{json}");
        }
        let json = r#"["a",{"b":"c","d":[]},{}]"#;
        let read: Attribute = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
    }
}
