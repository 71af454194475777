//! The shadow: one item per customer.
//!
//! | attribute | what |
//! |---|---|
//! | `id` | `<tenant>/<connection>~<source id>`: the key |
//! | `listing` | `<tenant>/<connection>/<shard>`: the index `by-connection`; a tombstone has none |
//! | `version`, `hash` | how new it is, and the fingerprint of `doc` |
//! | `revision`, `first_seen`, `changed` | how often written, and when (milliseconds) |
//! | `doc` | the content as canonical JSON |
//! | `state` | which state it is in, if that is not simply its revision: an import names those that it makes, and its undo brings one back. `erased` of one that was erased |

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use model::{
    ConnectionKey, Content, ContentHash, Customer, CustomerId, Decision, Outcome, PlantedFault, StoredVersion, Version,
    merge_decision,
};
use thiserror::Error;

use crate::item::{Item, Read, bytes, number, text, time};
use crate::table::{Refused, Table, id_key};
use crate::{Erased, Erasures, Standing, StoreError};

mod change;
mod erase;
mod listing;
mod revise;

pub use change::ShadowChange;
use erase::Newcomer;

pub use erase::ErasedRecord;
pub use revise::{Revised, Revision};

/// DynamoDB's limit for one item is 400 KB with names and all; the rest is for what stands beside the document.
const LARGEST_DOCUMENT: usize = 390 * 1024;
/// How many conditional writes of one call are under way at once.
const WRITES_AT_ONCE: usize = 16;
/// A writer that loses the race for one item this often gives up; each loss means that another process wrote it.
const RACES: usize = 32;
/// The name of an item of this table in errors: its key names a person.
const CUSTOMER: &str = "of a customer";
/// DynamoDB's limit for a key, in bytes: no customer has a longer one.
const LONGEST_KEY: usize = 2_048;

/// The shadow table.
#[derive(Clone, Debug)]
pub struct Shadow {
    pub(crate) table: Table,
    pub(crate) erasures: Erasures,
}

/// What a source says of one customer now.
#[derive(Clone, Debug)]
pub enum Change {
    /// Its content.
    Present(Box<Content>),
    /// It is gone, and that is proven.
    Gone,
}

/// One record to merge into the shadow.
#[derive(Clone, Debug)]
pub struct IncomingChange {
    /// The id in the source.
    pub source_id: String,
    /// How new the news are.
    pub version: Version,
    /// What the source says.
    pub news: Change,
}

/// What became of records that were to be merged.
#[derive(Debug)]
pub struct Merged {
    /// What became of each, in any order. What failed for one record stands beside that record.
    pub outcomes: Vec<(String, Result<Outcome, UpsertError>)>,
    /// The greatest number of a later batch that stored one of them: see [`Decision::Overtaken`]. Each of those counts
    /// as stale; the batch must not be acknowledged, see [`Ledger::note_overtaken`](crate::Ledger::note_overtaken).
    pub overtaken_by: Option<u64>,
}

/// Why one record was not merged.
#[derive(Debug, Error)]
pub enum UpsertError {
    /// It can never be stored.
    #[error("the record has {bytes} bytes; DynamoDB stores at most {LARGEST_DOCUMENT} of them")]
    TooLarge {
        /// The size of its document.
        bytes: usize,
    },
    /// It can't be compared with what is stored: that is damaged, or a later release wrote it.
    #[error("the record that is stored can't be read: its `{attribute}` is not as this release writes it")]
    Unreadable {
        /// The attribute.
        attribute: &'static str,
    },
    /// It could not be stored now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UpsertError {
    /// Why a stored record could not be read.
    fn of_reading(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt { attribute, .. } => Self::Unreadable { attribute },
            error => Self::Store(error),
        }
    }
}

/// What a write must know of the stored record.
#[derive(Clone, Debug)]
struct StoredHead {
    stamp: StoredVersion,
    revision: u64,
    standing: Standing,
}

impl StoredHead {
    fn of(customer: &Customer) -> Self {
        Self {
            stamp: StoredVersion { version: customer.version.clone(), hash: customer.content.hash() },
            revision: customer.revision,
            standing: Standing::from(customer),
        }
    }
}

/// What became of one record that was merged.
struct MergeEnd {
    outcome: Outcome,
    /// The later batch that stored a newer one.
    overtaken_by: Option<u64>,
    newcomer: Option<Newcomer>,
}

