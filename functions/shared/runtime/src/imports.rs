//! What importing and taking an import back have in common: one of them at a time writes to a connection, and how an
//! import is taken back.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use model::import::{Image, Reversal, fold_images};
use model::{ConnectionKey, Content, Customer, Status};
use store::{Clock, ImportRecord, Imports, Polls, Random, Shadow, StoreError, UpsertError};
use thiserror::Error;

/// The longest pause before somebody who waits for a lease looks again, in milliseconds.
const LONGEST_PAUSE: u64 = 250;
/// How many customers of an undo are restored under one renewal of the lease.
const UNDO_CHUNK: usize = 500;
/// How long an undo holds the lease without renewing it: longer than a chunk takes.
const UNDO_LEASE: Duration = Duration::from_secs(60);

/// The lease of connections that others import into: whose a row is, and who has which card number, can be said only
/// while nobody else adds customers.
#[derive(Clone, Debug)]
pub struct ImportLease {
    polls: Polls,
    clock: Clock,
    random: Random,
}

impl ImportLease {
    /// Leases in the control table.
    pub fn new(polls: Polls, clock: Clock, random: Random) -> Self {
        Self { polls, clock, random }
    }

    /// Takes the lease until `until`, waiting for whoever holds it until `patience` has come. Returns the name of its
    /// owner; `None` where another holds it all the time.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn take(
        &self,
        connection: &ConnectionKey,
        until: Timestamp,
        patience: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let owner = self.random.owner_id();
        loop {
            let now = self.clock.now();
            if self.polls.lease(connection, &owner, now, until).await? {
                return Ok(Some(owner));
            }
            let next = now + Duration::from_millis(1 + self.random.below(LONGEST_PAUSE));
            if next >= patience {
                return Ok(None);
            }
            self.clock.pass_until(next).await;
        }
    }

    /// Holds it longer. `false` where it ran out and another has it.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn renew(&self, connection: &ConnectionKey, owner: &str, until: Timestamp) -> Result<bool, StoreError> {
        self.polls.lease(connection, owner, self.clock.now(), until).await
    }

    /// Gives it back. What fails here costs those who wait no more than the lease's time.
    pub async fn release(&self, connection: &ConnectionKey, owner: &str) {
        if let Err(error) = self.polls.release(connection, owner).await {
            tracing::warn!(%connection, %error, "the lease was not given back and has to run out");
        }
    }
}

/// Takes imports back.
#[derive(Clone, Debug)]
pub struct Undo {
    shadow: Shadow,
    imports: Imports,
    lease: ImportLease,
    clock: Clock,
}

/// What an undo did, or would do: customers' ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndoReport {
    /// Customers who are again as they were before.
    pub restored: Vec<String>,
    /// Customers whom the import brought and who are deleted.
    pub removed: Vec<String>,
    /// Customers who were back already.
    pub already_back: Vec<String>,
    /// Customers who have changed since, and stay as they are.
    pub changed_since: Vec<String>,
}

/// An import that was not taken back, or not whole. It can be tried again: what is back stays back.
#[derive(Debug, Error)]
pub enum UndoError {
    /// The import kept no images.
    #[error("it was imported without an undo state")]
    NotSaved,
    /// Somebody imports all the time.
    #[error("another import or undo of this connection is under way; try again")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One customer could not be written.
    #[error("a customer could not be restored: {0}")]
    Customer(#[from] UpsertError),
}

impl Undo {
    /// Takes back imports of these tables.
    pub fn new(shadow: Shadow, imports: Imports, lease: ImportLease, clock: Clock) -> Self {
        Self { shadow, imports, lease, clock }
    }

    /// Says what an undo would do now, and changes nothing.
    ///
    /// # Errors
    /// Where the import kept no images, or the store fails before the deadline.
    pub async fn preview(
        &self,
        connection: &ConnectionKey,
        record: &ImportRecord,
        deadline: Timestamp,
    ) -> Result<UndoReport, UndoError> {
        let mut report = UndoReport::default();
        for chunk in self.images(connection, record, deadline).await? {
            let customers = self.read(connection, &chunk, deadline).await?;
            for (source_id, before) in customers {
                report.count(&chunk[&source_id], before.as_ref());
            }
        }
        Ok(report)
    }

