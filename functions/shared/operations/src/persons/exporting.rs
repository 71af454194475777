//! All that is stored of a person: what `customer-sync export` prints.

use jiff::Timestamp;
use model::{ConnectionKey, CustomerId, Resource, iso_millis};
use serde_json::{Value, json};
use store::{StoreError, StoredImage, Tables, Whom};

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
            let image =
                |StoredImage { import, image, .. }: &StoredImage| json!({ "import": import, "before": image.prior });
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

    /// Of its connection, and of destinations.
    async fn failures_of(&self, tenant: &str, id: &CustomerId) -> Result<Vec<Value>, StoreError> {
        let mut found = Vec::new();
        for key in self.tables.failures.places(tenant).await? {
            let name = match key.connection == id.connection {
                true => id.source_id.clone(),
                false => id.to_string(),
            };
            if let Some(failure) = self.tables.failures.find_with_raw(&key, &name).await? {
                found.push(json!({
                    "at": key.connection,
                    "failed_at": iso_millis(failure.failed_at),
                    "reason": failure.reason,
                    "document": failure.raw,
                }));
            }
        }
        Ok(found)
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
