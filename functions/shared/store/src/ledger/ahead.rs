//! What a queue tells while its batch is open: chunks that workers take before the others.
//!
//! They belong to the batch, and are counted with it, so that it is not done before they are. But it is acknowledged
//! with the number that it was opened with: the queue goes on to hold what was told later, and the next batch holds it
//! again. So nothing depends on it that these chunks are made, or that they are not made twice.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use jiff::Timestamp;
use model::{Batch, ChunkPlan, ConnectionKey, Phase, QueueEnd};

use super::item::{chunk_items, phase_name, told_to};
use super::{BATCH, ChunkKey, Ledger};
use crate::StoreError;
use crate::changes::Changes;
use crate::item::{number, text, time};
use crate::table::{InTransaction, Transacted};

/// A look that lies farther away was noted by another clock.
const LONGEST_PAUSE: Duration = Duration::from_secs(2 * 3_600);

impl Ledger {
    /// Begins a look at what a batch's queue has told since, if its time has come: until `until` no other begins.
    /// `false` if another worker looks, the batch is over, or its looks are.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn begin_look(
        &self,
        connection: &ConnectionKey,
        batch: &Batch,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let is_due = "(attribute_not_exists(look_at) OR look_at <= :now OR look_at > :longest)";
        let now = self.table.clock.now();
        let update = self
            .look(connection, batch, is_due, until)
            .expression_attribute_values(":now", time(now))
            .expression_attribute_values(":longest", time(now + LONGEST_PAUSE));
        self.table.is_done(update).await
    }

    /// Ends a look: the next one begins at `next`.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn end_look(&self, connection: &ConnectionKey, batch: &Batch, next: Timestamp) -> Result<(), StoreError> {
        self.table.write_if(self.look(connection, batch, "attribute_exists(look_at)", next)).await
    }

    fn look(
        &self,
        connection: &ConnectionKey,
        batch: &Batch,
        condition: &str,
        look_at: Timestamp,
    ) -> UpdateItemFluentBuilder {
        self.table
            .update(connection, BATCH)
            .update_expression("SET look_at = :look_at")
            .condition_expression(format!(
                "batch_number = :number AND batch_phase = :open AND attribute_exists(told_to) AND {condition}"
            ))
            .expression_attribute_values(":number", number(batch.number))
            .expression_attribute_values(":open", text(phase_name(Phase::Open)))
            .expression_attribute_values(":look_at", time(look_at))
    }

    /// Ends all looks, for a batch whose chunks are done: nothing is added while it is acknowledged.
    ///
    /// # Errors
    /// [`StoreError::MovedOn`] if something was added since the batch was read.
    pub async fn end_looks(&self, connection: &ConnectionKey, batch: &Batch) -> Result<(), StoreError> {
        if batch.told_to.is_none() {
            return Ok(());
        }
        let update = self
            .table
            .update(connection, BATCH)
            .update_expression("REMOVE told_to")
            .condition_expression("batch_number = :number AND (attribute_not_exists(ahead) OR ahead = :seen)")
            .expression_attribute_values(":number", number(batch.number))
            .expression_attribute_values(":seen", number(batch.ahead));
        self.move_on(connection, batch, update).await.map(|_| ())
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
                "batch_number = :number AND batch_phase = :open AND attribute_exists(told_to) \
                 AND (attribute_not_exists(ahead) OR ahead = :seen)",
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
