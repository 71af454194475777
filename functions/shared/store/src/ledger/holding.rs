//! Which chunks hold a customer, for an operator who looks for it.

use jiff::Timestamp;
use model::ConnectionKey;

use super::item::read_chunk;
use super::{ChunkKey, Ledger};
use crate::StoreError;
use crate::item::Read;
use crate::table::entry_in;

/// A chunk that is not done and holds a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The number of its batch, which may be over: then the next batch clears the chunk.
    pub batch: u64,
    /// Its number in the batch.
    pub chunk: u32,
    /// Whether the customer is to be deleted.
    pub is_deletion: bool,
    /// From when on the chunk is to be sent to a worker.
    pub due_at: Option<Timestamp>,
    /// Until when a worker has it, or had it when it died.
    pub leased_until: Option<Timestamp>,
    /// Leases taken since it last came on.
    pub attempts: u64,
}

impl Ledger {
    /// The chunks that hold a customer. Reads every chunk of the connection that is not done.
    ///
    /// # Errors
    /// If the store can't be read, or a chunk is of a release whose chunks can't be read.
    pub async fn holding(&self, connection: &ConnectionKey, source_id: &str) -> Result<Vec<Holding>, StoreError> {
        let mut found = Vec::new();
        for item in self.table.query_all(self.table.entries(connection, "chunk/")).await? {
            let entry = entry_in(&item)?;
            let read = Read::new(entry, &item);
            let mut numbers = entry.split('/').skip(1);
            let corrupt = || StoreError::Corrupt { key: entry.to_owned(), attribute: "entry" };
            let batch = numbers.next().and_then(|digits| digits.parse().ok()).ok_or_else(corrupt)?;
            let chunk = numbers.next().and_then(|digits| digits.parse().ok()).ok_or_else(corrupt)?;
            let key = ChunkKey { connection: connection.clone(), batch, chunk };
            let listed = match self.listed(&key, &item).await {
                // The chunk was settled after it was read, and its contacts are gone.
                Err(StoreError::Corrupt { .. }) => Vec::new(),
                listed => listed?,
            };
            let held = read_chunk(&key, "", &item, listed)?;
            let is_listed = held.listed.iter().any(|customer| customer.source_id == source_id);
            let is_deletion = held.delete.contains(source_id);
            if is_listed || is_deletion || held.fetch.contains(source_id) {
                let (due_at, leased_until) = (read.optional_time("due_at")?, read.optional_time("lease_until")?);
                found.push(Holding { batch, chunk, is_deletion, due_at, leased_until, attempts: held.attempt });
            }
        }
        Ok(found)
    }
}
