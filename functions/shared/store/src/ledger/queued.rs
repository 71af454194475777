//! Some of the customers that a batch was made of, to recognise its queue: the entry `queued` of the control table. It
//! stands apart from the batch, which is read often.

use std::collections::{BTreeSet, HashSet};

use aws_sdk_dynamodb::types::ReturnValue;
use model::{Batch, ConnectionKey};

use super::item::id_set;
use super::{BATCH, Ledger};
use crate::StoreError;
use crate::item::{Read, number};

const QUEUED: &str = "queued";

impl Ledger {
    /// Notes some of the customers that a batch that is being opened is made of.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn note_queued(
        &self,
        connection: &ConnectionKey,
        batch: u64,
        sample: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let update = self.table.update(connection, QUEUED).expression_attribute_values(":number", number(batch));
        let update = if sample.is_empty() {
            update.update_expression("SET batch_number = :number REMOVE ids")
        } else {
            update
                .update_expression("SET batch_number = :number, ids = :ids")
                .expression_attribute_values(":ids", id_set(sample))
        };
        self.table.send(update).await.map(|_| ())
    }

    /// Some of the customers that a batch was made of; none if a release opened it that noted none.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn queued(&self, connection: &ConnectionKey, batch: u64) -> Result<HashSet<String>, StoreError> {
        let Some(item) = self.table.get(connection, QUEUED).await? else { return Ok(HashSet::new()) };
        let read = Read::new(QUEUED, &item);
        if read.number::<u64>("batch_number")? != batch {
            return Ok(HashSet::new());
        }
        Ok(read.set("ids")?.into_iter().collect())
    }

    /// Counts a failed purge, and returns how many failed in this batch.
    ///
    /// # Errors
    /// [`StoreError::MovedOn`] if the batch is over.
    pub async fn purge_failed(&self, connection: &ConnectionKey, batch: &Batch) -> Result<u64, StoreError> {
        let update = self
            .table
            .update(connection, BATCH)
            .update_expression("ADD purge_failures :one")
            .condition_expression("batch_number = :number")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":number", number(batch.number))
            .return_values(ReturnValue::UpdatedNew);
        Read::new(BATCH, &self.move_on(connection, batch, update).await?).number("purge_failures")
    }
}
