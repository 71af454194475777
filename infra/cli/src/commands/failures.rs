use std::io::{self, Write};

use anyhow::{Context, Result, bail};
use config::{DESTINATION, all_systems};
use model::{ConnectionKey, CustomerId, iso_millis};
use serde_json::{Value, json};
use store::{Failure, Registration};

use crate::Target;

/// What to do with failure records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailuresAction {
    /// Show them.
    List {
        /// As JSON, with the raw documents.
        as_json: bool,
    },
    /// Fetch these customers again with the next batch; all of them if none is named.
    Redrive(Vec<String>),
    /// Forget these records.
    Drop(Vec<String>),
}

/// How many records are read at once.
const PAGE: usize = 100;

/// Shows, redrives or drops failure records, of one connection or of all.
///
/// # Errors
/// If an id names no failure record: then nothing was done. If the store fails.
pub async fn failures(target: &Target, connection: Option<&str>, action: FailuresAction) -> Result<()> {
    let registrations = all_systems(&target.tables.registry).await?;
    let is_meant = |found: &Registration| connection.is_none_or(|connection| connection == found.key.connection);
    let registrations: Vec<Registration> = registrations.into_iter().filter(is_meant).collect();
    let keys: Vec<ConnectionKey> = registrations.iter().map(|found| found.key.clone()).collect();
    if let Some(connection) = connection.filter(|_| keys.is_empty()) {
        bail!("there is no connection or destination `{connection}`");
    }
    match action {
        FailuresAction::List { as_json } => list(target, &keys, as_json).await,
        FailuresAction::Redrive(ids) => {
            let chosen = choose(target, &keys, &ids).await?;
            for (key, source_id) in &chosen {
                target.tables.failures.request_redrive(key, source_id, target.clients.clock.now()).await?;
            }
            let is_destination =
                |key: &ConnectionKey| registrations.iter().any(|found| found.key == *key && found.kind == DESTINATION);
            let sent = chosen.iter().filter(|(key, _)| is_destination(key)).count();
            if sent > 0 {
                println!("{} will be sent again within a minute", customers(sent));
            }
            if chosen.len() > sent || sent == 0 {
                println!("{} will be fetched again with the next batch", customers(chosen.len() - sent));
            }
            Ok(())
        }
        FailuresAction::Drop(ids) => {
            let chosen = choose(target, &keys, &ids).await?;
            for (key, source_id) in &chosen {
                target.tables.failures.remove(key, source_id).await?;
            }
            println!("the records of {} were dropped", customers(chosen.len()));
            Ok(())
        }
    }
}

fn public_id(key: &ConnectionKey, source_id: &str) -> String {
    CustomerId { connection: key.connection.clone(), source_id: source_id.to_owned() }.to_string()
}

/// Returns the records with these ids; all records if no id is named. Fails if one of the ids is unknown.
async fn choose(target: &Target, keys: &[ConnectionKey], ids: &[String]) -> Result<Vec<(ConnectionKey, String)>> {
    let mut chosen = Vec::new();
    if ids.is_empty() {
        for key in keys {
            let mut after = None;
            loop {
                let page = target.tables.failures.page(key, after.as_deref(), PAGE, false).await?;
                chosen.extend(page.failures.into_iter().map(|failure| (key.clone(), failure.source_id)));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        return Ok(chosen);
    }
    for text in ids {
        chosen
            .push(find(target, keys, text).await?.with_context(|| format!("there is no failure record of `{text}`"))?);
    }
    Ok(chosen)
}

/// The failure record with this public id.
async fn find(target: &Target, keys: &[ConnectionKey], text: &str) -> Result<Option<(ConnectionKey, String)>> {
    let Ok(CustomerId { connection, source_id }) = text.parse() else { return Ok(None) };
    for key in keys.iter().filter(|key| key.connection == connection) {
        if target.tables.failures.is_there(key, &source_id).await? {
            return Ok(Some((key.clone(), source_id)));
        }
    }
    Ok(None)
}

/// Shows each record as it is read: with their raw documents, all records may not fit into memory.
async fn list(target: &Target, keys: &[ConnectionKey], as_json: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    if as_json {
        write!(out, "{{\n  \"failures\": [")?;
    }
    let mut is_first = true;
    for key in keys {
        let mut after = None;
        loop {
            let page = target.tables.failures.page(key, after.as_deref(), PAGE, as_json).await?;
            for failure in &page.failures {
                if as_json {
                    let lines = serde_json::to_string_pretty(&record(key, failure))?.replace('\n', "\n    ");
                    write!(out, "{}\n    {lines}", if is_first { "" } else { "," })?;
                } else {
                    let (id, at) = (public_id(key, &failure.source_id), iso_millis(failure.failed_at));
                    writeln!(out, "{id}  {at}  {}", failure.reason)?;
                }
                is_first = false;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    match (as_json, is_first) {
        (true, true) => writeln!(out, "]\n}}")?,
        (true, false) => writeln!(out, "\n  ]\n}}")?,
        (false, true) => writeln!(out, "no failures")?,
        (false, false) => {}
    }
    Ok(())
}

fn record(key: &ConnectionKey, failure: &Failure) -> Value {
    json!({
        "id": public_id(key, &failure.source_id),
        "tenant": key.tenant,
        "connection": key.connection,
        "source_id": failure.source_id,
        "failed_at": iso_millis(failure.failed_at),
        "reason": failure.reason,
        "raw": failure.raw,
    })
}

fn customers(count: usize) -> String {
    if count == 1 { "1 customer".to_owned() } else { format!("{count} customers") }
}
