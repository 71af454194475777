use anyhow::{Result, bail};
use config::{AssociationAnywhereConfig, Connection, ConnectionKind};
use store::Registration;

use crate::Target;

/// What is to be synchronised again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResyncWhat {
    /// Every customer.
    Everyone,
    /// The customer with this id in the source.
    Customer(String),
    /// The withheld deletions: customers that are still gone are deleted.
    WithheldDeletes,
}

/// Has the poller ask for one customer, or all, again: by the source's queue, or by a listing from the beginning. Or
/// has it carry out the withheld deletions with the next batch. It asks no source itself.
///
/// # Errors
/// If there is no such connection, or its kind can't do it.
pub async fn resync(target: &Target, connection: &str, what: &ResyncWhat) -> Result<()> {
    let found = &super::connection(target, connection).await?;
    let Some(kind) = ConnectionKind::from_name(&found.kind) else {
        bail!("connection `{connection}`: its kind {} is not known to this release", found.kind);
    };
    match (kind, what) {
        (ConnectionKind::AssociationAnywhere | ConnectionKind::BusinessCatalyst, ResyncWhat::WithheldDeletes) => {
            confirm_deletes(target, found).await
        }
        (ConnectionKind::AssociationAnywhere, ResyncWhat::Customer(customer)) => {
            fetch_again(target, found, customer).await
        }
        (ConnectionKind::AssociationAnywhere, ResyncWhat::Everyone) => enqueue_everyone(target, found).await,
        (ConnectionKind::BusinessCatalyst, ResyncWhat::Customer(_)) => {
            bail!("connection `{connection}`: Business Catalyst can't be asked for one contact; leave out --customer")
        }
        (ConnectionKind::BusinessCatalyst, ResyncWhat::Everyone) => list_again(target, found).await,
        (ConnectionKind::Connector | ConnectionKind::BatchImport, ResyncWhat::WithheldDeletes) => {
            bail!("connection `{connection}`: a connection of the kind {} withholds no deletions", kind.name())
        }
        (ConnectionKind::Connector | ConnectionKind::BatchImport, _) => {
            bail!("connection `{connection}`: a connection of the kind {} can't be synchronised again", kind.name())
        }
    }
}

/// Only sets a mark: the poller has the source's password, and the source may let in the poller's address alone.
async fn enqueue_everyone(target: &Target, registration: &Registration) -> Result<()> {
    let Connection { key, settings } = Connection::<AssociationAnywhereConfig>::from_registration(registration)?;
    if settings.enqueue_url.is_none() {
        bail!("connection `{}`: force enqueue: the connection has no `enqueue_url`", key.connection);
    }
    target.tables.states().request_resync(&key, target.clients.clock.now()).await?;
    println!("{}: every customer is put into the source's queue with the next poll", key.connection);
    Ok(())
}

/// As a failure that is redriven: no queue is needed to fetch one customer.
async fn fetch_again(target: &Target, registration: &Registration, customer: &str) -> Result<()> {
    let key = &registration.key;
    if customer.trim().is_empty() {
        bail!("connection `{}`: --customer must be the customer's id in the source", key.connection);
    }
    target.tables.failures().request_redrive(key, customer, target.clients.clock.now()).await?;
    println!("{}: customer {customer} is fetched again with the next batch", key.connection);
    Ok(())
}

async fn confirm_deletes(target: &Target, registration: &Registration) -> Result<()> {
    let key = &registration.key;
    let withheld = target.tables.failures().count_withheld(key).await?;
    if withheld == 0 {
        bail!("connection `{}`: no deletion waits", key.connection);
    }
    target.tables.states().request_confirm(key, target.clients.clock.now()).await?;
    println!("{}: {withheld} deletions that wait are carried out with the next poll, if still gone", key.connection);
    Ok(())
}

async fn list_again(target: &Target, registration: &Registration) -> Result<()> {
    let key = &registration.key;
    target.tables.states().request_resync(key, target.clients.clock.now()).await?;
    println!("{}: every contact is listed again with the next poll", key.connection);
    Ok(())
}
