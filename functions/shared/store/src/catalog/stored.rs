//! A record as an item.

use jiff::Timestamp;
use model::{ConnectionKey, Record, RecordKey, Referred};
use serde::{Deserialize, Serialize};

use super::{Catalog, entry_of};
use crate::StoreError;
use crate::control::ControlTable;
use crate::item::{Item, Read, number, text, time};

use super::names::taken;

/// DynamoDB's bound for one item is 400 KB with names and all; the rest is for what stands beside the document.
const LARGEST_DOCUMENT: usize = 390 * 1024;
/// How much of that the keys may take that a record is known by: what its sender says comes first.
const LARGEST_KNOWN_AS: usize = 32 * 1024;

/// A record, and what only the store knows of it.
#[derive(Clone, Debug)]
pub(super) struct Stored<T> {
    pub(super) record: Record<T>,
    /// Since when it has its match name, as the clocks of those who wrote it and of those who had the name before say.
    pub(super) named_at: Timestamp,
}

impl<T: Referred> Stored<T> {
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
    known_as: Vec<RecordKey>,
}

/// How many bytes of keys may stand beside this content; `None` where no item can hold it.
pub(super) fn room_for_keys<T: Referred>(content: &T) -> Result<Option<usize>, StoreError> {
    let bytes = serde_json::to_string(content).map_err(|_| unwritable::<T>())?.len();
    Ok(LARGEST_DOCUMENT.checked_sub(bytes).map(|room| room.min(LARGEST_KNOWN_AS)))
}

/// The document of a record; `None` where no item can hold it.
pub(super) fn document<T: Referred>(record: &Record<T>) -> Result<Option<String>, StoreError> {
    let document = Document { content: record.content.clone(), known_as: record.known_as.clone() };
    let text = serde_json::to_string(&document).map_err(|_| unwritable::<T>())?;
    Ok((text.len() <= LARGEST_DOCUMENT).then_some(text))
}

fn unwritable<T: Referred>() -> StoreError {
    StoreError::Document { what: T::RESOURCE.name().to_owned(), problem: "it can't be written as JSON".to_owned() }
}

/// A time as it comes back: in milliseconds.
pub(super) fn as_stored(time: Timestamp) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(time.as_millisecond())
        .map_err(|error| StoreError::Document { what: "the time".to_owned(), problem: error.to_string() })
}

impl<T: Referred> Catalog<T> {
    pub(super) async fn get(&self, connection: &ConnectionKey, id: &str) -> Result<Option<Stored<T>>, StoreError> {
        let item = self.table.get(connection, &entry_of::<T>(id)).await?;
        item.as_ref().map(|item| stored(connection, item)).transpose()
    }

    /// Writes a record, if the stored one still has the revision before it.
    pub(super) async fn put_if_still(&self, stored: &Stored<T>, document: String) -> Result<bool, StoreError> {
        let Stored { record, named_at } = stored;
        let mut put = self
            .table
            .client
            .put_item()
            .table_name(&self.table.name)
            .set_item(Some(ControlTable::key(&record.connection, &entry_of::<T>(&record.id))))
            .item("revision", number(record.revision))
            .item("first_seen", time(record.first_seen_at))
            .item("changed", time(record.changed_at))
            .item("named", time(*named_at))
            .item("doc", text(document));
        put = match record.revision - 1 {
            0 => put.condition_expression("attribute_not_exists(entry)"),
            before => {
                put.condition_expression("revision = :stored").expression_attribute_values(":stored", number(before))
            }
        };
        taken("PutItem", put.send().await)
    }
}

pub(super) fn stored<T: Referred>(connection: &ConnectionKey, item: &Item) -> Result<Stored<T>, StoreError> {
    let entry = Read::new("?", item).text("entry")?;
    let read = Read::new(entry, item);
    let corrupt = |attribute| StoreError::Corrupt { key: entry.to_owned(), attribute };
    let id = entry.strip_prefix(&entry_of::<T>("")).ok_or_else(|| corrupt("entry"))?;
    // What JSON says of a mistake could quote the document.
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
        // The release before did not say. Its record is not given precedence over one that says it.
        named_at: read.optional_time("named")?.unwrap_or(changed_at),
    })
}
