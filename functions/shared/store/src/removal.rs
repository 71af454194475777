//! Removing everything of a connection, from all tables.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::WriteRequest;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use model::ConnectionKey;

use crate::backoff::Backoff;
use crate::bulk::BulkTable;
use crate::control::ControlTable;
use crate::item::{Item, Read, text};
use crate::ledger::partitions;
use crate::request::{ITEMS_PER_WRITE, delete, write_batch};
use crate::{Clock, Random, StoreError, TableNames};

/// How many deletions of one page are under way at once, in batches.
const WRITES_AT_ONCE: usize = 4;
/// The entry of the registration, which is not removed.
const REGISTRATION: &str = "connection";

/// Removes everything of a connection but its registration.
#[derive(Clone, Debug)]
pub struct Removal {
    control: ControlTable,
    shadow: BulkTable,
    imports: BulkTable,
    clock: Clock,
    random: Random,
}

impl Removal {
    pub(crate) fn new(client: Client, names: TableNames, clock: Clock, random: Random) -> Self {
        let bulk = |name| BulkTable { client: client.clone(), name, clock: clock.clone(), random: random.clone() };
        Self {
            shadow: bulk(names.shadow),
            imports: bulk(names.imports),
            control: ControlTable::new(client, names.control),
            clock,
            random,
        }
    }

    /// The tenants whose connection of this name has anything in the control table. Reads all of it.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn tenants_with(&self, connection: &str) -> Result<BTreeSet<String>, StoreError> {
        let scan = self
            .control
            .client
            .scan()
            .table_name(&self.control.name)
            .filter_expression("contains(#connection, :ending)")
            .projection_expression("#connection")
            .expression_attribute_names("#connection", "connection")
            .expression_attribute_values(":ending", text(format!("/{connection}")));
        let mut tenants = BTreeSet::new();
        let mut items = scan.into_paginator().items().send();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| StoreError::aws("Scan", error))?;
            if let Some((tenant, id)) = Read::new("?", &item).text("connection")?.split_once('/')
                && id == connection
            {
                tenants.insert(tenant.to_owned());
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
        let scan = self
            .shadow
            .client
            .scan()
            .table_name(&self.shadow.name)
            .filter_expression("begins_with(id, :tenant)")
            .projection_expression("id")
            .expression_attribute_values(":tenant", text(format!("{tenant}/")));
        let first = scan.into_paginator().items().send().next().await.transpose();
        first.map(|first| first.is_some()).map_err(|error| StoreError::aws("Scan", error))
    }

    /// Removes the records of every customer of a connection, with the tombstones. Reads the keys of the whole table,
    /// because no index has the tombstones. Returns how many records it removed.
    ///
    /// # Errors
    /// If not all could be removed before the deadline: then it can be repeated.
    pub async fn customers(&self, connection: &ConnectionKey, deadline: Timestamp) -> Result<u64, StoreError> {
        self.with_prefix(&self.shadow, format!("{connection}~"), deadline).await
    }

    /// Removes imports, undo images and claims; as [`customers`](Self::customers). Returns how many items it removed.
    ///
    /// # Errors
    /// As [`customers`](Self::customers).
    pub async fn imports(&self, connection: &ConnectionKey, deadline: Timestamp) -> Result<u64, StoreError> {
        self.with_prefix(&self.imports, format!("{connection}#"), deadline).await
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
        let query = self
            .control
            .client
            .query()
            .table_name(&self.control.name)
            .consistent_read(true)
            .key_condition_expression("#connection = :connection")
            .projection_expression("#connection, entry")
            .expression_attribute_names("#connection", "connection")
            .expression_attribute_values(":connection", text(partition));
        let mut pages = query.into_paginator().send();
        while let Some(page) = pages.next().await {
            let mut keys = page.map_err(|error| StoreError::aws("Query", error))?.items.unwrap_or_default();
            keys.retain(|key| Read::new("?", key).text("entry").is_ok_and(|entry| entry != REGISTRATION));
            for key in &keys {
                let kind = Read::new("?", key).text("entry")?.split('/').next().unwrap_or_default().to_owned();
                *removed.entry(kind).or_default() += 1;
            }
            self.delete_all(&self.control.client, &self.control.name, keys, deadline).await?;
        }
        Ok(())
    }

    async fn with_prefix(&self, table: &BulkTable, prefix: String, deadline: Timestamp) -> Result<u64, StoreError> {
        let scan = table
            .client
            .scan()
            .table_name(&table.name)
            .filter_expression("begins_with(id, :prefix)")
            .projection_expression("id")
            .expression_attribute_values(":prefix", text(prefix));
        let mut removed = 0;
        let mut pages = scan.into_paginator().send();
        while let Some(page) = pages.next().await {
            let keys = page.map_err(|error| StoreError::aws("Scan", error))?.items.unwrap_or_default();
            removed += keys.len() as u64;
            self.delete_all(&table.client, &table.name, keys, deadline).await?;
        }
        Ok(removed)
    }

    async fn delete_all(
        &self,
        client: &Client,
        table: &str,
        keys: Vec<Item>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let deletions: Vec<WriteRequest> = keys.into_iter().filter_map(delete).collect();
        stream::iter(deletions.chunks(ITEMS_PER_WRITE).map(<[WriteRequest]>::to_vec))
            .map(|page| write_batch(client, table, page, Backoff::until(&self.clock, &self.random, deadline)))
            .buffer_unordered(WRITES_AT_ONCE)
            .try_collect()
            .await
    }
}
