use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use config::{AssociationAnywhereConfig, BusinessCatalystConfig, Connection, ConnectionKind};
use model::iso_millis;
use operations::resync::{ResyncWhat, Resyncs};
use sources::association_anywhere::AssociationAnywhereClient;
use sources::business_catalyst::BusinessCatalystClient;
use store::Registration;
use verification::association_anywhere::CustomersVerifier;
use verification::business_catalyst::ContactsVerifier;
use verification::{Differing, Verified};

use crate::Target;

/// How many customers are compared, unless another number is given.
const SAMPLE: u32 = 200;
/// How long a comparison may take: a list of a million contacts is ten thousand requests, at the connection's pace.
const PATIENCE: Duration = Duration::from_secs(6 * 60 * 60);
/// How many customers of a kind are named one by one.
const MOST_NAMED: usize = 100;

/// How to compare.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyOptions {
    /// How many customers of Association Anywhere.
    pub sample: Option<u32>,
    /// Whether those that differ are asked for again.
    pub repair: bool,
}

/// Compares customers of the shadow with the source, and says which differ. Returns whether none does, or all that do
/// are asked for again.
///
/// # Errors
/// If there is no such connection, it is paused, or its kind can't be compared; if the source can't be asked.
pub async fn verify(target: &Target, id: &str, options: VerifyOptions) -> Result<bool> {
    let registration = super::connection(target, id).await?;
    let verified = compare(target, &registration, options).await.with_context(|| format!("connection `{id}`"))?;
    print(id, &verified);
    if !options.repair {
        if !verified.drifted.is_empty() {
            println!("  `customer-sync verify {id} --repair{}` has them fetched again", target.flags);
        }
        return Ok(verified.drifted.is_empty() && verified.unclear.is_empty());
    }
    repair(target, &registration, &verified.drifted).await?;
    Ok(verified.unclear.is_empty())
}

async fn compare(target: &Target, registration: &Registration, options: VerifyOptions) -> Result<Verified> {
    let kind = ConnectionKind::from_name(&registration.kind)
        .ok_or_else(|| anyhow!("its kind {} is not known to this release", registration.kind))?;
    if kind.is_push() {
        bail!("a connection of the kind {} can't be compared: its sender can't be asked", kind.name());
    }
    if kind == ConnectionKind::BusinessCatalyst && options.sample.is_some() {
        bail!("Business Catalyst is compared by a list of everything; leave out --sample");
    }
    if target.tables.states.state(&registration.key).await?.paused_at.is_some() {
        bail!("it is paused: nothing is asked of its source");
    }
    let clients = &target.clients;
    let (http, secrets) = (clients.http.clone(), clients.secrets.clone());
    let (limiter, clock) = (target.tables.limiter.clone(), clients.clock.clone());
    let deadline = clock.now() + PATIENCE;
    if kind == ConnectionKind::BusinessCatalyst {
        let connection = Connection::<BusinessCatalystConfig>::from_registration(registration)?;
        let source = BusinessCatalystClient::new(http, secrets, limiter, clock);
        return Ok(ContactsVerifier::new(&target.tables, source).verify(&connection, deadline).await?);
    }
    let connection = Connection::<AssociationAnywhereConfig>::from_registration(registration)?;
    let source = AssociationAnywhereClient::new(http, secrets, limiter, clock);
    let sample = usize::try_from(options.sample.unwrap_or(SAMPLE)).unwrap_or(usize::MAX);
    Ok(CustomersVerifier::new(&target.tables, source).verify(&connection, sample, deadline).await?)
}

/// Ids, names of fields and times: no personal data.
fn print(id: &str, verified: &Verified) {
    let Verified { stored, agreeing, drifted, on_their_way, unclear } = verified;
    println!("{id}: {} customers compared with the source; the shadow has {stored}", verified.compared());
    for customer in drifted.iter().take(MOST_NAMED) {
        let Differing { source_id, difference, recorded_at, has_failed, .. } = customer;
        let since = recorded_at.map(|at| format!("; its record is of {}", iso_millis(at))).unwrap_or_default();
        let failed = if *has_failed { "; it has a failure record" } else { "" };
        println!("  {id}~{source_id} {difference}{since}{failed}");
    }
    for customer in unclear.iter().take(MOST_NAMED) {
        println!("  {id}~{} could not be compared: {}", customer.source_id, customer.reason);
    }
    let more = drifted.len().saturating_sub(MOST_NAMED) + unclear.len().saturating_sub(MOST_NAMED);
    if more > 0 {
        println!("  and {more} more");
    }
    let oldest = drifted.iter().filter_map(|customer| customer.recorded_at).min();
    let oldest = oldest.map(|at| format!(", the oldest since {} at the earliest", iso_millis(at))).unwrap_or_default();
    println!(
        "  {agreeing} agree + {} differ + {} on their way + {} not compared{oldest}",
        drifted.len(),
        on_their_way.len(),
        unclear.len()
    );
}

/// Asks for what differs by the way that every change comes.
async fn repair(target: &Target, registration: &Registration, drifted: &[Differing]) -> Result<()> {
    let id = &registration.key.connection;
    if drifted.is_empty() {
        println!("  nothing to repair");
        return Ok(());
    }
    let (resyncs, now) = (Resyncs::new(&target.tables), target.clients.clock.now());
    if registration.kind == ConnectionKind::BusinessCatalyst.name() {
        resyncs.request(registration, &ResyncWhat::Everyone, now).await?;
        println!("  every contact is listed again with the next poll");
        return Ok(());
    }
    for customer in drifted {
        let what = ResyncWhat::Customer(customer.source_id.clone());
        resyncs.request(registration, &what, now).await.with_context(|| format!("{id}~{}", customer.source_id))?;
    }
    let verb = if drifted.len() == 1 { "is" } else { "are" };
    println!("  {} {verb} fetched again with the next batch", drifted.len());
    Ok(())
}
