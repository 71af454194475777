//! What prospects refer to, in the control table: staff, and lead sources.
//!
//! A record stands under its id, which is computed from what its first sender calls it. Whatever else names it points at
//! that id: what other senders call it, and its match key. **A pointer of a match key is a claim, not the truth**: it
//! counts as long as the record that it points at still has that key, or is not written yet. So a record that changes
//! its key leaves nothing behind that anybody would have to tidy, and a process that dies between two writes neither.

use std::marker::PhantomData;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use jiff::Timestamp;
use model::{ConnectionKey, Meanings, Record, RecordKey, Referred};
use serde::{Deserialize, Serialize};

use crate::control::ControlTable;
use crate::item::{Item, Read, number, text, time};
use crate::{Clock, StoreError};

/// A writer that loses the race for one item this often gives up; each loss means that somebody else wrote it.
const RACES: usize = 32;
/// DynamoDB's bound for one item is 400 KB with names and all; the rest is for what stands beside the document.
const LARGEST_DOCUMENT: usize = 390 * 1024;

/// The staff, or the lead sources, of all connections.
#[derive(Clone, Debug)]
pub struct Catalog<T> {
    table: ControlTable,
    clock: Clock,
    kind: PhantomData<T>,
}

/// What became of what was pushed.
#[derive(Clone, Debug, PartialEq)]
pub enum Saved<T> {
    /// It is stored, or was already.
    Stored {
        /// How.
        record: Record<T>,
        /// The names by which it can be found: its id, what its sender calls it, and its match key if no other record
        /// had that before.
        names: Vec<String>,
    },
    /// Nothing matches it, and the connection does not let a push create one.
    NotCreated,
    /// It can never be stored: its document has more bytes than an item can hold.
    TooLarge,
}

/// The document of a record.
#[derive(Serialize, Deserialize)]
struct Document<T> {
    content: T,
    known_as: Vec<RecordKey>,
}

impl<T: Referred> Catalog<T> {
    /// The catalog in the control table called `table`.
    pub fn new(client: Client, table: impl Into<String>, clock: Clock) -> Self {
        Self { table: ControlTable::new(client, table), clock, kind: PhantomData }
    }

    /// Inserts or updates what a sender calls `key`. Under a key that is new, whatever has its match key is it; where
    /// nothing has, one is made if `may_create`.
    ///
    /// # Errors
    /// Where the store fails: then it may be stored, and saving it again does no harm.
    pub async fn save(
        &self,
        connection: &ConnectionKey,
        key: &RecordKey,
        content: T,
        may_create: bool,
    ) -> Result<Saved<T>, StoreError> {
        let own_id = key.id(connection, T::RESOURCE);
        let match_name = content.match_name(connection);
        let id = match self.by_key(connection, &own_id).await? {
            Some(record) => record.id,
            None => match &match_name {
                Some(name) => match self.claimed(connection, name).await? {
                    Some(id) => id,
                    None if !may_create => return Ok(Saved::NotCreated),
                    None => self.claim(connection, name, &own_id).await?,
                },
                None if !may_create => return Ok(Saved::NotCreated),
                None => own_id.clone(),
            },
        };
        if id != own_id {
            self.point(connection, &own_id, &id).await?;
        }
        let Some(record) = self.write(connection, &id, key, content).await? else { return Ok(Saved::TooLarge) };
        let mut names = vec![id];
        if own_id != record.id {
            names.push(own_id);
        }
        if let Some(name) = match_name
            && self.claim(connection, &name, &record.id).await? == record.id
        {
            names.push(name);
        }
        Ok(Saved::Stored { record, names })
    }

