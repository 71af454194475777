//! What became of a batch's customers, counted by many workers at once.
//!
//! Were all of them to count in the item of the batch, their transactions would conflict with each other and with the
//! poller's writes, and DynamoDB bills a refused attempt as one that was carried out. So they count beside it, each in
//! one of eight items, by the chunk's number. All of them are read with the batch and added together.
//!
//! | `entry` | what |
//! |---|---|
//! | `batch-counts/000000000007/3` | what the settled chunks 3, 11, 19, … of a batch came to |
//!
//! | attribute | what |
//! |---|---|
//! | `n_written`, `n_unchanged`, … | how many customers came to which end |
//! | `settlements` | how many settlements were counted in it |
//! | `came_on_at` | when the last of those came that counted a customer |
//! | `is_closed` | present if its batch is over: nothing more is counted |
//!
//! When a batch closes, they go into its own item and into the totals, and the next batch removes them. One that is
//! abandoned, while workers may still settle, closes them all in one transaction: a chunk is counted before it or not
//! at all.
//!
//! **Two releases side by side.** A chunk says whether it is counted here (`counts_apart`). The release before did not
//! write that, and counts in the batch; both are added. If it finds a batch of this release done, it misses what was
//! counted here, and abandons the batch: the next one holds the same customers, and is its own.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::Timestamp;
use model::{Batch, BatchEvent, ConnectionKey, OutcomeCounts, Phase};

use super::item::{phase_name, read_batch, read_counts};
use super::listing_item::read_fingerprint;
use super::{BATCH, COUNTS, LeasedChunk, Ledger, LedgerState, overtaken};
use crate::StoreError;
use crate::changes::Changes;
use crate::item::{Read, bytes, number, text, time};
use crate::table::{InTransaction, Transacted, entry_in};

/// Items that the workers of a batch count in.
const ITEMS: u32 = 8;
const PREFIX: &str = "batch-counts/";

/// A connection's batches, and what the workers counted beside the latest one.
#[derive(Default)]
pub(super) struct Counted {
    /// All together.
    pub(super) state: LedgerState,
    /// What stands in the batch: what was counted before it began, or by the release before.
    inside: OutcomeCounts,
    /// What stands beside it.
    beside: OutcomeCounts,
    /// How many settlements each item counted; `None` if there is no such item.
    settlements: [Option<u64>; ITEMS as usize],
}

impl Ledger {
    /// The latest batch with all its counts, in one read.
    pub(super) async fn counted(&self, connection: &ConnectionKey) -> Result<Counted, StoreError> {
        // The batch, and what begins as it does.
        let items = self.table.query_all(self.table.entries(connection, BATCH)).await?;
        let Some(batch) = items.iter().find(|item| entry_in(item).is_ok_and(|entry| entry == BATCH)) else {
            return Ok(Counted::default());
        };
        let read = Read::new(BATCH, batch);
        let mut batch = read_batch(&read)?;
        let mut came_on_at = read.optional_time("came_on_at")?;
        let mut counted = Counted::default();
        for item in &items {
            let entry = entry_in(item)?;
            let Some(place) = entry.strip_prefix(&prefix(batch.number)) else { continue };
            let read = Read::new(entry, item);
            let place = place.parse().ok().and_then(|place: usize| counted.settlements.get_mut(place));
            let place = place.ok_or_else(|| StoreError::Corrupt { key: entry.to_owned(), attribute: "entry" })?;
            *place = Some(read.number("settlements")?);
            counted.beside += read_counts(&read, "n_")?;
            came_on_at = came_on_at.max(read.optional_time("came_on_at")?);
        }
        counted.inside = batch.counts;
        if batch.phase != Phase::Closed {
            batch.counts += counted.beside;
        }
        counted.state = LedgerState {
            latest: Some(batch),
            totals: read_counts(&read, "all_")?,
            cursor: read.optional_time("newest_done")?,
            cursor_origin: read_fingerprint(&read, "newest_done_of")?,
            came_on_at,
        };
        Ok(counted)
    }

    /// The part of a settlement that counts. It is refused if the batch is over.
    pub(super) fn count(&self, chunk: &LeasedChunk, counts: &OutcomeCounts) -> Result<TransactWriteItem, StoreError> {
        let mut additions = COUNTS.map(|count| format!("n_{count} :{count}")).join(", ");
        let connection = &chunk.key.connection;
        let mut update = if chunk.counts_apart {
            additions += ", settlements :one";
            self.table
                .update(connection, &entry(chunk.key.batch, chunk.key.chunk % ITEMS))
                .condition_expression("attribute_not_exists(is_closed)")
                .expression_attribute_values(":one", number(1))
        } else {
            // The release before wrote the chunk, and may acknowledge the batch.
            self.table
                .update(connection, BATCH)
                .condition_expression("batch_number = :number AND batch_phase IN (:open, :listing)")
                .expression_attribute_values(":number", number(chunk.key.batch))
                .expression_attribute_values(":open", text(phase_name(Phase::Open)))
                .expression_attribute_values(":listing", text(phase_name(Phase::Listing)))
        };
        let mut expression = format!("ADD {additions}");
        if counts.sum() > 0 {
            expression += " SET came_on_at = :now";
            update = update.expression_attribute_values(":now", time(self.table.clock.now()));
        }
        for (name, count) in counts.by_name() {
            update = update.expression_attribute_values(format!(":{name}"), number(count));
        }
        update.update_expression(expression).in_transaction()
    }

