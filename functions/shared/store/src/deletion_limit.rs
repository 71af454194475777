//! The deletion_limit on mass deletion, shared by all workers of a batch.
//!
//! Before tombstones are written, their number is reserved in the item of the batch, up to what
//! [`deletes_allowed`] says; in the same transaction the chunk notes for whom. So a chunk that
//! is worked on twice reserves once, and what crashed between reserving and writing is gone on with. Who is beyond it
//! becomes a failure record and keeps its customer record.

use std::collections::BTreeSet;

use jiff::Timestamp;
use model::{ALWAYS_ALLOWED, ConnectionKey, deletes_allowed};

use crate::backoff::Backoff;
use crate::ledger::Reservation;
use crate::{Clock, Failure, Failures, LeasedChunk, Ledger, Random, Shadow, StoreError};

/// Why a customer whose deletion waits is a failure record.
const WAITS: &str =
    "its deletion waits: more than `most_deletes_percent` of the connection's customers would go in one batch";

/// Lets deletions through up to a number, and makes failure records of the others.
#[derive(Clone, Debug)]
pub struct DeletionLimit {
    ledger: Ledger,
    shadow: Shadow,
    failures: Failures,
    clock: Clock,
    random: Random,
}

impl DeletionLimit {
    /// A deletion_limit over these parts of the store.
    pub fn new(ledger: Ledger, shadow: Shadow, failures: Failures, clock: Clock, random: Random) -> Self {
        Self { ledger, shadow, failures, clock, random }
    }

    /// Which of the customers of a chunk, who are gone by what the source says, must not be deleted now; `None` if
    /// the lease was lost, or the batch is over: then nobody must be deleted.
    ///
    /// `percent` is the connection's `most_deletes_percent`. Who is not stored, or deleted already, is not held back.
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
        let mut backoff = Backoff::until(&self.clock, &self.random, deadline);
        let mut is_first = true;
        loop {
            let Some(reserved) = self.ledger.deletes_reserved(&chunk.key).await? else { return Ok(None) };
            if is_first && reserved.is_confirmed {
                for source_id in self.failures.withheld_among(connection, &wanted).await? {
                    wanted.remove(&source_id);
                }
            }
            is_first = false;
            let allowed = match reserved.allowed {
                Some(allowed) => allowed,
                None if reserved.count + wanted.len() as u64 <= ALWAYS_ALLOWED => ALWAYS_ALLOWED,
                None => {
                    // With those whom this batch may have deleted already.
                    let customers = self.shadow.count_existing(connection).await? + reserved.count;
                    self.ledger.note_deletes_allowed(&chunk.key, deletes_allowed(customers, percent)).await?;
                    continue;
                }
            };
            let room = usize::try_from(allowed.saturating_sub(reserved.count)).unwrap_or(usize::MAX);
            let take: BTreeSet<String> = wanted.iter().take(room).cloned().collect();
            match self.ledger.reserve_deletes(chunk, &take, &reserved).await? {
                Reservation::Made => {
                    wanted.retain(|source_id| !take.contains(source_id));
                    return Ok(Some(wanted));
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
        let command = format!("`customer-sync resync {} --confirm-deletes` carries it out", connection.connection);
        let failure = Failure {
            source_id: source_id.to_owned(),
            reason: format!("{WAITS}; {command}"),
            raw: String::new(),
            failed_at: self.clock.now(),
        };
        self.failures.withhold(connection, &failure).await
    }
}
