//! Asking for a resync: what `customer-sync resync` and `POST /v1/connections/{id}/resync` do.

use config::{AssociationAnywhereConfig, Connection, ConnectionKind, DESTINATION, Destination};
use jiff::Timestamp;
use model::{ConnectionKey, CustomerId};
use store::{Registration, StoreError, Tables};
use thiserror::Error;

/// Longer ids are no customer's: with what stands beside them they have no room in a key.
pub const MOST_BYTES_OF_AN_ID: usize = 900;

/// What is to be synchronised again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResyncWhat {
    /// Every customer.
    Everyone,
    /// The customer with this id in the source; for a destination, with this public id.
    Customer(String),
    /// The deletions that wait now: customers that are still gone are deleted.
    WithheldDeletes,
}

/// What the next poll does, because it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// It has the source put every customer into its queue.
    Enqueue,
    /// It lists every contact.
    List,
    /// It fetches the customer with this id, as a failure that is redriven: no queue is needed for that.
    Fetch(String),
    /// It carries out so many withheld deletions, if they are still gone.
    Deletes(u64),
    /// Everybody is sent to the destination again.
    Send,
    /// The customer with this public id is sent to the destination again.
    SendOne(String),
}

/// Why a resync can't be asked for.
#[derive(Debug, Error)]
pub enum ResyncError {
    /// Force enqueue is not configured.
    #[error("force enqueue: the connection has no `enqueue_url`")]
    NoEnqueueUrl,
    /// A contact list can't be asked for one contact.
    #[error("Business Catalyst can't be asked for one contact")]
    OneContact,
    /// Systems of this kind push to us.
    #[error("a connection of the kind {0} can't be synchronised again")]
    Push(&'static str),
    /// A newer release has registered it.
    #[error("its kind {0} is not known to this release")]
    UnknownKind(String),
    /// There is no withheld deletion.
    #[error("no deletion waits")]
    NoDeletes,
    /// The id is empty, or longer than any.
    #[error("this is no customer's id in the source")]
    BadCustomer,
    /// A destination knows customers by their public ids.
    #[error("this is no customer's id, CONNECTION~ID")]
    BadPublicId,
    /// Its `from` does not name the connection.
    #[error("the destination gets no customers of `{0}`")]
    NotFrom(String),
    /// It has no record, deleted or not.
    #[error("there is no such customer")]
    NoSuchCustomer,
    /// They are a matter of connections.
    #[error("a destination has no deletions that wait")]
    NoDeletesOfDestination,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Leaves requests for the pollers. It asks no source itself: a poller has the source's password, and the source may
/// let in the poller's address alone.
#[derive(Clone, Debug)]
pub struct Resyncs {
    tables: Tables,
}

impl Resyncs {
    /// Works on these tables.
    pub fn new(tables: &Tables) -> Self {
        Self { tables: tables.clone() }
    }

    /// Has the poller ask for one customer, or all, again: by the source's queue, or by a listing from the beginning.
    /// Or has it carry out the deletions that wait now with the next batch: what is withheld later goes on waiting.
    ///
    /// # Errors
    /// If the connection's kind or its settings do not allow it, or the store fails.
    pub async fn request(
        &self,
        registration: &Registration,
        what: &ResyncWhat,
        now: Timestamp,
    ) -> Result<Requested, ResyncError> {
        let key = &registration.key;
        if registration.kind == DESTINATION {
            return self.request_of_destination(registration, what, now).await;
        }
        let kind = ConnectionKind::from_name(&registration.kind)
            .ok_or_else(|| ResyncError::UnknownKind(registration.kind.clone()))?;
        if kind.is_push() {
            return Err(ResyncError::Push(kind.name()));
        }
        let is_queue = kind == ConnectionKind::AssociationAnywhere;
        match what {
            ResyncWhat::WithheldDeletes => {
                let withheld = self.tables.failures.withheld(key).await?;
                if withheld.is_empty() {
                    return Err(ResyncError::NoDeletes);
                }
                let count = withheld.len() as u64;
                let new = withheld.into_iter().filter(|(_, deletion)| !deletion.is_confirmed);
                self.tables.failures.confirm(key, new.map(|(source_id, _)| source_id).collect()).await?;
                self.tables.states.request_confirm(key, now).await?;
                Ok(Requested::Deletes(count))
            }
            ResyncWhat::Customer(_) if !is_queue => Err(ResyncError::OneContact),
            ResyncWhat::Customer(id) => {
                if id.trim().is_empty() || id.len() > MOST_BYTES_OF_AN_ID {
                    return Err(ResyncError::BadCustomer);
                }
                self.tables.failures.request_redrive(key, id, now).await?;
                Ok(Requested::Fetch(id.clone()))
            }
            ResyncWhat::Everyone => {
                if is_queue {
                    let settings = Connection::<AssociationAnywhereConfig>::from_registration(registration)?.settings;
                    settings.enqueue_url.ok_or(ResyncError::NoEnqueueUrl)?;
                }
                self.tables.states.request_resync(key, now).await?;
                Ok(if is_queue { Requested::Enqueue } else { Requested::List })
            }
        }
    }

    async fn request_of_destination(
        &self,
        destination: &Registration,
        what: &ResyncWhat,
        now: Timestamp,
    ) -> Result<Requested, ResyncError> {
        match what {
            ResyncWhat::WithheldDeletes => Err(ResyncError::NoDeletesOfDestination),
            ResyncWhat::Customer(id) => {
                let id_of_it = Some(id).filter(|id| id.len() <= MOST_BYTES_OF_AN_ID).and_then(|id| id.parse().ok());
                let Some(CustomerId { connection, source_id }) = id_of_it else {
                    return Err(ResyncError::BadPublicId);
                };
                let from = Destination::from_registration(destination)?.settings.from;
                if !from.contains(&connection) {
                    return Err(ResyncError::NotFrom(connection));
                }
                let key = ConnectionKey::new(&destination.key.tenant, &connection);
                if self.tables.shadow.get(&key, &source_id).await?.is_none() {
                    return Err(ResyncError::NoSuchCustomer);
                }
                self.tables.failures.request_redrive(&destination.key, id, now).await?;
                Ok(Requested::SendOne(id.clone()))
            }
            ResyncWhat::Everyone => {
                self.tables.states.request_resync(&destination.key, now).await?;
                Ok(Requested::Send)
            }
        }
    }
}
