//! Triggered by a schedule. Asks every Association Anywhere connection which customers changed, makes a batch of
//! them, and purges the vendor's queue once every customer of the batch has come to an end.
//!
//! | reads | writes |
//! |---|---|
//! | the vendor's queue; connections, the batch ledger, redrive requests | the batch ledger, messages on SQS, the poll's state; the purge at the vendor |
//!
//! **When it fails** nothing is lost: a batch that was not wholly opened is cleared and asked for again, a chunk whose
//! message or worker was lost is sent again, and a purge that was not confirmed is repeated with the same number. The
//! next tick goes on where this one ended.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use jiff::Timestamp;
use model::{Batch, BatchEvent, Duty, cut, merge_queue};
use runtime::association_anywhere::AssociationAnywhere;
use runtime::connections::Connection;
use runtime::{Clients, Environment, Metrics, MissingVariable, Trouble};
use store::{
    ChunkKey, Clock, Directory, Failures, Gate, LastError, Ledger, LedgerState, Polls, Random, StoreError, WorkQueue,
};

/// A tick comes once a minute, and every poller goes on for a little longer: so there is always one.
const POLL_FOR: Duration = Duration::from_secs(65);
/// What a poller leaves of its deadline, to give its lease back.
const MARGIN: Duration = Duration::from_secs(3);
/// A poller that dies holds up the next one for so long at most.
const LEASE: Duration = Duration::from_secs(15);
/// How often the lease is renewed while a long step runs.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How often the ledger of an open batch is looked at.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// A batch that was abandoned is asked for again: no sooner than this.
const PAUSE_AFTER_ABANDONING: Duration = Duration::from_secs(10);
/// How many chunks of an open batch are looked at: those behind them come to the front as these are done.
const FRONT: i32 = 100;

/// The function.
#[derive(Clone, Debug)]
pub struct PollQueue {
    directory: Directory,
    ledger: Ledger,
    polls: Polls,
    failures: Failures,
    work_queue: WorkQueue,
    vendor: AssociationAnywhere,
    clock: Clock,
    random: Random,
    metrics: Metrics,
}

/// When the next step makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Now,
    After(Duration),
}

impl PollQueue {
    /// The function with the tables and the queue that its environment names: `CONTROL_TABLE`, `WORK_QUEUE_URL`.
    ///
    /// # Errors
    /// Where a variable is missing.
    pub fn new(environment: &Environment, clients: Clients) -> Result<Self, MissingVariable> {
        let table = environment.required("CONTROL_TABLE")?;
        let queue_url = environment.required("WORK_QUEUE_URL")?;
        let Clients { dynamodb, sqs, secrets, http, clock, random, metrics } = clients;
        let gate = Gate::new(dynamodb.clone(), table, clock.clone(), random.clone());
        Ok(Self {
            directory: Directory::new(dynamodb.clone(), table),
            ledger: Ledger::new(dynamodb.clone(), table, clock.clone(), random.clone()),
            polls: Polls::new(dynamodb.clone(), table),
            failures: Failures::new(dynamodb, table),
            work_queue: WorkQueue::new(sqs, queue_url, clock.clone(), random.clone()),
            vendor: AssociationAnywhere::new(http, secrets, gate, clock.clone()),
            clock,
            random,
            metrics,
        })
    }

    /// One tick: polls every connection, side by side, until the next tick's poller has come or the deadline is near.
    ///
    /// # Errors
    /// Where the connections can't be read. What fails for one connection stands in its state and costs no other.
    pub async fn run(&self, deadline: Timestamp) -> Result<(), StoreError> {
        let stop_at = (self.clock.now() + POLL_FOR).min(deadline - MARGIN);
        self.poll_all(Some(stop_at), deadline - MARGIN).await
    }

    /// Polls every connection, side by side, only until there is nothing to do at this moment.
    ///
    /// # Errors
    /// As [`PollQueue::run`].
    pub async fn run_once(&self, deadline: Timestamp) -> Result<(), StoreError> {
        self.poll_all(None, deadline - MARGIN).await
    }

