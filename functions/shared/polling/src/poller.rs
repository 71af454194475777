//! What polling functions have in common: every connection under its own lease, in a task of its own, until the next
//! tick's poller has come.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use model::{Batch, BatchEvent, ConnectionKey};
use store::{
    ChunkKey, ChunkState, Clock, ConnectionRegistry, ConnectionStates, LastError, Ledger, Random, StoreError, WorkQueue,
};
use tokio::task::JoinSet;

use config::{Connection, Settings};
use lambda::{Clients, Environment, EnvironmentError, Metrics, ScheduleHandler};
use sources::SourceError;
use sources::send_window::{self, SendWindow};
use tracing::Instrument;

/// How often the ledger of an open batch is looked at, if nothing waits to be sent.
pub const WATCH_EVERY: Duration = Duration::from_secs(1);
/// A tick comes once a minute, and every poller goes on for a little longer: so one is always running.
const POLL_FOR: Duration = Duration::from_secs(65);
/// The part of its deadline that a poller keeps for releasing its lease.
const MARGIN: Duration = Duration::from_secs(3);
/// A poller that dies holds up the next one for at most this long.
const LEASE: Duration = Duration::from_secs(15);
/// How often the lease is renewed while a long step runs.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// When a failed renewal is retried.
const HEARTBEAT_AGAIN: Duration = Duration::from_secs(1);
/// When a step is retried that failed at the store, or found that another poller has moved the batch on.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How one kind of system is polled.
pub trait Poll: Clone + Send + Sync + 'static {
    /// How such a system is reached.
    type Settings: Settings + Send + Sync + 'static;

    /// The poller that it uses.
    fn poller(&self) -> &Poller;

    /// The time from one question to the next.
    fn pause(settings: &Self::Settings) -> Duration;

    /// Does what there is to do for one connection, with its lease held meanwhile.
    ///
    /// # Errors
    /// If the store fails, or another poller has moved the batch on. What the system fails at is reported instead.
    fn step(
        &self,
        connection: &Connection<Self::Settings>,
        deadline: Timestamp,
    ) -> impl Future<Output = Result<Next, StoreError>> + Send;
}

/// A function that polls.
#[derive(Clone, Debug)]
pub struct Polling<P>(pub P);

impl<P: Poll> ScheduleHandler for Polling<P> {
    fn run(&self, deadline: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.0.poller().run(&self.0, deadline))
    }

    fn run_once(&self, deadline: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.0.poller().run_once(&self.0, deadline))
    }
}

/// When the next step makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once.
    Now,
    /// After a pause.
    After(Duration),
}

/// Polls connections, and looks after their ledgers.
#[derive(Clone, Debug)]
pub struct Poller {
    /// What is configured.
    pub registry: ConnectionRegistry,
    /// The batch ledger.
    pub ledger: Ledger,
    /// Leases, and what the polls found.
    pub states: ConnectionStates,
    /// The queue that sends chunks to the workers.
    pub work_queue: WorkQueue,
    /// The time.
    pub clock: Clock,
    random: Random,
    /// The metrics that it counts in.
    pub metrics: Metrics,
    /// The chunks of each connection that were sent to the workers.
    windows: Arc<Mutex<HashMap<ConnectionKey, SendWindow>>>,
    /// How many chunks of a new batch are under way before any of it was settled.
    first_window: usize,
}

impl Poller {
    /// A poller with the table and the queue that the environment names: `CONTROL_TABLE`, `WORK_QUEUE_URL`.
    ///
    /// # Errors
    /// If a variable is missing.
    pub fn new(environment: &Environment, clients: &Clients) -> Result<Self, EnvironmentError> {
        let tables = clients.tables(environment)?;
        let queue_url = environment.required("WORK_QUEUE_URL")?;
        let Clients { sqs, clock, random, metrics, .. } = clients;
        Ok(Self {
            registry: tables.registry(),
            ledger: tables.ledger(),
            states: tables.states(),
            work_queue: WorkQueue::new(sqs.clone(), queue_url, clock.clone(), random.clone()),
            clock: clock.clone(),
            random: random.clone(),
            metrics: metrics.clone(),
            windows: Arc::default(),
            first_window: send_window::FIRST,
        })
    }