    /// Puts every customer of an import back to how the import found it, unless it has changed since. Waits for imports
    /// that are under way. May be interrupted and done again.
    ///
    /// # Errors
    /// Where the import kept no images, or not everything could be done before the deadline.
    pub async fn carry_out(
        &self,
        connection: &ConnectionKey,
        record: &ImportRecord,
        deadline: Timestamp,
    ) -> Result<UndoReport, UndoError> {
        let until = self.clock.now() + UNDO_LEASE;
        let owner = self.lease.take(connection, until, deadline).await?.ok_or(UndoError::Busy)?;
        let report = self.restore_all(connection, &record.id, &owner, deadline).await;
        self.lease.release(connection, &owner).await;
        report
    }

    async fn restore_all(
        &self,
        connection: &ConnectionKey,
        import: &str,
        owner: &str,
        deadline: Timestamp,
    ) -> Result<UndoReport, UndoError> {
        // As it stands under the lease: the import may have gone on meanwhile.
        let record = self.imports.find(connection, import, deadline).await?.ok_or(UndoError::NotSaved)?;
        let mut report = UndoReport::default();
        for chunk in self.images(connection, &record, deadline).await? {
            if !self.lease.renew(connection, owner, self.clock.now() + UNDO_LEASE).await? {
                return Err(UndoError::Busy);
            }
            let customers = self.read(connection, &chunk, deadline).await?;
            let revise = |source_id: &str, stored: Option<&Customer>| {
                restored(chunk.get(source_id)?, stored.map(|customer| &customer.content))
            };
            for (source_id, revised) in self.shadow.revise_many(connection, customers, revise, deadline).await? {
                let (_, before) = revised?;
                report.count(&chunk[&source_id], before.as_ref());
            }
        }
        let undone = ImportRecord { undone_at: Some(record.undone_at.unwrap_or(self.clock.now())), ..record };
        self.imports.put(connection, &undone, deadline).await?;
        Ok(report)
    }

    async fn images(
        &self,
        connection: &ConnectionKey,
        record: &ImportRecord,
        deadline: Timestamp,
    ) -> Result<Vec<BTreeMap<String, Image>>, UndoError> {
        if !record.saves_undo {
            return Err(UndoError::NotSaved);
        }
        let images = fold_images(self.imports.images(connection, record, deadline).await?);
        let mut images = images.into_iter();
        let mut chunks = Vec::new();
        loop {
            let chunk: BTreeMap<String, Image> = images.by_ref().take(UNDO_CHUNK).collect();
            if chunk.is_empty() {
                return Ok(chunks);
            }
            chunks.push(chunk);
        }
    }

    async fn read(
        &self,
        connection: &ConnectionKey,
        chunk: &BTreeMap<String, Image>,
        deadline: Timestamp,
    ) -> Result<Vec<(String, Option<Customer>)>, StoreError> {
        let ids = chunk.keys().map(|source_id| (connection.clone(), source_id.clone()));
        let mut found: BTreeMap<String, Customer> = BTreeMap::new();
        for customer in self.shadow.get_many(ids, deadline).await? {
            found.insert(customer.source_id.clone(), customer);
        }
        Ok(chunk.keys().map(|source_id| (source_id.clone(), found.remove(source_id))).collect())
    }
}

fn restored(image: &Image, stored: Option<&Content>) -> Option<Content> {
    match image.reversal(stored) {
        Reversal::Restore(content) => Some(*content),
        Reversal::AlreadyBack | Reversal::ChangedSince => None,
    }
}

impl UndoReport {
    /// Counts a customer of whom `before` was stored when it was looked at.
    fn count(&mut self, image: &Image, before: Option<&Customer>) {
        let group = match image.reversal(before.map(|customer| &customer.content)) {
            Reversal::Restore(content) if content.status == Status::Deleted => &mut self.removed,
            Reversal::Restore(_) => &mut self.restored,
            Reversal::AlreadyBack => &mut self.already_back,
            Reversal::ChangedSince => &mut self.changed_since,
        };
        group.push(image.source_id.clone());
    }
}
