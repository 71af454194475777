use anyhow::{Result, bail};
use model::{ConnectionKey, CustomerId, iso_millis};
use runtime::connections::all_connections;
use serde_json::json;
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
    /// Fetch these customers again with the next batch; all of them where none is named.
    Redrive(Vec<String>),
    /// Forget these records.
    Drop(Vec<String>),
}

/// Shows, redrives or drops failure records, of one connection or of all.
///
/// # Errors
/// Where an id is not one of a failure record: then nothing was done. Where the store fails.
pub async fn failures(target: &Target, connection: Option<&str>, action: FailuresAction) -> Result<()> {
    let mut records = Vec::new();
    let mut found_connection = false;
    for Registration { key, .. } in all_connections(&target.directory_of_connections()).await? {
        if connection.is_none_or(|connection| connection == key.connection) {
            found_connection = true;
            records.extend(target.failures().all(&key).await?.into_iter().map(|failure| (key.clone(), failure)));
        }
    }
    if let Some(connection) = connection.filter(|_| !found_connection) {
        bail!("there is no connection `{connection}`");
    }
    match action {
        FailuresAction::List { as_json: true } => print_json(&records),
        FailuresAction::List { as_json: false } => {
            print_lines(&records);
            Ok(())
        }
        FailuresAction::Redrive(ids) => {
            let chosen = choose(&records, &ids)?;
            for (key, source_id) in &chosen {
                target.failures().request_redrive(key, source_id, target.clients.clock.now()).await?;
            }
            println!("{} will be fetched again with the next batch", customers(chosen.len()));
            Ok(())
        }
        FailuresAction::Drop(ids) => {
            let chosen = choose(&records, &ids)?;
            for (key, source_id) in &chosen {
                target.failures().remove(key, source_id).await?;
            }
            println!("the records of {} were dropped", customers(chosen.len()));
            Ok(())
        }
    }
}

fn public_id(key: &ConnectionKey, failure: &Failure) -> String {
    CustomerId { connection: key.connection.clone(), source_id: failure.source_id.clone() }.to_string()
}

/// The records with these ids, every one of them; all records where no id is named.
fn choose(records: &[(ConnectionKey, Failure)], ids: &[String]) -> Result<Vec<(ConnectionKey, String)>> {
    let chosen = |(key, failure): &(ConnectionKey, Failure)| (key.clone(), failure.source_id.clone());
    if ids.is_empty() {
        return Ok(records.iter().map(chosen).collect());
    }
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        match records.iter().find(|(key, failure)| public_id(key, failure) == *id) {
            Some(record) => found.push(chosen(record)),
            None => bail!("there is no failure record of `{id}`"),
        }
    }
    Ok(found)
}

fn print_json(records: &[(ConnectionKey, Failure)]) -> Result<()> {
    let records: Vec<_> = records
        .iter()
        .map(|(key, failure)| {
            json!({
                "id": public_id(key, failure),
                "tenant": key.tenant,
                "connection": key.connection,
                "source_id": failure.source_id,
                "failed_at": iso_millis(failure.failed_at),
                "reason": failure.reason,
                "raw": failure.raw,
            })
        })
        .collect();
    println!("{}", serde_json::to_string_pretty(&json!({ "failures": records }))?);
    Ok(())
}

fn print_lines(records: &[(ConnectionKey, Failure)]) {
    if records.is_empty() {
        println!("no failures");
    }
    for (key, failure) in records {
        println!("{}  {}  {}", public_id(key, failure), iso_millis(failure.failed_at), failure.reason);
    }
}

fn customers(count: usize) -> String {
    if count == 1 { "1 customer".to_owned() } else { format!("{count} customers") }
}