impl MergeEnd {
    fn of(outcome: Outcome) -> Self {
        Self { outcome, overtaken_by: None, newcomer: None }
    }
}

/// The attributes that a write puts beside the key.
struct Record<'a> {
    source_id: &'a str,
    version: &'a Version,
    document: &'a str,
    hash: &'a ContentHash,
    /// Whether it stands in the listing of its connection; a tombstone does not.
    is_listed: bool,
    /// The state's name, if it is not simply its revision.
    state: Option<&'a str>,
}

impl Record<'_> {
    /// The item that it is stored as at `now`, in the place of `head`.
    fn item(&self, connection: &ConnectionKey, head: Option<&StoredHead>, now: Timestamp) -> Item {
        let mut item = id_key(item_key(connection, self.source_id));
        item.reserve(8);
        item.insert("version".to_owned(), text(self.version.as_str()));
        item.insert("hash".to_owned(), bytes(self.hash.as_bytes()));
        item.insert("revision".to_owned(), number(head.map_or(0, |head| head.revision) + 1));
        item.insert("first_seen".to_owned(), time(head.map_or(now, |head| head.standing.first_seen)));
        item.insert("changed".to_owned(), time(now));
        item.insert("doc".to_owned(), text(self.document));
        if self.is_listed {
            item.insert("listing".to_owned(), text(listing(connection, shard_of(self.source_id))));
        }
        if let Some(state) = self.state {
            item.insert("state".to_owned(), text(state));
        }
        item
    }
}

impl Shadow {
    /// The item that a customer is stored as for the first time: what a benchmark measures of a write.
    pub fn new_item(
        connection: &ConnectionKey,
        source_id: &str,
        version: &Version,
        (document, hash): (&str, &ContentHash),
        now: Timestamp,
    ) -> HashMap<String, AttributeValue> {
        Record { source_id, version, document, hash, is_listed: true, state: None }.item(connection, None, now)
    }

    /// Partitions of the listing of one connection: an index must take as many writes a second as the table.
    pub const SHARDS: u8 = 16;

    /// Merges records of one connection, each id at most once, and says what became of each.
    ///
    /// # Errors
    /// If the stored records could not be read: then nothing was written.
    pub async fn upsert(
        &self,
        connection: &ConnectionKey,
        incoming: Vec<IncomingChange>,
        deadline: Timestamp,
    ) -> Result<Merged, StoreError> {
        let keys = incoming.iter().map(|record| item_key(connection, &record.source_id)).collect();
        let attributes = ["id", "version", "hash", "revision", "first_seen", "changed", "listing", "state"];
        let erased = self.erasures.of(&connection.tenant).await?;
        let stored = self.table.get_many(keys, &attributes, deadline).await?;
        let mut heads = HashMap::with_capacity(stored.len());
        for item in &stored {
            heads.insert(Read::new(CUSTOMER, item).text("id")?.to_owned(), stored_head(item));
        }
        let mut merges = stream::iter(incoming.into_iter().map(|record| {
            let head = heads.remove(&item_key(connection, &record.source_id));
            let erased = &*erased;
            async move {
                let merged = match head.transpose() {
                    Ok(head) => self.merge(connection, &record, head, erased, deadline).await,
                    Err(error) => Err(UpsertError::of_reading(error)),
                };
                (record.source_id, merged)
            }
        }))
        .buffer_unordered(WRITES_AT_ONCE);
        let mut merged = Merged { outcomes: Vec::new(), overtaken_by: None };
        let mut newcomers = Vec::new();
        while let Some((source_id, ended)) = merges.next().await {
            let outcome = ended.map(|MergeEnd { outcome, overtaken_by, newcomer }| {
                merged.overtaken_by = merged.overtaken_by.max(overtaken_by);
                newcomers.extend(newcomer);
                outcome
            });
            merged.outcomes.push((source_id, outcome));
        }
        drop(merges);
        let taken_back = self.take_back(connection, &erased, newcomers).await?;
        for (source_id, outcome) in &mut merged.outcomes {
            if taken_back.contains(source_id) {
                *outcome = Ok(Outcome::Unchanged);
            }
        }
        Ok(merged)
    }

