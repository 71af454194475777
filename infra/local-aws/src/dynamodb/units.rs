//! What requests cost: which items they write, and how many units that takes, by the items' sizes.

use std::collections::HashMap;

use dynoxide::types::{AttributeValue, Item, item_size};
use serde::Deserialize;
use serde_json::Value;

/// The keys of a table and of its indexes.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    key: Key,
    indexes: Vec<Index>,
}

#[derive(Clone, Debug)]
struct Key {
    hash: String,
    range: Option<String>,
}

#[derive(Clone, Debug)]
struct Index {
    name: String,
    key: Key,
    /// Whether it holds keys alone; otherwise it holds whole items.
    keys_only: bool,
}

/// One item that a request writes, or whose condition a transaction checks.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) table: String,
    pub(super) key: Item,
    /// What it will be, if the request says so: `None` for an update.
    pub(super) after: Option<Option<Item>>,
}

impl Key {
    fn of(schema: &Value) -> Option<Self> {
        let name = |kind: &str| {
            let key = schema.as_array()?.iter().find(|key| key["KeyType"] == kind)?;
            Some(key["AttributeName"].as_str()?.to_owned())
        };
        Some(Self { hash: name("HASH")?, range: name("RANGE") })
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.hash).chain(&self.range)
    }
}

impl Schema {
    /// The table that a CreateTable request makes, by name.
    pub(super) fn of(request: &Value) -> Option<(String, Self)> {
        let indexes = request["GlobalSecondaryIndexes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let indexes = indexes.iter().filter_map(|index| {
            let keys_only = index["Projection"]["ProjectionType"] == "KEYS_ONLY";
            Some(Index { name: index["IndexName"].as_str()?.to_owned(), key: Key::of(&index["KeySchema"])?, keys_only })
        });
        let schema = Self { key: Key::of(&request["KeySchema"])?, indexes: indexes.collect() };
        Some((request["TableName"].as_str()?.to_owned(), schema))
    }

    /// The key within an item.
    fn key_of(&self, item: &Item) -> Item {
        self.key.names().filter_map(|name| Some((name.clone(), item.get(name)?.clone()))).collect()
    }

    /// The partition key that an item is stored under: `<table> <value>`.
    pub(super) fn partition(&self, table: &str, key: &Item) -> String {
        format!("{table} {}", shown(key.get(&self.key.hash)))
    }

    /// What a write costs, by partition key: of the table, and of the indexes that it changes.
    pub(super) fn units(&self, write: &Write, before: Option<&Item>, after: Option<&Item>) -> Vec<(String, f64)> {
        let size = |item: Option<&Item>| item.map_or(0, item_size);
        let table = self.partition(&write.table, &write.key);
        let mut units = vec![(table, write_units(size(before).max(size(after))))];
        for index in &self.indexes {
            let (before, after) = (index.entry(&self.key, before), index.entry(&self.key, after));
            let partition =
                |entry: &Item| format!("{}/{} {}", write.table, index.name, shown(entry.get(&index.key.hash)));
            match (&before, &after) {
                (Some(before), Some(after)) if index.key.names().all(|name| same(before, after, name)) => {
                    if !equal(before, after) {
                        units.push((partition(after), write_units(item_size(before).max(item_size(after)))));
                    }
                }
                _ => units.extend(
                    [before, after].iter().flatten().map(|entry| (partition(entry), write_units(item_size(entry)))),
                ),
            }
        }
        units
    }

    /// The partition key that a query reads: `<table> <value>`, or `<table>/<index> <value>`.
    pub(super) fn queried(&self, request: &Value) -> Option<String> {
        let table = request["TableName"].as_str()?;
        let index = request["IndexName"].as_str();
        let (hash, place) = match index {
            None => (&self.key.hash, table.to_owned()),
            Some(name) => {
                let index = self.indexes.iter().find(|index| index.name == name)?;
                (&index.key.hash, format!("{table}/{name}"))
            }
        };
        let is_hash = |name: &str| {
            name == hash || request["ExpressionAttributeNames"][name].as_str().is_some_and(|real| real == hash)
        };
        let condition = request["KeyConditionExpression"].as_str()?;
        let value = condition.split(" AND ").find_map(|part| {
            let (name, value) = part.trim_matches(['(', ')', ' ']).split_once('=')?;
            is_hash(name.trim()).then(|| value.trim())
        })?;
        let value = AttributeValue::deserialize(&request["ExpressionAttributeValues"][value]).ok()?;
        Some(format!("{place} {}", shown(Some(&value))))
    }
}

impl Index {
    /// What the index holds of an item; `None` if the item has not all its keys.
    fn entry(&self, table: &Key, item: Option<&Item>) -> Option<Item> {
        let item = item.filter(|item| self.key.names().all(|name| item.contains_key(name)))?;
        if !self.keys_only {
            return Some(item.clone());
        }
        let names = self.key.names().chain(table.names());
        Some(names.filter_map(|name| Some((name.clone(), item.get(name)?.clone()))).collect())
    }
}

impl Write {
    /// What one request, or one part of a request, writes. `kind` is what AWS calls the part.
    pub(super) fn of(schemas: &HashMap<String, Schema>, kind: &str, table: &str, part: &Value) -> Option<Self> {
        let schema = schemas.get(table)?;
        let item = |name: &str| Item::deserialize(&part[name]).ok();
        let (key, after) = if kind.starts_with("Put") {
            let item = item("Item")?;
            (schema.key_of(&item), Some(Some(item)))
        } else if kind.starts_with("Delete") {
            (item("Key")?, Some(None))
        } else {
            (item("Key")?, None)
        };
        Some(Self { table: table.to_owned(), key, after })
    }

    /// The item's name among all tables.
    pub(super) fn item(&self) -> String {
        let mut parts: Vec<_> = self.key.iter().collect();
        parts.sort_by_key(|(name, _)| *name);
        let parts: Vec<String> = parts.into_iter().map(|(_, value)| shown(Some(value))).collect();
        format!("{} {}", self.table, parts.join(" "))
    }
}

/// Write units of an item of so many bytes: one for each KB that it begins, and one at least.
fn write_units(bytes: usize) -> f64 {
    begun(bytes, 1_024)
}

/// Read units of so many bytes: half of one for each 4 KB begun, and twice that if the read is consistent.
pub(super) fn read_units(bytes: usize, consistent: bool) -> f64 {
    begun(bytes, 4_096) * if consistent { 1.0 } else { 0.5 }
}

#[expect(clippy::cast_precision_loss, reason = "no item has more bytes than f64 counts")]
fn begun(bytes: usize, size: usize) -> f64 {
    bytes.div_ceil(size).max(1) as f64
}

fn same(one: &Item, other: &Item, name: &str) -> bool {
    shown(one.get(name)) == shown(other.get(name))
}

fn equal(one: &Item, other: &Item) -> bool {
    one.len() == other.len() && one.keys().all(|name| same(one, other, name))
}

/// A value as text, the same for equal values.
fn shown(value: Option<&AttributeValue>) -> String {
    match value {
        None => String::new(),
        Some(AttributeValue::S(text) | AttributeValue::N(text)) => text.clone(),
        Some(value) => format!("{value:?}"),
    }
}
