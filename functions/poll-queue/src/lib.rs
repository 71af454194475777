//! Triggered by SQS: messages of `schedule-polls`, and of the worker that settled the last chunk of a batch. Asks
//! Association Anywhere connections which customers changed, makes a batch of them, and purges the source's queue once
//! every customer of the batch has come to an end. Once an hour it compares some customers with the source, and tells
//! how many have drifted.
//!
//! | reads | writes |
//! |---|---|
//! | the source's queue, and details for the look for drift; connections, the batch ledger, requests to redrive and resync; some records of the shadow | the batch ledger, messages on SQS, the poll's state, the metric `drift`; the source's queue: the purge, and everybody for a resync |
//!
//! **When it fails** nothing is lost: a batch that was not completely opened is cleared and asked for again, a chunk
//! whose message or worker was lost is sent again, and a queue is purged only if it is seen to be still the one that
//! was read. The next message goes on from there.

mod acknowledge;
mod ahead;
mod drift;
mod resync;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use config::{AssociationAnywhereConfig as Settings, Connection};
use jiff::Timestamp;
use lambda::{Clients, Environment, EnvironmentError, Function};
use model::{
    Batch, BatchEvent, ConnectionKey, ContentHash, FIRST_CHUNK, NextAction, OutcomeCounts, PlantedFault, dedupe_queue,
    split_into_chunks,
};
use polling::{Ahead, FRONT, Next, Poll, Poller, Polling, Tended, aside};
use sources::SourceError;
use sources::association_anywhere::{AssociationAnywhereClient, QueueAnswer, UnusableEntry};
use store::{ConnectionState, Failure, LedgerState, StoreError, Tables};
use verification::association_anywhere::CustomersVerifier;

use crate::acknowledge::sample_of;

/// Why a listing is given up: the connection was of a kind that is listed.
const OF_ANOTHER_KIND: &str = "it is of another kind of connection";
/// How long an abandoned batch waits at least before it is asked for again.
const PAUSE_AFTER_ABANDONING: Duration = Duration::from_secs(10);
/// An answer of so many customers is read through within a millisecond: it needs no thread of its own.
const QUICKLY_READ: usize = 1_000;

/// Builds the function.
///
/// # Errors
/// If a variable of its environment is missing or is no number: see [`PollQueue::new`].
pub fn function(environment: &Environment, clients: Clients) -> Result<Function, EnvironmentError> {
    Ok(Function::Queue(Arc::new(Polling(PollQueue::new(environment, clients)?))))
}

/// The function.
#[derive(Clone, Debug)]
pub struct PollQueue {
    poller: Poller,
    source: AssociationAnywhereClient,
    verifier: CustomersVerifier,
    /// How many customers a look for drift compares; 0: there is none.
    drift_sample: usize,
}

impl PollQueue {
    /// The function with the tables and the queue that its environment names: `CONTROL_TABLE`, `SHADOW_TABLE`,
    /// `WORK_QUEUE_URL`. A look for drift compares `DRIFT_SAMPLE` customers.
    ///
    /// # Errors
    /// If a variable is missing, or is no number.
    pub fn new(environment: &Environment, clients: Clients) -> Result<Self, EnvironmentError> {
        let poller = Poller::new(environment, &clients)?;
        let Clients { secrets, http, clock, .. } = clients;
        let source = AssociationAnywhereClient::new(http, secrets, poller.tables.limiter.clone(), clock);
        Ok(Self {
            verifier: CustomersVerifier::new(&poller.tables, source.clone()).impatient(),
            source,
            poller,
            drift_sample: environment.number("DRIFT_SAMPLE")?,
        })
    }
}

/// What a queue answered.
#[derive(Debug)]
pub struct QueueNews {
    asked_at: Timestamp,
    origin: ContentHash,
    answer: QueueAnswer,
}

impl Poll for PollQueue {
    type Settings = Settings;
    type News = QueueNews;

    fn poller(&self) -> &Poller {
        &self.poller
    }

    fn pause(settings: &Settings) -> Duration {
        Duration::from_secs(u64::from(settings.poll_seconds))
    }

