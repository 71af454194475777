use anyhow::Result;
use config::DestinationKind;
use operations::status::{Condition, ConnectionStatus, Connections, DestinationStatus, PushCounts};

use crate::Target;

/// Prints how every connection and every destination stands.
///
/// # Errors
/// If the store can't be read.
pub async fn status(target: &Target, as_json: bool) -> Result<()> {
    let now = target.clients.clock.now();
    let statuses = target.status().all(None, now).await?;
    let destinations = target.status().destinations(None, now).await?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&Connections { connections: statuses, destinations })?);
        return Ok(());
    }
    if statuses.is_empty() {
        println!("no connection is configured");
    }
    for status in &statuses {
        print_status(status, &target.flags);
    }
    for status in &destinations {
        print_destination(status, &target.flags);
    }
    Ok(())
}

/// The status of a connection that takes pushes and is never polled.
pub(crate) const TAKES_PUSHES: &str = "takes pushes";

/// One connection, in a few lines.
pub(crate) fn print_status(status: &ConnectionStatus, flags: &str) {
    if status.kind.is_push() {
        let standing = if status.condition == Condition::Paused { word(status.condition) } else { TAKES_PUSHES };
        println!("{} ({}, tenant {}): {standing}", status.id, status.kind.name(), status.tenant);
        print_pause(status, flags);
        return;
    }
    let freshness = status
        .freshness_seconds
        .map_or("never in sync yet".to_owned(), |seconds| format!("as of {} ago", span(seconds)));
    println!(
        "{} ({}, tenant {}): {}, {freshness}",
        status.id,
        status.kind.name(),
        status.tenant,
        word(status.condition)
    );
    print_pause(status, flags);
    if let Some(at) = &status.last_success_at {
        println!("  last success   {at}");
    }
    if let Some(error) = &status.error {
        println!("  error          {} {}", error.at, error.message);
    }
    if let Some(batch) = &status.batch {
        let so_far = if batch.listing { " so far" } else { "" };
        println!("  batch {:<8} {} customers{so_far}, {} left", batch.number, batch.customers, batch.left);
    }
    println!("  {}", reconciliation(status));
    if status.deletes_withheld > 0 {
        let command = format!("customer-sync resync {} --confirm-deletes{flags}", status.id);
        println!("  deletes        {} wait: `{command}` carries them out", status.deletes_withheld);
    }
    if status.failures > 0 {
        println!("  failures       {}: see `customer-sync failures{flags}`", status.failures);
    }
}

/// One destination, in a few lines.
fn print_destination(status: &DestinationStatus, flags: &str) {
    let kind = status.kind.map_or("unreadable", DestinationKind::name);
    let freshness = status
        .freshness_seconds
        .map_or("never had everything yet".to_owned(), |seconds| format!("as of {} ago", span(seconds)));
    println!("{} (to {kind}, tenant {}): {}, {freshness}", status.id, status.tenant, word(status.condition));
    if let Some(at) = &status.paused_at {
        println!("  paused since   {at}: `customer-sync resume {}{flags}` goes on", status.id);
    }
    if let Some(error) = &status.error {
        println!("  error          {} {}", error.at, error.message);
    }
    if let (Some(since), Some(next)) = (&status.failing_since, &status.next_attempt_at) {
        println!("  takes nothing  since {since}; next attempt {next}");
    }
    if status.waiting > 0 {
        let more = if status.waiting >= 1_000 { " or more" } else { "" };
        println!("  waiting        {}{more} changes", status.waiting);
    }
    if status.listed_percent < 100 {
        println!("  listing        about {} % of all customers", status.listed_percent);
    }
    println!("  {}", sent(status));
    if status.failures > 0 {
        println!("  failures       {}: see `customer-sync failures{flags}`", status.failures);
    }
}

/// Changes = sent + failed + left out, with the figures.
fn sent(status: &DestinationStatus) -> String {
    let PushCounts { changes, sent, failed, left_out } = status.counts;
    format!("changes        {changes} = {sent} sent + {failed} failed + {left_out} left out")
}

/// A span of time in its two largest units; below two minutes in seconds.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

fn print_pause(status: &ConnectionStatus, flags: &str) {
    if let Some(at) = &status.paused_at {
        println!("  paused since   {at}: `customer-sync resume {}{flags}` goes on", status.id);
    }
}

/// Fetched = written + unchanged + stale + tombstoned + failed, with the figures.
pub(crate) fn reconciliation(status: &ConnectionStatus) -> String {
    let ends = status.counts.ends.by_name().map(|(name, count)| format!("{count} {name}")).join(" + ");
    format!("fetched        {} = {ends}", status.counts.fetched)
}

pub(crate) fn word(condition: Condition) -> &'static str {
    match condition {
        Condition::Waiting => "waiting",
        Condition::Syncing => "syncing",
        Condition::InSync => "in sync",
        Condition::Failing => "failing",
        Condition::Paused => "paused",
    }
}
