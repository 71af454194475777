//! Which destinations have customers, by the file and by what they were sent.

use std::collections::{BTreeMap, BTreeSet};

use config::{Destination, DestinationKind};
use model::{ConnectionKey, CustomerId};
use store::{StoreError, Tables};

use super::{AtDestination, DestinationLeft};

/// A destination of a tenant.
pub(super) struct Holder {
    pub(super) key: ConnectionKey,
    /// `None` if it is not registered any more.
    kind: Option<DestinationKind>,
    /// The connections whose customers it gets.
    gets: BTreeSet<String>,
    /// Other connections whose customers it was sent before.
    was_sent: BTreeSet<String>,
}

impl Holder {
    /// Every destination of a tenant: those that are registered, and those that were sent customers before.
    pub(super) async fn all(tables: &Tables, tenant: &str) -> Result<Vec<Self>, StoreError> {
        let Tables { registry, deliveries, .. } = tables;
        let registered = Destination::all(registry).await?.into_iter().filter(|it| it.key.tenant == tenant);
        let mut settings: BTreeMap<_, _> = registered.map(|it| (it.key, Some(it.settings))).collect();
        for key in deliveries.places(tenant).await? {
            settings.entry(key).or_default();
        }
        let mut all = Vec::with_capacity(settings.len());
        for (key, settings) in settings {
            let listed = deliveries.of(&key).await?.progress.listed;
            let gets: BTreeSet<String> = settings.iter().flat_map(|it| it.from.iter().cloned()).collect();
            let was_sent = listed.into_keys().filter(|connection| !gets.contains(connection)).collect();
            all.push(Self { key, kind: settings.map(|it| it.receiver.kind()), gets, was_sent });
        }
        Ok(all)
    }

    /// Whether it has a customer, or will get it.
    pub(super) fn has(&self, id: &CustomerId) -> bool {
        self.gets.contains(&id.connection) || self.was_sent.contains(&id.connection)
    }

    /// What it has of customers that are erased, and what becomes of that.
    pub(super) fn left<'a>(&self, customers: impl Iterator<Item = &'a CustomerId> + Clone) -> Vec<DestinationLeft> {
        let told = match self.kind {
            Some(DestinationKind::Webhook) => AtDestination::Told,
            Some(DestinationKind::BusinessCatalyst) => AtDestination::MarkedDeleted,
            Some(DestinationKind::CustomersBatch) | None => AtDestination::ByHand,
        };
        let mut left = Vec::new();
        for (connections, becomes) in [(&self.gets, told), (&self.was_sent, AtDestination::ByHand)] {
            let customers = customers.clone().filter(|id| connections.contains(&id.connection));
            let customers: Vec<String> = customers.map(CustomerId::to_string).collect();
            if !customers.is_empty() {
                let destination = self.key.connection.clone();
                left.push(DestinationLeft { destination, kind: self.kind, customers, becomes });
            }
        }
        left
    }
}
