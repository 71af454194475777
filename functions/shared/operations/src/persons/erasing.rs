//! Forgetting a person: what `customer-sync erase` does.
//!
//! ```text
//!   note their fingerprints      no writer takes them in from now on
//!   -> failure records, documents that name them, images and claims of imports, waiting references
//!   -> erase their records       whoever follows them is told that they are gone
//!   -> the search index
//! ```
//!
//! It can be repeated, and goes on where it was: the records, by which a person is found, go last, and the list says
//! whom an address has brought in. Nothing is imported meanwhile into the connections whose images and claims are
//! removed: that is made sure of before anything is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use config::{ConnectionKind, all_connections};
use jiff::{SignedDuration, Timestamp};
use model::{ConnectionKey, CustomerId, Phase, Resource, is_spelling_of, other_spellings};
use store::{EmailIndex, ErasedRecord, Failure, StoreError, Sweep, Swept, Tables, Whom, addresses_in};
use thiserror::Error;

use super::destinations::Holder;
use super::finding::{Finder, Found, FoundCustomer, Search, Why, addresses};
use super::{ErasureReport, Places};
use crate::imports::ImportLease;

/// How long nothing is imported into a connection while images are removed, unless that is renewed.
const LEASE: Duration = Duration::from_secs(300);
/// How long an import is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The store tells its time to the second.
const STORE_TICK: SignedDuration = SignedDuration::from_secs(1);

/// Forgets persons.
#[derive(Clone, Debug)]
pub struct Eraser {
    tables: Tables,
    finder: Finder,
    lease: ImportLease,
}

/// Why a person is not erased, or not everywhere: it can be repeated.
#[derive(Debug, Error)]
pub enum EraseError {
    /// An import holds the lease all the time: nothing was removed.
    #[error("an import or its undo is under way in `{0}`: try again in a minute")]
    Busy(String),
    /// It ended before all was removed.
    #[error("not all is erased, repeat it: {cause}")]
    Unfinished {
        /// What was done until then, and what is to be done by hand.
        report: Box<ErasureReport>,
        /// Why it ended.
        cause: Box<EraseError>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a customer that is looked for is to be erased with.
struct Erasure<'a> {
    tenant: &'a str,
    customers: &'a BTreeMap<CustomerId, FoundCustomer>,
    /// Others who have one of their addresses, and are left alone.
    neighbours: &'a BTreeSet<CustomerId>,
    /// Lower case: documents that hold one of them are emptied.
    texts: Vec<String>,
    /// The connections of the tenant, by their names: their kinds.
    kinds: &'a BTreeMap<String, String>,
    holders: &'a [Holder],
    /// When they were looked for: see [`Eraser::now`].
    began: Timestamp,
    deadline: Timestamp,
}

/// The connections into which nothing is imported meanwhile: of each the owner of its lease.
type Leases = BTreeMap<ConnectionKey, String>;

impl Eraser {
    /// Works on these tables.
    pub fn new(tables: &Tables) -> Self {
        Self { finder: Finder::new(tables), lease: ImportLease::new(tables), tables: tables.clone() }
    }

    /// The customers that would be erased, and others that have one of their addresses.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn preview(&self, tenant: &str, whom: &Whom) -> Result<(Vec<String>, Vec<String>), StoreError> {
        self.preview_of(tenant, Search::Person(whom)).await
    }

    /// The same for [`erase_again`](Self::erase_again).
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn preview_again(&self, tenant: &str) -> Result<(Vec<String>, Vec<String>), StoreError> {
        self.preview_of(tenant, Search::Again).await
    }

    async fn preview_of(&self, tenant: &str, search: Search<'_>) -> Result<(Vec<String>, Vec<String>), StoreError> {
        let Found { customers, neighbours, .. } = self.finder.find(tenant, search).await?;
        let there = customers.iter().filter(|(_, customer)| customer.is_there());
        Ok((there.map(|(id, _)| id.to_string()).collect(), neighbours.iter().map(CustomerId::to_string).collect()))
    }

    /// Erases a person. Afterwards no sync, push, import, redrive or undo brings them back, until that is
    /// [lifted](Self::lift).
    ///
    /// # Errors
    /// If an import is under way, or the store fails before the deadline: then it is to be repeated.
    pub async fn erase(&self, tenant: &str, whom: &Whom, deadline: Timestamp) -> Result<ErasureReport, EraseError> {
        if let Whom::Address(_) = whom {
            let at = self.now(tenant).await?;
            self.tables.erasures.add(tenant, whom, None, &BTreeSet::new(), &BTreeSet::new(), at).await?;
        }
        self.carry_out(tenant, Search::Person(whom), deadline).await
    }

