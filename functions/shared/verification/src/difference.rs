use std::collections::BTreeSet;
use std::fmt;

use model::Content;
use serde_json::{Map, Value};

/// How a customer of the shadow differs from the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// In these fields, by their names alone.
    Fields(Vec<String>),
    /// The source lacks it.
    Missing,
    /// The source has it, and the shadow does not.
    NotStored,
    /// The source has it, and in the shadow it is deleted.
    StoredAsDeleted,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fields(fields) => write!(formatter, "differs in {}", fields.join(", ")),
            Self::Missing => formatter.write_str("is missing at the source"),
            Self::NotStored => formatter.write_str("is missing in the shadow"),
            Self::StoredAsDeleted => formatter.write_str("is deleted in the shadow alone"),
        }
    }
}

/// The names of the fields in which two contents differ, without any value. Of the attributes also which section of the
/// source.
pub fn fields_that_differ(stored: &Content, said: &Content) -> Vec<String> {
    let (stored, said) = (fields_of(stored), fields_of(said));
    let mut fields = Vec::new();
    for name in names(&stored, &said) {
        let pair = (stored.get(&name), said.get(&name));
        if pair.0 == pair.1 {
            continue;
        }
        if name != "attributes" {
            fields.push(name);
            continue;
        }
        let (stored, said) = (sections(pair.0), sections(pair.1));
        let differing = names(&stored, &said).into_iter().filter(|section| stored.get(section) != said.get(section));
        fields.extend(differing.map(|section| format!("attributes.{section}")));
    }
    fields
}

fn fields_of(content: &Content) -> Map<String, Value> {
    match serde_json::to_value(content) {
        Ok(Value::Object(fields)) => fields,
        // Content is an object of plain data.
        _ => Map::new(),
    }
}

fn sections(attributes: Option<&Value>) -> Map<String, Value> {
    attributes.and_then(Value::as_object).cloned().unwrap_or_default()
}

fn names(one: &Map<String, Value>, other: &Map<String, Value>) -> BTreeSet<String> {
    one.keys().chain(other.keys()).cloned().collect()
}

#[cfg(test)]
mod tests {
    use model::{Attribute, Attributes, Name};

    use super::*;

    #[test]
    fn fields_are_named_and_sections_of_attributes_too_and_no_value_is_told() {
        let stored = Content {
            name: Name { display: Some("Jane".into()), ..Name::default() },
            attributes: Attributes::from([
                ("bio".into(), Attribute::Text("old".into())),
                ("same".into(), Attribute::Text("same".into())),
            ]),
            ..Content::default()
        };
        let said = Content {
            name: Name { display: Some("John".into()), ..Name::default() },
            gender: Some("M".into()),
            attributes: Attributes::from([
                ("bio".into(), Attribute::Text("new".into())),
                ("same".into(), Attribute::Text("same".into())),
                ("files".into(), Attribute::Text("1".into())),
            ]),
            ..Content::default()
        };
        assert_eq!(fields_that_differ(&stored, &said), ["attributes.bio", "attributes.files", "gender", "name"]);
        assert_eq!(fields_that_differ(&stored, &stored), Vec::<String>::new());
    }
}
