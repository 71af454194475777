use std::time::Duration;

use anyhow::{Result, bail};
use config::ConnectionKind;
use model::{CustomerId, Status};
use operations::whereabouts::{ChunkEntry, DeliveryEntry, Finder, ImportEntry, RecordHead, Standing, Whereabouts};

use crate::Target;

/// How long it may take to read all imports of a connection.
const PATIENCE: Duration = Duration::from_secs(600);

/// Shows everything that is known of one customer, but its content.
///
/// # Errors
/// If the id is none, or of no connection; if the store can't be read.
pub async fn whereabouts(target: &Target, id: &str, as_json: bool) -> Result<()> {
    let Ok(CustomerId { connection, source_id }) = id.parse() else {
        bail!("`{id}` is no customer's id: it must be CONNECTION~ID");
    };
    let registration = super::connection(target, &connection).await?;
    let Some(kind) = ConnectionKind::from_name(&registration.kind) else {
        bail!("connection `{connection}`: its kind {} is not known to this release", registration.kind);
    };
    let deadline = target.clients.clock.now() + PATIENCE;
    let found = Finder::new(&target.tables).find(&registration.key, kind, &source_id, deadline).await?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        print_whereabouts(&found);
    }
    Ok(())
}

fn print_whereabouts(found: &Whereabouts) {
    println!("{} ({}, tenant {})", found.id, found.kind.name(), found.tenant);
    match &found.record {
        Some(record) => print_record(record),
        None => println!("  record         none"),
    }
    for chunk in &found.chunks {
        print_chunk(chunk);
    }
    if let Some(failure) = &found.failure {
        println!("  failure        {} {}", failure.failed_at, failure.reason);
    }
    if let Some(redrive) = &found.redrive {
        let batch = redrive.taken_by_batch.map_or("waits for the next batch".to_owned(), |n| format!("in batch {n}"));
        println!("  redrive        requested {}, {batch}", redrive.requested_at);
    }
    for awaited in &found.waits_for {
        println!("  waits for      {} {}", awaited.resource, awaited.name_id);
    }
    for ImportEntry { id, began_at, undone_at, row, outcome } in &found.imports {
        let undone = undone_at.as_ref().map(|at| format!(", undone {at}")).unwrap_or_default();
        println!("  import         {id} of {began_at}: row {row}, {outcome}{undone}");
    }
    for DeliveryEntry { destination, standing, failure } in &found.deliveries {
        let standing = match standing {
            Standing::Done => "has it, or it is not for it",
            Standing::Waiting => "waits to be sent",
            Standing::Failed => "was refused",
            Standing::Redriven => "is sent again within a minute",
        };
        let failure = failure.as_ref().map(|it| format!(": {} {}", it.failed_at, it.reason)).unwrap_or_default();
        println!("  to {destination:<12}{standing}{failure}");
    }
}

fn print_record(record: &RecordHead) {
    let status = match record.status {
        _ if record.erased => "erased",
        Status::Active => "active",
        Status::Inactive => "inactive",
        Status::Deleted => "deleted",
    };
    let RecordHead { revision, changed_at, first_seen_at, version, .. } = record;
    println!("  record         {status}, revision {revision} of {changed_at}, first seen {first_seen_at}");
    match record.batch {
        Some(batch) => println!("  version        {version}, of batch {batch}"),
        None => println!("  version        {version}"),
    }
}

fn print_chunk(chunk: &ChunkEntry) {
    let what = if chunk.is_deletion { ", to be deleted" } else { "" };
    let state = match (&chunk.leased_until, &chunk.due_at) {
        _ if !chunk.in_progress => "its batch is over, the next one holds the customer again".to_owned(),
        (Some(until), _) => format!("a worker has it until {until}, attempt {}", chunk.attempts),
        (None, Some(due_at)) => format!("due {due_at}, {} attempts", chunk.attempts),
        (None, None) => format!("{} attempts", chunk.attempts),
    };
    println!("  chunk          {} of batch {}{what}: {state}", chunk.chunk, chunk.batch);
}
