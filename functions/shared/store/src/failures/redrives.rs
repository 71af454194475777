//! Requests to fetch, or to send, a customer again.

use aws_sdk_dynamodb::types::AttributeValue;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use model::ConnectionKey;

use super::{AT_ONCE, Failures, REDRIVE, redrive_entry, source_id_of};
use crate::StoreError;
use crate::connection_state::POLL;
use crate::item::{Read, number, time};
use crate::table::entry_key;

impl Failures {
    /// Asks for a customer to be fetched again with the next batch.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn request_redrive(
        &self,
        connection: &ConnectionKey,
        source_id: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // A new request replaces one that a batch has taken in already: so that batch does not clear it.
        self.table.put(connection, &redrive_entry(source_id), [("requested_at", time(now))]).await?;
        // The poller asks the source without a look at the requests as long as the connection is idle.
        let poll = self.table.update(connection, POLL).update_expression("REMOVE idle ADD requests :one");
        let poll = poll.expression_attribute_values(":one", number(1));
        self.table.send(poll).await.map(|_| ())
    }

    /// The customers that are to be fetched again, by id.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn redrive_requests(&self, connection: &ConnectionKey) -> Result<Vec<String>, StoreError> {
        let requests = self.redrives(connection).await?;
        Ok(requests.into_iter().map(|(source_id, _)| source_id).collect())
    }

    /// The first `limit` customers that are to be sent again, by id, and when that was asked for; and whether there may
    /// be more.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn redrives_requested(
        &self,
        destination: &ConnectionKey,
        limit: usize,
    ) -> Result<(Vec<(String, Timestamp)>, bool), StoreError> {
        let query = self.table.entries(destination, REDRIVE).limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let page = self.table.send(query).await?;
        let request = |item| Ok((source_id_of(item, REDRIVE)?, Read::new(REDRIVE, item).time("requested_at")?));
        let requests = page.items().iter().map(request).collect::<Result<_, StoreError>>()?;
        Ok((requests, page.last_evaluated_key.is_some()))
    }

    /// Clears a request that was carried out, unless it was made anew since.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn clear_redrive_of(
        &self,
        destination: &ConnectionKey,
        source_id: &str,
        requested_at: Timestamp,
    ) -> Result<(), StoreError> {
        let is_the_same = ("requested_at = :seen", time(requested_at));
        self.clear_redrive_if(destination, source_id.to_owned(), is_the_same).await
    }

    /// Notes that a batch has taken in requests to fetch customers again. The batch must ask for them only after this.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn take_in_redrives(
        &self,
        connection: &ConnectionKey,
        source_ids: &[String],
        batch: u64,
    ) -> Result<(), StoreError> {
        let taken_in = source_ids.iter().cloned().map(|source_id| self.take_in(connection, source_id, batch));
        stream::iter(taken_in).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn take_in(&self, connection: &ConnectionKey, source_id: String, batch: u64) -> Result<(), StoreError> {
        let update = self
            .table
            .update(connection, &redrive_entry(&source_id))
            .update_expression("SET taken_by = :batch")
            .condition_expression("attribute_exists(entry)")
            .expression_attribute_values(":batch", number(batch));
        // It is refused if the request was withdrawn, or the customer came through meanwhile.
        self.table.write_if(update).await
    }

    /// Every request to fetch a customer again, and which batch took it in last.
    async fn redrives(&self, connection: &ConnectionKey) -> Result<Vec<(String, Option<u64>)>, StoreError> {
        let items = self.table.query_all(self.table.entries(connection, REDRIVE)).await?;
        let request = |item| Ok((source_id_of(item, REDRIVE)?, Read::new(REDRIVE, item).optional_number("taken_by")?));
        items.iter().map(request).collect()
    }

    /// Withdraws a request to fetch a customer again.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn clear_redrive(&self, connection: &ConnectionKey, source_id: &str) -> Result<(), StoreError> {
        self.table.delete(connection, &redrive_entry(source_id)).await
    }

    /// Clears the requests that a batch took in and carried out. What was requested anew since is still to be done.
    ///
    /// # Errors
    /// If the store can't be read or written.
    pub async fn clear_redrives(&self, connection: &ConnectionKey, batch: u64) -> Result<(), StoreError> {
        let taken_in = self.redrives(connection).await?.into_iter().filter(|(_, taken_by)| *taken_by == Some(batch));
        let is_the_same = ("taken_by = :seen", number(batch));
        let cleared = taken_in.map(|(source_id, _)| self.clear_redrive_if(connection, source_id, is_the_same.clone()));
        stream::iter(cleared).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Clears a request if an attribute of it is still as it was seen.
    async fn clear_redrive_if(
        &self,
        connection: &ConnectionKey,
        source_id: String,
        (condition, seen): (&str, AttributeValue),
    ) -> Result<(), StoreError> {
        let delete = self.table.delete_request(entry_key(connection, &redrive_entry(&source_id)));
        let delete = delete.condition_expression(condition).expression_attribute_values(":seen", seen);
        self.table.write_if(delete).await
    }
}
