//! Failure records: the customers that could not be taken over.
//!
//! | `entry` | what |
//! |---|---|
//! | `failure/<source id>` | when and why: a few hundred bytes, so that all of them can be counted and listed |
//! | `failure-raw/<source id>` | what the source sent, up to 100 KB, which is read only on demand |
//!
//! | `withheld/<source id>` | the customer was to be deleted, and its deletion waits for a person: `since` when, with `beyond_limit` if there were too many, and with `confirmed` once a person has confirmed it |
//!
//! The first two are written, and removed, in one transaction: there is never one without the other. A record of a
//! release before has the raw document in itself; that release finds an empty text there in the records of this one.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use model::{ConnectionKey, Content, CustomerId};

use crate::item::{Item, Read, text, time, with};
use crate::table::{InTransaction, Table, entry_in, entry_key};
use crate::{EmailIndex, Erased, Erasures, StoreError, addresses_in};

mod lookup;
mod redrives;
mod sweep;

pub use lookup::{FailureMarks, Redrive};
pub use sweep::{Sweep, Swept};

/// Why a deletion waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// There are too many of them: it waits until a person confirms it.
    BeyondLimit,
    /// The source's answer does not prove it: it waits until a person confirms it, or another answer proves it.
    Unproven,
}

/// A deletion that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithheldDeletion {
    /// Why it waits.
    pub why: Withheld,
    /// Whether a person has confirmed it: a batch that was opened for such a request carries it out.
    pub is_confirmed: bool,
}

/// A customer that could not be taken over, until it is taken over, redriven or dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The id in the source.
    pub source_id: String,
    /// The reason, without personal data.
    pub reason: String,
    /// What the source sent, as it came; empty if it sent nothing for this customer alone. Personal data.
    pub raw: String,
    /// When it failed.
    pub failed_at: Timestamp,
}

/// The failure records, in the control table. Of customers that were erased they hold no documents.
#[derive(Clone, Debug)]
pub struct Failures {
    pub(crate) table: Table,
    pub(crate) erasures: Erasures,
}

/// Some failure records, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailurePage {
    /// By source id.
    pub failures: Vec<Failure>,
    /// The source id after which there are more.
    pub next: Option<String>,
}

const FAILURE: &str = "failure/";
const RAW: &str = "failure-raw/";
const WITHHELD: &str = "withheld/";
const REDRIVE: &str = "redrive/";
const RAW_DOCUMENT: &str = "raw_document";
/// Bytes of a raw document that are kept: a longer one ends with a note of its length.
const LONGEST_RAW: usize = 100 * 1024;
/// How many addresses in the rest of a longer one are noted.
const MOST_ADDRESSES: usize = 20;
/// How many records are read, or removed, side by side.
const AT_ONCE: usize = 16;
/// How many records between the first and the last of some ids are looked through before each id is looked up.
const LOOKED_THROUGH: i32 = 100;

