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
use jiff::Timestamp;
use lambda::{Clients, Environment, EnvironmentError, Function};
use sources::association_anywhere::AssociationAnywhereClient;
use store::{LeasedChunk, StoreError};
use working::{Work, Worker, Working};

use crate::chunk::ChunkWork;

/// Builds the function.
///
/// # Errors
/// If a variable of its environment is missing: see [`FetchCustomers::new`].
pub fn function(environment: &Environment, clients: Clients) -> Result<Function, EnvironmentError> {
    Ok(Function::Queue(Arc::new(Working(FetchCustomers::new(environment, clients)?))))
}

/// The function.
#[derive(Clone, Debug)]
pub struct FetchCustomers {
    worker: Worker,
    source: AssociationAnywhereClient,
}

impl FetchCustomers {
    /// The function with the tables that its environment names: see [`Worker::new`].
    ///
    /// # Errors
    /// If a variable is missing.
    pub fn new(environment: &Environment, clients: Clients) -> Result<Self, EnvironmentError> {
        let worker = Worker::new(environment, &clients)?;
        let Clients { secrets, http, clock, .. } = clients;
        let source = AssociationAnywhereClient::new(http, secrets, worker.tables.limiter.clone(), clock);
        Ok(Self { worker, source })
    }
}

impl Work for FetchCustomers {
    type Settings = Settings;

    fn worker(&self) -> &Worker {
        &self.worker
    }

    async fn work_on(
        &self,
        connection: &Connection<Settings>,
        chunk: &LeasedChunk,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        ChunkWork::new(self, connection, chunk, deadline).run().await
    }
}