    /// Merges one record.
    async fn merge(
        &self,
        connection: &ConnectionKey,
        incoming: &IncomingChange,
        mut head: Option<StoredHead>,
        erased: &Erased,
        deadline: Timestamp,
    ) -> Result<MergeEnd, UpsertError> {
        let id = id_in(connection, &incoming.source_id);
        if erased.holds(&id) {
            return Ok(MergeEnd::of(Outcome::Unchanged));
        }
        let document = match &incoming.news {
            Change::Present(content) => content.canonical_json(),
            Change::Gone => {
                let last = match head {
                    Some(_) => self.get_item(connection, &incoming.source_id).await?,
                    None => None,
                };
                // What can't be read is not kept.
                let last = last.as_ref().and_then(readable);
                Content::tombstone_of(last.as_ref().map(|customer| &customer.content)).canonical_json()
            }
        };
        if document.len() > LARGEST_DOCUMENT {
            return Err(UpsertError::TooLarge { bytes: document.len() });
        }
        let hash = ContentHash::of(&document);
        for _ in 0..RACES {
            let standing = head.as_ref().map(|head| head.standing);
            if standing.is_some_and(|standing| standing.is_erased) {
                return Ok(MergeEnd::of(Outcome::Unchanged));
            }
            match merge_decision(head.as_ref().map(|head| &head.stamp), &incoming.version, &hash) {
                Decision::Unchanged => return Ok(MergeEnd::of(Outcome::Unchanged)),
                Decision::Stale => return Ok(MergeEnd::of(Outcome::Stale)),
                Decision::Overtaken(later) => {
                    return Ok(MergeEnd { overtaken_by: Some(later), ..MergeEnd::of(Outcome::Stale) });
                }
                Decision::Write => {}
            }
            if let Change::Present(content) = &incoming.news
                && self.erasures.keeps_away(&connection.tenant, erased, &id, standing, content).await?
            {
                return Ok(MergeEnd::of(Outcome::Unchanged));
            }
            let record = Record {
                source_id: &incoming.source_id,
                version: &incoming.version,
                document: &document,
                hash: &hash,
                is_listed: matches!(incoming.news, Change::Present(_)),
                state: None,
            };
            let put = self.put_if_still(connection, &record, head.as_ref(), Some(deadline)).await;
            match put.map_err(UpsertError::of_reading)? {
                None => {
                    return Ok(match incoming.news {
                        Change::Present(_) => MergeEnd {
                            newcomer: Newcomer::instead_of(standing, &incoming.source_id),
                            ..MergeEnd::of(Outcome::Written)
                        },
                        Change::Gone => MergeEnd::of(Outcome::Tombstoned),
                    });
                }
                Some(winner) => head = Some(winner),
            }
        }
        Err(StoreError::Deadline { operation: "PutItem" }.into())
    }

    /// Writes the record if the stored one is still `head`; otherwise returns what is stored now.
    async fn put_if_still(
        &self,
        connection: &ConnectionKey,
        record: &Record<'_>,
        head: Option<&StoredHead>,
        deadline: Option<Timestamp>,
    ) -> Result<Option<StoredHead>, StoreError> {
        let put = self
            .table
            .put_request(record.item(connection, head, self.table.clock.now()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match head {
            _ if PlantedFault::WritesBlindly.is_planted() => put,
            None => put.condition_expression("attribute_not_exists(id)"),
            Some(head) => put
                .condition_expression("version = :stored AND (attribute_not_exists(#state) OR #state <> :erased)")
                .expression_attribute_names("#state", "state")
                .expression_attribute_values(":stored", text(head.stamp.version.as_str()))
                .expression_attribute_values(":erased", text(Customer::ERASED)),
        };
        match self.table.write(deadline, put).await? {
            Ok(_) => Ok(None),
            Err(Refused(Some(item))) => stored_head(&item).map(Some),
            Err(Refused(None)) => Err(StoreError::Corrupt { key: CUSTOMER.to_owned(), attribute: "version" }),
        }
    }

    /// One customer, deleted or not.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn get(&self, connection: &ConnectionKey, source_id: &str) -> Result<Option<Customer>, StoreError> {
        self.get_item(connection, source_id).await?.as_ref().map(customer).transpose()
    }

    async fn get_item(&self, connection: &ConnectionKey, source_id: &str) -> Result<Option<Item>, StoreError> {
        let key = item_key(connection, source_id);
        if key.len() > LONGEST_KEY {
            return Ok(None);
        }
        self.table.get_key(id_key(key)).await
    }

    /// Those of the customers that are stored, deleted or not, in any order. Each id once.
    ///
    /// # Errors
    /// If not all could be read before the deadline.
    pub async fn get_many(
        &self,
        ids: impl IntoIterator<Item = (ConnectionKey, String)>,
        deadline: Timestamp,
    ) -> Result<Vec<Customer>, StoreError> {
        self.get_items(ids, deadline).await?.iter().map(customer).collect()
    }

    /// The same, if one that can't be read is to cost that one alone.
    ///
    /// # Errors
    /// If not all could be read before the deadline.
    pub async fn find_many(
        &self,
        ids: impl IntoIterator<Item = (ConnectionKey, String)>,
        deadline: Timestamp,
    ) -> Result<Found, StoreError> {
        let mut found = Found::default();
        for item in self.get_items(ids, deadline).await? {
            match readable(&item) {
                Some(customer) => found.customers.push(customer),
                None => found.unreadable.extend(id_of(&item)),
            }
        }
        Ok(found)
    }

    async fn get_items(
        &self,
        ids: impl IntoIterator<Item = (ConnectionKey, String)>,
        deadline: Timestamp,
    ) -> Result<Vec<Item>, StoreError> {
        let keys = ids.into_iter().map(|(connection, source_id)| item_key(&connection, &source_id));
        // No longer id is stored.
        let keys = keys.filter(|key| key.len() <= LONGEST_KEY).collect();
        self.table.get_many(keys, &[], deadline).await
    }
}

/// What there is of some customers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Those that are stored, deleted or not, in any order.
    pub customers: Vec<Customer>,
    /// Those that are stored, and can't be read: damaged, or written by a later release. The log names the reason.
    pub unreadable: Vec<CustomerId>,
}

