//! Triggered by SQS. Takes chunks of a listing, and merges the customers in them into the shadow.
//!
//! | reads | writes |
//! |---|---|
//! | chunks of the ledger, connections, versions and hashes of the shadow | the shadow, failure records, the ledger |
//!
//! The customers stand in the ledger, not in the message: a message that is lost takes nothing with it.
//!
//! **When it fails** the chunk stays in the ledger and is sent again; what was written already is unchanged then. Only
//! a message that can't be read, and a store that can't be reached, are reported to SQS.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use jiff::Timestamp;
use model::{ConnectionKey, ListedCustomer, ListedNews, Outcome, Tally, Version};
use runtime::{Clients, Environment, Metrics, MissingVariable, each_message};
use store::{
    ChunkKey, Clock, Directory, Failure, Failures, Incoming, LastError, LeasedChunk, Ledger, News, Polls, Random,
    Settlement, Shadow, StoreError, UpsertError,
};

/// What is left of the deadline for settling the chunk.
const MARGIN: Duration = Duration::from_secs(5);
/// When a chunk is tried again that could not be stored.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The function.
#[derive(Clone, Debug)]
pub struct UpsertCustomers {
    directory: Directory,
    ledger: Ledger,
    polls: Polls,
    failures: Failures,
    shadow: Shadow,
    clock: Clock,
    random: Random,
    metrics: Metrics,
}

impl UpsertCustomers {
    /// The function with the tables that its environment names: `CONTROL_TABLE`, `SHADOW_TABLE`.
    ///
    /// # Errors
    /// Where a variable is missing.
    pub fn new(environment: &Environment, clients: Clients) -> Result<Self, MissingVariable> {
        let table = environment.required("CONTROL_TABLE")?;
        let shadow = environment.required("SHADOW_TABLE")?;
        let Clients { dynamodb, clock, random, metrics, .. } = clients;
        Ok(Self {
            directory: Directory::new(dynamodb.clone(), table),
            ledger: Ledger::new(dynamodb.clone(), table, clock.clone(), random.clone()),
            polls: Polls::new(dynamodb.clone(), table),
            failures: Failures::new(dynamodb.clone(), table),
            shadow: Shadow::new(dynamodb, shadow, clock.clone(), random.clone()),
            clock,
            random,
            metrics,
        })
    }

    /// Works on the chunks that the messages name, side by side.
    pub async fn run(&self, event: SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
        each_message(event, |body| async move { self.work(&body, deadline).await }).await
    }

    /// A chunk that can't be read would be sent again for ever: its batch is given up, and holds its customers again.
    async fn give_up(&self, key: &ChunkKey, owner: &str, error: &StoreError) -> Result<(), StoreError> {
        tracing::error!(connection = %key.connection, batch = key.batch, %error, "a chunk can't be read");
        if self.ledger.give_up(key, owner).await? {
            let message = format!("batch {}: {error}; it was not acknowledged and is asked for again", key.batch);
            self.polls.failed(&key.connection, &LastError { at: self.clock.now(), message }).await?;
        }
        Ok(())
    }

    async fn work(&self, body: &str, deadline: Timestamp) -> Result<(), StoreError> {
        let key = ChunkKey::from_message(body)?;
        if self.directory.get(&key.connection).await?.is_none() {
            tracing::info!(connection = %key.connection, "the connection was taken out: its chunk is left alone");
            return Ok(());
        }
        // Never longer than this invocation lives: whoever takes the chunk later finds no writer of ours.
        let owner = self.random.owner_id();
        let chunk = match self.ledger.lease(key.clone(), &owner, deadline).await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok(()),
            Err(error @ StoreError::Corrupt { .. }) => return self.give_up(&key, &owner, &error).await,
            Err(error) => return Err(error),
        };
        if !self.ledger.is_in_progress(&chunk.key).await? {
            tracing::info!(connection = %chunk.key.connection, batch = chunk.key.batch, "a chunk of a batch that is over");
            return self.ledger.give_back(&chunk, self.clock.now()).await;
        }
        let connection = &chunk.key.connection;
        match self.merge(&chunk, deadline - MARGIN).await {
            Ok(tally) => {
                let settlement = Settlement {
                    tally,
                    fetch: BTreeSet::new(),
                    delete: BTreeSet::new(),
                    retry_at: self.clock.now(),
                    unproven: false,
                };
                if self.ledger.settle(&chunk, &settlement, deadline).await? {
                    self.metrics.count(&connection.to_string(), self.clock.now(), &tally.by_name());
                } else {
                    tracing::info!(%connection, "another worker has the chunk: it counts what was done");
                }
            }
            Err(error) => {
                tracing::warn!(%connection, %error, "a chunk waits");
                let now = self.clock.now();
                let message = format!("shadow: {error}");
                self.polls.failed(connection, &LastError { at: now, message }).await?;
                self.ledger.give_back(&chunk, now + RETRY_AFTER).await?;
            }
        }
        Ok(())
    }

    /// Merges every customer of a chunk: all of them, or an error.
    async fn merge(&self, chunk: &LeasedChunk, deadline: Timestamp) -> Result<Tally, StoreError> {
        let connection = &chunk.key.connection;
        let mut tally = Tally::default();
        let mut incoming = self.absent(chunk, deadline, &mut tally).await?;
        for ListedCustomer { source_id, version, news } in chunk.listed.iter().cloned() {
            let news = match news {
                ListedNews::Present(content) => News::Present(content),
                ListedNews::Deleted => News::Gone,
                ListedNews::Unusable { reason, raw } => {
                    self.fail(connection, source_id, reason, raw).await?;
                    tally.count(Outcome::Failed);
                    continue;
                }
            };
            incoming.push(Incoming { source_id, version, news });
        }
        let mut resolved = BTreeSet::new();
        let merged = self.shadow.upsert(connection, incoming, deadline).await?;
        if let Some(later) = merged.overtaken_by {
            self.ledger.note_overtaken(&chunk.key, later).await?;
        }
        for (source_id, outcome) in merged.outcomes {
            match outcome {
                Ok(outcome) => {
                    tally.count(outcome);
                    resolved.insert(source_id);
                }
                Err(error @ UpsertError::TooLarge { .. }) => {
                    self.fail(connection, source_id, error.to_string(), String::new()).await?;
                    tally.count(Outcome::Failed);
                }
                Err(UpsertError::Store(error)) => return Err(error),
            }
        }
        self.failures.remove_resolved(connection, &resolved).await?;
        Ok(tally)
    }

    /// The news of customers that a full listing no longer holds. Who is not stored any more is unchanged.
    async fn absent(
        &self,
        chunk: &LeasedChunk,
        deadline: Timestamp,
        tally: &mut Tally,
    ) -> Result<Vec<Incoming>, StoreError> {
        let keys = chunk.delete.iter().map(|source_id| (chunk.key.connection.clone(), source_id.clone()));
        let stored = self.shadow.get_many(keys, deadline).await?;
        for _ in stored.len()..chunk.delete.len() {
            tally.count(Outcome::Unchanged);
        }
        let gone = stored.into_iter().map(|customer| Incoming {
            version: Version::of_batch(chunk.key.batch, Version::LAST_STEP),
            source_id: customer.source_id,
            news: News::Gone,
        });
        Ok(gone.collect())
    }

    async fn fail(
        &self,
        connection: &ConnectionKey,
        source_id: String,
        reason: String,
        raw: String,
    ) -> Result<(), StoreError> {
        tracing::warn!(%connection, reason, "a customer became a failure record");
        let failure = Failure { source_id, reason, raw, failed_at: self.clock.now() };
        self.failures.put(connection, &failure).await
    }
}
