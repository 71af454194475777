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
use std::sync::Arc;
use std::time::Duration;

use config::{BusinessCatalystConfig as Settings, Connection};
use jiff::Timestamp;
use lambda::{Clients, Environment, EnvironmentError, Function};
use model::{ListedChange, ListedCustomer, Outcome, OutcomeCounts, Version};
use store::{Change, Found, IncomingChange, LeasedChunk, Settlement, StoreError, Tables, UpsertError};
use working::{Work, Worker, Working};

/// The part of the deadline that is kept for settling the chunk.
const MARGIN: Duration = Duration::from_secs(5);
/// When a chunk is retried that could not be stored.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Builds the function.
///
/// # Errors
/// If a variable of its environment is missing: see [`UpsertCustomers::new`].
pub fn function(environment: &Environment, clients: Clients) -> Result<Function, EnvironmentError> {
    Ok(Function::Queue(Arc::new(Working(UpsertCustomers::new(environment, &clients)?))))
}

/// The function.
#[derive(Clone, Debug)]
pub struct UpsertCustomers(Worker);

impl Work for UpsertCustomers {
    type Settings = Settings;

    fn worker(&self) -> &Worker {
        &self.0
    }

    async fn work_on(
        &self,
        connection: &Connection<Settings>,
        chunk: &LeasedChunk,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let Tables { ledger, clock, .. } = &self.0.tables;
        match self.merge(chunk, &connection.settings, deadline - MARGIN).await {
            Ok(None) => {
                tracing::info!("another worker has the chunk, or its batch is over");
                ledger.release(chunk, clock.now()).await
            }
            Ok(Some(Merged { counts, withheld })) => {
                let settlement = Settlement {
                    counts,
                    fetch: BTreeSet::new(),
                    delete: BTreeSet::new(),
                    retry_at: clock.now(),
                    unverified: false,
                };
                self.0.settle(chunk, &settlement, withheld, deadline).await
            }
            Err(error) => {
                self.0
                    .report(&connection.key, format!("shadow: {error}"), chunk.listed.len() + chunk.delete.len())
                    .await?;
                ledger.release(chunk, clock.now() + RETRY_AFTER).await
            }
        }
    }
}

impl UpsertCustomers {
    /// The function with the tables that its environment names: see [`Worker::new`].
    ///
    /// # Errors
    /// If a variable is missing.
    pub fn new(environment: &Environment, clients: &Clients) -> Result<Self, EnvironmentError> {
        Worker::new(environment, clients).map(Self)
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
                    self.0.fail(connection, source_id, reason, raw).await?;
                    counts.count(Outcome::Failed);
                    continue;
                }
            };
            incoming.push(IncomingChange { source_id, version, news });
        }
        let gone = incoming.iter().filter(|record| matches!(record.news, Change::Gone));
        let gone = gone.map(|record| record.source_id.clone()).collect();
        let percent = settings.most_deletes_percent;
        let Some(held_back) = self.0.tables.deletion_limit.holds_back(chunk, &gone, percent, deadline).await? else {
            return Ok(None);
        };
        incoming.retain(|record| !held_back.contains(&record.source_id));
        for source_id in &held_back {
            self.0.tables.deletion_limit.withhold(connection, source_id).await?;
            counts.count(Outcome::Failed);
        }
        let mut resolved = BTreeSet::new();
        let merged = self.0.tables.shadow.upsert(connection, incoming, deadline).await?;
        if let Some(later) = merged.overtaken_by {
            self.0.tables.ledger.note_overtaken(&chunk.key, later).await?;
        }
        for (source_id, outcome) in merged.outcomes {
            match outcome {
                Ok(outcome) => {
                    counts.count(outcome);
                    resolved.insert(source_id);
                }
                Err(UpsertError::Store(error)) => return Err(error),
                Err(error) => {
                    let raw = raw_of(chunk, &source_id);
                    self.0.fail(connection, source_id, error.to_string(), raw).await?;
                    counts.count(Outcome::Failed);
                }
            }
        }
        self.0.tables.failures.remove_resolved(connection, &resolved).await?;
        Ok(Some(Merged { counts, withheld: held_back.len() as u64 }))
    }

    /// The news of customers that a full listing no longer holds. A customer that is not stored any more is unchanged.
    async fn absent(
        &self,
        chunk: &LeasedChunk,
        deadline: Timestamp,
        counts: &mut OutcomeCounts,
    ) -> Result<Vec<IncomingChange>, StoreError> {
        let keys = chunk.delete.iter().map(|source_id| (chunk.key.connection.clone(), source_id.clone()));
        let Found { customers, unreadable } = self.0.tables.shadow.find_many(keys, deadline).await?;
        for _ in customers.len() + unreadable.len()..chunk.delete.len() {
            counts.count(Outcome::Unchanged);
        }
        let stored = customers.into_iter().map(|customer| customer.source_id);
        let gone = stored.chain(unreadable.into_iter().map(|id| id.source_id)).map(|source_id| IncomingChange {
            version: Version::of_batch(chunk.key.batch, Version::LAST_STEP),
            source_id,
            news: Change::Gone,
        });
        Ok(gone.collect())
    }
}

/// What became of a chunk.
struct Merged {
    counts: OutcomeCounts,
    /// How many deletions were not carried out, because there were too many at once.
    withheld: u64,
}

/// The raw document of a customer that can't be stored: as it was read, because the source's text is longer.
fn raw_of(chunk: &LeasedChunk, source_id: &str) -> String {
    let listed = chunk.listed.iter().find(|listed| listed.source_id == source_id);
    match listed.map(|listed| &listed.news) {
        Some(ListedChange::Present(content)) => content.canonical_json(),
        _ => String::new(),
    }
}
