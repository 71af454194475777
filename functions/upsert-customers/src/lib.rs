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

use std::sync::Arc;

use config::{BusinessCatalystConfig as Settings, Connection};
use futures::future::BoxFuture;
use jiff::Timestamp;
use lambda::{Clients, Environment, EnvironmentError, Function, Metrics, QueueHandler};
use model::{ConnectionKey, ListedChange, ListedCustomer, Outcome, OutcomeCounts, Version};
use store::{
    Change, ChunkKey, Clock, ConnectionRegistry, ConnectionStates, DeletionLimit, Failure, Failures, IncomingChange,
    LastError, LeasedChunk, Ledger, Random, Settlement, Shadow, StoreError, UpsertError,
};
use tracing::Instrument;

/// What is left of the deadline for settling the chunk.
const MARGIN: Duration = Duration::from_secs(5);
/// When a chunk is tried again that could not be stored.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Builds the function.
///
/// # Errors
/// If a variable of its environment is missing: see [`UpsertCustomers::new`].
pub fn function(environment: &Environment, clients: Clients) -> Result<Function, EnvironmentError> {
    Ok(Function::Queue(Arc::new(UpsertCustomers::new(environment, clients)?)))
}

/// The function.
#[derive(Clone, Debug)]
pub struct UpsertCustomers {
    registry: ConnectionRegistry,
    ledger: Ledger,
    states: ConnectionStates,
    failures: Failures,
    shadow: Shadow,
    deletion_limit: DeletionLimit,
    clock: Clock,
    random: Random,
    metrics: Metrics,
}

impl QueueHandler for UpsertCustomers {
    fn work<'a>(&'a self, message: &'a str, deadline: Timestamp) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let key = ChunkKey::from_message(message)?;
            let span = key.span();
            self.work_on(key, deadline).instrument(span).await
        })
    }
}

impl UpsertCustomers {
    /// The function with the tables that its environment names: `CONTROL_TABLE`, `SHADOW_TABLE`.
    ///
    /// # Errors
    /// If a variable is missing.
    pub fn new(environment: &Environment, clients: Clients) -> Result<Self, EnvironmentError> {
        let tables = clients.tables(environment)?;
        let Clients { clock, random, metrics, .. } = clients;
        Ok(Self {
            registry: tables.registry(),
            states: tables.states(),
            deletion_limit: tables.deletion_limit(),
            ledger: tables.ledger(),
            failures: tables.failures(),
            shadow: tables.shadow(),
            clock,
            random,
            metrics,
        })
    }

    /// A chunk that can't be read would be sent again for ever: its batch is given up, and holds its customers again.
    async fn give_up(&self, key: &ChunkKey, owner: &str, error: &StoreError) -> Result<(), StoreError> {
        tracing::error!(%error, "a chunk can't be read");
        if self.ledger.give_up(key, owner).await? {
            let message = format!("batch {}: {error}; it was not acknowledged and is asked for again", key.batch);
            self.states.mark_failed(&key.connection, &LastError { at: self.clock.now(), message }).await?;
        }
        Ok(())
    }

    async fn work_on(&self, key: ChunkKey, deadline: Timestamp) -> Result<(), StoreError> {
        let Some(registration) = self.registry.get(&key.connection).await? else {
            tracing::info!("the connection was taken out: its chunk is left alone");
            return Ok(());
        };
        let settings = Connection::<Settings>::from_registration(&registration)?.settings;
        // Never longer than this invocation lives: whoever takes the chunk later finds no writer of ours.
        let owner = self.random.owner_id();
        let chunk = match self.ledger.lease(key.clone(), &owner, deadline).await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok(()),
            Err(error @ StoreError::Corrupt { .. }) => return self.give_up(&key, &owner, &error).await,
            Err(error) => return Err(error),
        };
        if !self.ledger.is_in_progress(&chunk.key).await? {
            tracing::info!("a chunk of a batch that is over");
            return self.ledger.release(&chunk, self.clock.now()).await;
        }
        let connection = &chunk.key.connection;
        match self.merge(&chunk, &settings, deadline - MARGIN).await {
            Ok(None) => {
                tracing::info!("another worker has the chunk, or its batch is over");
                self.ledger.release(&chunk, self.clock.now()).await?;
            }
            Ok(Some(Merged { counts, withheld })) => {
                let settlement = Settlement {
                    counts,
                    fetch: BTreeSet::new(),
                    delete: BTreeSet::new(),
                    retry_at: self.clock.now(),
                    unverified: false,
                };
                if self.ledger.settle(&chunk, &settlement, deadline).await? {
                    let withheld = [("deletes_withheld", withheld)];
                    let counts: Vec<_> = counts.by_name().into_iter().chain(withheld).collect();
                    self.metrics.count(&connection.to_string(), self.clock.now(), &counts);
                } else {
                    tracing::info!("another worker has the chunk: it counts what was done");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a chunk waits");
                let now = self.clock.now();
                let message = format!("shadow: {error}");
                self.states.mark_failed(connection, &LastError { at: now, message }).await?;
                self.ledger.release(&chunk, now + RETRY_AFTER).await?;
            }
        }
        Ok(())
    }

