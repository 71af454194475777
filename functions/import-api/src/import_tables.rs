use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use model::ConnectionKey;
use model::import::{Claimants, Known, Matching, Missing, Request, RequestFingerprint, RowOutcome};
use store::{Imports, Shadow, StoreError};

use crate::turns::Turns;

/// The tables for one import: it is of one connection, and has a deadline.
pub(crate) struct ImportTables<'a> {
    pub(crate) shadow: &'a Shadow,
    pub(crate) imports: &'a Imports,
    pub(crate) connection: &'a ConnectionKey,
    pub(crate) deadline: Timestamp,
}

impl ImportTables<'_> {
    /// What becomes of every row; reads what it takes to decide it.
    pub(crate) async fn matched(
        &self,
        request: &Request,
        fingerprint: &RequestFingerprint,
        before: &[RowOutcome],
        known: &mut Known,
    ) -> Result<Vec<RowOutcome>, StoreError> {
        loop {
            let mut matching = Matching::new(request, fingerprint, before, known);
            while matching.go_on(Turns::ROWS) {
                tokio::task::yield_now().await;
            }
            match matching.end() {
                Ok(outcomes) => return Ok(outcomes),
                Err(missing) => self.read(missing, known).await?,
            }
        }
    }

    /// Reads what matching lacks.
    async fn read(&self, Missing { claims, customers }: Missing, known: &mut Known) -> Result<(), StoreError> {
        // For claims whose first pages are known, twice as many pages are read: so there are few rounds, however many
        // pages.
        let (more, unread): (BTreeSet<_>, BTreeSet<_>) =
            claims.into_iter().partition(|claim| known.claimants.contains_key(claim));
        let more: Vec<_> = more
            .into_iter()
            .map(|claim| {
                let pages = known.claimants.get(&claim).map_or(0, |claimants| claimants.pages.len());
                (claim, 2 * pages.max(1))
            })
            .collect();
        let mut claimants = std::mem::take(&mut known.claimants);
        let (read, more, customers) = futures::join!(
            self.imports.claimants(self.connection, unread, self.deadline),
            self.imports.read_on(self.connection, more, &mut claimants, self.deadline),
            self.read_customers(customers, known)
        );
        more?;
        customers?;
        claimants.extend(read?);
        known.claimants = claimants;
        Ok(())
    }

    /// Reads customers, also those that do not exist: they are known then not to.
    async fn read_customers(&self, customers: BTreeSet<String>, known: &mut Known) -> Result<(), StoreError> {
        let ids = customers.iter().map(|source_id| (self.connection.clone(), source_id.clone()));
        let found = self.shadow.get_many(ids, self.deadline).await?;
        let mut found: HashMap<_, _> =
            found.into_iter().map(|customer| (customer.source_id.clone(), customer)).collect();
        known.customers.extend(customers.into_iter().map(|source_id| {
            let customer = found.remove(&source_id);
            (source_id, customer)
        }));
        Ok(())
    }

    /// Reads the claimants of a claim that are not known yet.
    pub(crate) async fn read_claimants(&self, claimants: &Claimants, known: &mut Known) -> Result<(), StoreError> {
        let unread = claimants.ids().filter(|source_id| !known.customers.contains_key(*source_id)).map(str::to_owned);
        self.read_customers(unread.collect(), known).await
    }
}
