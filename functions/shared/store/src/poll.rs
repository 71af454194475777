use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use jiff::Timestamp;
use model::ConnectionKey;

use crate::StoreError;
use crate::control::ControlTable;
use crate::item::{Read, text, time};

/// What went wrong last, until something goes right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// What, without secrets and personal data.
    pub message: String,
}

/// How the polling of a connection stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PollState {
    /// The shadow holds everything that the upstream reported by then.
    pub fresh_as_of: Option<Timestamp>,
    /// When the upstream last answered.
    pub answered_at: Option<Timestamp>,
    /// What stands in the way now.
    pub error: Option<LastError>,
    /// Since when everything is to be listed again.
    pub resync_requested: Option<Timestamp>,
}

/// The pollers' leases and what they found, in the control table.
#[derive(Clone, Debug)]
pub struct Polls(ControlTable);

impl Polls {
    /// The polls in the control table called `table`.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self(ControlTable::new(client, table))
    }

    /// Takes or renews the lease: two pollers never work on one connection. `false` where another holds it.
    ///
    /// # Errors
    /// Where the store can't be written.
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
        taken(answer)
    }

    /// The time by the store's own clock, to the second; `None` where it does not tell.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn store_time(&self, connection: &ConnectionKey) -> Result<Option<Timestamp>, StoreError> {
        self.0.time(connection).await
    }

    /// Gives the lease back, if it is still held.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn release(&self, connection: &ConnectionKey, owner: &str) -> Result<(), StoreError> {
        let answer = self
            .update(connection)
            .update_expression("REMOVE lease_owner, lease_until")
            .condition_expression("lease_owner = :owner")
            .expression_attribute_values(":owner", text(owner))
            .send()
            .await;
        taken(answer).map(|_| ())
    }

    /// Takes the lease from whoever holds it. Only for one who knows that the holder is gone.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn break_lease(&self, connection: &ConnectionKey) -> Result<(), StoreError> {
        let answer = self.update(connection).update_expression("REMOVE lease_owner, lease_until").send().await;
        taken(answer).map(|_| ())
    }

    /// The upstream answered, and holds more than the shadow does.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn answered(&self, connection: &ConnectionKey, at: Timestamp) -> Result<(), StoreError> {
        self.set(self.update(connection).update_expression("SET answered_at = :at REMOVE failed_at, message"), at).await
    }

    /// The shadow holds everything that the upstream reported at `as_of`.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn in_step(&self, connection: &ConnectionKey, as_of: Timestamp) -> Result<(), StoreError> {
        let update = self.update(connection);
        self.set(update.update_expression("SET answered_at = :at, fresh_as_of = :at REMOVE failed_at, message"), as_of)
            .await
    }

    /// Something stands in the way of this connection.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn failed(&self, connection: &ConnectionKey, error: &LastError) -> Result<(), StoreError> {
        let update = self.update(connection).expression_attribute_values(":message", text(&error.message));
        self.set(update.update_expression("SET failed_at = :at, message = :message"), error.at).await
    }

    /// Asks for everything to be listed again, from the beginning.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn request_resync(&self, connection: &ConnectionKey, now: Timestamp) -> Result<(), StoreError> {
        self.set(self.update(connection).update_expression("SET resync_at = :at"), now).await
    }

    /// Everything was listed by a listing that began at `began`: what was asked for later is still to be done.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn resynced(&self, connection: &ConnectionKey, began: Timestamp) -> Result<(), StoreError> {
        let answer = self
            .update(connection)
            .update_expression("REMOVE resync_at")
            .condition_expression("resync_at <= :began")
            .expression_attribute_values(":began", time(began))
            .send()
            .await;
        taken(answer).map(|_| ())
    }

    /// How the polling of a connection stands.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn state(&self, connection: &ConnectionKey) -> Result<PollState, StoreError> {
        let item = self.0.get(connection, "poll").await?.unwrap_or_default();
        let read = Read::new("poll", &item);
        let error = match read.optional_time("failed_at")? {
            Some(at) => Some(LastError { at, message: read.text("message")?.to_owned() }),
            None => None,
        };
        Ok(PollState {
            fresh_as_of: read.optional_time("fresh_as_of")?,
            answered_at: read.optional_time("answered_at")?,
            error,
            resync_requested: read.optional_time("resync_at")?,
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

/// Whether a conditional update was carried out.
fn taken<T, R>(
    answer: Result<T, aws_sdk_dynamodb::error::SdkError<aws_sdk_dynamodb::operation::update_item::UpdateItemError, R>>,
) -> Result<bool, StoreError> {
    match answer {
        Ok(_) => Ok(true),
        Err(error)
            if error.as_service_error().is_some_and(|service| service.is_conditional_check_failed_exception()) =>
        {
            Ok(false)
        }
        Err(error) => Err(StoreError::aws("UpdateItem", error)),
    }
}
