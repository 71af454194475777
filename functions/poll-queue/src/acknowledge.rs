//! The acknowledgement of a batch whose customers have all come to an end.

use std::collections::BTreeSet;
use std::time::Duration;

use config::{AssociationAnywhereConfig as Settings, Connection};
use jiff::Timestamp;
use model::{Batch, BatchEvent, PlantedFault, QueueVerdict, QueuedCustomer, judge_queue};
use polling::{Next, Poll, WATCH_EVERY};
use sources::SourceError;
use sources::association_anywhere::UnusableEntry;
use store::{StoreError, Tables};

use crate::{PAUSE_AFTER_ABANDONING, PollQueue};

/// How many customers of a batch are looked for in the queue before it is purged. A queue that was built anew, and
/// holds all but one in a hundred of a large batch, is taken for the same one once in 170 times.
const SAMPLE: usize = 512;
/// A look at the queue that takes longer is taken once more.
const SLOW_GLANCE: Duration = Duration::from_secs(10);
/// How often at most.
const MOST_GLANCES: u32 = 3;
/// How often a purge is tried at most.
const MOST_PURGES: u64 = 20;

/// After so many failed purges a new batch begins, which holds all of this one again: changes since then must not wait
/// for a purge that may never succeed. If the source answers, and does not confirm it, perhaps because all of the batch
/// was told again and there is nothing to clear, the new batch comes the sooner the fewer customers have to be fetched
/// once more.
fn most_purges(batch: &Batch, error: &SourceError) -> u64 {
    match error {
        SourceError::InvalidResponse { .. } => (batch.total / 100).clamp(2, MOST_PURGES),
        _ => MOST_PURGES,
    }
}

/// Some of the customers that a queue reported, spread over all of them.
pub(crate) fn sample_of(customers: &[QueuedCustomer], unusable: &[UnusableEntry]) -> BTreeSet<String> {
    let step = customers.len().div_ceil(SAMPLE).max(1);
    let customers = customers.iter().step_by(step).map(|customer| customer.source_id.clone());
    customers.chain(unusable.iter().take(SAMPLE).map(|entry| entry.name.clone())).collect()
}

impl PollQueue {
    /// No chunk is left: purges the source's queue with exactly this batch's number, and closes the batch.
    pub(crate) async fn acknowledge(
        &self,
        connection: &Connection<Settings>,
        deadline: Timestamp,
    ) -> Result<Next, StoreError> {
        let key = &connection.key;
        let Tables { ledger, states, .. } = &self.poller.tables;
        // Read after the ledger was seen empty: the counts are final.
        let Some(batch) = ledger.state(key).await?.latest else { return Ok(Next::Now) };
        if let Some(why) = batch.hindrance() {
            self.poller.abandon(key, &batch, &why).await?;
            return Ok(Next::Anew(WATCH_EVERY));
        }
        ledger.end_looks(key, &batch).await?;
        if let Some(queue_number) = &batch.queue_number
            && let Some(next) = self.purge(connection, &batch, queue_number, deadline).await?
        {
            return Ok(next);
        }
        self.poller.tables.failures.clear_redrives(key, batch.number).await?;
        if let Some(request) = batch.confirmed {
            states.confirmed(key, request).await?;
        }
        ledger.advance(key, &batch, BatchEvent::Acknowledged).await?;
        self.poller.tell_if_all_stale(key, &batch);
        states.mark_synced(key, batch.asked_at).await?;
        tracing::info!(batch = batch.number, customers = batch.total, "acknowledged a batch");
        Ok(Next::Now)
    }

    /// Purges the queue, if it is still the one that the batch was made of. `None` if nothing of the batch is left
    /// in it; otherwise the batch is not to be acknowledged now.
    async fn purge(
        &self,
        connection: &Connection<Settings>,
        batch: &Batch,
        queue_number: &str,
        deadline: Timestamp,
    ) -> Result<Option<Next>, StoreError> {
        let Connection { key, settings } = connection;
        let queue = match self.source.queue(key, settings).await {
            Ok(queue) if batch.origin == Some(queue.origin()) => queue,
            Ok(_) => return self.doubt(connection, batch, "the connection was configured otherwise meanwhile").await,
            Err(error) => return self.poller.report(key, "queue", error, Self::retry_pause(settings)).await.map(Some),
        };
        let sample = self.poller.tables.ledger.queued(key, batch.number).await?;
        let clock = &self.poller.tables.clock;
        let mut glances = 0;
        let glance = loop {
            let asked_at = clock.now();
            glances += 1;
            match queue.glance(&sample, deadline).await {
                // It may have been built anew since a slow answer was made. A source that is always slow is believed.
                Ok(_) if clock.now() > asked_at + SLOW_GLANCE && glances < MOST_GLANCES => {}
                Ok(glance) => break glance,
                Err(error) => {
                    return self.poller.report(key, "queue", error, Self::retry_pause(settings)).await.map(Some);
                }
            }
        };
        match judge_queue(queue_number, glance.queue_number.as_deref(), sample.len(), glance.found) {
            QueueVerdict::NothingLeft => return Ok(None),
            QueueVerdict::Doubtful(why) => return self.doubt(connection, batch, why).await,
            QueueVerdict::Purge => {}
        }
        let up_to = match &glance.queue_number {
            Some(now) if PlantedFault::PurgesAll.is_planted() => now,
            _ => queue_number,
        };
        match queue.purge(up_to, deadline).await {
            Ok(()) => Ok(None),
            Err(error @ (SourceError::InvalidResponse { .. } | SourceError::Transient { .. })) => {
                let failed = self.poller.tables.ledger.purge_failed(key, batch).await?;
                if failed >= most_purges(batch, &error) {
                    let why = format!("{failed} purges failed, the last one so: {error}");
                    return self.doubt(connection, batch, &why).await;
                }
                self.poller.report(key, "purge", error, Self::retry_pause(settings)).await.map(Some)
            }
            Err(error) => self.poller.report(key, "purge", error, Self::retry_pause(settings)).await.map(Some),
        }
    }

    /// Abandons the batch: the queue is left as it is, and asked again.
    async fn doubt(
        &self,
        connection: &Connection<Settings>,
        batch: &Batch,
        why: &str,
    ) -> Result<Option<Next>, StoreError> {
        self.poller.abandon(&connection.key, batch, why).await?;
        Ok(Some(Next::Anew(PAUSE_AFTER_ABANDONING)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purge_that_is_not_confirmed_is_tried_the_more_often_the_more_customers_there_are_to_fetch_again() {
        let unconfirmed = SourceError::InvalidResponse { message: "no rows".to_owned() };
        let down = SourceError::Transient { until: Timestamp::UNIX_EPOCH, message: "503".to_owned() };
        for (total, most) in [(1, 2), (299, 2), (300, 3), (2_000, 20), (1_000_000, 20)] {
            let batch = Batch::following(None, None, Timestamp::UNIX_EPOCH, total);
            assert_eq!(most_purges(&batch, &unconfirmed), most, "{total} customers");
            assert_eq!(most_purges(&batch, &down), 20, "a source that is down says nothing of what is left");
        }
    }
}
