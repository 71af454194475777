use std::collections::{BTreeMap, BTreeSet};

use model::import::{Claim, Claimants, Known};
use store::StoreError;

use crate::import_tables::ImportTables;
use crate::plan::Plan;

/// The claims that must be stored before the customers are: their claimants before and after.
pub(crate) struct Claims(BTreeMap<Claim, (Claimants, Claimants)>);

/// Which customers are about to get which claim.
type NewClaims = BTreeMap<Claim, BTreeSet<String>>;

/// A change of one claim.
pub(crate) type Change<'a> = (&'a Claim, &'a Claimants, &'a Claimants);

impl Claims {
    /// The changes that a plan makes to claims. Customers that no longer have a claim are left out once its claimants
    /// have grown.
    pub(crate) async fn of(plan: &Plan<'_>, tables: &ImportTables<'_>, known: &mut Known) -> Result<Self, StoreError> {
        let ImportTables { imports, connection, deadline, .. } = *tables;
        let new = plan.new_claims();
        let unread = new.keys().filter(|claim| !known.claimants.contains_key(*claim)).cloned();
        let read = imports.claimants(connection, unread, deadline).await?;
        known.claimants.extend(read);
        // A customer that is remembered twice would be counted twice: so all claimants must be known.
        let whole = new.keys().map(|claim| (claim.clone(), usize::MAX));
        imports.read_on(connection, whole, &mut known.claimants, deadline).await?;
        let mut changes = BTreeMap::new();
        for (claim, source_ids) in &new {
            let before = known.claimants.get(claim).cloned().unwrap_or_default();
            let mut after = before.clone();
            after.add(source_ids.iter().map(String::as_str));
            if after.is_worth_a_look() {
                tables.read_claimants(&before, known).await?;
                after.keep(|source_id| has(known, &new, source_id, claim));
            }
            if after != before {
                changes.insert(claim.clone(), (before, after));
            }
        }
        for (claim, before) in &known.claimants {
            if !changes.contains_key(claim)
                && let Some(after) = mostly_gone(claim, before, known, &new)
            {
                changes.insert(claim.clone(), (before.clone(), after));
            }
        }
        Ok(Self(changes))
    }

    /// Claims that fill more than one item: they belong to no chunk of customers.
    pub(crate) fn spread(&self) -> impl Iterator<Item = Change<'_>> {
        self.0.iter().filter(|(_, change)| is_spread(change)).map(|(claim, (before, after))| (claim, before, after))
    }

    /// Those of `claims` that change and fill one item.
    pub(crate) fn single<'a>(
        &'a self,
        claims: impl IntoIterator<Item = &'a Claim>,
    ) -> impl Iterator<Item = Change<'a>> {
        let changes = claims.into_iter().filter_map(|claim| self.0.get_key_value(claim));
        changes.filter(|(_, change)| !is_spread(change)).map(|(claim, (before, after))| (claim, before, after))
    }
}

fn is_spread((before, after): &(Claimants, Claimants)) -> bool {
    before.page_count > 1 || after.page_count > 1 || before.layout != after.layout
}

/// Claimants of which most no longer have the claim, without those: the next look is short.
fn mostly_gone(claim: &Claim, before: &Claimants, known: &Known, new: &NewClaims) -> Option<Claimants> {
    if matches!(claim, Claim::Lowercase(_)) || before.page_count < 2 || !before.is_complete() {
        return None;
    }
    let mut holders = 0;
    for source_id in before.ids() {
        known.customers.get(source_id)?;
        holders += usize::from(has(known, new, source_id, claim));
    }
    (holders <= before.ids().count() / 2).then(|| {
        let mut after = before.clone();
        after.keep(|source_id| has(known, new, source_id, claim));
        after
    })
}

/// Whether a customer has this claim, in its stored record or once the plan is carried out. One that is about to get it
/// may be among the claimants already: it once had it, or an attempt to give it died.
fn has(known: &Known, new: &NewClaims, source_id: &str, claim: &Claim) -> bool {
    let stored = known.customers.get(source_id).and_then(Option::as_ref);
    new.get(claim).is_some_and(|source_ids| source_ids.contains(source_id))
        || stored.is_some_and(|customer| Claim::of(&customer.content).any(|own| own == *claim))
}
