//! Forgetting a connection that is not configured any more: what `customer-sync forget` does.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use model::ConnectionKey;
use store::{StoreError, Tables};
use thiserror::Error;

/// How long the connection is held against pollers and imports that still know it. After a crash, others wait so long.
const LEASE: Duration = Duration::from_secs(60);

/// Removes everything of a connection.
#[derive(Clone, Debug)]
pub struct Forgetting {
    tables: Tables,
}

/// Why a connection is not forgotten, or not whole: it can be repeated.
#[derive(Debug, Error)]
pub enum ForgetError {
    /// It is still configured.
    #[error("it is still registered: take it out of the file, and `customer-sync apply` that, before it is forgotten")]
    Registered,
    /// It was registered while its customers were removed.
    #[error(
        "it was registered again meanwhile: its customers and imports are removed, and everybody is asked for again; \
         systems that push or import have to send again what they sent"
    )]
    RegisteredMeanwhile,
    /// A poller, an import or an undo is at work on it.
    #[error("a function is still at work on it: try again in a minute")]
    Busy,
    /// Workers have chunks of it.
    #[error("workers still have customers of it, until {0} at the latest: try again then")]
    Leased(Timestamp),
    /// The store failed, or the deadline came.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How many items were removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Records of customers, with tombstones.
    pub customers: u64,
    /// Items of imports: claims, outcomes, undo images.
    pub import_items: u64,
    /// Items of the control table, by the first part of their entries, such as `failure`.
    pub entries: BTreeMap<String, u64>,
}

impl Forgetting {
    /// Works on these tables.
    pub fn new(tables: &Tables) -> Self {
        Self { tables: tables.clone() }
    }

    /// Checks that a connection is registered no longer.
    ///
    /// # Errors
    /// [`ForgetError::Registered`], or if the store can't be read.
    pub async fn check(&self, connection: &ConnectionKey) -> Result<(), ForgetError> {
        match self.tables.registry.get(connection).await? {
            Some(_) => Err(ForgetError::Registered),
            None => Ok(()),
        }
    }

    /// Removes everything of a connection, the control table's items last: so one that was forgotten in part is still
    /// found. What is gone already is not counted.
    ///
    /// # Errors
    /// If it must not be forgotten now: then nothing was removed. If it was registered meanwhile: then everybody is
    /// asked for again. If the store fails.
    pub async fn carry_out(&self, connection: &ConnectionKey, deadline: Timestamp) -> Result<Forgotten, ForgetError> {
        self.check(connection).await?;
        if let Some(until) = self.tables.ledger.leased_until(connection, u64::MAX).await? {
            return Err(ForgetError::Leased(until));
        }
        let (owner, now) = (self.tables.random.owner_id(), self.tables.clock.now());
        if self.tables.states.lease(connection, &owner, now, now + LEASE).await?.is_none() {
            return Err(ForgetError::Busy);
        }
        let customers = self.tables.removal.customers(connection, deadline).await?;
        let import_items = self.tables.removal.imports(connection, deadline).await?;
        if self.tables.registry.get(connection).await?.is_some() {
            // Its source does not tell by itself of whom it has told before.
            self.tables.states.request_resync(connection, self.tables.clock.now()).await?;
            return Err(ForgetError::RegisteredMeanwhile);
        }
        let mut entries = self.tables.removal.entries(connection, deadline).await?;
        // The lease itself made it, or the polls before.
        entries.remove("poll");
        Ok(Forgotten { customers, import_items, entries })
    }
}
