use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use config::{Configuration, DESTINATION, Deployment, Destination, Problems, READER};
use model::ConnectionKey;
use store::{ConnectionRegistry, Listed, Registration};

use crate::Target;
use crate::commands::check::check;

/// How to make a file the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApplyOptions {
    /// Whether only the difference is shown.
    pub dry_run: bool,
    /// Whether every source and destination is reached first.
    pub check: bool,
}

/// Makes the file the configuration, or shows the difference.
///
/// # Errors
/// If the file, or the token of a reader, can't be read or used, or a source or destination is not well that was to be
/// reached: then nothing was changed. If the store fails.
pub async fn apply(target: &Target, file: &Path, options: ApplyOptions) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let place = if target.is_stack { Deployment::Stack } else { Deployment::Local };
    let unusable = |problems: Problems| anyhow!(problems.in_file(file));
    let mut configuration = Configuration::parse(&text, place).map_err(unusable)?;
    for warning in Configuration::parse_usable(&text, place).map(|file| file.warnings).unwrap_or_default() {
        eprintln!("customer-sync: {}: {warning}", file.display());
    }
    configuration.digest_tokens(&target.clients.secrets, place).await.map_err(unusable)?;
    if options.check {
        let checked = check(target, &configuration).await;
        checked.well.iter().for_each(|line| println!("{line}"));
        if !checked.problems.is_empty() {
            let problems = checked.problems.iter().map(|problem| format!("{}: {problem}", file.display()));
            bail!(problems.collect::<Vec<_>>().join("\n"));
        }
    }
    let changes = changes(&target.tables.registry, &configuration).await?;
    for change in &changes {
        let (sign, registration) = match change {
            Change::Add(registration) => ("+", registration),
            Change::Replace(registration) => ("~", registration),
            Change::Remove(registration) => ("-", registration),
        };
        let first = match change {
            Change::Add(registration) | Change::Replace(registration) => sent_first(target, registration).await?,
            Change::Remove(_) => String::new(),
        };
        println!("{sign} {} ({}){first}", registration.key, registration.kind);
    }
    if changes.is_empty() {
        println!("nothing to change");
    }
    if !options.dry_run {
        carry_out(&target.tables.registry, changes).await?;
    }
    Ok(())
}

/// How many customers a destination is sent before it follows the changes, and what it is not sent by itself; nothing
/// of a connection. Reads a hundred bytes for each customer.
async fn sent_first(target: &Target, registration: &Registration) -> Result<String> {
    if registration.kind != DESTINATION {
        return Ok(String::new());
    }
    let Destination { key, settings } = Destination::from_registration(registration)?;
    let delivery = target.tables.deliveries.of(&key).await?;
    let is_new = delivery.position.is_none() || delivery.progress.receiver != settings.receiver.to_string();
    let mut count = 0;
    for connection in &settings.from {
        if is_new || delivery.progress.listed.get(connection) != Some(&Listed::All) {
            count += target.tables.shadow.count_existing(&ConnectionKey::new(&key.tenant, connection)).await?;
        }
    }
    let mut said = format!(": is sent {count} customers first");
    let progress = &delivery.progress;
    let leaves = |connection: &&String| {
        !settings.from.contains(*connection) && progress.listed.get(*connection) != Some(&Listed::Left)
    };
    if let Some(left) = progress.begun.iter().find(leaves).filter(|_| !is_new) {
        said += &format!("; if it is to have copies of customers of `{left}`, ask for `resync {}`", key.connection);
    }
    Ok(said)
}

/// One step from the stored configuration to the file's.
pub(crate) enum Change {
    Add(Registration),
    Replace(Registration),
    Remove(Registration),
}

/// The steps that make `configuration` the stored one, in their order. Connections are removed first, for another may
/// take their queue over; readers last, for one whose key changes must not be missing for a moment.
pub(crate) async fn changes(registry: &ConnectionRegistry, configuration: &Configuration) -> Result<Vec<Change>> {
    let present = Configuration::registered(registry).await?;
    let wanted = configuration.to_registrations();
    let is_wanted = |registration: &Registration| wanted.iter().any(|wanted| wanted.key == registration.key);
    let (readers, connections): (Vec<_>, Vec<_>) = present
        .iter()
        .filter(|registration| !is_wanted(registration))
        .cloned()
        .map(Change::Remove)
        .partition(|change| matches!(change, Change::Remove(registration) if registration.kind == READER));
    let mut changes = connections;
    for registration in wanted {
        match present.iter().find(|present| present.key == registration.key) {
            None => changes.push(Change::Add(registration)),
            Some(present) if *present != registration => changes.push(Change::Replace(registration)),
            Some(_) => {}
        }
    }
    changes.extend(readers);
    Ok(changes)
}

pub(crate) async fn carry_out(registry: &ConnectionRegistry, changes: Vec<Change>) -> Result<()> {
    for change in changes {
        match change {
            Change::Add(registration) | Change::Replace(registration) => registry.put(&registration).await?,
            Change::Remove(registration) => registry.remove(&registration.key).await?,
        }
    }
    Ok(())
}