    /// Erases again whoever is in the list and has a record all the same, and whoever has come since under another id
    /// with an address in the list: after tables were restored, or a release before was at work. Who was there when the
    /// address came into the list stays, as the report of that erasure says. Brings no address into the list.
    ///
    /// # Errors
    /// As [`erase`](Self::erase).
    pub async fn erase_again(&self, tenant: &str, deadline: Timestamp) -> Result<ErasureReport, EraseError> {
        self.carry_out(tenant, Search::Again, deadline).await
    }

    async fn carry_out(
        &self,
        tenant: &str,
        search: Search<'_>,
        deadline: Timestamp,
    ) -> Result<ErasureReport, EraseError> {
        let began = self.now(tenant).await?;
        let mut found = self.finder.find(tenant, search).await?;
        let registered = all_connections(&self.tables.registry).await?.into_iter().filter(|it| it.key.tenant == tenant);
        let kinds: BTreeMap<String, String> = registered.map(|it| (it.key.connection, it.kind)).collect();
        let is_concerned = |connection: &String| match search {
            Search::Person(Whom::Customer(id)) => id.connection == *connection,
            Search::Person(Whom::Address(_)) | Search::Again => true,
        };
        let importing = kinds.iter().filter(|(_, kind)| *kind == ConnectionKind::BatchImport.name());
        let importing = importing.map(|(connection, _)| connection).filter(|connection| is_concerned(connection));
        let mut leases = Leases::new();
        let leased = self.lease_all(importing.map(|it| ConnectionKey::new(tenant, it)), &mut leases).await;
        let erased = match leased {
            Ok(()) => self.erase_leased(tenant, search, &mut found, &kinds, &leases, (began, deadline)).await,
            Err(error) => Err(error),
        };
        for (key, owner) in &leases {
            self.lease.release(key, owner).await;
        }
        erased
    }

    async fn lease_all(
        &self,
        connections: impl Iterator<Item = ConnectionKey>,
        leases: &mut Leases,
    ) -> Result<(), EraseError> {
        for key in connections {
            let ahead = self.lease.store_is_ahead_by(&key).await?;
            let owner = self.lease.take(&key, LEASE, ahead, self.tables.clock.now() + PATIENCE).await?;
            let owner = owner.ok_or_else(|| EraseError::Busy(key.connection.clone()))?;
            leases.insert(key, owner);
        }
        Ok(())
    }

    async fn renew(&self, leases: &Leases) -> Result<(), EraseError> {
        for (key, owner) in leases {
            let ahead = self.lease.store_is_ahead_by(key).await?;
            if !self.lease.renew(key, owner, LEASE, ahead).await? {
                return Err(EraseError::Busy(key.connection.clone()));
            }
        }
        Ok(())
    }

    async fn erase_leased(
        &self,
        tenant: &str,
        search: Search<'_>,
        found: &mut Found,
        kinds: &BTreeMap<String, String>,
        leases: &Leases,
        (began, deadline): (Timestamp, Timestamp),
    ) -> Result<ErasureReport, EraseError> {
        if !leases.is_empty() {
            // An import may have ended since.
            self.finder.add_images(tenant, search, found).await?;
        }
        let holders = Holder::all(&self.tables, tenant).await?;
        let ids = found.customers.keys();
        let mut report = ErasureReport {
            tenant: tenant.to_owned(),
            at: self.tables.clock.now(),
            customers: ids.clone().map(CustomerId::to_string).collect(),
            removed: Places::default(),
            neighbours: found.neighbours.iter().map(CustomerId::to_string).collect(),
            destinations: holders.iter().flat_map(|holder| holder.left(ids.clone())).collect(),
            open_batches: self.open_batches(tenant, kinds.keys()).await?,
            abandoned_batches: Vec::new(),
            unreadable: found.unreadable,
        };
        let texts = found.customers.values().flat_map(FoundCustomer::telling_texts);
        let texts = texts.map(|text| text.to_lowercase()).collect();
        let Found { customers, neighbours, .. } = &*found;
        let erasure = Erasure { tenant, customers, neighbours, texts, kinds, holders: &holders, began, deadline };
        match self.remove(&erasure, leases, &mut report).await {
            Ok(()) => Ok(report),
            Err(cause) => Err(EraseError::Unfinished { report: Box::new(report), cause: Box::new(cause) }),
        }
    }

    async fn open_batches(
        &self,
        tenant: &str,
        connections: impl Iterator<Item = &String>,
    ) -> Result<Vec<String>, StoreError> {
        let mut open = Vec::new();
        for connection in connections {
            let state = self.tables.ledger.state(&ConnectionKey::new(tenant, connection)).await?;
            if state.latest.is_some_and(|batch| batch.phase != Phase::Closed) {
                open.push(connection.clone());
            }
        }
        Ok(open)
    }

