//! Forgetting a person: what `customer-sync erase` does.
//!
//! ```text
//!   note their fingerprints      no writer takes them in from now on
//!   -> failure records, documents that name them, images and claims of imports, waiting references
//!   -> erase their records       whoever follows them is told that they are gone
//!   -> the search index
//! ```
//!
//! It can be repeated, and goes on where it was: the records, by which a person is found, go last. While images and
//! claims of an import connection are removed, nothing is imported into it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use config::{ConnectionKind, Destination, DestinationKind, all_connections};
use jiff::Timestamp;
use model::import::Claim;
use model::{ConnectionKey, Content, CustomerId, Phase, Resource};
use serde::Serialize;
use store::{
    Clock, ConnectionRegistry, EmailIndex, ErasedRecord, Erasures, Failures, Imports, Ledger, PendingReferences,
    Random, Shadow, StoreError, Tables, Whom,
};
use thiserror::Error;

use super::{Found, addresses, find};
use crate::imports::ImportLease;

/// How long nothing is imported into a connection while images are removed.
const LEASE: Duration = Duration::from_secs(300);
/// How long an import is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// A shorter text may stand in a document by chance.
const SHORTEST_NAME: usize = 5;

/// Forgets persons.
#[derive(Clone, Debug)]
pub struct Eraser {
    erasures: Erasures,
    shadow: Shadow,
    failures: Failures,
    imports: Imports,
    pending: PendingReferences,
    email_index: EmailIndex,
    ledger: Ledger,
    registry: ConnectionRegistry,
    lease: ImportLease,
    clock: Clock,
}

/// Why a person is not erased, or not everywhere: it can be repeated.
#[derive(Debug, Error)]
pub enum EraseError {
    /// An import holds the lease all the time.
    #[error("an import or its undo is under way in `{0}`: try again in a minute")]
    Busy(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was found and removed, place by place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Places {
    /// Records of the shadow: what is left of each is its id, and that it was erased.
    pub records: u64,
    /// Records that an erasure before had left so.
    pub erased_before: u64,
    /// Failure records, of connections and of destinations.
    pub failure_records: u64,
    /// Documents of other customers' failure records that hold an address, a phone number or the name: emptied.
    pub failure_documents: u64,
    /// How imports found and left the customers.
    pub import_images: u64,
    /// Cards and addresses by which imports find customers.
    pub import_claims: u64,
    /// References to staff and lead sources that are waited for.
    pub waiting_references: u64,
    /// Addresses in the search index.
    pub search_entries: u64,
}

/// What a destination has of a person, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DestinationLeft {
    /// Its id.
    pub destination: String,
    /// Its kind.
    pub kind: DestinationKind,
    /// The customers that it gets.
    pub customers: Vec<String>,
    /// What becomes of them there.
    pub becomes: AtDestination,
}

/// What becomes of an erased customer at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AtDestination {
    /// It is told that the customer is gone.
    Told,
    /// It is told, and keeps the data of who is deleted: they are to be removed there.
    MarkedDeleted,
    /// It knows no word for it: the customer is to be removed there.
    ByHand,
}

/// What an erasure did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErasureReport {
    /// The tenant.
    pub tenant: String,
    /// When it was done.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// The customers that were erased.
    pub customers: Vec<String>,
    /// What was removed, and where.
    pub removed: Places,
    /// Other customers that have one of the addresses: they stay.
    pub neighbours: Vec<String>,
    /// What destinations have.
    pub destinations: Vec<DestinationLeft>,
    /// Connections with a batch in progress: what the source has told of the customers is gone when it ends.
    pub open_batches: Vec<String>,
    /// Records of the tenant that can't be read: nobody knows whose they are.
    pub unreadable: u64,
}

fn as_text<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&model::iso_millis(*time))
}

impl Eraser {
    /// Works on these tables.
    pub fn new(tables: &Tables, clock: Clock, random: Random) -> Self {
        Self {
            erasures: tables.erasures(),
            shadow: tables.shadow(),
            failures: tables.failures(),
            imports: tables.imports(),
            pending: tables.pending_references(),
            email_index: tables.email_index(),
            ledger: tables.ledger(),
            registry: tables.registry(),
            lease: ImportLease::new(tables.states(), clock.clone(), random),
            clock,
        }
    }

