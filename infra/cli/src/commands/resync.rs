use std::time::Duration;

use anyhow::{Context, Result, bail};
use runtime::connections::{AssociationAnywhere, BusinessCatalyst, Connection, Settings, all_connections};
use store::Registration;

use crate::Target;

/// How long the vendor may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Has one customer, or everyone, reported again: by the vendor's queue, or by a listing from the beginning.
///
/// # Errors
/// Where there is no such connection, where its kind can't do it, or where the vendor does not.
pub async fn resync(target: &Target, connection: &str, customer: Option<&str>) -> Result<()> {
    let registrations = all_connections(&target.directory_of_connections()).await?;
    let Some(found) = registrations.iter().find(|candidate| candidate.key.connection == connection) else {
        bail!("there is no connection `{connection}`");
    };
    match found.kind.as_str() {
        AssociationAnywhere::KIND => force_enqueue(target, found, customer).await,
        BusinessCatalyst::KIND => list_again(target, found, customer).await,
        kind => bail!("connection `{connection}`: a connection of the kind {kind} can't be synchronised again"),
    }
}

async fn force_enqueue(target: &Target, registration: &Registration, customer: Option<&str>) -> Result<()> {
    let Connection { key, settings } = Connection::from_registration(registration)?;
    let deadline = target.clients.clock.now() + PATIENCE;
    let enqueued = target.association_anywhere().force_enqueue(&key, &settings, customer, deadline).await;
    enqueued.with_context(|| format!("connection `{}`: force enqueue", key.connection))?;
    match customer {
        Some(customer) => println!("{}: customer {customer} stands in the vendor's queue", key.connection),
        None => println!("{}: every customer stands in the vendor's queue", key.connection),
    }
    Ok(())
}

async fn list_again(target: &Target, registration: &Registration, customer: Option<&str>) -> Result<()> {
    let key = &registration.key;
    if customer.is_some() {
        bail!(
            "connection `{}`: Business Catalyst can't be asked for one contact; leave out --customer",
            key.connection
        );
    }
    target.polls().request_resync(key, target.clients.clock.now()).await?;
    println!("{}: every contact is listed again with the next poll", key.connection);
    Ok(())
}