    /// Removes contacts that batches have left behind. Returns the connections with a batch that nobody works on,
    /// because they are out of the file: it needs them if they come back.
    async fn clear_listed(&self, erasure: &Erasure<'_>) -> Result<Vec<String>, StoreError> {
        let mut abandoned = Vec::new();
        for key in self.tables.ledger.with_listed(erasure.tenant).await? {
            let state = self.tables.ledger.state(&key).await?;
            match state.latest {
                Some(batch) if batch.phase != Phase::Closed => {
                    self.tables.ledger.clear_listed(&key, batch.number, erasure.deadline).await?;
                    if !erasure.kinds.contains_key(&key.connection) {
                        abandoned.push(key.connection);
                    }
                }
                // The first page of the next batch may be on its way.
                Some(batch) => self.tables.ledger.clear_listed(&key, batch.number + 1, erasure.deadline).await?,
                None => {}
            }
        }
        Ok(abandoned)
    }

    async fn remove(
        &self,
        erasure: &Erasure<'_>,
        leases: &Leases,
        report: &mut ErasureReport,
    ) -> Result<(), EraseError> {
        let Erasure { tenant, customers, deadline, .. } = *erasure;
        let removed = &mut report.removed;
        for (id, customer) in customers {
            self.note(erasure, id, customer).await?;
            // Once it can be stored, that may be under another spelling.
            let kind = erasure.kinds.get(&id.connection).filter(|_| customer.has_document && customer.record.is_none());
            if kind.is_some_and(|kind| kind == ConnectionKind::AssociationAnywhere.name()) {
                for source_id in other_spellings(&id.source_id) {
                    self.note(erasure, &CustomerId { source_id, ..id.clone() }, customer).await?;
                }
            }
        }
        self.sweep_failures(erasure, removed).await?;
        report.abandoned_batches = self.clear_listed(erasure).await?;
        self.renew(leases).await?;
        let ids: BTreeSet<CustomerId> = customers.keys().cloned().collect();
        if !ids.is_empty() {
            self.tables.imports.erase_images(tenant, &ids, &mut removed.import_images, deadline).await?;
            removed.import_claims += self.tables.imports.erase_claims(tenant, &ids, deadline).await?;
        }
        for (id, customer) in customers {
            self.renew(leases).await?;
            self.erase_customer(erasure, id, customer, removed).await?;
        }
        Ok(())
    }

    /// Notes a customer in the list, unless it is there.
    async fn note(&self, erasure: &Erasure<'_>, id: &CustomerId, customer: &FoundCustomer) -> Result<(), StoreError> {
        let Erasure { tenant, neighbours, began: at, .. } = *erasure;
        let by = match &customer.why {
            Why::Listed => return Ok(()),
            Why::Newcomer => {
                let Some(record) = &customer.record else { return Ok(()) };
                return self.tables.erasures.add_newcomer(tenant, id, &record.content, at).await;
            }
            Why::Address(address) => Some(address.as_str()),
            Why::Named => None,
        };
        let (whom, addresses) = (Whom::Customer(id.clone()), customer.addresses());
        self.tables.erasures.add(tenant, &whom, by, &addresses, neighbours, at).await
    }

    /// The time by the functions' clock, which says when customers were first seen, or a little later: whoever is
    /// first seen later was not there yet.
    async fn now(&self, tenant: &str) -> Result<Timestamp, StoreError> {
        let ahead = self.lease.store_is_ahead_by(&ConnectionKey::new(tenant, "!erased")).await?;
        Ok(self.tables.clock.now() + ahead + STORE_TICK)
    }

    /// Removes the failure records of the customers, and empties documents that name them: of every connection and
    /// destination, registered or not.
    async fn sweep_failures(&self, erasure: &Erasure<'_>, removed: &mut Places) -> Result<(), StoreError> {
        let Erasure { tenant, customers, holders, .. } = *erasure;
        for id in customers.keys() {
            self.tables.failures.clear_redrive(&ConnectionKey::new(tenant, &id.connection), &id.source_id).await?;
            for holder in holders {
                self.tables.failures.clear_redrive(&holder.key, &id.to_string()).await?;
            }
        }
        let erased = self.tables.erasures.of(tenant).await?;
        let own: BTreeSet<String> = customers.values().flat_map(FoundCustomer::addresses).collect();
        for place in self.tables.failures.places(tenant).await? {
            let decide = |failure: &Failure| {
                let id = CustomerId { connection: place.connection.clone(), source_id: failure.source_id.clone() };
                let raw = failure.raw.to_lowercase();
                if erasure.is_own(&id) {
                    Sweep::Remove
                } else if !raw.is_empty()
                    && (erased.refuses_document(&id, &failure.raw)
                        || !own.is_disjoint(&addresses_in(&failure.raw))
                        || erasure.texts.iter().any(|text| raw.contains(text)))
                {
                    Sweep::Empty
                } else {
                    Sweep::Keep
                }
            };
            let mut swept = Swept::default();
            let result = self.tables.failures.sweep(&place, decide, &mut swept).await;
            removed.failure_records += swept.removed;
            removed.failure_documents += swept.emptied;
            result?;
        }
        Ok(())
    }

