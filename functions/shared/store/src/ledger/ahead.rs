//! What a queue tells while its batch is open: chunks that workers take before the others.
//!
//! They belong to the batch, and are counted with it, so that it is not done before they are. But it is acknowledged
//! with the number that it was opened with: the queue goes on to hold what was told later, and the next batch holds it
//! again. So nothing depends on it that these chunks are made, or that they are not made twice.

use jiff::Timestamp;
use model::{Batch, ChunkPlan, ConnectionKey, Phase, QueueEnd};

use super::item::{chunk_items, phase_name, told_to};
use super::{BATCH, ChunkKey, Ledger};
use crate::StoreError;
use crate::changes::Changes;
use crate::item::{number, text, time};
use crate::table::{InTransaction, Transacted};

impl Ledger {
    /// Notes that a batch's queue is asked what it has told since, if the last look began `before` then, or there was
    /// none. Whether it is: not if another worker looks, or the batch is over.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn begin_look(
        &self,
        connection: &ConnectionKey,
        batch: &Batch,
        before: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = self
            .table
            .update(connection, BATCH)
            .update_expression("SET looked_at = :now")
            .condition_expression(
                "batch_number = :number AND batch_phase = :open \
                 AND (attribute_not_exists(looked_at) OR looked_at <= :before OR looked_at > :now)",
            )
            .expression_attribute_values(":number", number(batch.number))
            .expression_attribute_values(":open", text(phase_name(Phase::Open)))
            .expression_attribute_values(":before", time(before))
            .expression_attribute_values(":now", time(self.table.clock.now()));
        self.table.is_done(update).await
    }

    /// Adds chunks with customers that were told since a batch was opened, up to `end`, to be taken before the others.
    /// `batch` is as it was read; nothing is added if it is over, or another worker has added some since.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn add_ahead(
        &self,
        connection: &ConnectionKey,
        batch: &Batch,
        chunks: &[ChunkPlan],
        end: &QueueEnd,
        deadline: Timestamp,
    ) -> Result<bool, StoreError> {
        let customers: usize = chunks.iter().map(|chunk| chunk.fetch.len() + chunk.delete.len()).sum();
        let mut changes = Changes::default();
        changes.assign("customers = customers + :more");
        changes.set("ahead", number(batch.ahead as usize + chunks.len()));
        changes.set_or_remove("told_to", told_to(batch.number, end));
        let update = self
            .table
            .update(connection, BATCH)
            .condition_expression(
                "batch_number = :number AND batch_phase = :open AND (attribute_not_exists(ahead) OR ahead = :seen)",
            )
            .expression_attribute_values(":number", number(batch.number))
            .expression_attribute_values(":open", text(phase_name(Phase::Open)))
            .expression_attribute_values(":seen", number(batch.ahead))
            .expression_attribute_values(":more", number(customers));
        let mut writes = vec![changes.of(update).in_transaction()?];
        for chunk in chunks {
            let key = ChunkKey { connection: connection.clone(), batch: batch.number, chunk: chunk.number };
            // They are older than the others, so that they are sent before them.
            for item in chunk_items(&key, chunk, batch.asked_at) {
                writes.push(self.table.put_request(item).in_transaction()?);
            }
        }
        Ok(matches!(self.table.transact(Some(deadline), writes).await?, Transacted::Done))
    }
}
