use std::io::{IsTerminal, Write, stderr, stdin};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use config::all_systems;
use local_aws::{private_files, rewrite};
use model::CustomerId;
use operations::persons::{AtDestination, EraseError, Eraser, ErasureReport, Exporter, Lifted, Places};
use store::{EmailIndex, Whom};

use crate::Target;
use crate::target::{DATABASE, ERASED};

/// How long it may take: all customers are looked at.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What to do about the erasure of persons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErasureAction {
    /// Erase a person; asks at the terminal unless `is_agreed`.
    Erase {
        /// Who.
        whom: Whom,
        /// Do not ask.
        is_agreed: bool,
    },
    /// Let a person come back.
    Lift(Whom),
    /// Erase again whoever was erased and is there all the same, because tables were restored; asks as above, unless
    /// there is nobody.
    Again {
        /// Do not ask.
        is_agreed: bool,
    },
}

/// Who is meant by an e-mail address, or by a customer's id.
///
/// # Errors
/// If the text is neither.
pub fn whom(email: Option<&str>, customer: Option<&str>) -> Result<Whom> {
    match (email, customer) {
        (Some(email), _) => {
            let address = EmailIndex::address(email).filter(|address| address.contains('@'));
            address.map(Whom::Address).context("--email: this is no address")
        }
        (None, Some(customer)) => {
            let id = customer.parse::<CustomerId>().ok();
            id.map(Whom::Customer).context("--customer: this is no customer's id, CONNECTION~ID")
        }
        (None, None) => bail!("--email or --customer says who is meant"),
    }
}

/// Erases a person, lets one come back, or erases again.
///
/// # Errors
/// If nothing is known of the tenant, or of who is to come back. If nobody agrees: then nothing was done. If the store
/// fails: then it is to be repeated.
pub async fn erase(target: &Target, tenant: &str, action: ErasureAction, as_json: bool) -> Result<()> {
    check_tenant(target, tenant).await?;
    let clients = &target.clients;
    let eraser = Eraser::new(&target.tables);
    let deadline = clients.clock.now() + PATIENCE;
    let erased = match action {
        ErasureAction::Lift(whom) => return lift(&eraser, tenant, &whom).await,
        ErasureAction::Again { is_agreed } => {
            let (customers, neighbours) = eraser.preview_again(tenant).await?;
            let asked = is_agreed || customers.is_empty();
            agree(asked, tenant, "whoever was erased before", &customers, &neighbours)?;
            eraser.erase_again(tenant, deadline).await
        }
        ErasureAction::Erase { whom, is_agreed } => {
            let (customers, neighbours) = eraser.preview(tenant, &whom).await?;
            agree(is_agreed, tenant, &described(&whom), &customers, &neighbours)?;
            eraser.erase(tenant, &whom, deadline).await
        }
    };
    // What was done, and what is to be done by hand, is said whatever happens afterwards.
    let (report, ended) = match erased {
        Ok(report) => (report, Ok(())),
        Err(EraseError::Unfinished { report, cause }) => {
            (*report, Err(anyhow::Error::new(*cause).context("not all is erased: repeat it")))
        }
        Err(error) => return Err(error.into()),
    };
    if as_json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report, target.directory.is_some());
    }
    if let Some(directory) = &target.directory {
        private_files::open_file(&directory.join(ERASED)).with_context(|| directory.display().to_string())?;
        rewrite(&directory.join(DATABASE)).map_err(anyhow::Error::msg).context("erased, but not from the file yet")?;
    }
    ended
}

async fn lift(eraser: &Eraser, tenant: &str, whom: &Whom) -> Result<()> {
    let Some(Lifted { customers, is_still_held }) = eraser.lift(tenant, whom).await? else {
        bail!("{tenant}: {} is not erased", described(whom));
    };
    println!("{tenant}: {} comes back with the next change at a source, or after a resync", described(whom));
    if let Whom::Address(_) = whom
        && !customers.is_empty()
    {
        println!("  erased because of it         {}", customers.join(", "));
    }
    if is_still_held {
        println!(
            "  still in the list            the address, with a customer that was erased by its id: nobody new has it"
        );
    }
    Ok(())
}

