//! Live changes overtake a backfill: while a batch is worked on for long, its queue is asked what it has told since,
//! and those customers are fetched ahead of the others.
//!
//! A resync of a million customers takes hours, and stands in front of everything that changes meanwhile. So a look at
//! the queue, once or twice a minute, takes what stands behind the place where the batch's answer ended. Nothing is
//! acknowledged by that: these customers stay in the queue, and the next batch holds them again.

use std::time::Duration;

use config::{AssociationAnywhereConfig as Settings, Connection};
use jiff::Timestamp;
use model::{Batch, FIRST_CHUNK, Phase, QueueEnd, dedupe_queue, split_into_chunks};
use polling::Poll;
use sources::SourceError;
use sources::association_anywhere::QueueAnswer;
use store::{StoreError, Tables};

use crate::PollQueue;

/// A batch of fewer chunks is done before a look at its queue would be.
const FEW_CHUNKS: usize = 20;
/// From the end of one look to the next. Looks are planned each half minute, and a schedule is not exact.
const PAUSE: Duration = Duration::from_secs(25);
/// The same for a batch of more than [`MANY`] customers: the answer is as large as the queue.
const LONG_PAUSE: Duration = Duration::from_secs(50);
const MANY: u64 = 100_000;
/// How many times as long as an answer takes, and as a request's turn, the queue is left alone.
const REST: u32 = 10;
/// How long a look waits for its turn among the workers' requests.
const WAIT: Duration = Duration::from_secs(25);
/// How long a look takes at most: no other begins meanwhile.
const LONGEST_LOOK: Duration = Duration::from_secs(240);
/// How many customers one look takes. More come with the next one.
const MOST: usize = 1_000;
/// How many chunks those may be: fewer than a poller looks at, so that it sees those behind them, too.
const MOST_CHUNKS: usize = 20;

/// Up to where the answer tells that a batch of `chunks` chunks is made of; `None` if the batch is small.
pub(crate) fn told_to(answer: &QueueAnswer, chunks: usize) -> Option<QueueEnd> {
    let number = answer.queue_number.as_ref().filter(|_| chunks > FEW_CHUNKS)?;
    QueueEnd::of(number, &answer.customers)
}

impl PollQueue {
    /// Looks at the queue of an open batch, unless that was done lately, or customers that were told before are not
    /// done. It goes on without the connection's lease, and changes nothing that a poller needs.
    pub(crate) async fn look_ahead(
        &self,
        connection: &Connection<Settings>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let Connection { key, settings } = connection;
        let Tables { ledger, clock, .. } = &self.poller.tables;
        let Some(batch) = ledger.state(key).await?.latest else { return Ok(()) };
        let (Phase::Open, Some(end)) = (batch.phase, &batch.told_to) else { return Ok(()) };
        if clock.now() < batch.asked_at + PAUSE {
            return Ok(());
        }
        let first = ledger.open_chunks(key, batch.number, 1).await?;
        if first.first().is_none_or(|chunk| chunk.chunk < FIRST_CHUNK) {
            return Ok(());
        }
        let began = clock.now();
        let deadline = deadline.min(began + LONGEST_LOOK);
        if !ledger.begin_look(key, &batch, began + LONGEST_LOOK).await? {
            return Ok(());
        }
        if let Err(error) = self.add_told(connection, &batch, end, deadline).await? {
            tracing::info!(%error, "the queue was not asked what it told since the batch was opened");
        }
        let took = Duration::try_from(clock.now().duration_since(began)).unwrap_or_default();
        let turn = Duration::try_from_secs_f64(1.0 / settings.max_requests_per_second).unwrap_or(LONGEST_LOOK);
        let pause = if batch.total > MANY { LONG_PAUSE } else { PAUSE };
        let pause = pause.max(Self::pause(settings)).max(took.max(turn).min(LONGEST_LOOK) * REST);
        ledger.end_look(key, &batch, clock.now() + pause).await
    }

    /// Adds the customers that the queue has told since `end` to the batch, to be fetched first.
    async fn add_told(
        &self,
        connection: &Connection<Settings>,
        batch: &Batch,
        end: &QueueEnd,
        deadline: Timestamp,
    ) -> Result<Result<(), SourceError>, StoreError> {
        let Connection { key, settings } = connection;
        let Tables { ledger, clock, .. } = &self.poller.tables;
        let most = MOST.min(MOST_CHUNKS * settings.bulk_size as usize);
        let told = match self.source.queue(key, settings).await {
            // With another login it may be another queue.
            Ok(queue) if batch.origin != Some(queue.origin()) => return Ok(Ok(())),
            Ok(queue) => queue.read_behind(end, most, clock.now() + WAIT, deadline).await,
            Err(error) => Err(error),
        };
        let (customers, end) = match told {
            Ok(Some(told)) => told,
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        };
        let customers = dedupe_queue(customers, Vec::new());
        let chunks: Vec<_> = split_into_chunks(&customers, settings.bulk_size as usize, batch.ahead).collect();
        if u64::from(batch.ahead) + chunks.len() as u64 <= u64::from(FIRST_CHUNK)
            && ledger.add_ahead(key, batch, &chunks, &end, deadline).await?
        {
            tracing::info!(batch = batch.number, customers = customers.len(), "fetching what was told meanwhile first");
        }
        Ok(Ok(()))
    }
}
