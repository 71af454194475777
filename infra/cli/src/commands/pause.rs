use anyhow::Result;

use crate::Target;
use crate::commands::connection;

/// Pauses a connection: it is not polled, and pushes and imports are told to come again later. What workers have begun,
/// they finish.
///
/// # Errors
/// If there is no such connection, or the store fails.
pub async fn pause(target: &Target, id: &str) -> Result<()> {
    let key = connection(target, id).await?.key;
    target.tables.states().pause(&key, target.clients.clock.now()).await?;
    println!("{id}: paused, until `customer-sync resume {id}`");
    Ok(())
}

/// Lets a paused connection go on.
///
/// # Errors
/// As [`pause`].
pub async fn resume(target: &Target, id: &str) -> Result<()> {
    let key = connection(target, id).await?.key;
    target.tables.states().resume(&key).await?;
    println!("{id}: not paused");
    Ok(())
}
