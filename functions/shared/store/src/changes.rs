//! What an update changes.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;

/// The assignments and removals of an update, each with its value.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    assignments: Vec<String>,
    removals: Vec<&'static str>,
    values: Vec<(String, AttributeValue)>,
}

impl Changes {
    /// Sets an attribute; the value is called `:` and its name.
    pub(crate) fn set(&mut self, attribute: impl AsRef<str>, value: AttributeValue) {
        let attribute = attribute.as_ref();
        self.assign(format!("{attribute} = :{attribute}"));
        self.values.push((format!(":{attribute}"), value));
    }

    /// Sets an attribute, or removes it if there is no value.
    pub(crate) fn set_or_remove(&mut self, attribute: &'static str, value: Option<AttributeValue>) {
        match value {
            Some(value) => self.set(attribute, value),
            None => self.remove([attribute]),
        }
    }

    /// An assignment of values that the update has, or has from another one.
    pub(crate) fn assign(&mut self, assignment: impl Into<String>) {
        self.assignments.push(assignment.into());
    }

    pub(crate) fn remove(&mut self, attributes: impl IntoIterator<Item = &'static str>) {
        self.removals.extend(attributes);
    }

    /// The update with these changes.
    pub(crate) fn of(self, mut update: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        for (name, value) in self.values {
            update = update.expression_attribute_values(name, value);
        }
        let parts = [("SET ", self.assignments.join(", ")), (" REMOVE ", self.removals.join(", "))];
        let parts = parts.into_iter().filter(|(_, part)| !part.is_empty());
        update.update_expression(parts.map(|(clause, part)| format!("{clause}{part}")).collect::<String>())
    }
}
