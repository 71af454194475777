//! The batch ledger: which customers of which batch are not done yet. **SQS is the hint, the ledger is the truth.**
//!
//! A chunk is an item with its ids. A worker takes a *lease* on it and *settles* it: in one transaction the counts go
//! beside the batch, and the chunk goes, or stays with what is left. A message that is lost, doubled, late or purged
//! thus changes nothing: the poller sends a chunk that is due again.
//!
//! | attribute of a chunk | what |
//! |---|---|
//! | `to_fetch`, `to_delete` | the ids; a missing set is an empty one |
//! | `listed` | how many customers a listing reported, which stand beside the chunk: see `listed.rs`; missing if none |
//! | `attempts` | leases taken since it last came on, but for those that only waited for their turn |
//! | `lease_owner`, `lease_until` | the worker that works on it; missing if there is none |
//! | `due_at` | from when on the poller sends it to a worker, again or for the first time |
//! | `unverified` | present if all that is left waits for a customer that is known to exist |
//! | `counts_apart` | present if its customers are counted beside the batch: see `counts.rs` |
//!
//! A listing that is not done is committed page by page: first the chunks of a page are written, then the batch says
//! that it has them, then they are sent to workers. Until then no worker may take them.

mod ahead;
mod clearing;
mod counts;
mod deletes;
mod holding;
mod item;
mod lease;
mod listed;
mod listing;
mod listing_item;
mod queued;

use std::collections::BTreeSet;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use jiff::Timestamp;
use model::{Batch, BatchEvent, ConnectionKey, ContentHash, ListedCustomer, OutcomeCounts, Phase};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::changes::Changes;
use crate::item::{Item, Read, bytes, number, text, time};
use crate::queue::ChunkMessage;
use crate::table::{Table, entry_in};
use item::{chunk_state, phase_name, read_batch, told_to};
use listing_item::set_listing;

pub(crate) use deletes::Reservation;
pub use holding::Holding;
pub(crate) use listed::partitions;
pub use listing::split_listed;

/// When the page of a chunk was asked for.
const PAGE_ASKED_AT: &str = "page_asked_at";
/// How many chunks one request looks through behind the front: DynamoDB bills what it reads, not what it finds.
const LOOKED_BEHIND: i32 = 200;
/// The sort key of the latest batch.
const BATCH: &str = "batch";
const COUNTS: [&str; 5] = ["written", "unchanged", "stale", "tombstoned", "failed"];

/// The ledger, in the control table.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) table: Table,
}

/// A connection's batches as they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerState {
    /// The latest batch.
    pub latest: Option<Batch>,
    /// What became of all customers of all batches that are closed.
    pub totals: OutcomeCounts,
    /// The newest change of a listed source up to which everything was taken over.
    pub cursor: Option<Timestamp>,
    /// Identifies the source whose change that is; `None` if the release before moved the cursor.
    pub cursor_origin: Option<ContentHash>,
    /// When the last customer of the latest batch came to an end.
    pub came_on_at: Option<Timestamp>,
}

/// The key of a chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "ChunkMessage", from = "ChunkMessage")]
pub struct ChunkKey {
    /// The connection.
    pub connection: ConnectionKey,
    /// The batch's number.
    pub batch: u64,
    /// The chunk's number in the batch.
    pub chunk: u32,
}

impl ChunkKey {
    /// A span for the work on the chunk: every log line within it names the connection, the batch and the chunk.
    pub fn span(&self) -> tracing::Span {
        tracing::error_span!("chunk", connection = %self.connection, batch = self.batch, chunk = self.chunk)
    }
}

/// What the poller must know of a chunk that is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkState {
    /// Its number in the batch.
    pub chunk: u32,
    /// From when on it is to be sent to a worker.
    pub due_at: Timestamp,
    /// Whether a worker has it, or had it when it died.
    pub leased: bool,
    /// Leases taken since it last came on, but for those that only waited for their turn.
    pub attempts: u64,
    /// Whether all that is left of it waits for a customer that is known to exist.
    pub unverified: bool,
}

/// A chunk in the hands of one worker.
#[derive(Clone, Debug)]
pub struct LeasedChunk {
    /// Which chunk.
    pub key: ChunkKey,
    /// The worker that holds it.
    pub owner: String,
    /// Ids to fetch.
    pub fetch: BTreeSet<String>,
    /// Ids that the source says are deleted, or lists no longer.
    pub delete: BTreeSet<String>,
    /// Customers as they were listed.
    pub listed: Vec<ListedCustomer>,
    /// The customers that it may delete: see [`DeletionLimit`](crate::DeletionLimit).
    pub may_delete: BTreeSet<String>,
    /// Which attempt this is since the chunk last came on, from 1.
    pub attempt: u64,
    /// Whether its customers are counted beside the batch, and not in it.
    counts_apart: bool,
}

