use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ConnectionKey;
use crate::import::generated::RequestFingerprintBuilder;
use crate::import::{Field, IdSecret, RequestFingerprint};

/// What becomes of a customer that a row matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overwrite {
    /// Every field is blanked, then the given ones are written.
    Yes,
    /// The given fields are written, the others stay.
    #[default]
    Update,
    /// Nothing: the row is dropped.
    Ignore,
}

/// A batch of customers to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What becomes of existing customers.
    pub overwrite: Overwrite,
    /// The campaigns that the customers belong to, at least one; `auto_add` counts on the first.
    pub campaigns: Vec<String>,
    /// How many digits a generated card number has, 1 to 30; `None` if none are generated.
    pub card_digits: Option<u8>,
    /// The rows that can be read, in their order.
    pub rows: Vec<Row>,
    /// The lines that bring no customer, in their order. They are part of the fingerprint.
    pub unreadable: Vec<UnreadableRow>,
}

/// A line that brings no customer: one that can't be read, or that repeats the headers.
#[derive(Clone, PartialEq, Eq)]
pub struct UnreadableRow {
    /// Its number in the request, from 1.
    pub number: u32,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// Without what it holds: that may be personal data.
impl fmt::Debug for UnreadableRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UnreadableRow {} of {} bytes", self.number, self.bytes.len())
    }
}

/// One row: the values that are given. A blank value is not given, whether its column is there or not.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number in the request, from 1.
    pub number: u32,
    /// By column. A map would take ten times the memory of a row with one short value, and a request has many rows.
    values: Box<[(Field, Box<str>)]>,
}

impl Row {
    /// The row with these values, without blank ones. Of several in one column, the last counts.
    pub fn new(number: u32, values: impl IntoIterator<Item = (Field, String)>) -> Self {
        let given = values.into_iter().filter(|(_, value)| !value.is_empty());
        let mut values: Vec<(Field, Box<str>)> = given.map(|(field, value)| (field, value.into_boxed_str())).collect();
        values.sort_by_key(|(field, _)| *field);
        values.dedup_by(|next, kept| {
            let is_double = next.0 == kept.0;
            if is_double {
                std::mem::swap(next, kept);
            }
            is_double
        });
        Self { number, values: values.into_boxed_slice() }
    }

    /// The value in a column, if it is given.
    pub fn get(&self, field: Field) -> Option<&str> {
        let place = self.values.binary_search_by_key(&field, |(field, _)| *field).ok()?;
        Some(&self.values[place].1)
    }

    /// Every value that is given.
    pub fn given(&self) -> impl Iterator<Item = (Field, &str)> {
        self.values.iter().map(|(field, value)| (*field, &**value))
    }
}

/// Without the values, which are personal data and secrets.
impl fmt::Debug for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<Field> = self.values.iter().map(|(field, _)| *field).collect();
        write!(formatter, "Row {} of {columns:?}", self.number)
    }
}

impl Request {
    /// What tells this request from every other that `connection` may get: equal requests have equal fingerprints.
    /// Whether the import can be undone is no part of it: the same rows generate the same ids either way.
    ///
    /// Passwords and PINs of rows that can be read are left out: otherwise secrets could be guessed on a fingerprint
    /// faster than on their own hashes.
    pub fn fingerprint(&self, connection: &ConnectionKey, secret: &IdSecret) -> RequestFingerprint {
        let mut parts = RequestFingerprintBuilder::keyed(secret.as_bytes());
        self.add_to(&mut parts, connection);
        for UnreadableRow { number, bytes } in &self.unreadable {
            parts.add("unreadable");
            parts.add(number.to_string());
            parts.add(bytes);
        }
        parts.finish()
    }

    /// The fingerprint that the releases before gave: what they began is continued.
    pub fn unkeyed_fingerprint(&self, connection: &ConnectionKey) -> RequestFingerprint {
        let mut parts = RequestFingerprintBuilder::plain();
        self.add_to(&mut parts, connection);
        parts.finish()
    }

    fn add_to(&self, parts: &mut RequestFingerprintBuilder, connection: &ConnectionKey) {
        parts.add(connection.to_string());
        parts.add(format!("{:?} {:?}", self.overwrite, self.card_digits));
        parts.add(self.campaigns.len().to_string());
        self.campaigns.iter().for_each(|campaign| parts.add(campaign));
        for row in &self.rows {
            parts.add(row.number.to_string());
            parts.add(row.values.len().to_string());
            for (field, value) in row.given() {
                parts.add(&*field.name());
                if !field.is_secret() {
                    parts.add(value);
                }
            }
        }
    }
}
