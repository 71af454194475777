//! Which changes a destination is sent, and as what.
//!
//! **No echo.** A change that came from a system does not go back to it. A record that is a copy of one of ours, which we
//! made in another system, is sent to nobody: its `external_id`, or its own id, names the original, which is sent
//! instead.

use std::collections::{BTreeMap, BTreeSet};

use config::{BusinessCatalystConfig, Connection, Destination, Settings, Site};
use destinations::Outgoing;
use jiff::Timestamp;
use model::{ChangeAction, ConnectionKey, Customer, CustomerId, Status};
use store::{ConnectionRegistry, Shadow, StoreError};

/// A customer that may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The customer.
    pub(crate) id: CustomerId,
    /// When the change was appended to the feed.
    pub(crate) at: Timestamp,
    /// The revision that the change made.
    pub(crate) revision: u64,
    /// Whether the destination is to take it for somebody new, if it is there.
    pub(crate) is_new: bool,
}

/// What is to be done with it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Chosen {
    /// It is sent.
    Send(Box<Outgoing>),
    /// It is not for this destination.
    LeftOut,
    /// Its record can't be read.
    Damaged,
}

/// Chooses for one destination.
#[derive(Clone, Debug)]
pub(crate) struct Choice<'a> {
    shadow: &'a Shadow,
    tenant: &'a str,
    /// The connections whose customers it gets.
    from: BTreeSet<&'a str>,
}

impl<'a> Choice<'a> {
    /// Chooses for `destination`. Connections to the system that it is are left out.
    pub(crate) async fn of(
        destination: &'a Destination,
        registry: &ConnectionRegistry,
        shadow: &'a Shadow,
    ) -> Result<Self, StoreError> {
        let tenant = &destination.key.tenant;
        let mut from: BTreeSet<&str> = destination.settings.from.iter().map(String::as_str).collect();
        if let Some(site) = destination.settings.receiver.site() {
            let keys: Vec<ConnectionKey> = from.iter().map(|from| ConnectionKey::new(tenant, *from)).collect();
            let registrations = registry.glance(&keys).await?;
            let sites = registrations.iter().filter(|it| it.kind == BusinessCatalystConfig::KIND.name());
            for connection in sites.filter_map(|it| Connection::<BusinessCatalystConfig>::from_registration(it).ok()) {
                if Site::of(&connection.settings.endpoint, connection.settings.site_id) == site {
                    from.remove(connection.key.connection.as_str());
                }
            }
        }
        Ok(Self { shadow, tenant, from })
    }

    /// What is to be done with customers of which each is told once, in their order.
    pub(crate) async fn choose(&self, told: &[Told], deadline: Timestamp) -> Result<Vec<Chosen>, StoreError> {
        let wanted = told.iter().map(|told| &told.id).filter(|id| self.from.contains(id.connection.as_str()));
        let found = self.shadow.find_many(wanted.map(|id| self.key_of(id)), deadline).await?;
        let unreadable: BTreeSet<CustomerId> = found.unreadable.into_iter().collect();
        let mut records: BTreeMap<CustomerId, Customer> =
            found.customers.into_iter().map(|customer| (customer.id(), customer)).collect();
        let originals = self.originals(records.values(), deadline).await?;
        let choose = |told: &Told| {
            if !self.from.contains(told.id.connection.as_str()) {
                return Chosen::LeftOut;
            }
            if unreadable.contains(&told.id) {
                return Chosen::Damaged;
            }
            let customer = records.remove(&told.id);
            match customer {
                Some(customer) if named_by(&customer).any(|original| originals.contains(&original)) => Chosen::LeftOut,
                customer => Chosen::Send(Box::new(outgoing(told, customer))),
            }
        };
        Ok(told.iter().map(choose).collect())
    }

    /// Those customers that others name as what they are copies of, as far as they are there.
    async fn originals(
        &self,
        copies: impl Iterator<Item = &Customer>,
        deadline: Timestamp,
    ) -> Result<BTreeSet<CustomerId>, StoreError> {
        let named: BTreeSet<CustomerId> = copies.flat_map(named_by).collect();
        if named.is_empty() {
            return Ok(named);
        }
        let found = self.shadow.find_many(named.iter().map(|id| self.key_of(id)), deadline).await?;
        Ok(found.customers.iter().map(Customer::id).chain(found.unreadable).collect())
    }

    fn key_of(&self, id: &CustomerId) -> (ConnectionKey, String) {
        (ConnectionKey::new(self.tenant, &id.connection), id.source_id.clone())
    }
}

/// The customers that a record names as what it is a copy of.
fn named_by(copy: &Customer) -> impl Iterator<Item = CustomerId> {
    let own = copy.id();
    let texts = [copy.content.external_id.as_deref(), Some(copy.source_id.as_str())];
    texts.into_iter().flatten().filter_map(|text| text.parse().ok()).filter(move |id| *id != own)
}

fn outgoing(told: &Told, customer: Option<Customer>) -> Outgoing {
    let lives = customer.as_ref().is_some_and(|customer| customer.content.status != Status::Deleted);
    Outgoing {
        id: told.id.clone(),
        action: ChangeAction::seen_now(lives, told.is_new),
        changed_at: customer.as_ref().map_or(told.at, |customer| customer.changed_at),
        revision: customer.as_ref().map_or(told.revision, |customer| customer.revision),
        customer,
    }
}
