use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Result, bail};
use config::all_connections;
use model::{FeedChange, FeedPosition, iso_millis};
use serde_json::json;
use store::{ChangeFeed, FeedError, PlacedChange};

use crate::Target;

/// How many changes are shown at first.
const LAST: usize = 10;
/// How far back is looked for them, step by step.
const BACK: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(3_600),
    Duration::from_secs(86_400),
    Duration::from_secs(90 * 86_400),
];
/// How many changes are read at once.
const PAGE: usize = 500;
/// How often is looked for more.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is shown of the change feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedOptions {
    /// Goes on with each change that comes, until it is interrupted.
    pub follow: bool,
    /// Of this connection alone.
    pub connection: Option<String>,
    /// A JSON object a line.
    pub as_json: bool,
}

/// Shows the last ten changes of customers, as `tail` does, and with `follow` those that come.
///
/// # Errors
/// If there is no such connection, or the store fails.
pub async fn feed(target: &Target, options: &FeedOptions) -> Result<()> {
    let registrations = all_connections(&target.tables.registry).await?;
    let is_meant = |id: &str| options.connection.as_ref().is_none_or(|meant| meant == id);
    let tenants: BTreeSet<String> = registrations
        .into_iter()
        .filter(|registration| is_meant(&registration.key.connection))
        .map(|registration| registration.key.tenant)
        .collect();
    if let Some(connection) = options.connection.as_ref().filter(|_| tenants.is_empty()) {
        bail!("there is no connection `{connection}`");
    }
    let feed = &target.tables.feed;
    let wanted = |change: &FeedChange| is_meant(&change.id.connection);
    let mut positions = BTreeMap::new();
    let mut changes = Vec::new();
    for tenant in &tenants {
        let (found, position) = last_changes(feed, tenant, wanted).await?;
        changes.extend(found.into_iter().map(|change| (tenant.clone(), change)));
        positions.insert(tenant.clone(), position);
    }
    changes.sort_by_key(|(_, change)| change.at);
    let older = changes.len().saturating_sub(LAST);
    show(&changes[older..], options.as_json)?;
    if !options.follow {
        return Ok(());
    }
    loop {
        target.clients.clock.sleep(LOOK_EVERY).await;
        let mut changes = Vec::new();
        for (tenant, position) in &mut positions {
            let read = read_to_end(feed, tenant, position, wanted).await;
            match read {
                Ok(found) => changes.extend(found.into_iter().map(|change| (tenant.clone(), change))),
                // The tables were restored: what was shown is not what is there.
                Err(FeedError::Gone) => *position = feed.latest(tenant, Duration::ZERO).await?,
                Err(FeedError::Store(error)) => return Err(error.into()),
            }
        }
        changes.sort_by_key(|(_, change)| change.at);
        show(&changes, options.as_json)?;
    }
}

/// The last changes of a tenant, at least [`LAST`] of them if there are so many, and where the feed goes on.
async fn last_changes(
    feed: &ChangeFeed,
    tenant: &str,
    wanted: impl Fn(&FeedChange) -> bool + Copy,
) -> Result<(Vec<PlacedChange>, FeedPosition)> {
    let mut changes = Vec::new();
    let mut position = FeedPosition::default();
    for back in BACK {
        position = feed.latest(tenant, back).await?;
        changes = read_to_end(feed, tenant, &mut position, wanted).await?;
        if changes.len() >= LAST {
            break;
        }
    }
    Ok((changes, position))
}

/// Everything from a position on, of which the last [`LAST`] matter most: no more than a page before them is kept.
async fn read_to_end(
    feed: &ChangeFeed,
    tenant: &str,
    position: &mut FeedPosition,
    wanted: impl Fn(&FeedChange) -> bool + Copy,
) -> Result<Vec<PlacedChange>, FeedError> {
    let mut changes: Vec<PlacedChange> = Vec::new();
    loop {
        let page = feed.read(tenant, position, PAGE, |placed| wanted(&placed.change)).await?;
        *position = page.position;
        changes.drain(..changes.len().saturating_sub(LAST));
        changes.extend(page.changes);
        if !page.more {
            return Ok(changes);
        }
    }
}

fn show(changes: &[(String, PlacedChange)], as_json: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    for (tenant, PlacedChange { change, at, .. }) in changes {
        let FeedChange { id, action, revision } = change;
        let (at, action) = (iso_millis(*at), action.name());
        if as_json {
            let line = json!({
                "at": at, "tenant": tenant, "id": id.to_string(), "connection": id.connection, "action": action,
                "revision": revision,
            });
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{at}  {tenant}  {id}  {action}, revision {revision}")?;
        }
    }
    out.flush()?;
    Ok(())
}