fn item_key(connection: &ConnectionKey, source_id: &str) -> String {
    format!("{connection}~{source_id}")
}

fn source_id_of(key: &str) -> Option<&str> {
    key.split_once('~').map(|(_, source_id)| source_id)
}

fn id_in(connection: &ConnectionKey, source_id: &str) -> CustomerId {
    CustomerId { connection: connection.connection.clone(), source_id: source_id.to_owned() }
}

fn listing(connection: &ConnectionKey, shard: u8) -> String {
    format!("{connection}/{shard:02}")
}

fn shard_of(source_id: &str) -> u8 {
    ContentHash::of(source_id).as_bytes()[0] % Shadow::SHARDS
}

fn stored_head(item: &Item) -> Result<StoredHead, StoreError> {
    let read = Read::new(CUSTOMER, item);
    let hash = ContentHash::from_stored(read.bytes("hash")?)
        .ok_or_else(|| StoreError::Corrupt { key: CUSTOMER.to_owned(), attribute: "hash" })?;
    Ok(StoredHead {
        stamp: StoredVersion { version: Version::from_stored(read.text("version")?), hash },
        revision: read.number("revision")?,
        standing: Standing {
            is_erased: read.optional_text("state")?.as_deref() == Some(Customer::ERASED),
            first_seen: read.time("first_seen")?,
            gone_since: if read.has("listing") { None } else { Some(read.time("changed")?) },
        },
    })
}

/// The customer of an item; none if it can't be read, which the log says.
fn readable(item: &Item) -> Option<Customer> {
    let customer = customer(item);
    customer.inspect_err(|error| tracing::error!(%error, "a record of the shadow is left out")).ok()
}

fn id_of(item: &Item) -> Option<CustomerId> {
    let (_, id) = Read::new(CUSTOMER, item).text("id").ok()?.split_once('/')?;
    id.parse().ok()
}

fn customer(item: &Item) -> Result<Customer, StoreError> {
    let read = Read::new(CUSTOMER, item);
    let key = read.text("id")?;
    let corrupt_key = || StoreError::Corrupt { key: CUSTOMER.to_owned(), attribute: "id" };
    let (connection, source_id) = key.split_once('~').ok_or_else(corrupt_key)?;
    let connection = connection.parse().map_err(|_| corrupt_key())?;
    let content = serde_json::from_str(read.text("doc")?)
        .map_err(|_| StoreError::Corrupt { key: CUSTOMER.to_owned(), attribute: "doc" })?;
    Ok(Customer {
        connection,
        source_id: source_id.to_owned(),
        content,
        first_seen_at: read.time("first_seen")?,
        changed_at: read.time("changed")?,
        revision: read.number("revision")?,
        version: Version::from_stored(read.text("version")?),
        named_state: read.optional_text("state")?,
    })
}