    /// The customers that would be erased, and others that have one of their addresses.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn preview(&self, tenant: &str, whom: &Whom) -> Result<(Vec<String>, Vec<String>), StoreError> {
        let Found { customers, neighbours, .. } = find(&self.shadow, tenant, whom).await?;
        let there = customers.into_iter().filter(|(_, record)| record.as_ref().is_some_and(|it| !it.is_erased()));
        Ok((there.map(|(id, _)| id.to_string()).collect(), neighbours.iter().map(CustomerId::to_string).collect()))
    }

    /// Erases a person. Afterwards no sync, push, import, redrive or undo brings them back, until that is
    /// [lifted](Self::lift).
    ///
    /// # Errors
    /// If an import is under way, or the store fails before the deadline: then it is to be repeated.
    pub async fn erase(&self, tenant: &str, whom: &Whom, deadline: Timestamp) -> Result<ErasureReport, EraseError> {
        if let Whom::Address(_) = whom {
            self.erasures.add(tenant, whom, &BTreeSet::new(), self.clock.now()).await?;
        }
        let found = find(&self.shadow, tenant, whom).await?;
        let texts = match whom {
            Whom::Address(address) => BTreeSet::from([address.clone()]),
            Whom::Customer(_) => BTreeSet::new(),
        };
        self.erase_found(tenant, texts, found, deadline).await
    }

    /// Erases again whoever is in the list and has a record all the same: after tables were restored.
    ///
    /// # Errors
    /// As [`erase`](Self::erase).
    pub async fn erase_again(&self, tenant: &str, deadline: Timestamp) -> Result<ErasureReport, EraseError> {
        let erased = self.erasures.of(tenant).await?;
        let mut found = Found::default();
        found.unreadable = self
            .shadow
            .look_through(tenant, |customer| {
                let id = customer.id();
                if !customer.is_erased() && (erased.holds(&id) || erased.holds_an_address_of(&customer.content)) {
                    found.customers.push((id, Some(customer)));
                }
            })
            .await?;
        // A customer that was never stored may have a failure record.
        for registration in all_connections(&self.registry).await?.into_iter().filter(|it| it.key.tenant == tenant) {
            for failure in self.failures.all(&registration.key).await? {
                let id = CustomerId {
                    connection: registration.key.connection.clone(),
                    source_id: failure.source_id.clone(),
                };
                if !failure.raw.is_empty() && erased.holds(&id) {
                    found.customers.push((id, None));
                }
            }
        }
        self.erase_found(tenant, BTreeSet::new(), found, deadline).await
    }

    /// Erases customers, and empties documents that hold one of the texts, or what names one of the customers.
    async fn erase_found(
        &self,
        tenant: &str,
        mut texts: BTreeSet<String>,
        found: Found,
        deadline: Timestamp,
    ) -> Result<ErasureReport, EraseError> {
        let connections: BTreeMap<ConnectionKey, String> =
            all_connections(&self.registry).await?.into_iter().map(|it| (it.key, it.kind)).collect();
        let destinations: Vec<Destination> =
            Destination::all(&self.registry).await?.into_iter().filter(|it| it.key.tenant == tenant).collect();
        let mut removed = Places::default();
        texts.extend(
            found
                .customers
                .iter()
                .filter_map(|(_, record)| record.as_ref())
                .flat_map(|customer| telling_texts(&customer.content)),
        );
        for (id, record) in &found.customers {
            let known = record.as_ref().map(|customer| addresses(&customer.content)).unwrap_or_default();
            self.erasures.add(tenant, &Whom::Customer(id.clone()), &known, self.clock.now()).await?;
            let own = (ConnectionKey::new(tenant, &id.connection), id.source_id.clone());
            let at_destinations = destinations.iter().map(|destination| (destination.key.clone(), id.to_string()));
            for (key, name) in std::iter::once(own).chain(at_destinations) {
                removed.failure_records += u64::from(self.failures.is_there(&key, &name).await?);
                self.failures.remove(&key, &name).await?;
            }
        }
        let of_tenant = connections.keys().filter(|key| key.tenant == tenant);
        for key in of_tenant.clone().chain(destinations.iter().map(|destination| &destination.key)) {
            if !texts.is_empty() {
                removed.failure_documents += self.failures.empty_documents_with(key, &texts).await?;
            }
        }
        for (id, record) in &found.customers {
            let key = ConnectionKey::new(tenant, &id.connection);
            let content = record.as_ref().map(|customer| &customer.content);
            let mut lease = None;
            if connections.get(&key).is_some_and(|kind| kind == ConnectionKind::BatchImport.name()) {
                let ahead = self.lease.store_is_ahead_by(&key).await?;
                let taken = self.lease.take(&key, LEASE, ahead, self.clock.now() + PATIENCE).await?;
                lease = Some(taken.ok_or_else(|| EraseError::Busy(id.connection.clone()))?);
            }
            let erased = self.erase_customer(&key, id, content, &mut removed, deadline).await;
            if let Some(owner) = lease {
                self.lease.release(&key, &owner).await;
            }
            erased?;
        }
        let mut open_batches = Vec::new();
        for key in of_tenant {
            if self.ledger.state(key).await?.latest.is_some_and(|batch| batch.phase != Phase::Closed) {
                open_batches.push(key.connection.clone());
            }
        }
        Ok(ErasureReport {
            tenant: tenant.to_owned(),
            at: self.clock.now(),
            customers: found.customers.iter().map(|(id, _)| id.to_string()).collect(),
            removed,
            neighbours: found.neighbours.iter().map(CustomerId::to_string).collect(),
            destinations: left_at(&destinations, &found.customers),
            open_batches,
            unreadable: found.unreadable,
        })
    }

    async fn erase_customer(
        &self,
        key: &ConnectionKey,
        id: &CustomerId,
        content: Option<&Content>,
        removed: &mut Places,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let (tenant, source_id) = (&key.tenant, &id.source_id);
        let whom = Whom::Customer(id.clone());
        let known = content.map(addresses).unwrap_or_default();
        let mut claims: BTreeSet<Claim> = content.into_iter().flat_map(Claim::of).collect();
        for (_, image) in self.imports.images_of(key, source_id, deadline).await? {
            claims.extend(image.prior.iter().flat_map(Claim::of));
        }
        removed.import_images += self.imports.erase_images(key, source_id, deadline).await?;
        removed.import_claims += self.imports.release_claims(key, &claims, source_id, deadline).await?;
        for resource in [Resource::Staff, Resource::LeadSource] {
            let names = self.pending.awaited_by(key, resource, source_id).await?;
            removed.waiting_references += names.len() as u64;
            self.pending.remove(key, resource, names.iter().map(String::as_str), source_id).await?;
        }
        // Last: what was not finished is found by the record again.
        match self.shadow.erase(key, source_id).await? {
            ErasedRecord::Nothing => {}
            ErasedRecord::ErasedBefore => removed.erased_before += 1,
            ErasedRecord::Record(last) => {
                removed.records += 1;
                if let Some(last) = last {
                    // It may have changed since it was found.
                    let now = addresses(&last.content);
                    if !now.is_subset(&known) {
                        self.erasures.add(tenant, &whom, &now, self.clock.now()).await?;
                    }
                    let gone = EmailIndex::addresses(&last.content);
                    removed.search_entries += gone.len() as u64;
                    let change = (id.clone(), last.revision + 1, gone, BTreeSet::new());
                    self.email_index.update(tenant, [change], deadline).await?;
                }
            }
        }
        Ok(())
    }

    /// Lets a person come back: with the next time that a source tells of them. `false` if they were not erased.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn lift(&self, tenant: &str, whom: &Whom) -> Result<bool, StoreError> {
        let is_lifted = self.erasures.lift(tenant, whom).await?;
        if let Whom::Customer(id) = whom {
            self.shadow.lift_erasure(&ConnectionKey::new(tenant, &id.connection), &id.source_id).await?;
        }
        Ok(is_lifted)
    }
}

