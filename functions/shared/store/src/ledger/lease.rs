//! Chunks in the hands of workers: leased, settled, released.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, TransactWriteItem};
use jiff::Timestamp;
use model::{BatchEvent, Phase, PlantedFault};

use super::item::{chunk_entry, id_set, read_chunk};
use super::{ChunkKey, LeasedChunk, Ledger, Settlement};
use crate::StoreError;
use crate::changes::Changes;
use crate::item::{Read, number, text, time};
use crate::table::{InTransaction, Transacted, entry_key};

impl Ledger {
    /// Takes a chunk until `until`; `None` if it is done, or another worker has it.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn lease(&self, key: ChunkKey, owner: &str, until: Timestamp) -> Result<Option<LeasedChunk>, StoreError> {
        // Its own lease, if the answer to a request that was carried out was lost, and the request is repeated.
        let is_free = "attribute_exists(entry) AND \
             (attribute_not_exists(lease_until) OR lease_until <= :now OR lease_owner = :owner)";
        let is_ignored = PlantedFault::IgnoresLeases.is_planted();
        let update = self
            .table
            .update(&key.connection, &chunk_entry(&key))
            .update_expression(
                "SET lease_owner = :owner, lease_until = :until, due_at = :until, \
                 attempts = if_not_exists(attempts, :none) + :one",
            )
            .condition_expression(if is_ignored { "attribute_exists(entry) AND lease_until <> :now" } else { is_free })
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":until", time(until))
            .expression_attribute_values(":now", time(self.table.clock.now()))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":none", number(0))
            .return_values(ReturnValue::AllNew);
        let Some(item) = self.table.updated(update).await? else { return Ok(None) };
        match self.listed(&key, &item).await {
            Ok(listed) => read_chunk(&key, owner, &item, listed).map(Some),
            Err(error @ StoreError::Corrupt { .. }) => Err(error),
            Err(error) => {
                // It is the next worker's at once, and not only when this lease has run out.
                let attempts = Read::new("chunk", &item).number_or_zero("attempts")?;
                self.release_lease(&key, owner, self.table.clock.now(), attempts.saturating_sub(1)).await?;
                Err(error)
            }
        }
    }

    /// Abandons the batch of a chunk that can't be read, such as one of another release: the next batch holds its
    /// customers again. `false` if that batch is over.
    ///
    /// # Errors
    /// If the store can't be written, or another process moves the batch on.
    pub async fn give_up(&self, key: &ChunkKey, owner: &str) -> Result<bool, StoreError> {
        let latest = self.state(&key.connection).await?.latest;
        let latest = latest.filter(|batch| batch.number == key.batch && batch.phase != Phase::Closed);
        if let Some(batch) = &latest {
            self.advance(&key.connection, batch, BatchEvent::Abandoned).await?;
        }
        // The next batch waits for the workers that hold chunks of this one.
        self.release_lease(key, owner, self.table.clock.now(), 0).await?;
        Ok(latest.is_some())
    }

    /// Counts what is done, and removes the chunk or leaves what is left of it. `false` if the lease was lost, or the
    /// batch is over: then nothing is counted, because the next holder of the chunk, or of its customers, counts them.
    ///
    /// # Errors
    /// If the store can't be written before the deadline.
    pub async fn settle(
        &self,
        chunk: &LeasedChunk,
        settlement: &Settlement,
        deadline: Timestamp,
    ) -> Result<bool, StoreError> {
        let is_done = settlement.fetch.is_empty() && settlement.delete.is_empty();
        let writes = vec![self.settle_chunk(chunk, settlement)?, self.count(chunk, &settlement.counts)?];
        match self.table.transact(Some(deadline), writes).await? {
            Transacted::Done if is_done && !chunk.listed.is_empty() => self.remove_listed(&chunk.key).await,
            Transacted::Done => {}
            Transacted::Refused(_) => {
                // If the batch is over, the next one waits for this lease.
                self.release(chunk, self.table.clock.now()).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives a chunk back as it was taken, to be retried at `retry_at`: the attempt does not count. Does nothing if the
    /// lease was lost.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn release(&self, chunk: &LeasedChunk, retry_at: Timestamp) -> Result<(), StoreError> {
        self.release_lease(&chunk.key, &chunk.owner, retry_at, chunk.attempt.saturating_sub(1)).await
    }

    async fn release_lease(
        &self,
        key: &ChunkKey,
        owner: &str,
        retry_at: Timestamp,
        attempts: u64,
    ) -> Result<(), StoreError> {
        let update = self
            .table
            .update(&key.connection, &chunk_entry(key))
            .update_expression("SET due_at = :due_at, attempts = :attempts REMOVE lease_owner, lease_until")
            .condition_expression("lease_owner = :owner")
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":attempts", number(attempts))
            .expression_attribute_values(":due_at", time(retry_at));
        self.table.write_if(update).await
    }

    fn settle_chunk(&self, chunk: &LeasedChunk, settlement: &Settlement) -> Result<TransactWriteItem, StoreError> {
        const HELD: &str = "lease_owner = :owner";
        if settlement.fetch.is_empty() && settlement.delete.is_empty() {
            return self
                .table
                .delete_request(entry_key(&chunk.key.connection, &chunk_entry(&chunk.key)))
                .condition_expression(HELD)
                .expression_attribute_values(":owner", text(&chunk.owner))
                .in_transaction();
        }
        let came_on = settlement.counts.sum() > 0;
        let ids = |ids: &BTreeSet<String>| (!ids.is_empty()).then(|| id_set(ids));
        let mut changes = Changes::default();
        changes.set("due_at", time(settlement.retry_at));
        changes.set("attempts", number(if came_on { 0 } else { chunk.attempt }));
        changes.remove(["lease_owner", "lease_until"]);
        changes.set_or_remove("to_fetch", ids(&settlement.fetch));
        changes.set_or_remove("to_delete", ids(&settlement.delete));
        changes.set_or_remove("unverified", settlement.unverified.then_some(AttributeValue::Bool(true)));
        let update = self
            .table
            .update(&chunk.key.connection, &chunk_entry(&chunk.key))
            .condition_expression(HELD)
            .expression_attribute_values(":owner", text(&chunk.owner));
        changes.of(update).in_transaction()
    }
}
