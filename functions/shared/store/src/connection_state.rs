use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use jiff::Timestamp;
use model::ConnectionKey;

use crate::StoreError;
use crate::control::ControlTable;
use crate::item::{Read, number, text, time};
use crate::request::is_done;

/// When everything was asked to be listed again, and how often that was asked for.
const RESYNC: (&str, &str) = ("resync_at", "resync_count");
/// When the deletions that wait were asked to be carried out, and how often that was asked for.
const CONFIRM: (&str, &str) = ("confirm_at", "confirm_count");

/// What went wrong last, until something goes right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// When it happened.
    pub at: Timestamp,
    /// The text, without secrets and personal data.
    pub message: String,
}

/// How the polling of a connection stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionState {
    /// The shadow holds everything that the source reported by then.
    pub fresh_as_of: Option<Timestamp>,
    /// When the source last answered.
    pub answered_at: Option<Timestamp>,
    /// What stands in the way now.
    pub error: Option<LastError>,
    /// The number of the request to list everything again, if one is to be done.
    pub resync_requested: Option<u64>,
    /// The number of the request to carry out the deletions that wait, if one is to be done.
    pub confirm_requested: Option<u64>,
    /// Since when an operator has it paused: it is not polled, and takes nothing.
    pub paused_at: Option<Timestamp>,
}

/// The pollers' leases and what they found, in the control table.
#[derive(Clone, Debug)]
pub struct ConnectionStates(ControlTable);

