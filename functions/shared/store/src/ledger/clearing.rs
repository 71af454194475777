//! Chunks by the thousand: written when a batch is opened, and removed when it was abandoned, at a pace that leaves
//! room on the connection's key.
//!
//! All chunks of a connection have one key, so that one small read finds the first of them, or that there is none.
//! Spread over 16 keys, each look of a poller would cost 16 reads, also the many that find nothing new. A key takes
//! 1,000 write units a second, and the connection's lease, its rate limit, and the workers need some of them meanwhile.
//! So an opening takes 500: for the 10,000 chunks of a queue of a million customers it needs 20 seconds, and at ten
//! requests a second the source then needs 17 minutes to answer for them. What is throttled all the same waits.

use std::time::Duration;

use aws_sdk_dynamodb::types::WriteRequest;
use jiff::Timestamp;
use model::{Batch, ChunkPlan, ConnectionKey};

use super::item::chunk_items;
use super::{ChunkKey, Ledger};
use crate::item::{Item, size};
use crate::table::{ITEMS_PER_WRITE, delete, entry_in, put};
use crate::{Clock, StoreError};

/// Write units a second of one key.
const UNITS_PER_SECOND: u64 = 500;
/// Bytes of a write unit.
const UNIT: usize = 1024;
/// How long the removal of what earlier batches left may take.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(5);

impl Ledger {
    /// Writes the chunks of a batch that is being opened, all of them or an error: 500 KB a second.
    ///
    /// # Errors
    /// If not all could be written before the deadline.
    pub async fn write_chunks(
        &self,
        connection: &ConnectionKey,
        batch: u64,
        plans: impl Iterator<Item = ChunkPlan> + Send,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let due_at = self.table.clock.now();
        let key = |chunk| ChunkKey { connection: connection.clone(), batch, chunk };
        let mut items = plans.flat_map(|plan| chunk_items(&key(plan.number), &plan, due_at));
        let mut pace = Pace::new(&self.table.clock);
        loop {
            let page: Vec<Item> = items.by_ref().take(ITEMS_PER_WRITE).collect();
            if page.is_empty() {
                return Ok(());
            }
            pace.wait_for(page.iter().map(|item| size(item).div_ceil(UNIT)).sum(), deadline).await?;
            self.table.write_batch(page.into_iter().map(put).collect::<Result<_, _>>()?, deadline).await?;
        }
    }

    /// Removes the chunks of batches up to the number `last`: what an abandoned batch, or an opener that died, left
    /// behind. The number keeps a poller that was overtaken from deleting the chunks of later pollers.
    ///
    /// # Errors
    /// If not all could be removed before the deadline.
    pub async fn clear_chunks(
        &self,
        connection: &ConnectionKey,
        last: u64,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let after_last = format!("chunk/{:012}/", last.saturating_add(1));
        self.clear(connection, |entry| entry < after_last.as_str(), "chunk/", deadline).await
    }

    /// Removes what stood beside batches before this one, which begins, and beside their chunks.
    pub(super) async fn clear_leftovers(&self, connection: &ConnectionKey, batch: &Batch) -> Result<(), StoreError> {
        let deadline = self.table.clock.now() + LEFTOVER_PATIENCE;
        self.clear_counts(connection, deadline).await?;
        // Nothing depends on it that no contacts are left: the next batch goes on with it.
        if batch.listing.is_some()
            && let Err(error) = self.clear_listed(connection, batch.number, deadline).await
        {
            tracing::warn!(%error, "the contacts of earlier batches could not be removed yet");
        }
        Ok(())
    }

    /// Removes the entries with this prefix that are `unwanted`.
    pub(super) async fn clear(
        &self,
        connection: &ConnectionKey,
        unwanted: impl Fn(&str) -> bool,
        prefix: &str,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let query = self.table.entries(connection, prefix).projection_expression("#connection, entry").limit(1_000);
        let (mut pages, mut pace) = (self.table.pages(query), Pace::new(&self.table.clock));
        while let Some(keys) = pages.next().await? {
            let keys = keys.into_iter().filter(|key| entry_in(key).is_ok_and(&unwanted));
            let deletions = keys.map(delete).collect::<Result<Vec<WriteRequest>, _>>()?;
            for deletions in deletions.chunks(ITEMS_PER_WRITE) {
                pace.wait_for(deletions.len(), deadline).await?;
                self.table.write_batch(deletions.to_vec(), deadline).await?;
            }
        }
        Ok(())
    }
}

/// Lets writes through at [`UNITS_PER_SECOND`]; those of the first second at once, so that most batches wait for
/// nothing.
struct Pace<'a> {
    clock: &'a Clock,
    began: Timestamp,
    units: u64,
}

impl<'a> Pace<'a> {
    fn new(clock: &'a Clock) -> Self {
        Self { clock, began: clock.now(), units: 0 }
    }

    /// Waits until so many more units may be written.
    async fn wait_for(&mut self, units: usize, deadline: Timestamp) -> Result<(), StoreError> {
        self.units += units as u64;
        let behind = Duration::from_millis(self.units.saturating_sub(UNITS_PER_SECOND) * 1_000 / UNITS_PER_SECOND);
        let at = self.began + behind;
        if at <= self.clock.now() {
            return Ok(());
        }
        if at >= deadline {
            return Err(StoreError::Deadline { operation: "BatchWriteItem" });
        }
        self.clock.wait_until(at).await;
        Ok(())
    }
}
