//! What polling functions have in common, beside the visit itself.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use model::{Batch, BatchEvent, ConnectionKey};
use store::{
    ChunkKey, ChunkState, ConnectionState, LastError, PollPurpose, PollRequest, PollRequests, StoreError, Tables,
    WorkQueue,
};

use lambda::{Clients, Environment, EnvironmentError, Metrics};
use sources::SourceError;
use sources::send_window::{self, SendWindow};

use crate::Next;

/// How many chunks of an open batch are looked at: twice as many as are under way, for a look is paid for by what it
/// reads. Those behind them come to the front as these are done.
pub const FRONT: i32 = 40;
/// How often the ledger of an open batch is looked at, if nothing waits to be sent.
pub const WATCH_EVERY: Duration = Duration::from_secs(1);
/// A poller that dies holds up the next one for at most this long.
pub(crate) const LEASE: Duration = Duration::from_secs(15);
/// How often the lease is renewed while a long step runs.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(5);
/// When a failed renewal is retried.
pub(crate) const HEARTBEAT_AGAIN: Duration = Duration::from_secs(1);
/// Polls connections, and looks after their ledgers.
#[derive(Clone, Debug)]
pub struct Poller {
    /// The tables.
    pub tables: Tables,
    /// The queue that sends chunks to the workers.
    pub work_queue: WorkQueue,
    /// The queue that asks this function to look at connections.
    poll_requests: PollRequests,
    /// The metrics that it counts in.
    pub metrics: Metrics,
    /// The chunks that were sent to the workers, of each connection whose lease is held.
    windows: Arc<Mutex<HashMap<ConnectionKey, SendWindow>>>,
    /// How many chunks of a new batch are under way before any of it was settled.
    first_window: usize,
}

impl Poller {
    /// A poller with the table and the queues that the environment names: `CONTROL_TABLE`, `WORK_QUEUE_URL`,
    /// `POLL_REQUESTS_URL`.
    ///
    /// # Errors
    /// If a variable is missing.
    pub fn new(environment: &Environment, clients: &Clients) -> Result<Self, EnvironmentError> {
        let tables = clients.tables(environment)?;
        let queue_url = environment.required("WORK_QUEUE_URL")?;
        let requests_url = environment.required("POLL_REQUESTS_URL")?;
        let Clients { sqs, clock, random, metrics, .. } = clients;
        Ok(Self {
            tables,
            work_queue: WorkQueue::new(sqs.clone(), queue_url, clock.clone(), random.clone()),
            poll_requests: PollRequests::new(sqs.clone(), requests_url, clock.clone(), random.clone()),
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

    /// The number of the request to carry out the deletions that are confirmed, if there is one. If the release before
    /// has made it, all that wait now are confirmed first: that is what it means.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn confirm_request(
        &self,
        key: &ConnectionKey,
        state: &ConnectionState,
    ) -> Result<Option<u64>, StoreError> {
        if state.confirm_requested.is_some() && !state.is_confirm_marked {
            let failures = &self.tables.failures;
            failures.confirm(key, failures.withheld(key).await?.into_keys().collect()).await?;
        }
        Ok(state.confirm_requested)
    }

    /// Takes the send window as the last poller left it.
    pub(crate) fn open_window(&self, key: &ConnectionKey, stored: Option<&str>) {
        self.windows().insert(key.clone(), SendWindow::from_stored(stored));
    }

    /// The send window for the next poller.
    pub(crate) fn close_window(&self, key: &ConnectionKey) -> Option<String> {
        self.windows().remove(key)?.to_stored()
    }

    /// Asks for looks at a batch that was just opened, until those that `schedule-polls` plans begin: often if chunks
    /// wait for a place among the workers, and otherwise in case one fails. They are hints.
    pub(crate) async fn request_looks(&self, key: &ConnectionKey, deadline: Timestamp) {
        let is_full = self.windows().get(key).is_some_and(SendWindow::is_full);
        let delays: Vec<u32> = if is_full { (1..=30).map(|look| 2 * look).collect() } else { vec![5, 20] };
        let request = PollRequest { purpose: PollPurpose::Batch, connections: vec![key.clone()] };
        let looks = delays.into_iter().map(|delay| (delay, request.clone())).collect();
        if let Err(error) = self.poll_requests.send(looks, deadline).await {
            tracing::warn!(%error, "looks at a batch could not be requested");
        }
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<ConnectionKey, SendWindow>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
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
        let now = self.tables.clock.now();
        let look = {
            let mut windows = self.windows();
            windows.entry(key.clone()).or_default().look(batch, front, now, self.first_window, WATCH_EVERY)
        };
        if look.send.is_empty() {
            return Ok(Next::After(look.again_after));
        }
        let chunk_key = |chunk: &u32| ChunkKey { connection: key.clone(), batch, chunk: *chunk };
        let sent = self.work_queue.send(look.send.iter().map(|chunk| (0, chunk_key(chunk))).collect(), deadline).await;
        if sent.is_err() {
            // It is unknown which of them were sent: the next look sends all again.
            self.windows().remove(key);
        }
        sent.map(|()| Next::After(look.again_after))
    }

    /// When to look again, if workers still have chunks of a batch that is over: after `pause` at the latest.
    pub fn wait_for_workers(&self, batch: u64, until: Timestamp, pause: Duration) -> Next {
        tracing::info!(batch, %until, "workers still have chunks of the last batch");
        let wait = Duration::try_from(until.duration_since(self.tables.clock.now())).unwrap_or_default();
        Next::After(wait.min(pause))
    }

    /// Warns of a batch that was acknowledged though all of its news were older than what is stored.
    pub fn tell_if_all_stale(&self, key: &ConnectionKey, batch: &Batch) {
        if batch.is_all_stale() {
            tracing::warn!(batch = batch.number, customers = batch.total, "a batch was all stale");
            self.metrics.count(&key.to_string(), self.tables.clock.now(), &[("stale_batches", 1)]);
        }
    }

    /// Abandons a batch without acknowledging it: the next one holds all of it again.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn abandon(&self, key: &ConnectionKey, batch: &Batch, why: &str) -> Result<(), StoreError> {
        tracing::warn!(batch = batch.number, left = batch.left(), why, "abandoned a batch");
        self.tables.ledger.advance(key, batch, BatchEvent::Abandoned).await?;
        let message = format!("batch {}: {why}; it was not acknowledged and is asked for again", batch.number);
        self.tables.states.mark_failed(key, &LastError { at: self.tables.clock.now(), message }).await
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
        let now = self.tables.clock.now();
        // The error that opened the breaker stands in the state already.
        if let SourceError::Throttled { until, .. } = &error {
            let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
            return Ok(Next::After(wait.min(pause)));
        }
        tracing::warn!(request, %error, "the source could not be asked");
        self.tables.states.mark_failed(key, &LastError { at: now, message: format!("{request}: {error}") }).await?;
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