    async fn poll_all(&self, stop_at: Option<Timestamp>, deadline: Timestamp) -> Result<(), StoreError> {
        let connections = Connection::all(&self.directory).await?;
        join_all(connections.iter().map(|connection| async move {
            // On the heap: with all its steps it is a large future, and there is one for every connection.
            let polling = Box::pin(self.poll(connection, stop_at, deadline));
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
    async fn poll(
        &self,
        connection: &Connection,
        stop_at: Option<Timestamp>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let owner = self.random.owner_id();
        let pause_between_polls = Duration::from_secs(u64::from(connection.settings.poll_seconds));
        while stop_at.is_none_or(|stop_at| self.clock.now() < stop_at) {
            let next = match self.step(connection, &owner, deadline).await {
                Ok(next) => next,
                // Somebody else has moved the batch on, or the store is busy: the next step looks anew.
                Err(error) => {
                    tracing::warn!(connection = %connection.key, %error, "a step failed");
                    Next::After(pause_between_polls)
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
    async fn step(&self, connection: &Connection, owner: &str, deadline: Timestamp) -> Result<Next, StoreError> {
        if !self.renew(connection, owner).await? {
            return Ok(Next::After(WATCH_EVERY));
        }
        let heartbeat = async {
            loop {
                self.clock.sleep(HEARTBEAT).await;
                match self.renew(connection, owner).await {
                    Ok(true) => {}
                    Ok(false) => return Ok(Next::After(WATCH_EVERY)),
                    Err(error) => return Err(error),
                }
            }
        };
        tokio::select! {
            next = self.do_duty(connection, deadline) => next,
            lost = heartbeat => lost,
        }
    }

    async fn renew(&self, connection: &Connection, owner: &str) -> Result<bool, StoreError> {
        let now = self.clock.now();
        self.polls.lease(&connection.key, owner, now, now + LEASE).await
    }

    async fn do_duty(&self, connection: &Connection, deadline: Timestamp) -> Result<Next, StoreError> {
        let LedgerState { latest, .. } = self.ledger.state(&connection.key).await?;
        match (Batch::duty(latest.as_ref()), latest) {
            (Duty::WatchLedger, Some(batch)) => self.watch(connection, &batch, deadline).await,
            (Duty::ClearOpening, Some(batch)) => {
                self.ledger.advance(&connection.key, &batch, BatchEvent::Abandoned).await?;
                Ok(Next::Now)
            }
            (_, latest) => self.ask(connection, latest.as_ref(), deadline).await,
        }
    }

    /// Asks the vendor who changed, and opens a batch of them.
    async fn ask(
        &self,
        connection: &Connection,
        latest: Option<&Batch>,
        deadline: Timestamp,
    ) -> Result<Next, StoreError> {
        let Connection { key, settings } = connection;
        let pause_between_polls = Duration::from_secs(u64::from(settings.poll_seconds));
        let asked_at = self.clock.now();
        let answer = match self.vendor.queue(key, settings, deadline).await {
            Ok(answer) => answer,
            Err(trouble) => return self.report(connection, "queue", trouble).await,
        };
        let redriven = self.failures.redrive_requests(key).await?.into_iter().map(|(source_id, _)| source_id);
        let customers = merge_queue(answer.customers, redriven.collect());
        if customers.is_empty() {
            self.polls.in_step(key, asked_at).await?;
            return Ok(Next::After(pause_between_polls));
        }
        self.polls.answered(key, asked_at).await?;
        let batch = Batch::following(latest, answer.queue_number, asked_at, customers.len() as u64);
        // Whatever an earlier batch left in the ledger was abandoned with it.
        self.ledger.clear_chunks(key, deadline).await?;
        self.ledger.begin(key, &batch).await?;
        let bulk_size = settings.bulk_size as usize;
        self.ledger.write_chunks(key, batch.number, cut(&customers, bulk_size), deadline).await?;
        self.ledger.advance(key, &batch, BatchEvent::ChunksWritten).await?;
        let chunks = u32::try_from(customers.len().div_ceil(bulk_size)).unwrap_or(u32::MAX);
        let chunk_key = |chunk| ChunkKey { connection: key.clone(), batch: batch.number, chunk };
        self.work_queue.send((0..chunks).map(chunk_key).collect(), deadline).await?;
        tracing::info!(connection = %key, batch = batch.number, customers = batch.total, chunks, "opened a batch");
        Ok(Next::After(WATCH_EVERY))
    }

    /// Looks after an open batch: sends again what is due, and acknowledges it once its ledger is empty.
    async fn watch(&self, connection: &Connection, batch: &Batch, deadline: Timestamp) -> Result<Next, StoreError> {
        let key = &connection.key;
        let front = self.ledger.front(key, batch.number, FRONT).await?;
        if front.is_empty() {
            return self.acknowledge(connection, deadline).await;
        }
        let now = self.clock.now();
        if front.iter().all(|chunk| chunk.unproven) && self.ledger.all_unproven(key, batch.number).await? {
            // Only customers are left of which the vendor says nothing, while nobody is known who could prove that it
            // says anything. They stay in its queue; a new batch may hold somebody who can.
            self.abandon(connection, batch, "nobody who is known to exist vouches for the vendor's answers").await?;
            return Ok(Next::After(PAUSE_AFTER_ABANDONING));
        }
        let due = front.iter().filter(|chunk| chunk.due_at <= now);
        let due: Vec<ChunkKey> =
            due.map(|state| ChunkKey { connection: key.clone(), batch: batch.number, chunk: state.chunk }).collect();
        if !due.is_empty() {
            for chunk in &due {
                self.ledger.sent_again(chunk).await?;
            }
            tracing::info!(connection = %key, batch = batch.number, chunks = due.len(), "sending chunks again");
            self.work_queue.send(due, deadline).await?;
        }
        Ok(Next::After(WATCH_EVERY))
    }

    /// No chunk is left: purges the vendor's queue with exactly this batch's number, and closes the batch.
    async fn acknowledge(&self, connection: &Connection, deadline: Timestamp) -> Result<Next, StoreError> {
        let Connection { key, settings } = connection;
        // Read after the ledger was seen empty: the counts are final.
        let Some(batch) = self.ledger.state(key).await?.latest else { return Ok(Next::Now) };
        if !batch.reconciles() {
            self.abandon(connection, &batch, "not every customer of the batch came to an end").await?;
            return Ok(Next::After(WATCH_EVERY));
        }
        if let Some(queue_number) = &batch.queue_number
            && let Err(trouble) = self.vendor.purge(key, settings, queue_number, deadline).await
        {
            return self.report(connection, "purge", trouble).await;
        }
        for (source_id, requested_at) in self.failures.redrive_requests(key).await? {
            // What was asked for before the batch was made stood in it, and has come to an end.
            if requested_at <= batch.asked_at {
                self.failures.clear_redrive(key, &source_id).await?;
            }
        }
        self.ledger.advance(key, &batch, BatchEvent::Acknowledged).await?;
        self.polls.in_step(key, batch.asked_at).await?;
        tracing::info!(connection = %key, batch = batch.number, customers = batch.total, "acknowledged a batch");
        Ok(Next::Now)
    }

    async fn abandon(&self, connection: &Connection, batch: &Batch, why: &str) -> Result<(), StoreError> {
        tracing::warn!(connection = %connection.key, batch = batch.number, left = batch.left(), why, "abandoned a batch");
        self.ledger.advance(&connection.key, batch, BatchEvent::Abandoned).await?;
        let message = format!("batch {}: {why}; it was not acknowledged and is asked for again", batch.number);
        self.polls.failed(&connection.key, &LastError { at: self.clock.now(), message }).await
    }

    /// Notes what the vendor failed at, for the operator, and says when to ask again.
    async fn report(&self, connection: &Connection, request: &str, trouble: Trouble) -> Result<Next, StoreError> {
        let pause_between_polls = Duration::from_secs(u64::from(connection.settings.poll_seconds));
        let now = self.clock.now();
        match &trouble {
            // What opened the breaker stands in the state already.
            Trouble::NotNow { until, .. } => {
                let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
                return Ok(Next::After(wait.min(pause_between_polls)));
            }
            Trouble::Store(_)
            | Trouble::Passing { .. }
            | Trouble::Unusable { .. }
            | Trouble::Panicked
            | Trouble::Secret(_) => {}
        }
        tracing::warn!(connection = %connection.key, request, %trouble, "the vendor could not be asked");
        let message = format!("{request}: {trouble}");
        self.polls.failed(&connection.key, &LastError { at: now, message }).await?;
        Ok(Next::After(pause_between_polls))
    }
}
