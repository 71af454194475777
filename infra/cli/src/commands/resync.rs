use std::time::Duration;

use anyhow::{Context, Result, bail};
use config::{Connection, ConnectionKind, all_connections};
use store::Registration;

use crate::Target;

/// How long the source may take.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// Has one customer, or all, reported again: by the source's queue, or by a listing from the beginning. Or has the
/// withheld deletions carried out with the next batch.
///
/// # Errors
/// If there is no such connection, its kind can't do it, or the source refuses.
pub async fn resync(target: &Target, connection: &str, what: &ResyncWhat) -> Result<()> {
    let registrations = all_connections(&target.tables.registry()).await?;
    let Some(found) = registrations.iter().find(|candidate| candidate.key.connection == connection) else {
        bail!("there is no connection `{connection}`");
    };
    let Some(kind) = ConnectionKind::from_name(&found.kind) else {
        bail!("connection `{connection}`: its kind {} is not known to this release", found.kind);
    };
    match (kind, what) {
        (ConnectionKind::AssociationAnywhere | ConnectionKind::BusinessCatalyst, ResyncWhat::WithheldDeletes) => {
            confirm_deletes(target, found).await
        }
        (ConnectionKind::AssociationAnywhere, ResyncWhat::Customer(customer)) => {
            force_enqueue(target, found, Some(customer)).await
        }
        (ConnectionKind::AssociationAnywhere, ResyncWhat::Everyone) => force_enqueue(target, found, None).await,
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

async fn force_enqueue(target: &Target, registration: &Registration, customer: Option<&str>) -> Result<()> {
    let Connection { key, settings } = Connection::from_registration(registration)?;
    let deadline = target.clients.clock.now() + PATIENCE;
    let enqueued = target.association_anywhere().force_enqueue(&key, &settings, customer, deadline).await;
    enqueued.with_context(|| format!("connection `{}`: force enqueue", key.connection))?;
    match customer {
        Some(customer) => println!("{}: customer {customer} stands in the source's queue", key.connection),
        None => println!("{}: every customer stands in the source's queue", key.connection),
    }
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