    /// The same for workers that ask no source, which could hang: no chunks are held back until one has answered.
    #[must_use]
    pub fn for_chunks_that_hold_all(self) -> Self {
        Self { first_window: send_window::MOST, ..self }
    }

    /// One tick: polls every connection, side by side, until the next tick's poller has come or the deadline is near.
    ///
    /// # Errors
    /// If the connections can't be read. What fails for one connection stands in its state and costs no other.
    pub async fn run<P: Poll>(&self, poll: &P, deadline: Timestamp) -> Result<(), StoreError> {
        let stop_at = (self.clock.now() + POLL_FOR).min(deadline - MARGIN);
        self.poll_all(poll, Some(stop_at), deadline - MARGIN).await
    }

    /// Polls every connection, side by side, only until there is nothing to do at this moment.
    ///
    /// # Errors
    /// As [`Poller::run`].
    pub async fn run_once<P: Poll>(&self, poll: &P, deadline: Timestamp) -> Result<(), StoreError> {
        self.poll_all(poll, None, deadline - MARGIN).await
    }

    async fn poll_all<P: Poll>(
        &self,
        poll: &P,
        stop_at: Option<Timestamp>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        // A task for each: one that is busy, or hangs, takes no turn of another. All end with this future.
        let mut tasks = JoinSet::new();
        for connection in Connection::all(&self.registry).await? {
            let (poller, poll) = (self.clone(), poll.clone());
            let span = tracing::error_span!("poll", connection = %connection.key);
            let task = async move {
                let polling = poller.poll_one(&poll, &connection, stop_at, deadline);
                match AssertUnwindSafe(polling).catch_unwind().await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "polling ended early"),
                    Err(_) => tracing::error!("polling caused a panic"),
                }
            };
            tasks.spawn(task.instrument(span));
        }
        while tasks.join_next().await.is_some() {}
        Ok(())
    }

    /// Polls one connection until `stop_at`; without one, until the first pause.
    async fn poll_one<P: Poll>(
        &self,
        poll: &P,
        connection: &Connection<P::Settings>,
        stop_at: Option<Timestamp>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let owner = self.random.owner_id();
        let mut pause_after_failure = PAUSE_AFTER_FAILURE;
        while stop_at.is_none_or(|stop_at| self.clock.now() < stop_at) {
            let next = match self.step(poll, connection, &owner, deadline).await {
                Ok(next) => {
                    pause_after_failure = PAUSE_AFTER_FAILURE;
                    next
                }
                // Another poller has moved the batch on, or the store is busy: the next step looks anew. If that goes
                // on, no more is asked of the source than if all is well.
                Err(error) => {
                    tracing::warn!(%error, "a step failed");
                    let pause = pause_after_failure.min(P::pause(&connection.settings));
                    pause_after_failure = pause * 2;
                    Next::After(pause)
                }
            };
            match (next, stop_at) {
                (Next::Now, _) => {}
                (Next::After(pause), Some(stop_at)) => {
                    self.clock.sleep_until((self.clock.now() + pause).min(stop_at)).await;
                }
                (Next::After(_), None) => break,
            }
        }
        if let Some(fresh_as_of) = self.states.state(&connection.key).await?.fresh_as_of {
            let now = self.clock.now();
            let seconds = u64::try_from(now.duration_since(fresh_as_of).as_secs()).unwrap_or(0);
            self.metrics.seconds(&connection.key.to_string(), now, &[("freshness", seconds)]);
        }
        self.states.release(&connection.key, &owner).await
    }

    /// One step under the connection's lease, which is renewed while the step takes its time.
    async fn step<P: Poll>(
        &self,
        poll: &P,
        connection: &Connection<P::Settings>,
        owner: &str,
        deadline: Timestamp,
    ) -> Result<Next, StoreError> {
        if !self.renew(&connection.key, owner).await? {
            return Ok(Next::After(WATCH_EVERY));
        }
        let heartbeat = async {
            let (mut held_until, mut pause) = (self.clock.now() + LEASE, HEARTBEAT);
            loop {
                self.clock.sleep(pause).await;
                let renewed_at = self.clock.now();
                match self.renew(&connection.key, owner).await {
                    Ok(true) => (held_until, pause) = (renewed_at + LEASE, HEARTBEAT),
                    Ok(false) => return Ok(Next::After(WATCH_EVERY)),
                    // No other poller can have it before it has run out.
                    Err(error) if self.clock.now() < held_until => {
                        tracing::warn!(%error, "the lease could not be renewed yet");
                        pause = HEARTBEAT_AGAIN;
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        tokio::select! {
            next = poll.step(connection, deadline) => next,
            lost = heartbeat => lost,
        }
    }

    async fn renew(&self, key: &ConnectionKey, owner: &str) -> Result<bool, StoreError> {
        let now = self.clock.now();
        self.states.lease(key, owner, now, now + LEASE).await
    }

    /// Sends the chunks that are due to the workers, as many as the connection may have under way: see [`SendWindow`].
    /// `front` are the first chunks of the batch that are not done. Returns when to look again.
    ///
    /// # Errors
    /// If not all were sent before the deadline.
    pub async fn send_due(
        &self,
        key: &ConnectionKey,
        batch: u64,
        front: &[ChunkState],
        deadline: Timestamp,
    ) -> Result<Next, StoreError> {
        let now = self.clock.now();
        let look = {
            let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
            windows.entry(key.clone()).or_default().look(batch, front, now, self.first_window, WATCH_EVERY)
        };
        if look.send.is_empty() {
            return Ok(Next::After(look.again_after));
        }
        let chunk_key = |chunk: &u32| ChunkKey { connection: key.clone(), batch, chunk: *chunk };
        let sent = self.work_queue.send(look.send.iter().map(chunk_key).collect(), deadline).await;
        if sent.is_err() {
            // It is unknown which of them were sent: the next look sends all again.
            self.windows.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        }
        sent.map(|()| Next::After(look.again_after))
    }

    /// When to look again, if workers still have chunks of a batch that is over: after `pause` at the latest.
    pub fn wait_for_workers(&self, batch: u64, until: Timestamp, pause: Duration) -> Next {
        tracing::info!(batch, %until, "workers still have chunks of the last batch");
        let wait = Duration::try_from(until.duration_since(self.clock.now())).unwrap_or_default();
        Next::After(wait.min(pause))
    }

    /// Warns of a batch that was acknowledged though all of its news were older than what is stored.
    pub fn tell_if_all_stale(&self, key: &ConnectionKey, batch: &Batch) {
        if batch.is_all_stale() {
            tracing::warn!(batch = batch.number, customers = batch.total, "a batch was all stale");
            self.metrics.count(&key.to_string(), self.clock.now(), &[("stale_batches", 1)]);
        }
    }

    /// Abandons a batch without acknowledging it: the next one holds all of it again.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn abandon(&self, key: &ConnectionKey, batch: &Batch, why: &str) -> Result<(), StoreError> {
        tracing::warn!(batch = batch.number, left = batch.left(), why, "abandoned a batch");
        self.ledger.advance(key, batch, BatchEvent::Abandoned).await?;
        let message = format!("batch {}: {why}; it was not acknowledged and is asked for again", batch.number);
        self.states.mark_failed(key, &LastError { at: self.clock.now(), message }).await
    }

    /// Notes what the system failed at, for the operator, and says when to ask again: after `pause` at the latest.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn report(
        &self,
        key: &ConnectionKey,
        request: &str,
        error: SourceError,
        pause: Duration,
    ) -> Result<Next, StoreError> {
        let now = self.clock.now();
        // The error that opened the breaker stands in the state already.
        if let SourceError::Throttled { until, .. } = &error {
            let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
            return Ok(Next::After(wait.min(pause)));
        }
        tracing::warn!(request, %error, "the source could not be asked");
        self.states.mark_failed(key, &LastError { at: now, message: format!("{request}: {error}") }).await?;
        Ok(Next::After(pause))
    }
}

/// Runs work aside that keeps the processor busy for long, so that other connections go on meanwhile.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            // As if it had panicked here.
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and this future with it.
            Err(_) => pending().await,
        },
    }
}