impl ConnectionStates {
    /// The states in the control table called `table`.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self(ControlTable::new(client, table))
    }

    /// Takes or renews the lease: two pollers never work on one connection. `false` if another holds it.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn lease(
        &self,
        connection: &ConnectionKey,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let answer = self
            .update(connection)
            .update_expression("SET lease_owner = :owner, lease_until = :until")
            .condition_expression("attribute_not_exists(lease_until) OR lease_until <= :now OR lease_owner = :owner")
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":until", time(until))
            .expression_attribute_values(":now", time(now))
            .send()
            .await;
        is_done("UpdateItem", answer)
    }

    /// The time by the store's own clock, to the second; `None` if it does not report it.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn store_time(&self, connection: &ConnectionKey) -> Result<Option<Timestamp>, StoreError> {
        self.0.time(connection).await
    }

    /// Gives the lease back, if it is still held.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn release(&self, connection: &ConnectionKey, owner: &str) -> Result<(), StoreError> {
        let answer = self
            .update(connection)
            .update_expression("REMOVE lease_owner, lease_until")
            .condition_expression("lease_owner = :owner")
            .expression_attribute_values(":owner", text(owner))
            .send()
            .await;
        is_done("UpdateItem", answer).map(|_| ())
    }

    /// Takes the lease away from its holder. Only for a caller that knows that the holder is gone.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn revoke_lease(&self, connection: &ConnectionKey) -> Result<(), StoreError> {
        let answer = self.update(connection).update_expression("REMOVE lease_owner, lease_until").send().await;
        is_done("UpdateItem", answer).map(|_| ())
    }

    /// The source answered, and holds more than the shadow does.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn mark_answered(&self, connection: &ConnectionKey, at: Timestamp) -> Result<(), StoreError> {
        self.set(self.update(connection).update_expression("SET answered_at = :at REMOVE failed_at, message"), at).await
    }

    /// The shadow holds everything that the source reported at `as_of`.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn mark_synced(&self, connection: &ConnectionKey, as_of: Timestamp) -> Result<(), StoreError> {
        let update = self.update(connection);
        self.set(update.update_expression("SET answered_at = :at, fresh_as_of = :at REMOVE failed_at, message"), as_of)
            .await
    }

    /// Something stands in the way of this connection.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn mark_failed(&self, connection: &ConnectionKey, error: &LastError) -> Result<(), StoreError> {
        let update = self.update(connection).expression_attribute_values(":message", text(&error.message));
        self.set(update.update_expression("SET failed_at = :at, message = :message"), error.at).await
    }

    /// Asks for everything to be listed again, from the beginning. Requests are numbered, so that a batch clears just
    /// the one that it took in: no two clocks are compared.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn request_resync(&self, connection: &ConnectionKey, now: Timestamp) -> Result<(), StoreError> {
        self.request(connection, RESYNC, now).await
    }

    /// The request that a batch took in is done; a later one is still to be done.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn resynced(&self, connection: &ConnectionKey, request: u64) -> Result<(), StoreError> {
        self.done(connection, RESYNC, request).await
    }

    /// Asks for the deletions that wait to be carried out with the next batch.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn request_confirm(&self, connection: &ConnectionKey, now: Timestamp) -> Result<(), StoreError> {
        self.request(connection, CONFIRM, now).await
    }

    /// As [`resynced`](Self::resynced), of a request to carry out deletions.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn confirmed(&self, connection: &ConnectionKey, request: u64) -> Result<(), StoreError> {
        self.done(connection, CONFIRM, request).await
    }

    /// Pauses the connection from `now` on, if it is not paused already.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn pause(&self, connection: &ConnectionKey, now: Timestamp) -> Result<(), StoreError> {
        let update = self.update(connection).update_expression("SET paused_at = if_not_exists(paused_at, :at)");
        self.set(update, now).await
    }

    /// Ends the pause of the connection, if it is paused.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn resume(&self, connection: &ConnectionKey) -> Result<(), StoreError> {
        let answer = self.update(connection).update_expression("REMOVE paused_at").send().await;
        answer.map(|_| ()).map_err(|error| StoreError::aws("UpdateItem", error))
    }

    /// Whether the connection is paused, by a read at half the price: a pause may be seen a second late.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn is_paused(&self, connection: &ConnectionKey) -> Result<bool, StoreError> {
        let key = ControlTable::key(connection, "poll");
        let get = self.0.client.get_item().table_name(&self.0.name).set_key(Some(key));
        let answer = get.projection_expression("paused_at").send().await;
        let item = answer.map_err(|error| StoreError::aws("GetItem", error))?.item;
        Ok(item.is_some_and(|item| Read::new("poll", &item).has("paused_at")))
    }

    async fn request(
        &self,
        connection: &ConnectionKey,
        (at, count): (&str, &str),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = self.update(connection).update_expression(format!("SET {at} = :at ADD {count} :one"));
        self.set(update.expression_attribute_values(":one", number(1)), now).await
    }

    async fn done(
        &self,
        connection: &ConnectionKey,
        (at, count): (&str, &str),
        request: u64,
    ) -> Result<(), StoreError> {
        let answer = self
            .update(connection)
            .update_expression(format!("REMOVE {at}"))
            .condition_expression(format!(
                "attribute_exists({at}) AND ({count} = :request OR (:request = :none AND attribute_not_exists({count})))"
            ))
            .expression_attribute_values(":request", number(request))
            .expression_attribute_values(":none", number(0))
            .send()
            .await;
        is_done("UpdateItem", answer).map(|_| ())
    }

    /// How the polling of a connection stands.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn state(&self, connection: &ConnectionKey) -> Result<ConnectionState, StoreError> {
        let item = self.0.get(connection, "poll").await?.unwrap_or_default();
        let read = Read::new("poll", &item);
        let error = match read.optional_time("failed_at")? {
            Some(at) => Some(LastError { at, message: read.text("message")?.to_owned() }),
            None => None,
        };
        Ok(ConnectionState {
            fresh_as_of: read.optional_time("fresh_as_of")?,
            answered_at: read.optional_time("answered_at")?,
            error,
            resync_requested: requested(&read, RESYNC)?,
            confirm_requested: requested(&read, CONFIRM)?,
            paused_at: read.optional_time("paused_at")?,
        })
    }

    fn update(&self, connection: &ConnectionKey) -> UpdateItemFluentBuilder {
        self.0.update(connection, "poll")
    }

    async fn set(&self, update: UpdateItemFluentBuilder, at: Timestamp) -> Result<(), StoreError> {
        let answer = update.expression_attribute_values(":at", time(at)).send().await;
        answer.map(|_| ()).map_err(|error| StoreError::aws("UpdateItem", error))
    }
}

/// The number of a request that is to be done. One by a release that did not number requests has the number 0.
fn requested(read: &Read<'_>, (at, count): (&'static str, &'static str)) -> Result<Option<u64>, StoreError> {
    if read.has(at) { read.number_or_zero(count).map(Some) } else { Ok(None) }
}
