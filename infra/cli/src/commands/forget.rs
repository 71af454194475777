use std::io::{IsTerminal, Write, stderr, stdin};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use config::is_connection_id;
use model::ConnectionKey;
use operations::forgetting::{Forgetting, Forgotten};

use crate::Target;
use crate::commands::local::lock_directory;

/// How long it may take: a table of a million customers is removed within an hour.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What a person must know of the items in the control table: the first part of their entries, and what they are.
const TOLD: [(&str, &str); 6] = [
    ("failure", "failure records"),
    ("chunk", "chunks of the ledger"),
    ("redrive", "redrive requests"),
    ("staff", "members of staff"),
    ("lead-source", "lead sources"),
    ("waiting", "pending references"),
];

/// Removes everything of a connection that was taken out of the file: customers, failure records, imports, ledger. Or
/// of a destination: its failure records, and how far it has come.
/// `name` is its id, or `TENANT/ID` as `apply` shows it. Asks at the terminal, unless `is_agreed`.
///
/// # Errors
/// If it is still registered, or at work, or nobody agrees: then nothing was removed. If the store fails: then it can
/// be repeated.
pub async fn forget(target: &Target, name: &str, is_agreed: bool) -> Result<()> {
    let key = key_of(target, name).await?;
    let Target { tables, clients, directory, .. } = target;
    let forgetting = Forgetting::new(tables);
    let is_destination = tables.deliveries.of(&key).await?.position.is_some();
    let name = if is_destination { format!("destination `{key}`") } else { format!("connection `{key}`") };
    forgetting.check(&key).await.with_context(|| name.clone())?;
    let question = match is_destination {
        true => {
            format!(
                "Removes the failure records of {key} and its place in the change feed. What it was sent, it keeps."
            )
        }
        false => format!("Removes the customers of {key}, their failure records and imports, for good."),
    };
    if !is_agreed && !is_agreed_at_the_terminal(&question)? {
        bail!("{name}: nothing was removed; --yes agrees");
    }
    let _lock = match directory.as_deref().map(lock_directory) {
        Some(Ok(lock)) => {
            // No run uses this directory: whoever has these leases has ended, and they need not run out.
            tables.ledger.revoke_leases(&key).await?;
            tables.states.revoke_lease(&key).await?;
            Some(lock)
        }
        Some(Err(_)) | None => None,
    };
    let forgotten = forgetting.carry_out(&key, clients.clock.now() + PATIENCE).await;
    print_forgotten(&key, forgotten.with_context(|| name)?);
    Ok(())
}

/// The key that a name stands for: of a registered connection, or of one of which something is left.
async fn key_of(target: &Target, name: &str) -> Result<ConnectionKey> {
    let (tenant, id) = name.split_once('/').map_or((None, name), |(tenant, id)| (Some(tenant), id));
    if !is_connection_id(id) {
        bail!("`{name}` is no id of a connection or a destination");
    }
    if let Some(tenant) = tenant {
        return Ok(ConnectionKey::new(tenant, id));
    }
    if let Ok(registered) = super::system(target, name).await {
        return Ok(registered.key);
    }
    let tenants: Vec<String> = target.tables.removal.tenants_with(name).await?.into_iter().collect();
    match tenants.as_slice() {
        [tenant] => Ok(ConnectionKey::new(tenant, name)),
        [] => bail!("nothing is left of `{name}`, unless of pushed customers: name it as TENANT/{name}"),
        _ => bail!("`{name}` is left of the tenants {}: name one as TENANT/{name}", tenants.join(", ")),
    }
}

fn is_agreed_at_the_terminal(question: &str) -> Result<bool> {
    if !stdin().is_terminal() {
        return Ok(false);
    }
    eprint!("{question} Go on? [y/N] ");
    stderr().flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

fn print_forgotten(key: &ConnectionKey, forgotten: Forgotten) {
    let Forgotten { customers, import_items, mut entries } = forgotten;
    // What stands beside a failure record is nothing of its own for a reader.
    for part in ["failure-raw", "withheld"] {
        entries.remove(part);
    }
    let told: Vec<(&str, u64)> =
        TOLD.into_iter().filter_map(|(part, what)| Some((what, entries.remove(part)?))).collect();
    let others = [("items of imports", import_items), ("other items", entries.values().sum())];
    let mut removed = [("customers", customers)].into_iter().chain(told).chain(others).filter(|(_, count)| *count > 0);
    let Some(first) = removed.next() else {
        println!("{key}: nothing is left");
        return;
    };
    println!("{key}: removed{}", if customers > 0 { ", with tombstones" } else { "" });
    for (what, count) in [first].into_iter().chain(removed) {
        println!("  {what:<20} {count}");
    }
}