    /// Closes a batch: what was counted beside it goes into its own item and into the totals.
    pub(super) async fn close(
        &self,
        connection: &ConnectionKey,
        batch: &Batch,
        event: BatchEvent,
        cursor: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let mut backoff = self.table.backoff(None);
        loop {
            let counted = self.counted(connection).await?;
            let is_acknowledged = event == BatchEvent::Acknowledged;
            let is_as_seen = |latest: &Batch| latest.number == batch.number && latest.counts == batch.counts;
            if is_acknowledged && !counted.state.latest.as_ref().is_some_and(is_as_seen) {
                // It is acknowledged for the counts that were looked at.
                return Err(overtaken(connection, batch));
            }
            let update = closing(self.table.update(connection, BATCH), batch, &counted, event, cursor);
            // Of a batch without chunks, or whose chunks were never sent, no worker counts anything now.
            if is_acknowledged || batch.phase == Phase::Opening {
                return self.move_on(connection, batch, update).await.map(|_| ());
            }
            let mut writes = vec![update.in_transaction()?];
            for (place, settlements) in (0..).zip(counted.settlements) {
                let update = self.table.update(connection, &entry(batch.number, place));
                let update = update.expression_attribute_values(":closed", AttributeValue::Bool(true));
                let update = match settlements {
                    None => update
                        .update_expression("SET is_closed = :closed, settlements = :none")
                        .condition_expression("attribute_not_exists(entry)")
                        .expression_attribute_values(":none", number(0)),
                    Some(settlements) => update
                        .update_expression("SET is_closed = :closed")
                        .condition_expression("settlements = :settlements")
                        .expression_attribute_values(":settlements", number(settlements)),
                };
                writes.push(update.in_transaction()?);
            }
            match self.table.transact(None, writes).await? {
                Transacted::Done => return Ok(()),
                Transacted::Refused(refused) if refused.first() == Some(&true) => {
                    return Err(overtaken(connection, batch));
                }
                // A worker settled in between.
                Transacted::Refused(_) if backoff.wait().await => {}
                Transacted::Refused(_) => return Err(StoreError::Deadline { operation: "TransactWriteItems" }),
            }
        }
    }

    /// Removes what was counted beside other batches, for a batch that begins. Also beside one of its own number: a
    /// ledger that is lost and made anew within a second gives that number twice.
    pub(super) async fn clear_counts(&self, connection: &ConnectionKey, deadline: Timestamp) -> Result<(), StoreError> {
        self.clear(connection, |_| true, PREFIX, deadline).await
    }
}

/// The update that closes a batch, if it is still as it was seen.
fn closing(
    update: UpdateItemFluentBuilder,
    batch: &Batch,
    counted: &Counted,
    event: BatchEvent,
    cursor: Option<Timestamp>,
) -> UpdateItemFluentBuilder {
    let mut changes = Changes::default();
    changes.assign("batch_phase = :closed");
    let mut condition = "batch_number = :number AND batch_phase = :phase \
                         AND (attribute_not_exists(ahead) OR ahead = :ahead)"
        .to_owned();
    let mut update = update
        .expression_attribute_values(":ahead", number(batch.ahead))
        .expression_attribute_values(":number", number(batch.number))
        .expression_attribute_values(":phase", text(phase_name(batch.phase)))
        .expression_attribute_values(":closed", text(phase_name(Phase::Closed)))
        .expression_attribute_values(":none", number(0));
    for ((name, inside), (_, beside)) in counted.inside.by_name().into_iter().zip(counted.beside.by_name()) {
        changes.set(format!("n_{name}"), number(inside + beside));
        changes.assign(format!("all_{name} = if_not_exists(all_{name}, :none) + :n_{name}"));
        condition += &format!(" AND n_{name} = :{name}_inside");
        update = update.expression_attribute_values(format!(":{name}_inside"), number(inside));
    }
    for (name, value) in [("newest_done", cursor), ("came_on_at", counted.state.came_on_at)] {
        if let Some(value) = value {
            changes.set(name, time(value));
        }
    }
    if event == BatchEvent::Acknowledged && batch.listing.is_some() {
        changes.set_or_remove("newest_done_of", batch.origin.map(|origin| bytes(origin.as_bytes())));
    }
    match event {
        // What was not taken over is new, even if the next listing reports the same.
        BatchEvent::Abandoned => changes.remove(["listing_all_pages"]),
        // What an abandoned batch has deleted counts for the batch that asks for the same again.
        BatchEvent::Acknowledged => changes.remove(["deletes_reserved", "deletes_allowed"]),
        _ => {}
    }
    changes.of(update.condition_expression(condition))
}

fn prefix(batch: u64) -> String {
    format!("{PREFIX}{batch:012}/")
}

fn entry(batch: u64, place: u32) -> String {
    format!("{}{place}", prefix(batch))
}
