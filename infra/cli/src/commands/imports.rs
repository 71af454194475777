use std::time::Duration;

use anyhow::{Context, Result, bail};
use config::{BatchImportConfig, Connection};
use model::{ConnectionKey, CustomerId, iso_millis};
use operations::imports::UndoReport;
use serde_json::json;
use store::{ImportCounts, ImportRecord, Imports};

use crate::Target;

/// How long an undo of the largest import may take, including the wait for imports in progress.
const PATIENCE: Duration = Duration::from_secs(600);

/// Shows every import of the last 90 days, the latest of each connection first.
///
/// # Errors
/// If the store can't be read.
pub async fn imports(target: &Target, as_json: bool) -> Result<()> {
    let mut found = Vec::new();
    for Connection { key, .. } in accounts(target).await? {
        let records = target.tables.imports.list(&key).await?;
        found.extend(records.into_iter().map(|record| (key.clone(), record)));
    }
    if as_json {
        let imports: Vec<_> = found.iter().map(|(key, record)| json_of(key, record)).collect();
        println!("{}", serde_json::to_string_pretty(&json!({ "imports": imports }))?);
        return Ok(());
    }
    if found.is_empty() {
        println!("no imports");
    }
    for (key, record) in &found {
        let ImportCounts { new, updated, ignored, failed } = record.counts;
        println!(
            "{}  {}  {}  {} rows = {new} new + {updated} updated + {ignored} ignored + {failed} failed; {}",
            record.id,
            key.connection,
            iso_millis(record.began_at),
            record.counts.rows(),
            state(record)
        );
    }
    Ok(())
}

/// Undoes an import, or shows what that would do.
///
/// # Errors
/// If there is no such import, or it can't be undone, or only in part: it can be tried again.
pub async fn undo_import(target: &Target, import: &str, dry_run: bool, as_json: bool) -> Result<()> {
    let deadline = target.clients.clock.now() + PATIENCE;
    for Connection { key, .. } in accounts(target).await? {
        let Some(record) = target.tables.imports.find(&key, import, deadline).await? else { continue };
        let undo = target.undo();
        let report = if dry_run {
            undo.preview(&key, &record, deadline).await
        } else {
            undo.carry_out(&key, &record, deadline).await
        };
        let report = report.with_context(|| format!("import `{import}` of connection `{}`", key.connection))?;
        return print_report(&key, import, dry_run, as_json, &report);
    }
    let days = Imports::KEPT.as_secs() / 86_400;
    bail!("there is no import `{import}`; imports are kept for {days} days")
}

async fn accounts(target: &Target) -> Result<Vec<Connection<BatchImportConfig>>> {
    Ok(Connection::<BatchImportConfig>::all(&target.tables.registry).await?)
}

fn state(record: &ImportRecord) -> String {
    match (record.finished_at, record.undone_at) {
        (_, Some(at)) => format!("undone {}", iso_millis(at)),
        _ if record.undo_began_at.is_some() => "undo not finished".to_owned(),
        (None, None) => "not finished".to_owned(),
        (Some(_), None) if record.saves_undo => "can be undone".to_owned(),
        (Some(_), None) => "without undo".to_owned(),
    }
}

fn json_of(key: &ConnectionKey, record: &ImportRecord) -> serde_json::Value {
    let ImportCounts { new, updated, ignored, failed } = record.counts;
    json!({
        "id": record.id,
        "tenant": key.tenant,
        "connection": key.connection,
        "began_at": iso_millis(record.began_at),
        "finished_at": record.finished_at.map(iso_millis),
        "undone_at": record.undone_at.map(iso_millis),
        "can_be_undone": record.saves_undo && record.undone_at.is_none(),
        "rows": record.counts.rows(),
        "new": new,
        "updated": updated,
        "ignored": ignored,
        "failed": failed,
    })
}

fn print_report(key: &ConnectionKey, import: &str, dry_run: bool, as_json: bool, report: &UndoReport) -> Result<()> {
    let ids = |source_ids: &[String]| -> Vec<String> {
        let id = |source_id: &String| CustomerId { connection: key.connection.clone(), source_id: source_id.clone() };
        source_ids.iter().map(|source_id| id(source_id).to_string()).collect()
    };
    let UndoReport { restored, removed, already_back, changed_since, card_taken } = report;
    if as_json {
        let report = json!({
            "import": import,
            "dry_run": dry_run,
            "restored": ids(restored),
            "removed": ids(removed),
            "already_back": ids(already_back),
            "changed_since": ids(changed_since),
            "card_taken": ids(card_taken),
        });
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    println!(
        "{import}: {}{} restored, {} removed, {} back already, {} changed since and left alone",
        if dry_run { "would be: " } else { "" },
        restored.len(),
        removed.len(),
        already_back.len(),
        changed_since.len()
    );
    for id in ids(changed_since) {
        println!("  {id} has changed since");
    }
    for id in ids(card_taken) {
        println!("  {id} is left alone too: the card number that it had is another's now");
    }
    Ok(())
}
