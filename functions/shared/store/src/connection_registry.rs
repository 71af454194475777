use model::ConnectionKey;

use crate::StoreError;
use crate::item::{Item, Read, text};
use crate::table::{Table, entry_key};

/// One thing that is configured: a connection or a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The tenant that it belongs to, and its name.
    pub key: ConnectionKey,
    /// Its kind, such as `association-anywhere`.
    pub kind: String,
    /// Its settings, as JSON.
    pub document: String,
}

/// What is configured, in the control table.
#[derive(Clone, Debug)]
pub struct ConnectionRegistry {
    pub(crate) table: Table,
}

const ENTRY: &str = "connection";

impl ConnectionRegistry {
    /// Everything of one kind, of all tenants, by key. An item without a valid key is left out, with an error in the
    /// log: it affects nothing but itself.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn of_kind(&self, kind: &str) -> Result<Vec<Registration>, StoreError> {
        let query = self.table.query_index("by-kind", "kind = :kind").expression_attribute_values(":kind", text(kind));
        Ok(self.table.query_all(query).await?.iter().filter_map(|item| registration(item, kind)).collect())
    }

    /// One registration.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn get(&self, key: &ConnectionKey) -> Result<Option<Registration>, StoreError> {
        let Some(item) = self.table.get(key, ENTRY).await? else { return Ok(None) };
        let kind = Read::new("registration", &item).text("kind")?.to_owned();
        Ok(Some(Registration { key: key.clone(), kind, document: document(&item) }))
    }

    /// Those of some registrations that exist, as they stood a moment ago: half the price of a look at each.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn glance(&self, keys: &[ConnectionKey]) -> Result<Vec<Registration>, StoreError> {
        let items = self.table.glance(keys.iter().map(|key| entry_key(key, ENTRY)).collect(), &[], None).await?;
        let kind = |item: &Item| item.get("kind").and_then(|kind| kind.as_s().ok()).cloned().unwrap_or_default();
        Ok(items.iter().filter_map(|item| registration(item, &kind(item))).collect())
    }

    /// Adds or replaces a registration.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn put(&self, registration: &Registration) -> Result<(), StoreError> {
        let attributes = [("kind", text(&registration.kind)), ("document", text(&registration.document))];
        self.table.put(&registration.key, ENTRY, attributes).await
    }

    /// Removes a registration; what was synchronised through it stays.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn remove(&self, key: &ConnectionKey) -> Result<(), StoreError> {
        self.table.delete(key, ENTRY).await
    }
}

fn registration(item: &Item, kind: &str) -> Option<Registration> {
    let key = item.get("connection").and_then(|value| value.as_s().ok()).map_or("", String::as_str);
    let Ok(parsed) = key.parse() else {
        tracing::error!(kind, key, "a registration whose key is not of the form tenant/connection is left out");
        return None;
    };
    Some(Registration { key: parsed, kind: kind.to_owned(), document: document(item) })
}

/// The settings in an item. If it has none, they are a text that can't be parsed: that affects one connection only.
fn document(item: &Item) -> String {
    item.get("document").and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}
