//! All that is stored of a person: what `customer-sync export` prints.

use config::{Destination, all_systems};
use jiff::Timestamp;
use model::{ConnectionKey, CustomerId, Resource, iso_millis};
use serde_json::{Value, json};
use store::{ConnectionRegistry, Erasures, Failures, Imports, PendingReferences, Shadow, StoreError, Tables, Whom};

use super::{Found, find};

/// Collects what is stored of persons.
#[derive(Clone, Debug)]
pub struct Exporter {
    erasures: Erasures,
    shadow: Shadow,
    failures: Failures,
    imports: Imports,
    pending: PendingReferences,
    registry: ConnectionRegistry,
}

impl Exporter {
    /// Reads these tables.
    pub fn new(tables: &Tables) -> Self {
        Self {
            erasures: tables.erasures(),
            shadow: tables.shadow(),
            failures: tables.failures(),
            imports: tables.imports(),
            pending: tables.pending_references(),
            registry: tables.registry(),
        }
    }

    /// All that is stored of a person, as JSON: of each of their customers the record, failure records with the
    /// source's document, how imports found it, what it waits for, and which destinations get it.
    ///
    /// # Errors
    /// If not all could be read before the deadline.
    pub async fn export(
        &self,
        tenant: &str,
        whom: &Whom,
        now: Timestamp,
        deadline: Timestamp,
    ) -> Result<Value, StoreError> {
        let Found { customers, neighbours, .. } = find(&self.shadow, tenant, whom).await?;
        let erased = self.erasures.of(tenant).await?;
        let mut all = Vec::new();
        for (id, record) in customers {
            all.push(json!({
                "id": id.to_string(),
                "erased": erased.holds(&id),
                "record": record,
                "failures": self.failures_of(tenant, &id).await?,
                "imports": self.images_of(tenant, &id, deadline).await?,
                "waits_for": self.waits_for(tenant, &id).await?,
                "destinations": self.destinations_of(tenant, &id).await?,
            }));
        }
        let neighbours: Vec<String> = neighbours.iter().map(CustomerId::to_string).collect();
        Ok(json!({ "tenant": tenant, "at": iso_millis(now), "customers": all, "same_address": neighbours }))
    }

    /// Of its connection, and of destinations.
    async fn failures_of(&self, tenant: &str, id: &CustomerId) -> Result<Vec<Value>, StoreError> {
        let mut found = Vec::new();
        for registration in all_systems(&self.registry).await? {
            let key = registration.key;
            let name = match key.connection == id.connection {
                true => id.source_id.clone(),
                false => id.to_string(),
            };
            if key.tenant != tenant {
                continue;
            }
            if let Some(failure) = self.failures.find_with_raw(&key, &name).await? {
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

    async fn images_of(&self, tenant: &str, id: &CustomerId, deadline: Timestamp) -> Result<Vec<Value>, StoreError> {
        let key = ConnectionKey::new(tenant, &id.connection);
        let images = self.imports.images_of(&key, &id.source_id, deadline).await?;
        Ok(images.into_iter().map(|(import, image)| json!({ "import": import, "before": image.prior })).collect())
    }

    async fn waits_for(&self, tenant: &str, id: &CustomerId) -> Result<Vec<Value>, StoreError> {
        let key = ConnectionKey::new(tenant, &id.connection);
        let mut waits = Vec::new();
        for resource in [Resource::Staff, Resource::LeadSource] {
            let names = self.pending.awaited_by(&key, resource, &id.source_id).await?;
            waits.extend(names.into_iter().map(|name| json!({ "resource": resource.name(), "name_id": name })));
        }
        Ok(waits)
    }

    async fn destinations_of(&self, tenant: &str, id: &CustomerId) -> Result<Vec<String>, StoreError> {
        let all = Destination::all(&self.registry).await?.into_iter();
        let gets = all.filter(|it| it.key.tenant == tenant && it.settings.from.contains(&id.connection));
        Ok(gets.map(|destination| destination.key.connection).collect())
    }
}
