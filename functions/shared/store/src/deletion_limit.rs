//! The limit on mass deletion, shared by all workers of a batch.
//!
//! Before tombstones are written, their number is reserved in the item of the batch, up to what [`deletes_allowed`]
//! says; in the same transaction the chunk notes the ids. So a chunk that is worked on twice reserves once, and work
//! that crashed between reserving and writing goes on. A customer beyond the limit becomes a failure record and keeps
//! its customer record.
//!
//! A batch that is abandoned is asked for again by the next one. So that the limit does not let more through each time,
//! its reservations count for the next batch too, and a deletion that waits goes on waiting until a person confirms it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use model::{ALWAYS_ALLOWED, ConnectionKey, deletes_allowed};

use crate::ledger::Reservation;
use crate::{Failure, Failures, LeasedChunk, Ledger, Shadow, StoreError, Withheld, WithheldDeletion};

/// The reason in the failure record of a customer whose deletion waits.
const WAITS: &str =
    "its deletion waits: more than `most_deletes_percent` of the connection's customers would go in one batch";

/// Lets deletions through up to a number, and makes failure records of the others.
#[derive(Clone, Debug)]
pub struct DeletionLimit {
    pub(crate) ledger: Ledger,
    pub(crate) shadow: Shadow,
    pub(crate) failures: Failures,
}

impl DeletionLimit {
    /// Which customers of a chunk that the source says are gone must not be deleted now; `None` if the lease was lost,
    /// or the batch is over: then none may be deleted.
    ///
    /// `percent` is the connection's `most_deletes_percent`. Only stored customers that are not deleted are held back.
    ///
    /// # Errors
    /// If the store can't be read or written before the deadline.
    pub async fn holds_back(
        &self,
        chunk: &LeasedChunk,
        gone: &BTreeSet<String>,
        percent: u32,
        deadline: Timestamp,
    ) -> Result<Option<BTreeSet<String>>, StoreError> {
        let connection = &chunk.key.connection;
        let mut wanted = self.shadow.living(connection, gone, deadline).await?;
        wanted.retain(|source_id| !chunk.may_delete.contains(source_id));
        if percent >= 100 || wanted.is_empty() {
            return Ok(Some(BTreeSet::new()));
        }
        let Some(reserved) = self.ledger.deletes_reserved(&chunk.key).await? else { return Ok(None) };
        let withheld = self.failures.withheld_among(connection, &wanted).await?;
        let is_confirmed = |withheld: &WithheldDeletion| reserved.is_confirmed && withheld.is_confirmed;
        wanted.retain(|source_id| !withheld.get(source_id).is_some_and(is_confirmed));
        let is_limited = |source_id: &String| withheld.get(source_id).is_some_and(|it| it.why == Withheld::BeyondLimit);
        let (mut waiting, wanted): (BTreeSet<String>, BTreeSet<String>) = wanted.into_iter().partition(is_limited);
        let mut backoff = self.ledger.table.backoff(Some(deadline));
        loop {
            let Some(reserved) = self.ledger.deletes_reserved(&chunk.key).await? else { return Ok(None) };
            let allowed = match reserved.allowed {
                Some(allowed) => allowed,
                None if reserved.count + wanted.len() as u64 <= ALWAYS_ALLOWED => ALWAYS_ALLOWED,
                None => {
                    // With those that were deleted already.
                    let customers = self.shadow.count_existing(connection).await? + reserved.count;
                    self.ledger.note_deletes_allowed(&chunk.key, deletes_allowed(customers, percent)).await?;
                    continue;
                }
            };
            let room = usize::try_from(allowed.saturating_sub(reserved.count)).unwrap_or(usize::MAX);
            let take: BTreeSet<String> = wanted.iter().take(room).cloned().collect();
            match self.ledger.reserve_deletes(chunk, &take, &reserved).await? {
                Reservation::Made => {
                    waiting.extend(wanted.into_iter().filter(|source_id| !take.contains(source_id)));
                    return Ok(Some(waiting));
                }
                Reservation::LeaseLost => return Ok(None),
                // Another worker reserved at the same moment.
                Reservation::Overtaken if backoff.wait().await => {}
                Reservation::Overtaken => return Err(StoreError::Deadline { operation: "TransactWriteItems" }),
            }
        }
    }

    /// Makes a failure record of a customer whose deletion waits.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn withhold(&self, connection: &ConnectionKey, source_id: &str) -> Result<(), StoreError> {
        let command = format!("`resync {}` with `--confirm-deletes` carries it out", connection.connection);
        let failure = Failure {
            source_id: source_id.to_owned(),
            reason: format!("{WAITS}; {command}"),
            raw: String::new(),
            failed_at: self.ledger.table.clock.now(),
        };
        self.failures.withhold(connection, &failure, Withheld::BeyondLimit).await
    }
}