/// Prints all that is stored of a person, as JSON.
///
/// # Errors
/// If nothing is known of the tenant, or the store can't be read.
pub async fn export(target: &Target, tenant: &str, whom: &Whom) -> Result<()> {
    check_tenant(target, tenant).await?;
    let now = target.clients.clock.now();
    let exported = Exporter::new(&target.tables).export(tenant, whom, now).await?;
    println!("{}", serde_json::to_string_pretty(&exported)?);
    Ok(())
}

/// A tenant whose connections are all out of the file is one as long as anything of it is stored.
async fn check_tenant(target: &Target, tenant: &str) -> Result<()> {
    let known = all_systems(&target.tables.registry).await?;
    if known.iter().all(|registration| registration.key.tenant != tenant)
        && !target.tables.removal.has_anything_of(tenant).await?
    {
        bail!("there is no tenant `{tenant}`");
    }
    Ok(())
}

/// Without the address: what is printed may be kept.
fn described(whom: &Whom) -> String {
    match whom {
        Whom::Customer(id) => format!("the customer {id}"),
        Whom::Address(_) => "whoever has this address".to_owned(),
    }
}

/// Asks at the terminal, unless that is agreed to.
fn agree(is_agreed: bool, tenant: &str, whom: &str, customers: &[String], neighbours: &[String]) -> Result<()> {
    if !is_agreed && !is_agreed_at_the_terminal(tenant, whom, customers, neighbours)? {
        bail!("{tenant}: nobody was erased; --yes agrees");
    }
    Ok(())
}

fn is_agreed_at_the_terminal(tenant: &str, whom: &str, customers: &[String], neighbours: &[String]) -> Result<bool> {
    if !stdin().is_terminal() {
        return Ok(false);
    }
    let listed = if customers.is_empty() { "nobody who is stored now".to_owned() } else { customers.join(", ") };
    eprintln!("Erases {whom} of {tenant}, for good: {listed}.");
    if !neighbours.is_empty() {
        eprintln!("The same address have, and keep their records: {}.", neighbours.join(", "));
    }
    eprint!("Go on? [y/N] ");
    stderr().flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

fn print(report: &ErasureReport, is_local: bool) {
    let ErasureReport { tenant, customers, removed, neighbours, destinations, .. } = report;
    let ErasureReport { open_batches, abandoned_batches, unreadable, .. } = report;
    match customers.as_slice() {
        [] => println!("{tenant}: nobody is stored"),
        [one] => println!("{tenant}: erased {one}"),
        several => println!("{tenant}: erased {} customers: {}", several.len(), several.join(", ")),
    }
    let Places { records, erased_before, failure_records, failure_documents, .. } = removed;
    let Places { import_images, import_claims, waiting_references, search_entries, .. } = removed;
    for (place, count) in [
        ("records", records),
        ("erased before", erased_before),
        ("failure records", failure_records),
        ("documents of other failures", failure_documents),
        ("images of imports", import_images),
        ("claims of imports", import_claims),
        ("waiting references", waiting_references),
        ("entries of the search index", search_entries),
    ] {
        println!("  {place:<29}{count}");
    }
    for left in destinations {
        let what = match left.becomes {
            AtDestination::Told => "is told that they are gone",
            AtDestination::MarkedDeleted => "marks them as deleted, and keeps their data: remove them there",
            AtDestination::ByHand => "is not told: remove them there",
        };
        println!("  at {:<26}{what}: {}", left.destination, left.customers.join(", "));
    }
    if !neighbours.is_empty() {
        println!("  not erased, same address     {}", neighbours.join(", "));
    }
    if !open_batches.is_empty() {
        println!("  batch in progress            {}: what it holds is gone when it ends", open_batches.join(", "));
    }
    for connection in abandoned_batches {
        println!("  batch of no connection       {connection}: what it holds is gone after `forget {connection}`");
    }
    if *unreadable > 0 {
        println!("  can't be read                {unreadable} records: nobody knows whose they are");
    }
    println!("  the change feed, logs        hold ids alone");
    match is_local {
        true => println!(
            "  the file of the data         is written anew, now and when the stream is empty, as the next run begins"
        ),
        false => println!("  stream, backups              hold what was, for 24 hours and for 35 days"),
    }
}
