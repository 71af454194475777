//! A record as an item.

use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::Timestamp;
use model::{ConnectionKey, ExternalKey, Record, ReferenceData};
use serde::{Deserialize, Serialize};

use super::{ReferenceTable, entry_of, pointer_of};
use crate::StoreError;
use crate::item::{Item, Read, item, number, text, time, with};
use crate::table::{InTransaction, Transacted, entry_in, entry_key};

/// DynamoDB's limit for one item is 400 KB with names and all; the rest is for what stands beside the document.
const LARGEST_DOCUMENT: usize = 390 * 1024;
/// How much of that the keys of a record may take: its content comes first.
const LARGEST_KNOWN_AS: usize = 32 * 1024;

/// A record, and what only the store knows of it.
#[derive(Clone, Debug)]
pub(super) struct Stored<T> {
    pub(super) record: Record<T>,
    /// Since when it has its match name, by the clocks of its writers and of those of the records before it.
    pub(super) named_at: Timestamp,
}

impl<T: ReferenceData> Stored<T> {
    pub(super) fn match_name(&self) -> Option<String> {
        self.record.content.match_name(&self.record.connection)
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.match_name().is_some_and(|own| own == name)
    }
}

/// The document of a record.
#[derive(Serialize, Deserialize)]
struct Document<T> {
    content: T,
    known_as: Vec<ExternalKey>,
}

/// How many bytes of keys may stand beside this content; `None` if no item can hold it.
pub(super) fn room_for_keys<T: ReferenceData>(content: &T) -> Result<Option<usize>, StoreError> {
    let bytes = serde_json::to_string(content).map_err(|_| unwritable::<T>())?.len();
    Ok(LARGEST_DOCUMENT.checked_sub(bytes).map(|room| room.min(LARGEST_KNOWN_AS)))
}

/// The document of a record; `None` if no item can hold it.
pub(super) fn document<T: ReferenceData>(record: &Record<T>) -> Result<Option<String>, StoreError> {
    let document = Document { content: record.content.clone(), known_as: record.known_as.clone() };
    let text = serde_json::to_string(&document).map_err(|_| unwritable::<T>())?;
    Ok((text.len() <= LARGEST_DOCUMENT).then_some(text))
}

fn unwritable<T: ReferenceData>() -> StoreError {
    StoreError::Document { what: T::RESOURCE.name().to_owned(), problem: "it can't be written as JSON".to_owned() }
}

/// A time as it is read back: in milliseconds.
pub(super) fn as_stored(time: Timestamp) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(time.as_millisecond())
        .map_err(|error| StoreError::Document { what: "the time".to_owned(), problem: error.to_string() })
}

impl<T: ReferenceData> ReferenceTable<T> {
    pub(super) async fn get(&self, connection: &ConnectionKey, id: &str) -> Result<Option<Stored<T>>, StoreError> {
        let item = self.table.get(connection, &entry_of::<T>(id)).await?;
        item.as_ref().map(|item| stored(connection, item)).transpose()
    }

    /// Writes a record, if the stored one still has the revision before it. If the push has a new key, the same write
    /// decides once and for ever whether that key is this record, or a part of it.
    pub(super) async fn put_if_still(
        &self,
        stored: &Stored<T>,
        document: String,
        new_key: Option<&NewKey>,
    ) -> Result<bool, StoreError> {
        let Stored { record, named_at } = stored;
        let connection = &record.connection;
        let item = with(
            entry_key(connection, &entry_of::<T>(&record.id)),
            [
                ("revision", number(record.revision)),
                ("first_seen", time(record.first_seen_at)),
                ("changed", time(record.changed_at)),
                ("named", time(*named_at)),
                ("doc", text(document)),
            ],
        );
        let condition = match record.revision - 1 {
            0 => Condition::Absent,
            before => Condition::Is("revision", number(before)),
        };
        let put = self.put_request_if(item, condition);
        let Some(new_key) = new_key else { return self.table.is_done(put).await };
        // The entry under the key's name: none, or one that leads to no record.
        let place = entry_key(connection, &pointer_of::<T>(&new_key.own_id));
        let leads_nowhere = match &new_key.leads_nowhere {
            None => Condition::Absent,
            Some(id) => Condition::Is("id", text(id)),
        };
        let mut writes = vec![put.in_transaction()?];
        if new_key.own_id == record.id {
            writes.push(self.check_in_transaction(place, leads_nowhere)?);
        } else {
            let pointer = with(place, [("id", text(&record.id))]);
            writes.push(self.put_request_if(pointer, leads_nowhere).in_transaction()?);
            let own = entry_key(connection, &entry_of::<T>(&new_key.own_id));
            writes.push(self.check_in_transaction(own, Condition::Absent)?);
        }
        let transacted = self.table.transact(None, writes).await?;
        Ok(matches!(transacted, Transacted::Done))
    }

    fn put_request_if(&self, item: Item, condition: Condition) -> PutItemFluentBuilder {
        let (expression, values) = condition.expression();
        self.table.put_request(item).condition_expression(expression).set_expression_attribute_values(values)
    }

    fn check_in_transaction(&self, key: Item, condition: Condition) -> Result<TransactWriteItem, StoreError> {
        let (expression, values) = condition.expression();
        self.table.check_in_transaction(key, expression, values)
    }
}

/// A key of a sender that is used for the first time.
pub(super) struct NewKey {
    /// The id that is computed from it.
    pub(super) own_id: String,
    /// The id that it points at, though there is no such record.
    pub(super) leads_nowhere: Option<String>,
}

/// What an item must be for a write to happen.
enum Condition {
    Absent,
    Is(&'static str, AttributeValue),
}

impl Condition {
    fn expression(self) -> (String, Option<Item>) {
        match self {
            Self::Absent => ("attribute_not_exists(entry)".to_owned(), None),
            Self::Is(name, value) => (format!("{name} = :stored"), Some(item([(":stored", value)]))),
        }
    }
}

pub(super) fn stored<T: ReferenceData>(connection: &ConnectionKey, item: &Item) -> Result<Stored<T>, StoreError> {
    let entry = entry_in(item)?;
    let read = Read::new(entry, item);
    let corrupt = |attribute| StoreError::Corrupt { key: entry.to_owned(), attribute };
    let id = entry.strip_prefix(&entry_of::<T>("")).ok_or_else(|| corrupt("entry"))?;
    // The JSON error could quote the document.
    let Document { content, known_as } = serde_json::from_str(read.text("doc")?).map_err(|_| corrupt("doc"))?;
    let changed_at = read.time("changed")?;
    Ok(Stored {
        record: Record {
            connection: connection.clone(),
            id: id.to_owned(),
            content,
            known_as,
            first_seen_at: read.time("first_seen")?,
            changed_at,
            revision: read.number("revision")?,
        },
        // The release before did not say it. Its record gets no precedence over one that says it.
        named_at: read.optional_time("named")?.unwrap_or(changed_at),
    })
}