    async fn ask_ahead(
        &self,
        Connection { key, settings }: &Connection<Settings>,
        deadline: Timestamp,
    ) -> Result<Ahead<QueueNews>, SourceError> {
        // Requests in a row must keep the distance that the limiter would keep, because they don't pass it.
        if settings.max_requests_per_second * f64::from(settings.poll_seconds) < 1.0 {
            return Ok(Ahead::NotAsked);
        }
        let asked_at = self.poller.tables.clock.now();
        let queue = self.source.queue(key, settings).await?;
        let answer = queue.read_alone(deadline).await?;
        Ok(if answer.is_empty() {
            Ahead::Nothing
        } else {
            Ahead::News(QueueNews { asked_at, origin: queue.origin(), answer })
        })
    }

    async fn look(
        &self,
        connection: &Connection<Settings>,
        seen: &ConnectionState,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        if seen.has_batch {
            self.look_ahead(connection, deadline).await?;
        }
        if seen.may_be_verified(self.poller.tables.clock.now()) {
            self.look_for_drift(connection, seen, deadline).await?;
        }
        Ok(())
    }

    async fn tend(&self, connection: &Connection<Settings>, deadline: Timestamp) -> Result<Tended, StoreError> {
        let ledger = &self.poller.tables.ledger;
        let state = ledger.state(&connection.key).await?;
        Ok(match (Batch::next_action(state.latest.as_ref()), &state.latest) {
            (NextAction::WatchLedger, Some(batch)) => Tended::Batch(self.watch(connection, batch, deadline).await?),
            (NextAction::ClearOpening, Some(batch)) => {
                ledger.advance(&connection.key, batch, BatchEvent::Abandoned).await?;
                Tended::Batch(Next::Anew(Duration::ZERO))
            }
            (NextAction::GoOnListing, Some(batch)) => {
                self.poller.abandon(&connection.key, batch, OF_ANOTHER_KIND).await?;
                Tended::Batch(Next::Anew(Duration::ZERO))
            }
            _ => Tended::Nothing(Box::new(state)),
        })
    }

    async fn ask(
        &self,
        connection: &Connection<Settings>,
        LedgerState { latest, .. }: LedgerState,
        news: Option<QueueNews>,
        deadline: Timestamp,
    ) -> Result<Next, StoreError> {
        let Connection { key, settings } = connection;
        let state = self.poller.tables.states.state(key).await?;
        let refusal = self.carry_out_resync(connection, &state, deadline).await?;
        let news = match news {
            Some(news) => Ok(news),
            None => self.read_queue(connection, deadline).await,
        };
        match news {
            Ok(news) => {
                let confirmed = self.poller.confirm_request(key, &state).await?;
                let next = self.open(connection, latest.as_ref(), news, confirmed, deadline).await?;
                if let Some(refusal) = refusal {
                    // The answer of the queue has cleared it.
                    self.poller.tables.states.mark_failed(key, &refusal).await?;
                }
                Ok(next)
            }
            Err(error) => self.poller.report(key, "queue", error, Self::retry_pause(settings)).await,
        }
    }
}

impl PollQueue {
    async fn read_queue(
        &self,
        Connection { key, settings }: &Connection<Settings>,
        deadline: Timestamp,
    ) -> Result<QueueNews, SourceError> {
        let asked_at = self.poller.tables.clock.now();
        let queue = self.source.queue(key, settings).await?;
        Ok(QueueNews { asked_at, origin: queue.origin(), answer: queue.read(deadline).await? })
    }

