//! Live changes overtake a backfill: while a batch is worked on for long, its queue is asked what it has told since,
//! and those customers are fetched ahead of the others.
//!
//! A resync of a million customers takes hours, and stands in front of everything that changes meanwhile. So a look at
//! the queue, once or twice a minute, takes what stands behind the place where the batch's answer ended. Nothing is
//! acknowledged by that: these customers stay in the queue, and the next batch holds them again.

use std::time::Duration;

use config::{AssociationAnywhereConfig as Settings, Connection};
use jiff::Timestamp;
use model::{FIRST_CHUNK, Phase, dedupe_queue, split_into_chunks};
use polling::Poll;
use store::StoreError;

use crate::PollQueue;

/// From one look to the next: looks are planned each half minute.
const PAUSE: Duration = Duration::from_secs(30);
/// The same for a batch of more than [`MANY`] customers: the answer is as large as the queue.
const LONG_PAUSE: Duration = Duration::from_secs(60);
const MANY: u64 = 100_000;
/// How much earlier it may be: a schedule is not exact.
const EARLY: Duration = Duration::from_secs(5);
/// How many customers one look takes. More come with the next one.
const MOST: usize = 1_000;
/// Chunks that one transaction can write, beside the batch.
const MOST_CHUNKS: usize = 50;

impl PollQueue {
    /// Looks at the queue of an open batch, unless that was done lately. It goes on without the connection's lease, and
    /// changes nothing that a poller needs.
    pub(crate) async fn look_ahead(
        &self,
        connection: &Connection<Settings>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let Connection { key, settings } = connection;
        let ledger = &self.poller.tables.ledger;
        let Some(batch) = ledger.state(key).await?.latest else { return Ok(()) };
        let (Phase::Open, Some(end)) = (batch.phase, &batch.told_to) else { return Ok(()) };
        let pause = if batch.total > MANY { LONG_PAUSE } else { PAUSE };
        let before = self.poller.tables.clock.now() + EARLY - pause.max(Self::pause(settings));
        if batch.asked_at > before || !ledger.begin_look(key, &batch, before).await? {
            return Ok(());
        }
        let most = MOST.min(MOST_CHUNKS * settings.bulk_size as usize);
        let told = match self.source.queue(key, settings).await {
            // Who logs in otherwise may see another queue.
            Ok(queue) if batch.origin != Some(queue.origin()) => return Ok(()),
            Ok(queue) => queue.read_behind(end, most, deadline).await,
            Err(error) => Err(error),
        };
        let (customers, end) = match told {
            Ok(Some(told)) => told,
            Ok(None) => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "the queue can't be asked for what it told since the batch was opened");
                return Ok(());
            }
        };
        let customers = dedupe_queue(customers, Vec::new());
        let chunks: Vec<_> = split_into_chunks(&customers, settings.bulk_size as usize, batch.ahead).collect();
        if u64::from(batch.ahead) + chunks.len() as u64 > u64::from(FIRST_CHUNK) {
            return Ok(());
        }
        if ledger.add_ahead(key, &batch, &chunks, &end, deadline).await? {
            tracing::info!(batch = batch.number, customers = customers.len(), "fetching what was told meanwhile first");
        }
        Ok(())
    }
}
