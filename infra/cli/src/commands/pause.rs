use anyhow::Result;
use config::{ConnectionKind, DESTINATION};
use store::Registration;

use crate::Target;
use crate::commands::system;

/// Pauses a connection: it is not polled, and pushes and imports are told to come again later. What workers have begun,
/// they finish. Or a destination: it is sent nothing.
///
/// # Errors
/// If there is no such connection or destination, or the store fails.
pub async fn pause(target: &Target, id: &str) -> Result<()> {
    let key = system(target, id).await?.key;
    target.tables.states.pause(&key, target.clients.clock.now()).await?;
    println!("{id}: paused, until `customer-sync resume {id}{}`", target.flags);
    Ok(())
}

/// Lets a paused connection or destination go on.
///
/// # Errors
/// As [`pause`].
pub async fn resume(target: &Target, id: &str) -> Result<()> {
    let Registration { key, kind, .. } = system(target, id).await?;
    let states = &target.tables.states;
    if states.state(&key).await?.paused_at.is_none() {
        println!("{id}: was not paused");
        return Ok(());
    }
    states.resume(&key).await?;
    let is_push = ConnectionKind::from_name(&kind).is_some_and(ConnectionKind::is_push);
    let what = match kind.as_str() {
        DESTINATION => "sent what waits within a minute",
        _ if is_push => "takes pushes again",
        _ => "polled again within a minute",
    };
    println!("{id}: resumed, {what}");
    Ok(())
}
