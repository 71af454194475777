//! Finding the customers of a person: in the shadow, in the documents of failures, and in the images of imports.

use std::collections::{BTreeMap, BTreeSet};

use model::{ConnectionKey, Content, Customer, CustomerId, other_spellings};
use store::{EmailIndex, Standing, StoreError, StoredImage, Tables, Whom, addresses_in};

/// A shorter text may stand in a document by chance.
const SHORTEST_NAME: usize = 5;

/// Who is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Search<'a> {
    /// A person.
    Person(&'a Whom),
    /// Everybody who is in the list of the erased and is there all the same.
    Again,
}

/// Why a customer was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It was named by its id.
    Named,
    /// It has this address, or had it.
    Address(String),
    /// It is in the list of the erased.
    Listed,
    /// It is new, and has addresses of others who are in the list.
    Newcomer,
}

/// A customer of a person.
#[derive(Clone, Debug)]
pub(super) struct FoundCustomer {
    pub(super) why: Why,
    /// Its record, if there is one that can be read.
    pub(super) record: Option<Customer>,
    /// How imports found it.
    pub(super) images: Vec<StoredImage>,
    /// Whether it was found by the document of its failure record.
    pub(super) has_document: bool,
}

impl FoundCustomer {
    fn new(why: Why, record: Option<Customer>) -> Self {
        Self { why, record, images: Vec::new(), has_document: false }
    }

    fn contents(&self) -> impl Iterator<Item = &Content> {
        let priors = self.images.iter().filter_map(|stored| stored.image.prior.as_ref());
        self.record.iter().map(|record| &record.content).chain(priors)
    }

    /// Whether anything of it is there that an erasure would remove.
    pub(super) fn is_there(&self) -> bool {
        let is_stored = self.record.as_ref().is_some_and(|record| !record.is_erased());
        is_stored || !self.images.is_empty() || self.has_document
    }

    /// Every address that it has, or had when an import changed it, folded.
    pub(super) fn addresses(&self) -> BTreeSet<String> {
        self.contents().flat_map(addresses).collect()
    }

    /// What a document would name it by: addresses, phone numbers, and the name.
    pub(super) fn telling_texts(&self) -> impl Iterator<Item = String> {
        let texts = self.contents().flat_map(|content| {
            let phones = content.phones.iter().map(|phone| phone.number.clone());
            let emails = content.emails.iter().map(|email| email.address.trim().to_owned());
            phones.chain(content.name.display.iter().cloned()).chain(emails)
        });
        texts.filter(|text| text.len() >= SHORTEST_NAME)
    }
}

/// The customers that are a person's.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// Those that are meant.
    pub(super) customers: BTreeMap<CustomerId, FoundCustomer>,
    /// Other customers that have one of their addresses.
    pub(super) neighbours: BTreeSet<CustomerId>,
    /// How many records of the tenant can't be read, and so could not be looked at.
    pub(super) unreadable: u64,
}

/// Finds customers. Reads whole tables: the indexes lag behind.
#[derive(Clone, Debug)]
pub(super) struct Finder {
    tables: Tables,
}

impl Finder {
    pub(super) fn new(tables: &Tables) -> Self {
        Self { tables: tables.clone() }
    }

    /// Everybody who is looked for.
    pub(super) async fn find(&self, tenant: &str, search: Search<'_>) -> Result<Found, StoreError> {
        let mut found = match search {
            Search::Person(Whom::Address(address)) => self.with_address(tenant, address).await?,
            Search::Person(Whom::Customer(id)) => {
                let record = self.record(tenant, id).await?;
                let customers = BTreeMap::from([(id.clone(), FoundCustomer::new(Why::Named, record))]);
                Found { customers, ..Found::default() }
            }
            Search::Again => self.listed(tenant).await?,
        };
        self.add_documents(tenant, search, &mut found).await?;
        self.add_images(tenant, search, &mut found).await?;
        if let Search::Person(_) = search {
            self.add_neighbours(tenant, &mut found).await?;
        }
        Ok(found)
    }

    /// One that can't be read can be erased all the same.
    async fn record(&self, tenant: &str, id: &CustomerId) -> Result<Option<Customer>, StoreError> {
        match self.tables.shadow.get(&ConnectionKey::new(tenant, &id.connection), &id.source_id).await {
            Err(StoreError::Corrupt { .. }) => Ok(None),
            record => record,
        }
    }

    /// Those whose records have an address, or had it before they were erased because of it.
    async fn with_address(&self, tenant: &str, address: &str) -> Result<Found, StoreError> {
        let notes = self.tables.erasures.notes(tenant).await?;
        let mut found = Found::default();
        let visit = |customer: Customer| {
            let id = customer.id();
            let was_erased = customer.is_erased() && notes.was_brought_by(&id, address);
            if was_erased || addresses(&customer.content).contains(address) {
                found.customers.insert(id, FoundCustomer::new(Why::Address(address.to_owned()), Some(customer)));
            }
        };
        found.unreadable = self.tables.shadow.look_through(tenant, visit).await?;
        Ok(found)
    }

