//! Triggered by SQS. Takes chunks of a batch, asks Association Anywhere for the customers in them, and merges what it
//! answers into the shadow.
//!
//! | reads | writes |
//! |---|---|
//! | chunks of the ledger, connections, the source's details, versions and hashes of the shadow | the shadow, failure records, the ledger |
//!
//! **When it fails** the chunk stays in the ledger with what is left of it, and is sent again. Only a message that
//! can't be read, and a store that can't be reached, are reported to SQS.

mod chunk;

use std::sync::Arc;

use config::{AssociationAnywhereConfig as Settings, Connection};
use futures::future::BoxFuture;
use jiff::Timestamp;
use lambda::{Clients, Environment, EnvironmentError, Function, Metrics, QueueHandler};
use sources::association_anywhere::AssociationAnywhereClient;
use store::{
    ChunkKey, Clock, ConnectionRegistry, ConnectionStates, DeletionLimit, Failures, LastError, Ledger, Random, Shadow,
    StoreError,
};
use tracing::Instrument;

use crate::chunk::ChunkWork;

/// Builds the function.
///
/// # Errors
/// If a variable of its environment is missing: see [`FetchCustomers::new`].
pub fn function(environment: &Environment, clients: Clients) -> Result<Function, EnvironmentError> {
    Ok(Function::Queue(Arc::new(FetchCustomers::new(environment, clients)?)))
}

/// The function.
#[derive(Clone, Debug)]
pub struct FetchCustomers {
    registry: ConnectionRegistry,
    ledger: Ledger,
    states: ConnectionStates,
    failures: Failures,
    shadow: Shadow,
    deletion_limit: DeletionLimit,
    source: AssociationAnywhereClient,
    clock: Clock,
    random: Random,
    metrics: Metrics,
}

impl QueueHandler for FetchCustomers {
    fn work<'a>(&'a self, message: &'a str, deadline: Timestamp) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let key = ChunkKey::from_message(message)?;
            let span = key.span();
            self.work_on(key, deadline).instrument(span).await
        })
    }
}

impl FetchCustomers {
    /// The function with the tables that its environment names: `CONTROL_TABLE`, `SHADOW_TABLE`.
    ///
    /// # Errors
    /// If a variable is missing.
    pub fn new(environment: &Environment, clients: Clients) -> Result<Self, EnvironmentError> {
        let tables = clients.tables(environment)?;
        let Clients { secrets, http, clock, random, metrics, .. } = clients;
        Ok(Self {
            registry: tables.registry(),
            states: tables.states(),
            deletion_limit: tables.deletion_limit(),
            ledger: tables.ledger(),
            failures: tables.failures(),
            shadow: tables.shadow(),
            source: AssociationAnywhereClient::new(http, secrets, tables.limiter(), clock.clone()),
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
        let connection = Connection::<Settings>::from_registration(&registration)?;
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
        // On the heap: with all its steps it is a large future, and there is one for every message.
        Box::pin(ChunkWork::new(self, &connection, &chunk, deadline).run()).await
    }
}