    /// Opens a batch of the customers that changed, and of those that operators send again.
    async fn open(
        &self,
        connection: &Connection<Settings>,
        latest: Option<&Batch>,
        QueueNews { asked_at, origin, answer }: QueueNews,
        confirmed: Option<u64>,
        deadline: Timestamp,
    ) -> Result<Next, StoreError> {
        let Connection { key, settings } = connection;
        let Tables { ledger, states, .. } = &self.poller.tables;
        self.note_unusable(key, &answer.unusable).await?;
        let redriven = self.redriven(key).await?;
        let gone = match confirmed {
            Some(_) => self.poller.tables.failures.confirmed(key).await?,
            None => BTreeSet::new(),
        };
        let again = redriven.iter().cloned().chain(gone).collect();
        let sample = sample_of(&answer.customers, &answer.unusable);
        let told_to = ahead::told_to(&answer, answer.customers.len().div_ceil(settings.bulk_size as usize));
        // An empty queue has nothing to purge, whatever its number: entries may come up to it meanwhile.
        let queue_number = answer.queue_number.filter(|_| !sample.is_empty());
        let customers = if answer.customers.len() <= QUICKLY_READ {
            dedupe_queue(answer.customers, again)
        } else {
            aside(move || dedupe_queue(answer.customers, again)).await
        };
        if customers.is_empty() && answer.unusable.is_empty() {
            if let Some(request) = confirmed {
                states.confirmed(key, request).await?;
            }
            states.mark_synced(key, asked_at).await?;
            return Ok(Next::InSync);
        }
        states.mark_answered(key, asked_at).await?;
        let unusable = answer.unusable.len() as u64;
        let total = customers.len() as u64 + unusable;
        // They have come to an end already.
        let counts = OutcomeCounts { failed: unusable, ..OutcomeCounts::default() };
        let batch = Batch::following(latest, queue_number, asked_at, total);
        let batch = Batch { origin: Some(origin), confirmed, counts, told_to, ..batch };
        let last = latest.map_or(batch.number - 1, |last| last.number);
        if let Some(until) = ledger.leased_until(key, last).await? {
            return Ok(self.poller.wait_for_workers(last, until, Self::pause(settings)));
        }
        // Whatever an earlier batch left in the ledger was abandoned with it.
        ledger.clear_chunks(key, last, deadline).await?;
        ledger.begin(key, latest, &batch).await?;
        ledger.note_queued(key, batch.number, &sample).await?;
        self.poller.tables.failures.take_in_redrives(key, &redriven, batch.number).await?;
        let bulk_size = settings.bulk_size as usize;
        ledger.write_chunks(key, batch.number, split_into_chunks(&customers, bulk_size, FIRST_CHUNK), deadline).await?;
        ledger.advance(key, &batch, BatchEvent::ChunksWritten).await?;
        let chunks = u32::try_from(customers.len().div_ceil(bulk_size)).unwrap_or(u32::MAX);
        tracing::info!(batch = batch.number, customers = batch.total, chunks, "opened a batch");
        // The first look at it sends its chunks to the workers.
        Ok(Next::Now)
    }

    /// The customers that operators send again. An entry that names no customer can't be asked for.
    async fn redriven(&self, key: &ConnectionKey) -> Result<Vec<String>, StoreError> {
        let (unusable, redriven): (Vec<_>, Vec<_>) = self
            .poller
            .tables
            .failures
            .redrive_requests(key)
            .await?
            .into_iter()
            .partition(|source_id| source_id.starts_with(UnusableEntry::PREFIX));
        for source_id in unusable {
            self.poller.tables.failures.clear_redrive(key, &source_id).await?;
        }
        Ok(redriven)
    }

    /// Makes failure records of entries that name no customer: before they are purged, and again if the purge failed.
    async fn note_unusable(&self, key: &ConnectionKey, entries: &[UnusableEntry]) -> Result<(), StoreError> {
        for entry in entries {
            tracing::warn!(reason = entry.reason, "an entry of the queue became a failure record");
            let failure = Failure {
                source_id: entry.name.clone(),
                reason: entry.reason.to_owned(),
                raw: entry.raw.clone(),
                failed_at: self.poller.tables.clock.now(),
            };
            self.poller.tables.failures.put(key, &failure).await?;
        }
        Ok(())
    }

    /// Looks after an open batch: sends what is due, and acknowledges it once its ledger is empty.
    async fn watch(
        &self,
        connection: &Connection<Settings>,
        batch: &Batch,
        deadline: Timestamp,
    ) -> Result<Next, StoreError> {
        let key = &connection.key;
        let ledger = &self.poller.tables.ledger;
        let front = ledger.open_chunks(key, batch.number, FRONT).await?;
        if front.is_empty() || PlantedFault::AcknowledgesEarly.is_planted() {
            return self.acknowledge(connection, deadline).await;
        }
        if front.iter().all(|chunk| chunk.unverified) && ledger.all_unverified(key, batch.number).await? {
            // Only customers are left on which the source gives no answer, while no customer is known that could prove
            // its answers. They stay in the queue; a new batch may hold a customer that can.
            self.poller.abandon(key, batch, "no customer that is known to exist confirms the source's answers").await?;
            return Ok(Next::Anew(PAUSE_AFTER_ABANDONING));
        }
        self.poller.send_due(key, batch.number, &front, deadline).await
    }
}
