//! Reading and writing the attributes of an item.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::StoreError;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// An item with these attributes.
pub(crate) fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    with(Item::new(), attributes)
}

/// The item with these attributes, too.
pub(crate) fn with<const N: usize>(mut item: Item, attributes: [(&str, AttributeValue); N]) -> Item {
    item.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
    item
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn time(value: Timestamp) -> AttributeValue {
    number(value.as_millisecond())
}

pub(crate) fn bytes(value: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// An item with its key, for errors.
pub(crate) struct Read<'a> {
    key: &'a str,
    item: &'a Item,
}

impl<'a> Read<'a> {
    pub(crate) fn new(key: &'a str, item: &'a Item) -> Self {
        Self { key, item }
    }

    pub(crate) fn has(&self, attribute: &str) -> bool {
        self.item.contains_key(attribute)
    }

    pub(crate) fn text(&self, attribute: &'static str) -> Result<&'a str, StoreError> {
        self.item
            .get(attribute)
            .and_then(|value| value.as_s().ok())
            .map(String::as_str)
            .ok_or_else(|| self.corrupt(attribute))
    }

    pub(crate) fn optional_text(&self, attribute: &'static str) -> Result<Option<String>, StoreError> {
        if self.has(attribute) { self.text(attribute).map(|text| Some(text.to_owned())) } else { Ok(None) }
    }

    pub(crate) fn number<N: std::str::FromStr>(&self, attribute: &'static str) -> Result<N, StoreError> {
        self.item
            .get(attribute)
            .and_then(|value| value.as_n().ok())
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| self.corrupt(attribute))
    }

    pub(crate) fn optional_number(&self, attribute: &'static str) -> Result<Option<u64>, StoreError> {
        if self.has(attribute) { self.number(attribute).map(Some) } else { Ok(None) }
    }

    pub(crate) fn number_or_zero(&self, attribute: &'static str) -> Result<u64, StoreError> {
        if self.has(attribute) { self.number(attribute) } else { Ok(0) }
    }

    /// The counter called `prefix` and `name`; one that was never counted is 0.
    pub(crate) fn count(&self, prefix: &str, name: &'static str) -> Result<u64, StoreError> {
        match self.item.get(&format!("{prefix}{name}")) {
            None => Ok(0),
            Some(value) => value.as_n().ok().and_then(|digits| digits.parse().ok()).ok_or_else(|| self.corrupt(name)),
        }
    }

    pub(crate) fn time(&self, attribute: &'static str) -> Result<Timestamp, StoreError> {
        Timestamp::from_millisecond(self.number(attribute)?).map_err(|_| self.corrupt(attribute))
    }

    pub(crate) fn optional_time(&self, attribute: &'static str) -> Result<Option<Timestamp>, StoreError> {
        if self.has(attribute) { self.time(attribute).map(Some) } else { Ok(None) }
    }

    pub(crate) fn bytes(&self, attribute: &'static str) -> Result<&'a [u8], StoreError> {
        self.item
            .get(attribute)
            .and_then(|value| value.as_b().ok())
            .map(AsRef::as_ref)
            .ok_or_else(|| self.corrupt(attribute))
    }

    /// A set; an empty one can't be stored, so a missing attribute is an empty set.
    pub(crate) fn set(&self, attribute: &'static str) -> Result<BTreeSet<String>, StoreError> {
        match self.item.get(attribute) {
            None => Ok(BTreeSet::new()),
            Some(AttributeValue::Ss(values)) => Ok(values.iter().cloned().collect()),
            Some(_) => Err(self.corrupt(attribute)),
        }
    }

    fn corrupt(&self, attribute: &'static str) -> StoreError {
        StoreError::Corrupt { key: self.key.to_owned(), attribute }
    }
}

/// How many bytes an item has by DynamoDB's count: names and values. Numbers are counted as their digits, which is a
/// little too much.
pub(crate) fn size(item: &Item) -> usize {
    let size_of = |value: &AttributeValue| match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        _ => 1,
    };
    item.iter().map(|(name, value)| name.len() + size_of(value)).sum()
}