/// What a document would name the person by: addresses, phone numbers, and the name.
fn telling_texts(content: &Content) -> BTreeSet<String> {
    let phones = content.phones.iter().map(|phone| phone.number.clone());
    let names = content.name.display.iter().cloned();
    let emails = content.emails.iter().map(|email| email.address.trim().to_owned());
    phones.chain(names).chain(emails).filter(|text| text.len() >= SHORTEST_NAME).collect()
}

fn left_at(destinations: &[Destination], customers: &[(CustomerId, Option<model::Customer>)]) -> Vec<DestinationLeft> {
    let mut left = Vec::new();
    for Destination { key, settings } in destinations {
        let gets = customers.iter().map(|(id, _)| id).filter(|id| settings.from.contains(&id.connection));
        let customers: Vec<String> = gets.map(CustomerId::to_string).collect();
        let kind = settings.receiver.kind();
        if !customers.is_empty() {
            left.push(DestinationLeft {
                destination: key.connection.clone(),
                kind,
                customers,
                becomes: match kind {
                    DestinationKind::Webhook => AtDestination::Told,
                    DestinationKind::BusinessCatalyst => AtDestination::MarkedDeleted,
                    DestinationKind::CustomersBatch => AtDestination::ByHand,
                },
            });
        }
    }
    left
}