impl Failures {
    /// Adds or replaces the failure record of a customer.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn put(&self, connection: &ConnectionKey, failure: &Failure) -> Result<(), StoreError> {
        let no_longer = self.delete_of(connection, withheld_entry(&failure.source_id))?;
        self.put_with(connection, failure, no_longer).await
    }

    /// Adds or replaces the failure record of a customer whose deletion waits for a person. One that waits for the
    /// limit goes on doing so, whatever else it waits for.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn withhold(
        &self,
        connection: &ConnectionKey,
        failure: &Failure,
        why: Withheld,
    ) -> Result<(), StoreError> {
        let is_limited = if why == Withheld::BeyondLimit { ", beyond_limit = :since" } else { "" };
        let withheld = self
            .table
            .update(connection, &withheld_entry(&failure.source_id))
            .update_expression(format!("SET since = if_not_exists(since, :since){is_limited}"))
            .expression_attribute_values(":since", time(failure.failed_at));
        self.put_with(connection, failure, withheld.in_transaction()?).await
    }

    async fn put_with(
        &self,
        connection: &ConnectionKey,
        failure: &Failure,
        withheld: TransactWriteItem,
    ) -> Result<(), StoreError> {
        let record =
            [("reason", text(&failure.reason)), ("failed_at", time(failure.failed_at)), (RAW_DOCUMENT, text(""))];
        let erased = self.erasures.of(&connection.tenant).await?;
        let is_kept = !failure.raw.is_empty() && !is_refused(&erased, connection, failure);
        let raw = [(RAW_DOCUMENT, text(if is_kept { shortened(&failure.raw) } else { String::new() }))];
        let puts = vec![
            self.put_of(connection, record_entry(&failure.source_id), record)?,
            self.put_of(connection, raw_entry(&failure.source_id), raw)?,
            withheld,
        ];
        self.transact(puts).await?;
        if is_kept {
            // Somebody may have been erased since the list was read, and the document was not there to be emptied.
            let now = self.erasures.of(&connection.tenant).await?;
            if now.differs_from(&erased) && is_refused(&now, connection, failure) {
                self.empty_document(connection, &failure.source_id).await?;
            }
        }
        Ok(())
    }

    /// Up to `limit` failure records of a connection by source id, after the id `after`; their raw documents are empty
    /// unless `with_raw`.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn page(
        &self,
        connection: &ConnectionKey,
        after: Option<&str>,
        limit: usize,
        with_raw: bool,
    ) -> Result<FailurePage, StoreError> {
        let start = after.map(|source_id| entry_key(connection, &record_entry(source_id)));
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let query = self.table.entries(connection, FAILURE).limit(limit).set_exclusive_start_key(start);
        let page = self.table.send(query).await?;
        let failures = page.items().iter().map(failure).collect::<Result<Vec<_>, _>>()?;
        let failures = if with_raw {
            // One document at a time would take long, all of a page at once much memory.
            let with_raw = failures.into_iter().map(|failure| self.with_raw(connection, failure));
            stream::iter(with_raw).buffered(AT_ONCE).try_collect().await?
        } else {
            failures.into_iter().map(|failure| Failure { raw: String::new(), ..failure }).collect()
        };
        let next = page.last_evaluated_key.as_ref().map(|key| source_id_of(key, FAILURE)).transpose()?;
        Ok(FailurePage { failures, next })
    }

    /// Every failure record of a connection with its raw document, by source id. They may be many: see
    /// [`Failures::page`].
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn all(&self, connection: &ConnectionKey) -> Result<Vec<Failure>, StoreError> {
        let mut all = Vec::new();
        self.look_through(connection, |failure| all.push(failure)).await?;
        Ok(all)
    }

    /// Whether a customer has a failure record.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn is_there(&self, connection: &ConnectionKey, source_id: &str) -> Result<bool, StoreError> {
        let get =
            self.table.get_request(entry_key(connection, &record_entry(source_id))).projection_expression("entry");
        Ok(self.table.send(get).await?.item.is_some())
    }

    /// How many failure records a connection has. Reads a few hundred bytes for each.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn count(&self, connection: &ConnectionKey) -> Result<u64, StoreError> {
        self.count_of(connection, FAILURE).await
    }

    /// How many of them stand for deletions that wait.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn count_withheld(&self, connection: &ConnectionKey) -> Result<u64, StoreError> {
        self.count_of(connection, WITHHELD).await
    }

    async fn count_of(&self, connection: &ConnectionKey, prefix: &str) -> Result<u64, StoreError> {
        // Half the price: what was written in the last second may be missing.
        self.table.query_count(self.table.entries(connection, prefix).consistent_read(false)).await
    }

    /// Removes a customer's failure record and any request to redrive it.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn remove(&self, connection: &ConnectionKey, source_id: &str) -> Result<(), StoreError> {
        self.remove_record(connection, source_id.to_owned()).await?;
        self.clear_redrive(connection, source_id).await
    }

    /// Removes the failure records of customers that were taken over or deleted meanwhile. If there are none, as nearly
    /// always, that costs one small read.
    ///
    /// # Errors
    /// If the store can't be read or written.
    pub async fn remove_resolved(
        &self,
        connection: &ConnectionKey,
        resolved: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let found = self.those_with_a_record(connection, resolved).await?;
        stream::iter(found.into_iter().map(|source_id| self.remove_owned(connection, source_id)))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Removes the failure records of customers that a destination has taken. Requests to send them again stay: one may
    /// have come since they were sent.
    ///
    /// # Errors
    /// If the store can't be read or written.
    pub async fn remove_sent(&self, destination: &ConnectionKey, sent: &BTreeSet<String>) -> Result<(), StoreError> {
        let found = self.those_with_a_record(destination, sent).await?;
        stream::iter(found.into_iter().map(|customer| self.remove_record(destination, customer)))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn remove_record(&self, connection: &ConnectionKey, source_id: String) -> Result<(), StoreError> {
        let deletes = vec![
            self.delete_of(connection, record_entry(&source_id))?,
            self.delete_of(connection, raw_entry(&source_id))?,
            self.delete_of(connection, withheld_entry(&source_id))?,
        ];
        self.transact(deletes).await
    }

    async fn remove_owned(&self, connection: &ConnectionKey, source_id: String) -> Result<(), StoreError> {
        self.remove(connection, &source_id).await
    }

    async fn if_there(&self, connection: &ConnectionKey, source_id: String) -> Result<Option<String>, StoreError> {
        Ok(self.is_there(connection, &source_id).await?.then_some(source_id))
    }

    /// Those of the ids that have a failure record: found by one look between the first and the last of them, or each
    /// by its key if many other records lie between.
    async fn those_with_a_record(
        &self,
        connection: &ConnectionKey,
        ids: &BTreeSet<String>,
    ) -> Result<Vec<String>, StoreError> {
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(Vec::new()) };
        let between = self.table.entries_between(connection, &record_entry(first), &record_entry(last));
        let page = self.table.send(between.projection_expression("entry").limit(LOOKED_THROUGH)).await?;
        if page.last_evaluated_key.is_none() {
            let found = page.items().iter().map(|item| source_id_of(item, FAILURE)).collect::<Result<Vec<_>, _>>()?;
            return Ok(found.into_iter().filter(|source_id| ids.contains(source_id)).collect());
        }
        let looked_up = ids.iter().cloned().map(|source_id| self.if_there(connection, source_id));
        let found: Vec<Option<String>> = stream::iter(looked_up).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The record with its raw document, which a record of the release before has in itself.
    async fn with_raw(&self, connection: &ConnectionKey, failure: Failure) -> Result<Failure, StoreError> {
        let Some(item) = self.table.get(connection, &raw_entry(&failure.source_id)).await? else { return Ok(failure) };
        let raw = Read::new(RAW, &item).text(RAW_DOCUMENT)?.to_owned();
        Ok(Failure { raw, ..failure })
    }

    fn put_of<const N: usize>(
        &self,
        connection: &ConnectionKey,
        entry: String,
        attributes: [(&str, AttributeValue); N],
    ) -> Result<TransactWriteItem, StoreError> {
        self.table.put_request(with(entry_key(connection, &entry), attributes)).in_transaction()
    }

    fn delete_of(&self, connection: &ConnectionKey, entry: String) -> Result<TransactWriteItem, StoreError> {
        self.table.delete_request(entry_key(connection, &entry)).in_transaction()
    }

    async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<(), StoreError> {
        // None of them has a condition.
        self.table.transact(None, items).await.map(|_| ())
    }

    /// The deletions that wait, by the customers' ids.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn withheld(&self, connection: &ConnectionKey) -> Result<BTreeMap<String, WithheldDeletion>, StoreError> {
        let items = self.table.query_all(self.table.entries(connection, WITHHELD)).await?;
        items.iter().map(|item| Ok((source_id_of(item, WITHHELD)?, withheld_deletion(item)))).collect()
    }

    /// The customers whose deletion waits and is confirmed.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn confirmed(&self, connection: &ConnectionKey) -> Result<BTreeSet<String>, StoreError> {
        let withheld = self.withheld(connection).await?.into_iter();
        Ok(withheld.filter(|(_, deletion)| deletion.is_confirmed).map(|(source_id, _)| source_id).collect())
    }

    /// A person confirms the deletions of these customers, as far as they still wait. They are carried out once that is
    /// [requested](crate::ConnectionStates::request_confirm), and no deletion that is withheld later is among them.
    ///
    /// # Errors
    /// If the store can't be written. Some may be confirmed then.
    pub async fn confirm(&self, connection: &ConnectionKey, source_ids: Vec<String>) -> Result<(), StoreError> {
        let confirmed = source_ids.into_iter().map(|source_id| self.confirm_one(connection, source_id));
        stream::iter(confirmed).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn confirm_one(&self, connection: &ConnectionKey, source_id: String) -> Result<(), StoreError> {
        let update = self
            .table
            .update(connection, &withheld_entry(&source_id))
            .update_expression("SET confirmed = :yes")
            .condition_expression("attribute_exists(entry)")
            .expression_attribute_values(":yes", AttributeValue::Bool(true));
        // It is refused if the customer is back, or deleted, meanwhile.
        self.table.write_if(update).await
    }

    /// The deletions that wait, of these customers alone.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn withheld_among(
        &self,
        connection: &ConnectionKey,
        ids: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, WithheldDeletion>, StoreError> {
        let looked_up = ids.iter().cloned().map(|source_id| self.if_withheld(connection, source_id));
        let found: Vec<_> = stream::iter(looked_up).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn if_withheld(
        &self,
        connection: &ConnectionKey,
        source_id: String,
    ) -> Result<Option<(String, WithheldDeletion)>, StoreError> {
        let Some(item) = self.table.get(connection, &withheld_entry(&source_id)).await? else { return Ok(None) };
        Ok(Some((source_id, withheld_deletion(&item))))
    }
}

fn withheld_deletion(item: &Item) -> WithheldDeletion {
    let read = Read::new(WITHHELD, item);
    let why = if read.has("beyond_limit") { Withheld::BeyondLimit } else { Withheld::Unproven };
    WithheldDeletion { why, is_confirmed: read.has("confirmed") }
}

fn record_entry(source_id: &str) -> String {
    format!("{FAILURE}{source_id}")
}

fn withheld_entry(source_id: &str) -> String {
    format!("{WITHHELD}{source_id}")
}

fn redrive_entry(source_id: &str) -> String {
    format!("{REDRIVE}{source_id}")
}

fn raw_entry(source_id: &str) -> String {
    format!("{RAW}{source_id}")
}

fn source_id_of(item: &Item, prefix: &str) -> Result<String, StoreError> {
    let entry = entry_in(item)?;
    Ok(entry.strip_prefix(prefix).unwrap_or(entry).to_owned())
}

/// The record in an item, with the raw document that a record of the release before has in itself.
fn failure(item: &Item) -> Result<Failure, StoreError> {
    let entry = entry_in(item)?;
    let read = Read::new(entry, item);
    Ok(Failure {
        source_id: source_id_of(item, FAILURE)?,
        reason: read.text("reason")?.to_owned(),
        raw: if read.has(RAW_DOCUMENT) { read.text(RAW_DOCUMENT)?.to_owned() } else { String::new() },
        failed_at: read.time("failed_at")?,
    })
}

/// A raw document as it is kept: the whole of it, or its beginning and a note of its length, and of addresses in the
/// rest, by which a person must find it.
pub(crate) fn shortened(raw: &str) -> String {
    if raw.len() <= LONGEST_RAW {
        return raw.to_owned();
    }
    let mut end = LONGEST_RAW;
    while !raw.is_char_boundary(end) {
        end -= 1;
    }
    let named = named(addresses_in(&raw[end..]));
    format!("{}\n[cut off here: the document has {} bytes]{named}", &raw[..end], raw.len())
}

/// A raw document that may have been cut off, with the addresses in its content that it does not show: a person must
/// find it by them. An empty one stays empty.
pub fn naming_addresses(raw: String, content: &Content) -> String {
    if raw.is_empty() {
        return raw;
    }
    let shown = addresses_in(&raw);
    let addresses = content.emails.iter().filter_map(|email| EmailIndex::address(&email.address));
    let named = named(addresses.filter(|address| !shown.contains(address)));
    raw + &named
}

fn named(addresses: impl IntoIterator<Item = String>) -> String {
    let addresses: Vec<String> = addresses.into_iter().take(MOST_ADDRESSES).collect();
    if addresses.is_empty() { String::new() } else { format!("\n[with {}]", addresses.join(" ")) }
}

/// Whether no document of a failure may be kept: whom it is of, or names, was erased.
fn is_refused(erased: &Erased, connection: &ConnectionKey, failure: &Failure) -> bool {
    let own = CustomerId { connection: connection.connection.clone(), source_id: failure.source_id.clone() };
    // A destination's failure records have public ids.
    let public = failure.source_id.parse::<CustomerId>();
    erased.refuses_document(&own, &failure.raw) || public.is_ok_and(|id| erased.refuses_document(&id, ""))
}
