//! All that is stored of a person: what `customer-sync export` prints.

use std::collections::BTreeMap;

use config::ConnectionKind;
use jiff::Timestamp;
use model::{ConnectionKey, Content, CustomerId, Resource, is_spelling_of, iso_millis};
use serde_json::{Value, json};
use store::{Failure, StoreError, StoredImage, Tables, Whom};

use super::destinations::Holder;
use super::finding::{Finder, Found, Search};

/// Collects what is stored of persons.
#[derive(Clone, Debug)]
pub struct Exporter {
    tables: Tables,
    finder: Finder,
}

impl Exporter {
    /// Reads these tables.
    pub fn new(tables: &Tables) -> Self {
        Self { finder: Finder::new(tables), tables: tables.clone() }
    }

    /// All that is stored of a person, as JSON: of each of their customers the record, failure records with the
    /// source's document, how imports found it, what it waits for, and which destinations have it.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn export(&self, tenant: &str, whom: &Whom, now: Timestamp) -> Result<Value, StoreError> {
        let Found { customers, neighbours, .. } = self.finder.find(tenant, Search::Person(whom)).await?;
        let erased = self.tables.erasures.of(tenant).await?;
        let holders = Holder::all(&self.tables, tenant).await?;
        let mut all = Vec::new();
        for (id, customer) in customers {
            let images = customer.images.iter();
            let image = |StoredImage { import, image, .. }: &StoredImage| {
                // The hashes of secrets are no data that anybody can use, but to guess the secrets.
                let before = image.prior.clone().map(|prior| Content { hidden: BTreeMap::new(), ..prior });
                json!({ "import": import, "before": before })
            };
            let having = holders.iter().filter(|holder| holder.has(&id)).map(|holder| &holder.key.connection);
            all.push(json!({
                "id": id.to_string(),
                "erased": erased.holds(&id),
                "record": customer.record,
                "failures": self.failures_of(tenant, &id).await?,
                "imports": images.map(image).collect::<Vec<_>>(),
                "waits_for": self.waits_for(tenant, &id).await?,
                "destinations": having.collect::<Vec<_>>(),
            }));
        }
        let neighbours: Vec<String> = neighbours.iter().map(CustomerId::to_string).collect();
        Ok(json!({ "tenant": tenant, "at": iso_millis(now), "customers": all, "same_address": neighbours }))
    }

    /// Of its connection, where Association Anywhere may spell ids in more than one way, and of destinations.
    async fn failures_of(&self, tenant: &str, id: &CustomerId) -> Result<Vec<Value>, StoreError> {
        let mut found = Vec::new();
        for key in self.tables.failures.places(tenant).await? {
            let names = match key.connection == id.connection {
                true => self.names_of_failures(&key, &id.source_id).await?,
                false => vec![id.to_string()],
            };
            for name in names {
                if let Some(failure) = self.tables.failures.find_with_raw(&key, &name).await? {
                    found.push(json!({
                        "at": key.connection,
                        "failed_at": iso_millis(failure.failed_at),
                        "reason": failure.reason,
                        "document": failure.raw,
                    }));
                }
            }
        }
        Ok(found)
    }

    /// The ids under which a customer may have failure records: its own, and other spellings that are nobody else's.
    async fn names_of_failures(&self, key: &ConnectionKey, source_id: &str) -> Result<Vec<String>, StoreError> {
        let mut names = vec![source_id.to_owned()];
        let registration = self.tables.registry.get(key).await?;
        if registration.is_none_or(|registration| registration.kind != ConnectionKind::AssociationAnywhere.name()) {
            return Ok(names);
        }
        let mut spellings = Vec::new();
        let visit = |failure: Failure| {
            if failure.source_id != source_id && is_spelling_of(&failure.source_id, source_id) {
                spellings.push(failure.source_id);
            }
        };
        self.tables.failures.look_through(key, visit).await?;
        for spelling in spellings {
            if self.tables.shadow.get(key, &spelling).await?.is_none() {
                names.push(spelling);
            }
        }
        Ok(names)
    }

    async fn waits_for(&self, tenant: &str, id: &CustomerId) -> Result<Vec<Value>, StoreError> {
        let key = ConnectionKey::new(tenant, &id.connection);
        let mut waits = Vec::new();
        for resource in [Resource::Staff, Resource::LeadSource] {
            let names = self.tables.pending_references.awaited_by(&key, resource, &id.source_id).await?;
            waits.extend(names.into_iter().map(|name| json!({ "resource": resource.name(), "name_id": name })));
        }
        Ok(waits)
    }
}
