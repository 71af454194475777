//! Removing everything of a connection, from all tables.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use jiff::Timestamp;
use model::ConnectionKey;

use crate::StoreError;
use crate::item::{Item, Read, text};
use crate::ledger::partitions;
use crate::table::{Pages, Table, delete, entry_in};

/// How many deletions of one page are under way at once, in batches.
const WRITES_AT_ONCE: usize = 4;
/// The entry of the registration, which is not removed.
const REGISTRATION: &str = "connection";

/// Removes everything of a connection but its registration.
#[derive(Clone, Debug)]
pub struct Removal {
    pub(crate) control: Table,
    pub(crate) shadow: Table,
    pub(crate) imports: Table,
}

impl Removal {
    /// The tenants whose connection of this name has anything in the control table. Reads all of it.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn tenants_with(&self, connection: &str) -> Result<BTreeSet<String>, StoreError> {
        let mut pages = self.control.pages(
            self.control
                .scan("contains(#connection, :ending)")
                .projection_expression("#connection")
                .expression_attribute_names("#connection", "connection")
                .expression_attribute_values(":ending", text(format!("/{connection}"))),
        );
        let mut tenants = BTreeSet::new();
        while let Some(items) = pages.next().await? {
            for item in &items {
                let key = Read::new("?", item).text("connection")?.parse::<ConnectionKey>().ok();
                tenants.extend(key.filter(|key| key.connection == connection).map(|key| key.tenant));
            }
        }
        Ok(tenants)
    }

    /// Whether a tenant has failure records, or customers, registered or not.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn has_anything_of(&self, tenant: &str) -> Result<bool, StoreError> {
        if !self.control.partitions_with(tenant, "failure/").await?.is_empty() {
            return Ok(true);
        }
        let mut pages = with_prefix(&self.shadow, format!("{tenant}/"));
        while let Some(items) = pages.next().await? {
            if !items.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes the records of every customer of a connection, with the tombstones. Reads the keys of the whole table,
    /// because no index has the tombstones. Returns how many records it removed.
    ///
    /// # Errors
    /// If not all could be removed before the deadline: then it can be repeated.
    pub async fn customers(&self, connection: &ConnectionKey, deadline: Timestamp) -> Result<u64, StoreError> {
        remove_with_prefix(&self.shadow, format!("{connection}~"), deadline).await
    }

    /// Removes imports, undo images and claims; as [`customers`](Self::customers). Returns how many items it removed.
    ///
    /// # Errors
    /// As [`customers`](Self::customers).
    pub async fn imports(&self, connection: &ConnectionKey, deadline: Timestamp) -> Result<u64, StoreError> {
        remove_with_prefix(&self.imports, format!("{connection}#"), deadline).await
    }

    /// Removes everything in the control table: ledger, failure records, staff, lead sources, the poll's state. Returns
    /// how many items it removed, by the first part of their entries.
    ///
    /// # Errors
    /// As [`customers`](Self::customers).
    pub async fn entries(
        &self,
        connection: &ConnectionKey,
        deadline: Timestamp,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut removed = BTreeMap::new();
        for partition in partitions(connection).chain([connection.to_string()]) {
            self.entries_under(partition, &mut removed, deadline).await?;
        }
        Ok(removed)
    }

    async fn entries_under(
        &self,
        partition: String,
        removed: &mut BTreeMap<String, u64>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let query = self.control.partition(partition, "").projection_expression("#connection, entry");
        let mut pages = self.control.pages(query);
        while let Some(mut keys) = pages.next().await? {
            keys.retain(|key| entry_in(key).is_ok_and(|entry| entry != REGISTRATION));
            for key in &keys {
                let kind = entry_in(key)?.split('/').next().unwrap_or_default().to_owned();
                *removed.entry(kind).or_default() += 1;
            }
            delete_all(&self.control, keys, deadline).await?;
        }
        Ok(())
    }
}

/// The keys of the items whose keys begin so, page by page.
fn with_prefix(table: &Table, prefix: String) -> Pages<'_, ScanFluentBuilder> {
    let scan = table.scan("begins_with(id, :prefix)").projection_expression("id");
    table.pages(scan.expression_attribute_values(":prefix", text(prefix)))
}

async fn remove_with_prefix(table: &Table, prefix: String, deadline: Timestamp) -> Result<u64, StoreError> {
    let (mut removed, mut pages) = (0, with_prefix(table, prefix));
    while let Some(keys) = pages.next().await? {
        removed += keys.len() as u64;
        delete_all(table, keys, deadline).await?;
    }
    Ok(removed)
}

async fn delete_all(table: &Table, keys: Vec<Item>, deadline: Timestamp) -> Result<(), StoreError> {
    let deletions = keys.into_iter().map(delete).collect::<Result<_, _>>()?;
    table.write_many(deletions, WRITES_AT_ONCE, deadline).await
}