    async fn erase_customer(
        &self,
        erasure: &Erasure<'_>,
        id: &CustomerId,
        customer: &FoundCustomer,
        removed: &mut Places,
    ) -> Result<(), StoreError> {
        let Erasure { tenant, deadline, .. } = *erasure;
        let (key, source_id) = (&ConnectionKey::new(tenant, &id.connection), &id.source_id);
        for resource in [Resource::Staff, Resource::LeadSource] {
            let names = self.tables.pending_references.awaited_by(key, resource, source_id).await?;
            removed.waiting_references += names.len() as u64;
            self.tables.pending_references.remove(key, resource, names.iter().map(String::as_str), source_id).await?;
        }
        // Last: what was not finished is found by the record again.
        match self.tables.shadow.erase(key, source_id).await? {
            ErasedRecord::Nothing => {}
            ErasedRecord::ErasedBefore => removed.erased_before += 1,
            ErasedRecord::Record(last) => {
                removed.records += 1;
                if let Some(last) = last {
                    // It may have changed since it was found.
                    let (known, now) = (customer.addresses(), addresses(&last.content));
                    if !now.is_subset(&known) {
                        let record = Some(*last.clone());
                        self.note(erasure, id, &FoundCustomer { record, ..customer.clone() }).await?;
                    }
                    let gone = EmailIndex::addresses(&last.content);
                    removed.search_entries += gone.len() as u64;
                    let change = (id.clone(), last.revision + 1, gone, BTreeSet::new());
                    self.tables.email_index.update(tenant, [change], deadline).await?;
                }
            }
        }
        Ok(())
    }

    /// Lets a person come back: with the next time that a source tells of them. `None` if they were not erased.
    ///
    /// # Errors
    /// If the store fails: then it can be repeated.
    pub async fn lift(&self, tenant: &str, whom: &Whom) -> Result<Option<Lifted>, StoreError> {
        let lifting = self.tables.erasures.lifting(tenant, whom).await?;
        let mut customers = BTreeSet::new();
        match (whom, &lifting) {
            // Also if it was lifted before, but for its record.
            (Whom::Customer(id), _) => customers.extend([id.clone()]),
            (Whom::Address(_), None) => return Ok(None),
            (Whom::Address(_), Some(lifting)) => {
                let visit = |customer: model::Customer| {
                    customers.extend(Some(customer.id()).filter(|id| customer.is_erased() && lifting.lifts(id)));
                };
                self.tables.shadow.look_through(tenant, visit).await?;
            }
        }
        // First, for once they are out of the list nobody knows whose records are to be lifted.
        for id in &customers {
            self.tables.shadow.lift_erasure(&ConnectionKey::new(tenant, &id.connection), &id.source_id).await?;
        }
        let Some(lifting) = lifting else { return Ok(None) };
        self.tables.erasures.lift(&lifting).await?;
        let customers = customers.iter().map(CustomerId::to_string).collect();
        Ok(Some(Lifted { customers, is_still_held: lifting.is_still_held() }))
    }
}

/// Who may come back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifted {
    /// The customers.
    pub customers: Vec<String>,
    /// Whether the address was also brought in with somebody who stays erased: nobody new with it is stored.
    pub is_still_held: bool,
}

impl Erasure<'_> {
    /// Whether a failure record is that of a customer who is erased: at its connection, where Association Anywhere may
    /// spell ids in more than one way, or at a destination, where it has the public id.
    fn is_own(&self, at: &CustomerId) -> bool {
        if self.customers.contains_key(at) {
            return true;
        }
        if self.holders.iter().any(|holder| holder.key.connection == at.connection) {
            return at.source_id.parse().is_ok_and(|id: CustomerId| self.customers.contains_key(&id));
        }
        let kind = self.kinds.get(&at.connection);
        kind.is_some_and(|kind| kind == ConnectionKind::AssociationAnywhere.name())
            && self
                .customers
                .keys()
                .any(|id| id.connection == at.connection && is_spelling_of(&id.source_id, &at.source_id))
    }
}
