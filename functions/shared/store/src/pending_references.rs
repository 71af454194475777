use futures::future::try_join_all;
use model::{ConnectionKey, Resource};

use crate::StoreError;
use crate::item::{Read, text};
use crate::table::{Table, entry_key};

/// Which prospects wait for a member of staff or a lead source that is not known yet, in the control table.
///
/// A prospect waits under every name that its reference may mean, and is found by any of them.
#[derive(Clone, Debug)]
pub struct PendingReferences {
    pub(crate) table: Table,
}

impl PendingReferences {
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
            match self.table.get(connection, &entry).await? {
                Some(_) => Ok(()),
                None => self.table.put(connection, &entry, [("prospect", text(prospect))]).await,
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
        let start = after.map(|prospect| entry_key(connection, &entry(resource, name, prospect)));
        let query = self.table.entries(connection, &entry(resource, name, "")).limit(limit);
        let page = self.table.send(query.set_exclusive_start_key(start)).await?;
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
        let query = self.table.entries(connection, &prefix).filter_expression("prospect = :prospect");
        let items = self.table.query_all(query.expression_attribute_values(":prospect", text(prospect))).await?;
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
        try_join_all(entries.iter().map(|entry| self.table.delete(connection, entry))).await?;
        Ok(())
    }
}

fn entry(resource: Resource, name: &str, prospect: &str) -> String {
    format!("waiting/{}/{name}/{prospect}", resource.name())
}
