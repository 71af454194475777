//! What an import and its undo have in common: one of them at a time writes to a connection. And the undo itself.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use model::ConnectionKey;
use store::{StoreError, Tables};

mod undo;

pub use undo::{Undo, UndoError, UndoProgress, UndoReport};

/// The longest pause before a waiting process tries to take the lease again, in milliseconds.
const LONGEST_PAUSE: u64 = 250;

/// The lease of connections that others import into: which customer a row means, and which one has a card number, is
/// certain only while no other process adds customers.
#[derive(Clone, Debug)]
pub struct ImportLease {
    tables: Tables,
}

impl ImportLease {
    /// Leases in these tables.
    pub fn new(tables: &Tables) -> Self {
        Self { tables: tables.clone() }
    }

    /// By how much the store's clock is ahead of this machine's; zero if the store does not report its time. Functions
    /// and the store have one time; an operator's machine may have another.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn store_is_ahead_by(&self, connection: &ConnectionKey) -> Result<SignedDuration, StoreError> {
        let time = self.tables.states.store_time(connection).await?;
        Ok(time.map_or(SignedDuration::ZERO, |time| time.duration_since(self.tables.clock.now())))
    }

    /// Whether an operator has paused the connection: nothing is imported then; undos go on.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn is_paused(&self, connection: &ConnectionKey) -> Result<bool, StoreError> {
        self.tables.states.is_paused(connection).await
    }

    /// Takes the lease for as long as `held`, by a clock that is `ahead` of this machine's; waits for another holder
    /// until `patience`. Returns the name of its owner; `None` if another holds it all the time.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn take(
        &self,
        connection: &ConnectionKey,
        held: Duration,
        ahead: SignedDuration,
        patience: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let owner = self.tables.random.owner_id();
        loop {
            if self.renew(connection, &owner, held, ahead).await? {
                return Ok(Some(owner));
            }
            let next = self.tables.clock.now() + Duration::from_millis(1 + self.tables.random.below(LONGEST_PAUSE));
            if next >= patience {
                return Ok(None);
            }
            self.tables.clock.wait_until(next).await;
        }
    }

    /// Renews the lease for as long as `held` from now on. `false` if it ran out and another has it.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn renew(
        &self,
        connection: &ConnectionKey,
        owner: &str,
        held: Duration,
        ahead: SignedDuration,
    ) -> Result<bool, StoreError> {
        let now = self.tables.clock.now() + ahead;
        self.tables.states.lease(connection, owner, now, now + held).await.map(|held| held.is_some())
    }

    /// Releases the lease. If that fails, others wait no longer than until the lease runs out.
    pub async fn release(&self, connection: &ConnectionKey, owner: &str) {
        if let Err(error) = self.tables.states.release(connection, owner).await {
            tracing::warn!(%connection, %error, "the lease was not given back and has to run out");
        }
    }
}