    /// Those in the list of the erased that have a record, and those who are new and have an address in it. Who was
    /// there when an address came into the list, and was left alone, is left alone.
    async fn listed(&self, tenant: &str) -> Result<Found, StoreError> {
        let (erased, notes) = (self.tables.erasures.of(tenant).await?, self.tables.erasures.notes(tenant).await?);
        let mut found = Found::default();
        let visit = |customer: Customer| {
            let id = customer.id();
            if customer.is_erased() {
                return;
            }
            if erased.holds(&id) {
                found.customers.insert(id, FoundCustomer::new(Why::Listed, Some(customer)));
            } else if notes.is_newcomer(&erased, &id, &customer.content, Some(Standing::from(&customer))) {
                found.customers.insert(id, FoundCustomer::new(Why::Newcomer, Some(customer)));
            } else if erased.holds_an_address_of(&customer.content) {
                found.neighbours.insert(id);
            }
        };
        found.unreadable = self.tables.shadow.look_through(tenant, visit).await?;
        Ok(found)
    }

    /// Adds customers that were never stored, by the documents of their failure records.
    async fn add_documents(&self, tenant: &str, search: Search<'_>, found: &mut Found) -> Result<(), StoreError> {
        let erased = self.tables.erasures.of(tenant).await?;
        let destinations = self.tables.deliveries.places(tenant).await?;
        let mut named = Vec::new();
        for key in self.tables.failures.places(tenant).await?.difference(&destinations) {
            let visit = |failure: store::Failure| {
                let id = CustomerId { connection: key.connection.clone(), source_id: failure.source_id };
                let why = match search {
                    _ if failure.raw.is_empty() => None,
                    Search::Person(Whom::Address(address)) => {
                        addresses_in(&failure.raw).contains(address).then(|| Why::Address(address.clone()))
                    }
                    Search::Person(Whom::Customer(whom)) => (*whom == id).then_some(Why::Named),
                    Search::Again => erased.refuses_document(&id, "").then_some(Why::Listed),
                };
                named.extend(why.map(|why| (id, why)));
            };
            self.tables.failures.look_through(key, visit).await?;
        }
        for (id, why) in named {
            if let Some(known) = found.customers.get_mut(&id) {
                known.has_document = true;
            } else if !self.is_stored(tenant, &id).await? {
                let customer = FoundCustomer { has_document: true, ..FoundCustomer::new(why, None) };
                found.customers.insert(id, customer);
            }
        }
        Ok(())
    }

    /// Whether a customer is stored under this id or another spelling of it, and was not erased: then its record says
    /// which addresses it has, whatever else stands in a document.
    async fn is_stored(&self, tenant: &str, id: &CustomerId) -> Result<bool, StoreError> {
        for source_id in other_spellings(&id.source_id).into_iter().chain([id.source_id.clone()]) {
            let spelling = CustomerId { source_id, ..id.clone() };
            if self.record(tenant, &spelling).await?.is_some_and(|record| !record.is_erased()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds the images of the customers, and customers that an image tells of. What was added before is read anew.
    pub(super) async fn add_images(
        &self,
        tenant: &str,
        search: Search<'_>,
        found: &mut Found,
    ) -> Result<(), StoreError> {
        let erased = self.tables.erasures.of(tenant).await?;
        let mut named = BTreeMap::new();
        let visit = |StoredImage { id, image, .. }: StoredImage| {
            let why = match search {
                Search::Person(Whom::Address(address)) => {
                    let is_named = image.prior.as_ref().is_some_and(|prior| addresses(prior).contains(address));
                    is_named.then(|| Why::Address(address.clone()))
                }
                Search::Person(Whom::Customer(_)) => None,
                Search::Again => erased.holds(&id).then_some(Why::Listed),
            };
            named.extend(why.map(|why| (id, why)));
        };
        self.tables.imports.look_through_images(tenant, visit).await?;
        for (id, why) in named {
            let record = self.record(tenant, &id).await?;
            found.customers.entry(id).or_insert_with(|| FoundCustomer::new(why, record));
        }
        found.customers.values_mut().for_each(|customer| customer.images.clear());
        let collect = |stored: StoredImage| {
            if let Some(customer) = found.customers.get_mut(&stored.id) {
                customer.images.push(stored);
            }
        };
        self.tables.imports.look_through_images(tenant, collect).await
    }

    async fn add_neighbours(&self, tenant: &str, found: &mut Found) -> Result<(), StoreError> {
        let own: BTreeSet<String> = found.customers.values().flat_map(FoundCustomer::addresses).collect();
        if own.is_empty() {
            return Ok(());
        }
        let Found { customers, neighbours, .. } = found;
        let visit = |customer: Customer| {
            if !customers.contains_key(&customer.id()) && !own.is_disjoint(&addresses(&customer.content)) {
                neighbours.insert(customer.id());
            }
        };
        found.unreadable = self.tables.shadow.look_through(tenant, visit).await?;
        Ok(())
    }
}

/// The addresses that a record has, folded, also if the customer is deleted.
pub(super) fn addresses(content: &Content) -> BTreeSet<String> {
    content.emails.iter().filter_map(|email| EmailIndex::address(&email.address)).collect()
}
