//! Which changes a destination is sent, and as what.
//!
//! **No echo.** A change that came from a system does not go back to it. A record that is a copy of another, which we
//! made in some system, is sent to nobody who gets the original, and not back to where the original is: its
//! `external_id`, or its own id, names that. It may be a copy of a copy, as often as it was passed on. Only its
//! deletion is told to webhooks: it may have been sent before it was known to be a copy.

use std::collections::{BTreeMap, BTreeSet};

use config::{BusinessCatalystConfig, Connection, ConnectionKind, Destination, DestinationKind, Site};
use destinations::Outgoing;
use jiff::Timestamp;
use model::{ChangeAction, ConnectionKey, Customer, CustomerId, Status};
use store::{ConnectionRegistry, Shadow, StoreError};

/// How many copies of copies are followed back.
const MOST_STEPS: usize = 16;

/// A customer that may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The customer.
    pub(crate) id: CustomerId,
    /// When it was told, and with which revision: what is sent if its record was removed since.
    pub(crate) at: Timestamp,
    pub(crate) revision: u64,
    /// Whether the destination is to take it for somebody new, if it is there.
    pub(crate) is_new: bool,
    /// Whether it is to be sent only if it is gone: if it lives, it is in the listing.
    pub(crate) only_if_gone: bool,
    /// On what occasion it is sent.
    pub(crate) occasion: String,
}

/// What is to be done with it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Chosen {
    /// It is sent.
    Send(Box<Outgoing>),
    /// It is not for this destination.
    LeftOut,
    /// The listing has it.
    Listed,
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
    /// The connections to the system that it is.
    own: BTreeSet<String>,
    /// Whether a deletion of somebody that it does not have does no harm.
    ignores_unknown: bool,
}

impl<'a> Choice<'a> {
    /// Chooses for `destination`. Connections to the system that it is are left out.
    ///
    /// The inner error says which connection can't be read that may be to that system: what came from it would go back.
    ///
    /// # Errors
    /// If the store can't be read.
    pub(crate) async fn of(
        destination: &'a Destination,
        registry: &ConnectionRegistry,
        shadow: &'a Shadow,
    ) -> Result<Result<Self, String>, StoreError> {
        let tenant = &destination.key.tenant;
        let mut own = BTreeSet::new();
        if let Some(site) = destination.settings.receiver.site() {
            let registrations = registry.of_kind(ConnectionKind::BusinessCatalyst.name()).await?;
            for registration in registrations.iter().filter(|registration| registration.key.tenant == *tenant) {
                let Connection { key, settings } =
                    match Connection::<BusinessCatalystConfig>::from_registration(registration) {
                        Ok(connection) => connection,
                        Err(problem) => {
                            let id = &registration.key.connection;
                            return Ok(Err(format!("connection `{id}`, which may be to the same site: {problem}")));
                        }
                    };
                if Site::of(&settings.endpoint, settings.site_id) == site {
                    own.insert(key.connection);
                }
            }
        }
        let from = destination.settings.from.iter().map(String::as_str).collect();
        let ignores_unknown = destination.settings.receiver.kind() == DestinationKind::Webhook;
        Ok(Ok(Self { shadow, tenant, from, own, ignores_unknown }))
    }

    /// Whether a deletion of somebody that the destination does not have does no harm there.
    pub(crate) fn ignores_unknown(&self) -> bool {
        self.ignores_unknown
    }

    /// Whether customers of a connection are sent there.
    fn gets(&self, connection: &str) -> bool {
        self.from.contains(connection) && !self.own.contains(connection)
    }

    /// What is to be done with customers of which each is told once, in their order.
    pub(crate) async fn choose(&self, told: &[Told], deadline: Timestamp) -> Result<Vec<Chosen>, StoreError> {
        let wanted = told.iter().map(|told| &told.id).filter(|id| self.gets(&id.connection));
        let found = self.shadow.find_many(wanted.map(|id| self.key_of(id)), deadline).await?;
        let unreadable: BTreeSet<CustomerId> = found.unreadable.into_iter().collect();
        let mut records: BTreeMap<CustomerId, Customer> =
            found.customers.into_iter().map(|customer| (customer.id(), customer)).collect();
        let names = self.names(records.values(), deadline).await?;
        let choose = |told: &Told| {
            if !self.gets(&told.id.connection) {
                return Chosen::LeftOut;
            }
            if unreadable.contains(&told.id) {
                return Chosen::Damaged;
            }
            match records.remove(&told.id) {
                Some(customer) if self.is_left_out(&customer, &names) => Chosen::LeftOut,
                customer => {
                    let outgoing = outgoing(told, customer);
                    let is_listed = told.only_if_gone && !outgoing.is_deletion();
                    if is_listed { Chosen::Listed } else { Chosen::Send(Box::new(outgoing)) }
                }
            }
        };
        Ok(told.iter().map(choose).collect())
    }

    /// Whether a customer is a copy of another one that the destination has or gets. Those that name each other, in
    /// however many steps, are none.
    fn is_left_out(&self, customer: &Customer, names: &BTreeMap<CustomerId, Vec<CustomerId>>) -> bool {
        let own = customer.id();
        let is_there =
            |id: &&CustomerId| self.from.contains(id.connection.as_str()) || self.own.contains(&id.connection);
        let is_told_gone = self.ignores_unknown && customer.content.status == Status::Deleted;
        !is_told_gone
            && originals(&own, names).into_iter().filter(is_there).any(|id| !originals(id, names).contains(&own))
    }

    /// Whom customers name as what they are copies of, and whom those name, and so on, as far as they are there.
    async fn names(
        &self,
        copies: impl Iterator<Item = &Customer>,
        deadline: Timestamp,
    ) -> Result<BTreeMap<CustomerId, Vec<CustomerId>>, StoreError> {
        let mut names: BTreeMap<CustomerId, Vec<CustomerId>> =
            copies.map(|copy| (copy.id(), named_by(copy).collect())).collect();
        let mut missing = BTreeSet::new();
        for _ in 0..MOST_STEPS {
            let is_unknown = |id: &&CustomerId| !names.contains_key(*id) && !missing.contains(*id);
            let next: BTreeSet<CustomerId> = names.values().flatten().filter(is_unknown).cloned().collect();
            if next.is_empty() {
                break;
            }
            let found = self.shadow.find_many(next.iter().map(|id| self.key_of(id)), deadline).await?;
            names.extend(found.customers.iter().map(|named| (named.id(), named_by(named).collect())));
            names.extend(found.unreadable.into_iter().map(|id| (id, Vec::new())));
            missing.extend(next.into_iter().filter(|id| !names.contains_key(id)));
        }
        Ok(names)
    }

    fn key_of(&self, id: &CustomerId) -> (ConnectionKey, String) {
        (ConnectionKey::new(self.tenant, &id.connection), id.source_id.clone())
    }
}

/// Those that a customer is a copy of: whom it names, whom those name, and so on, as far as they are there.
fn originals<'a>(copy: &CustomerId, names: &'a BTreeMap<CustomerId, Vec<CustomerId>>) -> BTreeSet<&'a CustomerId> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&CustomerId> = names.get(copy).into_iter().flatten().collect();
    while let Some(id) = open.pop() {
        if let Some((id, next)) = names.get_key_value(id)
            && found.insert(id)
        {
            open.extend(next);
        }
    }
    found
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
        occasion: told.occasion.clone(),
    }
}
