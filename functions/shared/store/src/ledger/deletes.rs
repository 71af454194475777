//! How many deletions of a batch, and of abandoned batches before it, were reserved, and for which customers.
//!
//! | attribute | of | what |
//! |---|---|---|
//! | `deletes_reserved` | the batch | how many customers its chunks may delete so far |
//! | `deletes_allowed` | the batch | how many they may delete at most; missing until more than a few are wanted |
//! | `may_delete` | a chunk | the customers that it may delete |

use std::collections::BTreeSet;

use super::item::{chunk_entry, id_set};
use super::{BATCH, Ledger};
use crate::item::{Read, number, text};
use crate::table::{InTransaction, Transacted};
use crate::{ChunkKey, LeasedChunk, StoreError};

/// What the batch says of deletions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserved {
    /// How many are reserved.
    pub(crate) count: u64,
    /// How many may be reserved, if that was counted.
    pub(crate) allowed: Option<u64>,
    /// Whether it was opened to carry out the deletions that a person has confirmed.
    pub(crate) is_confirmed: bool,
}

/// How a reservation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reservation {
    /// It stands.
    Made,
    /// Another worker reserved in between, or the batch is over.
    Overtaken,
    /// Another worker has the chunk.
    LeaseLost,
}

impl Ledger {
    /// What the batch of a chunk says of deletions; `None` if that batch is over.
    pub(crate) async fn deletes_reserved(&self, key: &ChunkKey) -> Result<Option<Reserved>, StoreError> {
        let Some(item) = self.table.get(&key.connection, BATCH).await? else { return Ok(None) };
        let read = Read::new(BATCH, &item);
        if read.number::<u64>("batch_number")? != key.batch {
            return Ok(None);
        }
        Ok(Some(Reserved {
            count: read.number_or_zero("deletes_reserved")?,
            allowed: read.optional_number("deletes_allowed")?,
            is_confirmed: read.has("confirm_request"),
        }))
    }

    /// Notes how many customers the batch of a chunk may delete, unless that was noted already.
    pub(crate) async fn note_deletes_allowed(&self, key: &ChunkKey, allowed: u64) -> Result<(), StoreError> {
        let update = self
            .table
            .update(&key.connection, BATCH)
            .update_expression("SET deletes_allowed = if_not_exists(deletes_allowed, :allowed)")
            .condition_expression("batch_number = :number")
            .expression_attribute_values(":allowed", number(allowed))
            .expression_attribute_values(":number", number(key.batch));
        self.table.write_if(update).await
    }

    /// Reserves the deletion of `ids` for a chunk, if its batch still says what `reserved` says.
    pub(crate) async fn reserve_deletes(
        &self,
        chunk: &LeasedChunk,
        ids: &BTreeSet<String>,
        reserved: &Reserved,
    ) -> Result<Reservation, StoreError> {
        if ids.is_empty() {
            return Ok(Reservation::Made);
        }
        let all: BTreeSet<String> = chunk.may_delete.union(ids).cloned().collect();
        let of_chunk = self
            .table
            .update(&chunk.key.connection, &chunk_entry(&chunk.key))
            .update_expression("SET may_delete = :ids")
            .condition_expression("lease_owner = :owner")
            .expression_attribute_values(":owner", text(&chunk.owner))
            .expression_attribute_values(":ids", id_set(&all));
        let of_batch = self
            .table
            .update(&chunk.key.connection, BATCH)
            .update_expression("SET deletes_reserved = :after")
            .condition_expression("batch_number = :number AND (deletes_reserved = :before OR (:before = :none AND attribute_not_exists(deletes_reserved)))")
            .expression_attribute_values(":number", number(chunk.key.batch))
            .expression_attribute_values(":before", number(reserved.count))
            .expression_attribute_values(":after", number(reserved.count + ids.len() as u64))
            .expression_attribute_values(":none", number(0));
        let writes = vec![of_chunk.in_transaction()?, of_batch.in_transaction()?];
        match self.table.transact(None, writes).await? {
            Transacted::Done => Ok(Reservation::Made),
            Transacted::Refused(refused) if refused.first() == Some(&true) => Ok(Reservation::LeaseLost),
            Transacted::Refused(_) => Ok(Reservation::Overtaken),
        }
    }
}
