use aws_sdk_dynamodb::Client;
use futures::future::try_join_all;
use model::{ConnectionKey, Resource};

use crate::control::ControlTable;
use crate::item::{Read, text};
use crate::request::{query_all, query_page};
use crate::{Clock, Random, StoreError};

/// Which prospects wait for a member of staff or a lead source that is not known yet, in the control table.
///
/// A prospect waits under every name that its reference may mean, and is found by any of them.
#[derive(Clone, Debug)]
pub struct PendingReferences(ControlTable);

impl PendingReferences {
    /// The waiting prospects in the control table called `table`.
    pub fn new(client: Client, table: impl Into<String>, clock: &Clock, random: &Random) -> Self {
        Self(ControlTable::new(client, table).patient(clock, random))
    }

    /// Lets a prospect wait for a record under one of these names. If it waits already, that costs no write.
    ///
    /// # Errors
    /// If the store can't be read or written.
    pub async fn add(
        &self,
        connection: &ConnectionKey,
        resource: Resource,
        names: impl Iterator<Item = &str>,
        prospect: &str,
    ) -> Result<(), StoreError> {
        try_join_all(names.map(|name| async move {
            let entry = entry(resource, name, prospect);
            match self.0.get(connection, &entry).await? {
                Some(_) => Ok(()),
                None => self.0.put(connection, &entry, [("prospect", text(prospect))]).await,
            }
        }))
        .await?;
        Ok(())
    }

    /// Up to `limit` of the prospects that wait for this name, after the prospect `after`.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn page(
        &self,
        connection: &ConnectionKey,
        resource: Resource,
        name: &str,
        after: Option<&str>,
        limit: i32,
    ) -> Result<Vec<String>, StoreError> {
        let start = after.map(|prospect| ControlTable::key(connection, &entry(resource, name, prospect)));
        let query = self.0.entries(connection, &entry(resource, name, "")).limit(limit);
        let page = query_page(&self.0.patience, &query.set_exclusive_start_key(start)).await?;
        page.items()
            .iter()
            .map(|item| Ok(Read::new("of a waiting prospect", item).text("prospect")?.to_owned()))
            .collect()
    }

    /// The names that a prospect waits for. Reads every waiting prospect of the connection.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn awaited_by(
        &self,
        connection: &ConnectionKey,
        resource: Resource,
        prospect: &str,
    ) -> Result<Vec<String>, StoreError> {
        let prefix = format!("waiting/{}/", resource.name());
        let query = self.0.entries(connection, &prefix).filter_expression("prospect = :prospect");
        let items = query_all(&self.0.patience, query.expression_attribute_values(":prospect", text(prospect))).await?;
        let name = |item| {
            let rest =
                Read::new("of a waiting prospect", item).text("entry")?.strip_prefix(&prefix).unwrap_or_default();
            Ok(rest.split('/').next().unwrap_or_default().to_owned())
        };
        items.iter().map(name).collect()
    }

    /// Stops a prospect from waiting under these names.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn remove(
        &self,
        connection: &ConnectionKey,
        resource: Resource,
        names: impl Iterator<Item = &str>,
        prospect: &str,
    ) -> Result<(), StoreError> {
        let entries: Vec<String> = names.map(|name| entry(resource, name, prospect)).collect();
        try_join_all(entries.iter().map(|entry| self.0.delete(connection, entry))).await?;
        Ok(())
    }
}

fn entry(resource: Resource, name: &str, prospect: &str) -> String {
    format!("waiting/{}/{name}/{prospect}", resource.name())
}
