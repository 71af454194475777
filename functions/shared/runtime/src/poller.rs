//! What polling functions have in common: every connection under its own lease, side by side, until the next tick's
//! poller has come.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use jiff::Timestamp;
use model::{Batch, BatchEvent, ConnectionKey};
use store::{ChunkKey, ChunkState, Clock, Directory, LastError, Ledger, Polls, Random, StoreError, WorkQueue};

use crate::connections::{Connection, Settings};
use crate::{Clients, Environment, Metrics, MissingVariable, Trouble};

/// How often the ledger of an open batch is looked at.
pub const WATCH_EVERY: Duration = Duration::from_secs(1);
/// A tick comes once a minute, and every poller goes on for a little longer: so there is always one.
const POLL_FOR: Duration = Duration::from_secs(65);
/// What a poller leaves of its deadline, to give its lease back.
const MARGIN: Duration = Duration::from_secs(3);
/// A poller that dies holds up the next one for so long at most.
const LEASE: Duration = Duration::from_secs(15);
/// How often the lease is renewed while a long step runs.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How one kind of system is polled.
pub trait Poll: Sync {
    /// How such a system is reached.
    type Settings: Settings + Sync;

    /// From one question to the next.
    fn pause(settings: &Self::Settings) -> Duration;

    /// Does what there is to do for one connection, whose lease is held meanwhile.
    ///
    /// # Errors
    /// Where the store fails, or somebody else has moved the batch on. What the system fails at is reported instead.
    fn step(
        &self,
        connection: &Connection<Self::Settings>,
        deadline: Timestamp,
    ) -> impl Future<Output = Result<Next, StoreError>> + Send;
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
    pub directory: Directory,
    /// The batch ledger.
    pub ledger: Ledger,
    /// Leases, and what the polls found.
    pub polls: Polls,
    /// Where workers hear of chunks.
    pub work_queue: WorkQueue,
    /// The time.
    pub clock: Clock,
    random: Random,
    /// Where it counts.
    pub metrics: Metrics,
}

impl Poller {
    /// A poller with the table and the queue that the environment names: `CONTROL_TABLE`, `WORK_QUEUE_URL`.
    ///
    /// # Errors
    /// Where a variable is missing.
    pub fn new(environment: &Environment, clients: &Clients) -> Result<Self, MissingVariable> {
        let table = environment.required("CONTROL_TABLE")?;
        let queue_url = environment.required("WORK_QUEUE_URL")?;
        let Clients { dynamodb, sqs, clock, random, metrics, .. } = clients;
        Ok(Self {
            directory: Directory::new(dynamodb.clone(), table),
            ledger: Ledger::new(dynamodb.clone(), table, clock.clone(), random.clone()),
            polls: Polls::new(dynamodb.clone(), table),
            work_queue: WorkQueue::new(sqs.clone(), queue_url, clock.clone(), random.clone()),
            clock: clock.clone(),
            random: random.clone(),
            metrics: metrics.clone(),
        })
    }

    /// One tick: polls every connection, side by side, until the next tick's poller has come or the deadline is near.
    ///
    /// # Errors
    /// Where the connections can't be read. What fails for one connection stands in its state and costs no other.
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
        let connections = Connection::all(&self.directory).await?;
        join_all(connections.iter().map(|connection| async move {
            // On the heap: with all its steps it is a large future, and there is one for every connection.
            let polling = Box::pin(self.poll_one(poll, connection, stop_at, deadline));
            match AssertUnwindSafe(polling).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(connection = %connection.key, %error, "polling ended early"),
                Err(_) => tracing::error!(connection = %connection.key, "polling caused a panic"),
            }
        }))
        .await;
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
        while stop_at.is_none_or(|stop_at| self.clock.now() < stop_at) {
            let next = match self.step(poll, connection, &owner, deadline).await {
                Ok(next) => next,
                // Somebody else has moved the batch on, or the store is busy: the next step looks anew.
                Err(error) => {
                    tracing::warn!(connection = %connection.key, %error, "a step failed");
                    Next::After(P::pause(&connection.settings))
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
        if let Some(fresh_as_of) = self.polls.state(&connection.key).await?.fresh_as_of {
            let now = self.clock.now();
            let seconds = u64::try_from(now.duration_since(fresh_as_of).as_secs()).unwrap_or(0);
            self.metrics.seconds(&connection.key.to_string(), now, &[("freshness", seconds)]);
        }
        self.polls.release(&connection.key, &owner).await
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
            loop {
                self.clock.sleep(HEARTBEAT).await;
                match self.renew(&connection.key, owner).await {
                    Ok(true) => {}
                    Ok(false) => return Ok(Next::After(WATCH_EVERY)),
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
        self.polls.lease(key, owner, now, now + LEASE).await
    }

    /// Tells the workers of chunks once more whose time has come: a message or a worker was lost.
    ///
    /// # Errors
    /// Where the store can't be written, or not all were sent before the deadline.
    pub async fn send_due(
        &self,
        key: &ConnectionKey,
        batch: u64,
        chunks: &[ChunkState],
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let due = chunks.iter().filter(|chunk| chunk.due_at <= now);
        let due: Vec<ChunkKey> =
            due.map(|state| ChunkKey { connection: key.clone(), batch, chunk: state.chunk }).collect();
        if due.is_empty() {
            return Ok(());
        }
        for chunk in &due {
            self.ledger.sent_again(chunk).await?;
        }
        tracing::info!(connection = %key, batch, chunks = due.len(), "sending chunks again");
        self.work_queue.send(due, deadline).await
    }

    /// When to look again, where workers still have chunks of a batch that is over: after `pause` at the latest.
    pub fn wait_for_workers(&self, key: &ConnectionKey, batch: u64, until: Timestamp, pause: Duration) -> Next {
        tracing::info!(connection = %key, batch, %until, "workers still have chunks of the last batch");
        let wait = Duration::try_from(until.duration_since(self.clock.now())).unwrap_or_default();
        Next::After(wait.min(pause))
    }

    /// Gives a batch up without acknowledging it: the next one holds all of it again.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn abandon(&self, key: &ConnectionKey, batch: &Batch, why: &str) -> Result<(), StoreError> {
        tracing::warn!(connection = %key, batch = batch.number, left = batch.left(), why, "abandoned a batch");
        self.ledger.advance(key, batch, BatchEvent::Abandoned).await?;
        let message = format!("batch {}: {why}; it was not acknowledged and is asked for again", batch.number);
        self.polls.failed(key, &LastError { at: self.clock.now(), message }).await
    }

    /// Notes what the system failed at, for the operator, and says when to ask again: after `pause` at the latest.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn report(
        &self,
        key: &ConnectionKey,
        request: &str,
        trouble: Trouble,
        pause: Duration,
    ) -> Result<Next, StoreError> {
        let now = self.clock.now();
        // What opened the breaker stands in the state already.
        if let Trouble::NotNow { until, .. } = &trouble {
            let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
            return Ok(Next::After(wait.min(pause)));
        }
        tracing::warn!(connection = %key, request, %trouble, "the vendor could not be asked");
        self.polls.failed(key, &LastError { at: now, message: format!("{request}: {trouble}") }).await?;
        Ok(Next::After(pause))
    }
}
