use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::Select;
use jiff::Timestamp;
use model::ConnectionKey;

use crate::StoreError;
use crate::control::ControlTable;
use crate::item::{Item, Read, text, time};

/// A customer that could not be taken over, until it is taken over, redriven or dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The id in the upstream.
    pub source_id: String,
    /// Why, without anybody's data.
    pub reason: String,
    /// What the vendor sent, as it came; empty where it sent nothing for this customer alone. Personal data.
    pub raw: String,
    /// When it failed.
    pub failed_at: Timestamp,
}

/// The failure records, in the control table.
#[derive(Clone, Debug)]
pub struct Failures(ControlTable);

const FAILURE: &str = "failure/";
const REDRIVE: &str = "redrive/";
/// Greater than every character of a source id that a sort key is compared with.
const AFTER_ALL: char = '\u{10FFFF}';

impl Failures {
    /// The failure records in the control table called `table`.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self(ControlTable::new(client, table))
    }

    /// Adds or replaces the failure record of a customer.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn put(&self, connection: &ConnectionKey, failure: &Failure) -> Result<(), StoreError> {
        let attributes = [
            ("reason", text(&failure.reason)),
            ("raw_document", text(&failure.raw)),
            ("failed_at", time(failure.failed_at)),
        ];
        self.0.put(connection, &format!("{FAILURE}{}", failure.source_id), attributes).await
    }

    /// Every failure record of a connection, by source id.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn all(&self, connection: &ConnectionKey) -> Result<Vec<Failure>, StoreError> {
        let (first, last) = (FAILURE.to_owned(), format!("{FAILURE}{AFTER_ALL}"));
        let items = self.between(connection, first, last, None).await?;
        items
            .iter()
            .map(|item| {
                let entry = Read::new("?", item).text("entry")?;
                let read = Read::new(entry, item);
                Ok(Failure {
                    source_id: entry.strip_prefix(FAILURE).unwrap_or(entry).to_owned(),
                    reason: read.text("reason")?.to_owned(),
                    raw: read.text("raw_document")?.to_owned(),
                    failed_at: read.time("failed_at")?,
                })
            })
            .collect()
    }

    /// How many failure records a connection has.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn count(&self, connection: &ConnectionKey) -> Result<u64, StoreError> {
        let mut count = 0;
        let mut start = None;
        loop {
            let page = self
                .0
                .entries(connection, FAILURE)
                .select(Select::Count)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| StoreError::aws("Query", error))?;
            count += u64::try_from(page.count()).unwrap_or(0);
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }

    /// Which customers from `first` to `last` have a failure record.
    async fn ids_between(
        &self,
        connection: &ConnectionKey,
        first: &str,
        last: &str,
    ) -> Result<Vec<String>, StoreError> {
        let range = (format!("{FAILURE}{first}"), format!("{FAILURE}{last}"));
        let items = self.between(connection, range.0, range.1, Some("entry")).await?;
        ids(&items, FAILURE)
    }

    /// Removes a customer's failure record and any wish to redrive it.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn remove(&self, connection: &ConnectionKey, source_id: &str) -> Result<(), StoreError> {
        self.0.delete(connection, &format!("{FAILURE}{source_id}")).await?;
        self.clear_redrive(connection, source_id).await
    }

    /// Removes the failure records of customers who were taken over or deleted meanwhile.
    ///
    /// # Errors
    /// Where the store can't be read or written.
    pub async fn remove_resolved(
        &self,
        connection: &ConnectionKey,
        resolved: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (resolved.first(), resolved.last()) else { return Ok(()) };
        for source_id in self.ids_between(connection, first, last).await? {
            if resolved.contains(&source_id) {
                self.remove(connection, &source_id).await?;
            }
        }
        Ok(())
    }

    /// Asks for a customer to be fetched again with the next batch.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn request_redrive(
        &self,
        connection: &ConnectionKey,
        source_id: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.0.put(connection, &format!("{REDRIVE}{source_id}"), [("requested_at", time(now))]).await
    }

    /// The customers that are to be fetched again, and since when.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn redrive_requests(&self, connection: &ConnectionKey) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let (first, last) = (REDRIVE.to_owned(), format!("{REDRIVE}{AFTER_ALL}"));
        let items = self.between(connection, first, last, None).await?;
        let requested = items.iter().map(|item| Read::new(REDRIVE, item).time("requested_at"));
        ids(&items, REDRIVE)?.into_iter().zip(requested).map(|(source_id, at)| Ok((source_id, at?))).collect()
    }

    /// The customer has come to an end in a batch. If it failed again, its failure record is a new one.
    async fn clear_redrive(&self, connection: &ConnectionKey, source_id: &str) -> Result<(), StoreError> {
        self.0.delete(connection, &format!("{REDRIVE}{source_id}")).await
    }

    /// What was to be fetched again before `began` has come to an end in a batch that began then.
    ///
    /// # Errors
    /// Where the store can't be read or written.
    pub async fn clear_redrives(&self, connection: &ConnectionKey, began: Timestamp) -> Result<(), StoreError> {
        for (source_id, requested_at) in self.redrive_requests(connection).await? {
            if requested_at <= began {
                self.clear_redrive(connection, &source_id).await?;
            }
        }
        Ok(())
    }

    async fn between(
        &self,
        connection: &ConnectionKey,
        first: String,
        last: String,
        projection: Option<&str>,
    ) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .0
                .client
                .query()
                .table_name(&self.0.name)
                .consistent_read(true)
                .key_condition_expression("#connection = :connection AND entry BETWEEN :first AND :last")
                .expression_attribute_names("#connection", "connection")
                .expression_attribute_values(":connection", text(connection.to_string()))
                .expression_attribute_values(":first", text(&first))
                .expression_attribute_values(":last", text(&last))
                .set_projection_expression(projection.map(str::to_owned))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| StoreError::aws("Query", error))?;
            start = page.last_evaluated_key;
            items.extend(page.items.unwrap_or_default());
            if start.is_none() {
                return Ok(items);
            }
        }
    }
}

fn ids(items: &[Item], prefix: &str) -> Result<Vec<String>, StoreError> {
    items
        .iter()
        .map(|item| {
            let entry = Read::new("?", item).text("entry")?;
            Ok(entry.strip_prefix(prefix).unwrap_or(entry).to_owned())
        })
        .collect()
}
