use std::time::Duration;

use anyhow::{Context, Result, bail};
use runtime::connections::{AssociationAnywhere, Connection};

use crate::Target;

/// How long the vendor may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Has the upstream put one customer, or everyone, into its queue.
///
/// # Errors
/// Where there is no such connection, or the vendor does not do it.
pub async fn resync(target: &Target, connection: &str, customer: Option<&str>) -> Result<()> {
    let connections = Connection::<AssociationAnywhere>::all(&target.directory_of_connections()).await?;
    let Some(found) = connections.iter().find(|candidate| candidate.key.connection == connection) else {
        bail!("there is no connection `{connection}`");
    };
    let deadline = target.clients.clock.now() + PATIENCE;
    target
        .association_anywhere()
        .force_enqueue(&found.key, &found.settings, customer, deadline)
        .await
        .with_context(|| format!("connection `{connection}`: force enqueue"))?;
    match customer {
        Some(customer) => println!("{connection}: customer {customer} stands in the vendor's queue"),
        None => println!("{connection}: every customer stands in the vendor's queue"),
    }
    Ok(())
}