/// What a worker did with a chunk.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// What became of the customers that are done.
    pub counts: OutcomeCounts,
    /// Ids that are still to fetch.
    pub fetch: BTreeSet<String>,
    /// Ids that are still to delete.
    pub delete: BTreeSet<String>,
    /// When what is left is to be retried.
    pub retry_at: Timestamp,
    /// Whether all that is left waits for a customer that is known to exist.
    pub unverified: bool,
}

impl Ledger {
    /// A connection's batches as they stand.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn state(&self, connection: &ConnectionKey) -> Result<LedgerState, StoreError> {
        self.counted(connection).await.map(|counted| counted.state)
    }

    /// Records that a batch is being opened, which follows `last`. Its chunks come next.
    ///
    /// # Errors
    /// [`StoreError::MovedOn`] if another batch was opened meanwhile.
    pub async fn begin(
        &self,
        connection: &ConnectionKey,
        last: Option<&Batch>,
        batch: &Batch,
    ) -> Result<(), StoreError> {
        let mut changes = Changes::default();
        changes.set("batch_number", number(batch.number));
        changes.set("batch_phase", text(phase_name(batch.phase)));
        changes.set("asked_at", time(batch.asked_at));
        changes.set("customers", number(batch.total));
        for (name, count) in batch.counts.by_name() {
            changes.set(format!("n_{name}"), number(count));
        }
        changes.remove(["overtaken_by", "purge_failures", "look_at", "ahead"]);
        changes.set_or_remove("told_to", batch.told_to.as_ref().and_then(|end| told_to(batch.number, end)));
        changes.set_or_remove("queue_number", batch.queue_number.as_ref().map(text));
        changes.set_or_remove("origin", batch.origin.map(|origin| bytes(origin.as_bytes())));
        changes.set_or_remove("resync_request", batch.resync.map(number));
        changes.set_or_remove("confirm_request", batch.confirmed.map(number));
        if let Some(listing) = &batch.listing {
            set_listing(&mut changes, listing);
        }
        let update = self
            .table
            .update(connection, BATCH)
            .condition_expression("attribute_not_exists(entry) OR (batch_number = :last AND batch_phase = :closed)")
            .expression_attribute_values(":last", number(last.map_or(0, |last| last.number)))
            .expression_attribute_values(":closed", text(phase_name(Phase::Closed)));
        let update = changes.of(update);
        self.move_on(connection, batch, update).await?;
        self.clear_leftovers(connection, batch).await
    }

    /// Until when a worker has a lease on a chunk of a batch up to the number `last`, whatever became of that batch;
    /// `None` if no worker has one.
    ///
    /// A new batch does not begin before: a worker that still holds news of an earlier one could write them over equal
    /// news of a later one. A worker that takes a lease then checks whether the batch is still in progress
    /// ([`Ledger::is_in_progress`]), so no worker can begin on an abandoned batch after this look.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn leased_until(&self, connection: &ConnectionKey, last: u64) -> Result<Option<Timestamp>, StoreError> {
        let now = self.table.clock.now();
        let after_last = format!("chunk/{:012}/", last.saturating_add(1));
        let mut latest = None;
        let query = self
            .table
            .entries(connection, "chunk/")
            .filter_expression("lease_until > :now")
            .expression_attribute_values(":now", time(now))
            .projection_expression("entry, lease_until");
        for item in self.table.query_all(query).await? {
            let entry = entry_in(&item)?;
            if entry < after_last.as_str() {
                latest = latest.max(Some(Read::new(entry, &item).time("lease_until")?));
            }
        }
        Ok(latest)
    }

    /// Whether a chunk's batch is in progress, for a worker that has just taken its lease: nothing of an abandoned
    /// batch may be written any more.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn is_in_progress(&self, key: &ChunkKey) -> Result<bool, StoreError> {
        Ok(matches!(self.phase_of(key).await?, Some(Phase::Open | Phase::Listing)))
    }

    /// Whether a chunk's batch is open and no chunk of it is left, for the worker that has just settled the chunk: then
    /// the batch is to be acknowledged. One read, and of several workers that settle the last chunks at one time at
    /// least one is told so. A batch that is still being listed is not open.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn is_settled(&self, key: &ChunkKey) -> Result<bool, StoreError> {
        let query = self.table.entries(&key.connection, &format!("chunk/{:012}/", key.batch)).limit(1);
        if !self.table.send(query).await?.items().is_empty() {
            return Ok(false);
        }
        Ok(self.phase_of(key).await? == Some(Phase::Open))
    }

    /// The phase of a chunk's batch, if it is the latest one.
    async fn phase_of(&self, key: &ChunkKey) -> Result<Option<Phase>, StoreError> {
        let Some(item) = self.table.get(&key.connection, BATCH).await? else { return Ok(None) };
        let batch = read_batch(&Read::new(BATCH, &item))?;
        Ok((batch.number == key.batch).then_some(batch.phase))
    }

    /// Notes that a chunk found records stored from the batch `later`: its batch can't be acknowledged. Does nothing if
    /// its batch is over.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn note_overtaken(&self, key: &ChunkKey, later: u64) -> Result<(), StoreError> {
        let update = self
            .table
            .update(&key.connection, BATCH)
            .update_expression("SET overtaken_by = :later")
            .condition_expression(
                "batch_number = :number AND (attribute_not_exists(overtaken_by) OR overtaken_by < :later)",
            )
            .expression_attribute_values(":number", number(key.batch))
            .expression_attribute_values(":later", number(later));
        self.table.write_if(update).await
    }

    /// Moves a batch on.
    ///
    /// # Errors
    /// [`StoreError::MovedOn`] if another process did so before, or if its phase does not allow it.
    pub async fn advance(
        &self,
        connection: &ConnectionKey,
        batch: &Batch,
        event: BatchEvent,
    ) -> Result<(), StoreError> {
        self.advance_with_cursor(connection, batch, event, None).await
    }

    async fn advance_with_cursor(
        &self,
        connection: &ConnectionKey,
        batch: &Batch,
        event: BatchEvent,
        cursor: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let next = batch.after(event).map_err(|_| overtaken(connection, batch))?;
        if next == Phase::Closed {
            return self.close(connection, batch, event, cursor).await;
        }
        let update = self
            .table
            .update(connection, BATCH)
            .update_expression("SET batch_phase = :next")
            .condition_expression("batch_number = :number AND batch_phase = :phase")
            .expression_attribute_values(":number", number(batch.number))
            .expression_attribute_values(":phase", text(phase_name(batch.phase)))
            .expression_attribute_values(":next", text(phase_name(next)));
        self.move_on(connection, batch, update).await.map(|_| ())
    }

    /// The first chunks of a batch that are not done, up to `limit`; none if the batch is done. If all of those were
    /// tried before, also as many of the due ones behind them: so no chunk waits for ever behind chunks that can't be
    /// done.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn open_chunks(
        &self,
        connection: &ConnectionKey,
        batch: u64,
        limit: i32,
    ) -> Result<Vec<ChunkState>, StoreError> {
        let wanted = usize::try_from(limit).unwrap_or(0);
        let prefix = format!("chunk/{batch:012}/");
        let look = || {
            let parts = "entry, due_at, attempts, lease_owner, unverified";
            self.table.entries(connection, &prefix).projection_expression(parts)
        };
        let page = self.table.send(look().limit(limit)).await?;
        let mut chunks: Vec<ChunkState> = page.items().iter().map(chunk_state).collect::<Result<_, _>>()?;
        let mut start = page.last_evaluated_key;
        if !chunks.iter().all(|chunk| chunk.attempts > 0 || chunk.unverified) {
            return Ok(chunks);
        }
        let most = chunks.len() + wanted;
        while let Some(after) = start.take().filter(|_| chunks.len() < most) {
            let due = look()
                .filter_expression("due_at <= :now")
                .limit(LOOKED_BEHIND)
                .expression_attribute_values(":now", time(self.table.clock.now()))
                .set_exclusive_start_key(Some(after));
            let page = self.table.send(due).await?;
            let behind: Vec<ChunkState> = page.items().iter().map(chunk_state).collect::<Result<_, _>>()?;
            chunks.extend(behind.into_iter().take(most - chunks.len()));
            start = page.last_evaluated_key;
        }
        Ok(chunks)
    }

    /// Whether all that is left of a batch waits for a customer that is known to exist.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn all_unverified(&self, connection: &ConnectionKey, batch: u64) -> Result<bool, StoreError> {
        let query = self
            .table
            .entries(connection, &format!("chunk/{batch:012}/"))
            .filter_expression("attribute_not_exists(unverified)");
        Ok(self.table.query_count(query).await? == 0)
    }

    /// Takes every chunk of a connection away from its holder, and has it sent again at once: SQS was lost with the
    /// holders. Only for a caller that knows that the holders are gone.
    ///
    /// # Errors
    /// If the store can't be read or written.
    pub async fn revoke_leases(&self, connection: &ConnectionKey) -> Result<(), StoreError> {
        let chunks = self.table.entries(connection, "chunk/").projection_expression("#connection, entry");
        for key in self.table.query_all(chunks).await? {
            let update = self
                .table
                .update_request(key)
                .update_expression("SET due_at = :now REMOVE lease_owner, lease_until")
                .expression_attribute_values(":now", time(self.table.clock.now()));
            self.table.send(update).await?;
        }
        Ok(())
    }

    /// Updates the batch, and returns the attributes that the update asks for; an error if another poller moved it on.
    async fn move_on(
        &self,
        connection: &ConnectionKey,
        batch: &Batch,
        update: UpdateItemFluentBuilder,
    ) -> Result<Item, StoreError> {
        self.table.updated(update).await?.ok_or_else(|| overtaken(connection, batch))
    }
}

fn overtaken(connection: &ConnectionKey, batch: &Batch) -> StoreError {
    StoreError::MovedOn { connection: connection.to_string(), number: batch.number }
}
