//! Works on chunks, whatever the source: a message names a chunk of the ledger, a worker takes its lease, and settles
//! the result. How that is done for one kind of system is a [`Work`].
//!
//! A message is a hint. What is not settled stays in the ledger, and is sent again.

use config::{Connection, Settings};
use futures::future::BoxFuture;
use jiff::Timestamp;
use lambda::{Clients, Environment, EnvironmentError, Metrics, QueueHandler};
use model::ConnectionKey;
use store::{
    ChunkKey, Failure, LastError, LeasedChunk, Message, PollPurpose, PollRequest, PollRequests, Settlement, StoreError,
    Tables,
};
use tracing::Instrument;

/// How the chunks of one kind of system are worked on.
pub trait Work: Send + Sync + 'static {
    /// How such a system is reached.
    type Settings: Settings + Send + Sync + 'static;

    /// The worker that it uses.
    fn worker(&self) -> &Worker;

    /// Works on a chunk with its lease held until `deadline`, and settles or releases it.
    ///
    /// # Errors
    /// If the store fails. What the system fails at is noted in the connection's state instead.
    fn work_on(
        &self,
        connection: &Connection<Self::Settings>,
        chunk: &LeasedChunk,
        deadline: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A function that works on chunks.
#[derive(Clone, Debug)]
pub struct Working<W>(pub W);

impl<W: Work> QueueHandler for Working<W> {
    fn work<'a>(&'a self, message: &'a str, deadline: Timestamp) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let key = ChunkKey::from_message(message)?;
            let span = key.span();
            self.0.worker().lease_and_work(&self.0, key, deadline).instrument(span).await
        })
    }
}

/// Takes chunks from the ledger, and returns their results to it.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The tables.
    pub tables: Tables,
    metrics: Metrics,
    /// The queue of the function that polls these connections.
    poll_requests: PollRequests,
}

impl Worker {
    /// A worker with the tables and the queue that the environment names: `CONTROL_TABLE`, `SHADOW_TABLE`,
    /// `POLL_REQUESTS_URL`.
    ///
    /// # Errors
    /// If a variable is missing.
    pub fn new(environment: &Environment, clients: &Clients) -> Result<Self, EnvironmentError> {
        let tables = clients.tables(environment)?;
        let requests_url = environment.required("POLL_REQUESTS_URL")?;
        let Clients { sqs, clock, random, metrics, .. } = clients;
        Ok(Self {
            tables,
            metrics: metrics.clone(),
            poll_requests: PollRequests::new(sqs.clone(), requests_url, clock.clone(), random.clone()),
        })
    }

    async fn lease_and_work<W: Work>(&self, work: &W, key: ChunkKey, deadline: Timestamp) -> Result<(), StoreError> {
        let Some(registration) = self.tables.registry.get(&key.connection).await? else {
            tracing::info!("the connection was taken out: its chunk is left alone");
            return Ok(());
        };
        let connection = Connection::from_registration(&registration)?;
        // Never longer than this invocation lives: a worker that takes the chunk later finds no writer of ours.
        let owner = self.tables.random.owner_id();
        let chunk = match self.tables.ledger.lease(key.clone(), &owner, deadline).await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok(()),
            Err(error @ StoreError::Corrupt { .. }) => return self.give_up(&key, &owner, &error).await,
            Err(error) => return Err(error),
        };
        if !self.tables.ledger.is_in_progress(&chunk.key).await? {
            tracing::info!("a chunk of a batch that is over");
            return self.tables.ledger.release(&chunk, self.tables.clock.now()).await;
        }
        // On the heap: with all its steps it is a large future, and there is one for every message.
        Box::pin(work.work_on(&connection, &chunk, deadline)).await
    }

    /// A chunk that can't be read would be sent again for ever: abandons its batch, and the next holds its customers.
    async fn give_up(&self, key: &ChunkKey, owner: &str, error: &StoreError) -> Result<(), StoreError> {
        tracing::error!(%error, "a chunk can't be read");
        if self.tables.ledger.give_up(key, owner).await? {
            let message = format!("batch {}: {error}; it was not acknowledged and is asked for again", key.batch);
            self.tables
                .states
                .mark_failed(&key.connection, &LastError { at: self.tables.clock.now(), message })
                .await?;
        }
        Ok(())
    }

    /// Settles the result of a chunk, and counts it in the metrics; `withheld` deletions were not carried out, because
    /// there were too many at once.
    ///
    /// # Errors
    /// If the store can't be written before the deadline.
    pub async fn settle(
        &self,
        chunk: &LeasedChunk,
        settlement: &Settlement,
        withheld: u64,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        if !self.tables.ledger.settle(chunk, settlement, deadline).await? {
            tracing::info!("another worker has the chunk: it counts what was done");
            return Ok(());
        }
        let counts = settlement.counts.by_name().into_iter().chain([("deletes_withheld", withheld)]);
        let counts: Vec<_> = counts.collect();
        self.metrics.count(&chunk.key.connection.to_string(), self.tables.clock.now(), &counts);
        if settlement.fetch.is_empty()
            && settlement.delete.is_empty()
            && self.tables.ledger.is_settled(&chunk.key).await?
        {
            self.request_acknowledgement(&chunk.key.connection, deadline).await;
        }
        Ok(())
    }

    /// Asks the poller to acknowledge the batch whose last chunk is settled. A hint: its next visit finds that anyway.
    async fn request_acknowledgement(&self, key: &ConnectionKey, deadline: Timestamp) {
        let request = PollRequest { purpose: PollPurpose::Batch, connections: vec![key.clone()] };
        if let Err(error) = self.poll_requests.send(vec![(0, request)], deadline).await {
            tracing::warn!(%error, "the acknowledgement could not be requested");
        }
    }

    /// Notes for the operator why a chunk is not done, and that `left` of its customers wait.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn report(&self, key: &ConnectionKey, message: String, left: usize) -> Result<(), StoreError> {
        tracing::warn!(message, left, "a chunk waits");
        self.tables.states.mark_failed(key, &LastError { at: self.tables.clock.now(), message }).await
    }

    /// Makes a failure record of a customer that can't be taken over; `raw` is what the source sent.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn fail(
        &self,
        key: &ConnectionKey,
        source_id: String,
        reason: String,
        raw: String,
    ) -> Result<(), StoreError> {
        tracing::warn!(reason, "a customer became a failure record");
        self.tables.failures.put(key, &Failure { source_id, reason, raw, failed_at: self.tables.clock.now() }).await
    }
}
