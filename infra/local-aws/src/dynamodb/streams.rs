//! Who works on which shard of a stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use lambda::TableChange;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{EmbeddedDynamoDb, Storage};

/// The table of the journals.
pub(super) const JOURNALS: &str = "_streams";
/// How many shards a stream has.
pub(super) const SHARDS: u64 = 2;
/// How many entries one query reads.
const ENTRIES_AT_ONCE: usize = 16;
/// How many items one BatchWriteItem deletes.
const DELETED_AT_ONCE: usize = 25;

/// The shards of all streams.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// By journal.
    shards: Mutex<HashMap<String, Shard>>,
    arrived: Notify,
}

/// A shard is worked on by one invocation at a time.
#[derive(Clone, Debug, Default)]
struct Shard {
    taken_until: Option<Timestamp>,
    /// How many records there are.
    waiting: usize,
    /// How many records the next invocation gets at most, after one failed.
    most: Option<usize>,
    /// An entry of which so many records were taken, and not all.
    taken: Option<(String, usize)>,
}

/// Records that an invocation gets.
#[derive(Debug)]
pub(crate) struct StreamBatch {
    journal: String,
    /// The entries that are done with once all changes are taken.
    entries: Vec<String>,
    /// The entry behind them, and how many of its records are taken then, if they are not all.
    taken: Option<(String, usize)>,
    /// The changes, in their order.
    pub(crate) changes: Vec<TableChange>,
}

impl Streams {
    /// Notes that so many records of a journal were written.
    pub(super) fn arrived(&self, (journal, records): (&str, usize)) {
        if records > 0 {
            self.shards().entry(journal.to_owned()).or_default().waiting += records;
            self.0.arrived.notify_waiters();
        }
    }

    fn shards(&self) -> MutexGuard<'_, HashMap<String, Shard>> {
        self.0.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EmbeddedDynamoDb {
    /// The shards of the stream of a table.
    pub(crate) fn shards_of(table: &str) -> impl Iterator<Item = String> {
        (0..SHARDS).map(move |shard| format!("{table}/{shard}"))
    }

    /// Waits for a record of any stream that arrives after this call.
    pub(crate) fn stream_arrival(&self) -> impl Future<Output = ()> + '_ {
        // The future counts arrivals from its creation, not from its first poll.
        self.streams.0.arrived.notified()
    }

    /// How many records no function has taken yet, of all streams.
    pub fn stream_records(&self) -> usize {
        self.streams.shards().values().map(|shard| shard.waiting).sum()
    }

    /// How often to look for records of other processes, if there may be any.
    pub(crate) fn stream_look_every(&self) -> Option<Duration> {
        matches!(self.storage, Storage::File(_)).then_some(Duration::from_secs(1))
    }

    /// The next records of a shard, for one invocation until `until`. None if another invocation has the shard, or
    /// there is no record.
    pub(crate) async fn stream_batch(
        &self,
        journal: &str,
        most: usize,
        now: Timestamp,
        until: Timestamp,
    ) -> Option<StreamBatch> {
        let (most, taken) = {
            let mut shards = self.streams.shards();
            let shard = shards.entry(journal.to_owned()).or_default();
            let may_wait = shard.waiting > 0 || matches!(self.storage, Storage::File(_));
            if !may_wait || shard.taken_until.is_some_and(|taken_until| now < taken_until) {
                return None;
            }
            shard.taken_until = Some(until);
            (shard.most.unwrap_or(most).min(most), shard.taken.clone())
        };
        let batch = self.records(journal, most, taken).await;
        if batch.is_none() {
            self.streams.shards().entry(journal.to_owned()).or_default().taken_until = None;
        }
        batch
    }

    /// The next records, without those that were `taken` of an entry.
    async fn records(&self, journal: &str, most: usize, taken: Option<(String, usize)>) -> Option<StreamBatch> {
        let mut query = json!({
            "TableName": JOURNALS,
            "KeyConditionExpression": "journal = :journal",
            "ExpressionAttributeValues": { ":journal": { "S": journal } },
            "Limit": ENTRIES_AT_ONCE,
            "ConsistentRead": true,
        });
        let mut batch =
            StreamBatch { journal: journal.to_owned(), entries: Vec::new(), taken: None, changes: Vec::new() };
        let mut text = String::new();
        let mut entries = Vec::new();
        loop {
            let (_, answer) = self.ask("Query", &query).await;
            let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
            for item in answer["Items"].as_array().into_iter().flatten() {
                let entry = item["entry"]["S"].as_str()?;
                text.push_str(item["text"]["S"].as_str()?);
                entries.push(entry.to_owned());
                let parts: usize = item["parts"]["N"].as_str()?.parse().ok()?;
                if entries.len() < parts {
                    continue;
                }
                let changes = changes_in(&std::mem::take(&mut text))?;
                let before = taken.as_ref().filter(|(entry, _)| *entry == entries[0]).map_or(0, |(_, count)| *count);
                let (room, count) = (most - batch.changes.len(), changes.len());
                batch.changes.extend(changes.into_iter().skip(before).take(room));
                if before + room < count {
                    batch.taken = Some((entries.swap_remove(0), before + room));
                } else {
                    batch.entries.append(&mut entries);
                }
                if batch.changes.len() == most {
                    return Some(batch);
                }
            }
            match answer.get("LastEvaluatedKey") {
                Some(last) => query["ExclusiveStartKey"] = last.clone(),
                None => return (!batch.changes.is_empty()).then_some(batch),
            }
        }
    }

    /// An invocation has ended: its records are done with, or come again, in halves.
    pub(crate) async fn stream_batch_ended(&self, batch: StreamBatch, is_done: bool) {
        let StreamBatch { journal, entries, taken, changes } = batch;
        for entries in entries.chunks(DELETED_AT_ONCE).filter(|_| is_done) {
            let deletions: Vec<Value> = entries
                .iter()
                .map(|entry| json!({ "DeleteRequest": { "Key": { "journal": { "S": journal }, "entry": { "S": entry } } } }))
                .collect();
            self.ask("BatchWriteItem", &json!({ "RequestItems": { JOURNALS: deletions } })).await;
        }
        let mut shards = self.streams.shards();
        let shard = shards.entry(journal).or_default();
        shard.taken_until = None;
        shard.most = (!is_done).then(|| changes.len().div_ceil(2));
        if is_done {
            shard.waiting = shard.waiting.saturating_sub(changes.len());
            shard.taken = taken;
        }
        if shard.waiting > 0 {
            // Whoever waited for this shard looks again.
            self.streams.0.arrived.notify_waiters();
        }
    }
}

/// The changes in the text of an entry: a list, or one by itself.
fn changes_in(text: &str) -> Option<Vec<TableChange>> {
    match text.starts_with('[') {
        true => serde_json::from_str(text).ok(),
        false => Some(vec![serde_json::from_str(text).ok()?]),
    }
}
