use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use model::ConnectionKey;
use model::import::{Claimants, Known, Missing};
use store::{Imports, Shadow, StoreError};

/// Looks up what an import must know of customers and claims.
pub(crate) struct Lookup {
    pub(crate) shadow: Shadow,
    pub(crate) imports: Imports,
}

impl Lookup {
    /// Reads what matching lacks.
    pub(crate) async fn read(
        &self,
        connection: &ConnectionKey,
        missing: Missing,
        known: &mut Known,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let Missing { claims, customers } = missing;
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
            self.imports.claimants(connection, unread, deadline),
            self.imports.read_on(connection, more, &mut claimants, deadline),
            self.read_customers(connection, customers, known, deadline)
        );
        more?;
        customers?;
        claimants.extend(read?);
        known.claimants = claimants;
        Ok(())
    }

    /// Reads customers, also those that do not exist: they are known then not to.
    async fn read_customers(
        &self,
        connection: &ConnectionKey,
        customers: BTreeSet<String>,
        known: &mut Known,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let ids = customers.iter().map(|source_id| (connection.clone(), source_id.clone()));
        let found = self.shadow.get_many(ids, deadline).await?;
        let mut found: HashMap<_, _> =
            found.into_iter().map(|customer| (customer.source_id.clone(), customer)).collect();
        known.customers.extend(customers.into_iter().map(|source_id| {
            let customer = found.remove(&source_id);
            (source_id, customer)
        }));
        Ok(())
    }

    /// Reads the claimants of a claim that are not known yet.
    pub(crate) async fn read_claimants(
        &self,
        connection: &ConnectionKey,
        claimants: &Claimants,
        known: &mut Known,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let unread = claimants.ids().filter(|source_id| !known.customers.contains_key(*source_id)).map(str::to_owned);
        self.read_customers(connection, unread.collect(), known, deadline).await
    }
}