    /// Merges every customer of a chunk: all of them, or an error. `None` if the lease was lost, or the batch is
    /// over.
    async fn merge(
        &self,
        chunk: &LeasedChunk,
        settings: &Settings,
        deadline: Timestamp,
    ) -> Result<Option<Merged>, StoreError> {
        let connection = &chunk.key.connection;
        let mut counts = OutcomeCounts::default();
        let mut incoming = self.absent(chunk, deadline, &mut counts).await?;
        for ListedCustomer { source_id, version, news } in chunk.listed.iter().cloned() {
            let news = match news {
                ListedChange::Present(content) => Change::Present(content),
                ListedChange::Deleted => Change::Gone,
                ListedChange::Unusable { reason, raw } => {
                    self.fail(connection, source_id, reason, raw).await?;
                    counts.count(Outcome::Failed);
                    continue;
                }
            };
            incoming.push(IncomingChange { source_id, version, news });
        }
        let gone = incoming.iter().filter(|record| matches!(record.news, Change::Gone));
        let gone = gone.map(|record| record.source_id.clone()).collect();
        let percent = settings.most_deletes_percent;
        let Some(held_back) = self.deletion_limit.holds_back(chunk, &gone, percent, deadline).await? else {
            return Ok(None);
        };
        incoming.retain(|record| !held_back.contains(&record.source_id));
        for source_id in &held_back {
            self.deletion_limit.withhold(connection, source_id).await?;
            counts.count(Outcome::Failed);
        }
        let mut resolved = BTreeSet::new();
        let merged = self.shadow.upsert(connection, incoming, deadline).await?;
        if let Some(later) = merged.overtaken_by {
            self.ledger.note_overtaken(&chunk.key, later).await?;
        }
        for (source_id, outcome) in merged.outcomes {
            match outcome {
                Ok(outcome) => {
                    counts.count(outcome);
                    resolved.insert(source_id);
                }
                Err(error @ UpsertError::TooLarge { .. }) => {
                    let raw = raw_of(chunk, &source_id);
                    self.fail(connection, source_id, error.to_string(), raw).await?;
                    counts.count(Outcome::Failed);
                }
                Err(UpsertError::Store(error)) => return Err(error),
            }
        }
        self.failures.remove_resolved(connection, &resolved).await?;
        Ok(Some(Merged { counts, withheld: held_back.len() as u64 }))
    }

    /// The news of customers that a full listing no longer holds. Who is not stored any more is unchanged.
    async fn absent(
        &self,
        chunk: &LeasedChunk,
        deadline: Timestamp,
        counts: &mut OutcomeCounts,
    ) -> Result<Vec<IncomingChange>, StoreError> {
        let keys = chunk.delete.iter().map(|source_id| (chunk.key.connection.clone(), source_id.clone()));
        let stored = self.shadow.get_many(keys, deadline).await?;
        for _ in stored.len()..chunk.delete.len() {
            counts.count(Outcome::Unchanged);
        }
        let gone = stored.into_iter().map(|customer| IncomingChange {
            version: Version::of_batch(chunk.key.batch, Version::LAST_STEP),
            source_id: customer.source_id,
            news: Change::Gone,
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
        tracing::warn!(reason, "a customer became a failure record");
        let failure = Failure { source_id, reason, raw, failed_at: self.clock.now() };
        self.failures.put(connection, &failure).await
    }
}

/// What became of a chunk.
struct Merged {
    counts: OutcomeCounts,
    /// How many deletions were not carried out, for there were too many at once.
    withheld: u64,
}

/// What a chunk says of a customer whose record can't be stored: as it was read, for the source's own text is longer.
fn raw_of(chunk: &LeasedChunk, source_id: &str) -> String {
    let listed = chunk.listed.iter().find(|listed| listed.source_id == source_id);
    match listed.map(|listed| &listed.news) {
        Some(ListedChange::Present(content)) => content.canonical_json(),
        _ => String::new(),
    }
}