    /// What a sender's reference means, if that is known.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn find(&self, connection: &ConnectionKey, meanings: &Meanings) -> Result<Option<Record<T>>, StoreError> {
        if let Some(id) = &meanings.id
            && let Some(record) = self.get(connection, id).await?
        {
            return Ok(Some(record));
        }
        if let Some(record) = self.by_key(connection, &meanings.record).await? {
            return Ok(Some(record));
        }
        match self.pointed_at(connection, &meanings.matched).await? {
            Some(id) => Ok(self.get(connection, &id).await?.filter(|record| has_name(record, &meanings.matched))),
            None => Ok(None),
        }
    }

    /// Up to `limit` records of a connection by id, after the one with the id `after`, and whether there are more.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn list(
        &self,
        connection: &ConnectionKey,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Record<T>>, bool), StoreError> {
        let mut start = after.map(|id| ControlTable::key(connection, &entry_of::<T>(id)));
        let mut records = Vec::new();
        while records.len() < limit {
            let page = self
                .table
                .entries(connection, &entry_of::<T>(""))
                .limit(i32::try_from(limit - records.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start.take())
                .send()
                .await
                .map_err(|error| StoreError::aws("Query", error))?;
            for item in page.items() {
                records.push(record(connection, item)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok((records, start.is_some()))
    }

    async fn get(&self, connection: &ConnectionKey, id: &str) -> Result<Option<Record<T>>, StoreError> {
        let item = self.table.get(connection, &entry_of::<T>(id)).await?;
        item.as_ref().map(|item| record(connection, item)).transpose()
    }

    /// What a sender's key of this id was made into: a record of its own, or a part of another.
    async fn by_key(&self, connection: &ConnectionKey, own_id: &str) -> Result<Option<Record<T>>, StoreError> {
        if let Some(record) = self.get(connection, own_id).await? {
            return Ok(Some(record));
        }
        match self.pointed_at(connection, own_id).await? {
            Some(id) => self.get(connection, &id).await,
            None => Ok(None),
        }
    }

    async fn pointed_at(&self, connection: &ConnectionKey, name: &str) -> Result<Option<String>, StoreError> {
        let Some(item) = self.table.get(connection, &pointer_of::<T>(name)).await? else { return Ok(None) };
        Ok(Some(Read::new("a pointer", &item).text("id")?.to_owned()))
    }

    async fn point(&self, connection: &ConnectionKey, name: &str, id: &str) -> Result<(), StoreError> {
        self.table.put(connection, &pointer_of::<T>(name), [("id", text(id))]).await
    }

    /// Whether a record has a match name: it has the match key, or is about to be written.
    async fn holds(&self, connection: &ConnectionKey, id: &str, name: &str) -> Result<bool, StoreError> {
        Ok(self.get(connection, id).await?.is_none_or(|record| has_name(&record, name)))
    }

    /// Who has a match name, if anybody has.
    async fn claimed(&self, connection: &ConnectionKey, name: &str) -> Result<Option<String>, StoreError> {
        match self.pointed_at(connection, name).await? {
            Some(holder) if self.holds(connection, &holder, name).await? => Ok(Some(holder)),
            _ => Ok(None),
        }
    }

    /// Claims a match name for `id`. Returns who has it: `id`, or another that had it before.
    async fn claim(&self, connection: &ConnectionKey, name: &str, id: &str) -> Result<String, StoreError> {
        for _ in 0..RACES {
            let holder = self.pointed_at(connection, name).await?;
            if let Some(holder) = &holder
                && (holder == id || self.holds(connection, holder, name).await?)
            {
                return Ok(holder.clone());
            }
            let mut put = self
                .table
                .client
                .put_item()
                .table_name(&self.table.name)
                .set_item(Some(ControlTable::key(connection, &pointer_of::<T>(name))))
                .item("id", text(id));
            put = match &holder {
                None => put.condition_expression("attribute_not_exists(entry)"),
                Some(holder) => {
                    put.condition_expression("id = :holder").expression_attribute_values(":holder", text(holder))
                }
            };
            if taken(put.send().await)? {
                return Ok(id.to_owned());
            }
        }
        Err(StoreError::Deadline { operation: "PutItem" })
    }

    /// Makes the record of this id say `content`, and be known by `key` too; `None` where it is too large.
    async fn write(
        &self,
        connection: &ConnectionKey,
        id: &str,
        key: &RecordKey,
        content: T,
    ) -> Result<Option<Record<T>>, StoreError> {
        for _ in 0..RACES {
            let stored = self.get(connection, id).await?;
            let now = as_stored(self.clock.now())?;
            let mut record = Record {
                connection: connection.clone(),
                id: id.to_owned(),
                content: content.clone(),
                known_as: stored.as_ref().map(|record| record.known_as.clone()).unwrap_or_default(),
                first_seen_at: stored.as_ref().map_or(now, |record| record.first_seen_at),
                changed_at: now,
                revision: stored.as_ref().map_or(0, |record| record.revision) + 1,
            };
            if !record.known_as.contains(key) {
                record.known_as.push(key.clone());
            }
            if let Some(stored) = &stored
                && stored.content == record.content
                && stored.known_as == record.known_as
            {
                return Ok(Some(stored.clone()));
            }
            let document = document(&record)?;
            if document.len() > LARGEST_DOCUMENT {
                return Ok(None);
            }
            let mut put = self
                .table
                .client
                .put_item()
                .table_name(&self.table.name)
                .set_item(Some(ControlTable::key(connection, &entry_of::<T>(id))))
                .item("revision", number(record.revision))
                .item("first_seen", time(record.first_seen_at))
                .item("changed", time(record.changed_at))
                .item("doc", text(document));
            put = match &stored {
                None => put.condition_expression("attribute_not_exists(entry)"),
                Some(stored) => put
                    .condition_expression("revision = :stored")
                    .expression_attribute_values(":stored", number(stored.revision)),
            };
            if taken(put.send().await)? {
                return Ok(Some(record));
            }
        }
        Err(StoreError::Deadline { operation: "PutItem" })
    }
}

fn entry_of<T: Referred>(id: &str) -> String {
    format!("{}/{id}", T::RESOURCE.name())
}

fn pointer_of<T: Referred>(name: &str) -> String {
    format!("{}-name/{name}", T::RESOURCE.name())
}

fn has_name<T: Referred>(record: &Record<T>, name: &str) -> bool {
    record.content.match_name(&record.connection).is_some_and(|own| own == name)
}

/// A time as it comes back: in milliseconds.
fn as_stored(time: Timestamp) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(time.as_millisecond())
        .map_err(|error| StoreError::Document { what: "the time".to_owned(), problem: error.to_string() })
}

fn document<T: Referred>(record: &Record<T>) -> Result<String, StoreError> {
    let document = Document { content: record.content.clone(), known_as: record.known_as.clone() };
    serde_json::to_string(&document).map_err(|_| StoreError::Document {
        what: T::RESOURCE.name().to_owned(),
        problem: "it can't be written as JSON".to_owned(),
    })
}

fn record<T: Referred>(connection: &ConnectionKey, item: &Item) -> Result<Record<T>, StoreError> {
    let entry = Read::new("?", item).text("entry")?;
    let read = Read::new(entry, item);
    let corrupt = |attribute| StoreError::Corrupt { key: entry.to_owned(), attribute };
    let id = entry.strip_prefix(&entry_of::<T>("")).ok_or_else(|| corrupt("entry"))?;
    // What JSON says of a mistake could quote the document.
    let Document { content, known_as } = serde_json::from_str(read.text("doc")?).map_err(|_| corrupt("doc"))?;
    Ok(Record {
        connection: connection.clone(),
        id: id.to_owned(),
        content,
        known_as,
        first_seen_at: read.time("first_seen")?,
        changed_at: read.time("changed")?,
        revision: read.number("revision")?,
    })
}

/// Whether a conditional write was carried out.
fn taken<A, R>(answer: Result<A, aws_sdk_dynamodb::error::SdkError<PutItemError, R>>) -> Result<bool, StoreError> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
            Ok(false)
        }
        Err(error) => Err(StoreError::aws("PutItem", error)),
    }
}
