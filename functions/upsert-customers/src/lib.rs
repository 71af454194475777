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
use runtime::connections::{BusinessCatalyst as Settings, Connection};
use runtime::{Clients, Environment, Metrics, MissingVariable, each_message};
use store::{
    Brake, ChunkKey, Clock, Directory, Failure, Failures, Incoming, LastError, LeasedChunk, Ledger, News, Polls,
    Random, Settlement, Shadow, StoreError, UpsertError,
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
    brake: Brake,
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
        let ledger = Ledger::new(dynamodb.clone(), table, clock.clone(), random.clone());
        let failures = Failures::new(dynamodb.clone(), table);
        let shadow = Shadow::new(dynamodb.clone(), shadow, clock.clone(), random.clone());
        Ok(Self {
            directory: Directory::new(dynamodb.clone(), table),
            polls: Polls::new(dynamodb, table),
            brake: Brake::new(ledger.clone(), shadow.clone(), failures.clone(), clock.clone(), random.clone()),
            ledger,
            failures,
            shadow,
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
        let Some(registration) = self.directory.get(&key.connection).await? else {
            tracing::info!(connection = %key.connection, "the connection was taken out: its chunk is left alone");
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
            tracing::info!(connection = %chunk.key.connection, batch = chunk.key.batch, "a chunk of a batch that is over");
            return self.ledger.give_back(&chunk, self.clock.now()).await;
        }
        let connection = &chunk.key.connection;
        match self.merge(&chunk, &settings, deadline - MARGIN).await {
            Ok(None) => {
                tracing::info!(%connection, "another worker has the chunk, or its batch is over");
                self.ledger.give_back(&chunk, self.clock.now()).await?;
            }
            Ok(Some(Merged { tally, withheld })) => {
                let settlement = Settlement {
                    tally,
                    fetch: BTreeSet::new(),
                    delete: BTreeSet::new(),
                    retry_at: self.clock.now(),
                    unproven: false,
                };
                if self.ledger.settle(&chunk, &settlement, deadline).await? {
                    let withheld = [("deletes_withheld", withheld)];
                    let counts: Vec<_> = tally.by_name().into_iter().chain(withheld).collect();
                    self.metrics.count(&connection.to_string(), self.clock.now(), &counts);
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

    /// Merges every customer of a chunk: all of them, or an error. `None` where the lease was lost, or the batch is over.
    async fn merge(
        &self,
        chunk: &LeasedChunk,
        settings: &Settings,
        deadline: Timestamp,
    ) -> Result<Option<Merged>, StoreError> {
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
        let gone = incoming.iter().filter(|record| matches!(record.news, News::Gone));
        let gone = gone.map(|record| record.source_id.clone()).collect();
        let percent = settings.most_deletes_percent;
        let Some(held_back) = self.brake.holds_back(chunk, &gone, percent, deadline).await? else { return Ok(None) };
        incoming.retain(|record| !held_back.contains(&record.source_id));
        for source_id in &held_back {
            self.brake.withhold(connection, source_id).await?;
            tally.count(Outcome::Failed);
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
                    let raw = raw_of(chunk, &source_id);
                    self.fail(connection, source_id, error.to_string(), raw).await?;
                    tally.count(Outcome::Failed);
                }
                Err(UpsertError::Store(error)) => return Err(error),
            }
        }
        self.failures.remove_resolved(connection, &resolved).await?;
        Ok(Some(Merged { tally, withheld: held_back.len() as u64 }))
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

/// What became of a chunk.
struct Merged {
    tally: Tally,
    /// How many deletions were not carried out, for there were too many at once.
    withheld: u64,
}

/// What a chunk says of a customer whose record can't be stored: as it was read, for the vendor's own text is longer.
fn raw_of(chunk: &LeasedChunk, source_id: &str) -> String {
    let listed = chunk.listed.iter().find(|listed| listed.source_id == source_id);
    match listed.map(|listed| &listed.news) {
        Some(ListedNews::Present(content)) => content.canonical_json(),
        _ => String::new(),
    }
}
