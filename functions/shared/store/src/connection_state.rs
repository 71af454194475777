//! How the polling of each connection stands: the entry `poll` of the control table, small, because every poll writes
//! it.
//!
//! | attribute | what |
//! |---|---|
//! | `lease_owner`, `lease_until` | the poller, or the import, that works on the connection |
//! | `look_again` | another worker has news, and found the lease taken: its holder looks once more after it leaves |
//! | `due_at` | before this the source is not asked again; missing if it may be asked at once |
//! | `idle` | since when nothing is open, no request waits and the source answers at once: it may be asked without a lease |
//! | `has_batch`, `tend_at` | a batch was open when the last poller left, and before when it is not looked after |
//! | `requests`, `requests_seen` | how many requests operators have made, and how many the last poller saw: one that did not see the last leaves no `idle` |
//! | `send_window` | which chunks were sent to workers, as JSON |
//! | `verify_at` | when some customers are compared with the source next; see [`Drift`](crate::Drift) |
//! | `answered_at`, `fresh_as_of` | when the source last answered, and through when the shadow holds all it reported |
//! | `paused_at` | since when an operator has it paused: it is not polled |
//! | `watched_since` | since when freshness is counted for a connection that never was in sync |
//! | `failed_at`, `message` | what stands in the way |
//! | `resync_at`, `resync_count`, `confirm_at`, `confirm_count` | the requests of operators |
//! | `resync_again_at`, `resync_refusals` | when a source is asked again that refused to put everybody into its queue, and how often it did |
//! | `confirm_marked` | `confirm_count` of the last request to confirm by a release that marks what it confirms |
//!
//! Whatever takes the lease, and every request, removes `idle`. A poller that dies leaves none, so that the next one
//! takes the lease and looks at everything. A release that knows none of these attributes leaves them as they are; what
//! it opens is found, because the source goes on reporting it.

mod state;

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;
use model::{ConnectionKey, PlantedFault};

use crate::StoreError;
use crate::changes::Changes;
use crate::item::{Item, Read, number, text, time};
use crate::table::{Table, entry_key};
use state::{CONFIRM, RESYNC};

pub use state::{ConnectionState, Departure, LastError};

/// The sort key.
pub(crate) const POLL: &str = "poll";

/// The pollers' leases and what they found, in the control table.
#[derive(Clone, Debug)]
pub struct ConnectionStates {
    pub(crate) table: Table,
}

impl ConnectionStates {
    /// Takes or renews the lease: two pollers never work on one connection. The state as it stands then; `None` if
    /// another holds the lease.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn lease(
        &self,
        connection: &ConnectionKey,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ConnectionState>, StoreError> {
        let is_free = "attribute_not_exists(lease_until) OR lease_until <= :now OR lease_owner = :owner";
        let is_ignored = PlantedFault::IgnoresLeases.is_planted();
        let update = self
            .update(connection)
            .update_expression("SET lease_owner = :owner, lease_until = :until REMOVE idle")
            .condition_expression(if is_ignored { "lease_until <> :now" } else { is_free })
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":until", time(until))
            .expression_attribute_values(":now", time(now))
            .return_values(ReturnValue::AllNew);
        self.table.updated(update).await?.as_ref().map(ConnectionState::read).transpose()
    }

    /// Renews the lease that a poller holds; `false` if it holds it no longer, or has given it back.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn renew(&self, connection: &ConnectionKey, owner: &str, until: Timestamp) -> Result<bool, StoreError> {
        let update = self
            .update(connection)
            .update_expression("SET lease_until = :until")
            .condition_expression("lease_owner = :owner")
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":until", time(until));
        self.table.is_done(update).await
    }

    /// Takes the lease if the connection is still idle, and as it was `seen`: nothing was opened since.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn lease_idle(
        &self,
        connection: &ConnectionKey,
        owner: &str,
        seen: &ConnectionState,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ConnectionState>, StoreError> {
        let due_at = seen.due_at.map_or(number(0), time);
        let update = self
            .update(connection)
            .update_expression("SET lease_owner = :owner, lease_until = :until REMOVE idle")
            .condition_expression(
                "attribute_exists(idle) AND due_at = :due_at AND (attribute_not_exists(lease_until) OR lease_until <= :now)",
            )
            .expression_attribute_values(":now", time(now))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":until", time(until))
            .expression_attribute_values(":due_at", due_at)
            .return_values(ReturnValue::AllNew);
        self.table.updated(update).await?.as_ref().map(ConnectionState::read).transpose()
    }

    /// The source of an idle connection had nothing new at `as_of`, and is asked again at `due_at`. Does nothing if the
    /// connection is idle no longer, or was asked again since.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn mark_still_synced(
        &self,
        connection: &ConnectionKey,
        as_of: Timestamp,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        let update = self
            .update(connection)
            .update_expression("SET answered_at = :at, fresh_as_of = :at, due_at = :due_at")
            .condition_expression("attribute_exists(idle) AND answered_at < :at")
            .expression_attribute_values(":at", time(as_of))
            .expression_attribute_values(":due_at", time(due_at));
        self.table.write_if(update).await
    }

    /// The source is not asked again before `due_at`.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn postpone(&self, connection: &ConnectionKey, due_at: Timestamp) -> Result<(), StoreError> {
        self.set(self.update(connection).update_expression("SET due_at = :at"), due_at).await
    }

    /// Plans the next look for drift, if it is still planned as it was `seen`: so one of several that come at the same
    /// time goes on. Whether it was this one.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn plan_verification(
        &self,
        connection: &ConnectionKey,
        seen: Option<Timestamp>,
        next: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = self
            .update(connection)
            .update_expression("SET verify_at = :next")
            .expression_attribute_values(":next", time(next));
        let update = match seen {
            Some(seen) => {
                update.condition_expression("verify_at = :seen").expression_attribute_values(":seen", time(seen))
            }
            None => update.condition_expression("attribute_not_exists(verify_at)"),
        };
        self.table.is_done(update).await
    }

    /// Counts the freshness of a connection that never was in sync from `now` on, unless it is counted already.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn watch(&self, connection: &ConnectionKey, now: Timestamp) -> Result<(), StoreError> {
        let update = self.update(connection).update_expression("SET watched_since = if_not_exists(watched_since, :at)");
        self.set(update, now).await
    }

    /// The time by the store's own clock, to the second; `None` if it does not report it.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn store_time(&self, connection: &ConnectionKey) -> Result<Option<Timestamp>, StoreError> {
        self.table.time(connection).await
    }

    /// Gives the lease back, if it is still held, and changes nothing else.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn release(&self, connection: &ConnectionKey, owner: &str) -> Result<(), StoreError> {
        let update = self
            .update(connection)
            .update_expression("REMOVE lease_owner, lease_until")
            .condition_expression("lease_owner = :owner")
            .expression_attribute_values(":owner", text(owner));
        self.table.write_if(update).await
    }

    /// Asks the holder of the lease to look once more after it leaves; `false` if nobody holds it.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn ask_to_look_again(&self, connection: &ConnectionKey) -> Result<bool, StoreError> {
        let update = self
            .update(connection)
            .update_expression("SET look_again = :yes")
            .condition_expression("attribute_exists(lease_owner)")
            .expression_attribute_values(":yes", AttributeValue::Bool(true));
        self.table.is_done(update).await
    }

    /// Gives the lease back that was taken when the connection was as `seen`, and notes how the poller leaves it.
    /// Whether another worker [has asked it to look once more](Self::ask_to_look_again), or may have.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn leave(
        &self,
        connection: &ConnectionKey,
        owner: &str,
        seen: &ConnectionState,
        departure: &Departure,
    ) -> Result<bool, StoreError> {
        let mut left = None;
        if departure.idle_since.is_some() {
            left = self.try_to_leave(connection, owner, seen, departure).await?;
        }
        if left.is_none() {
            let departure = Departure { idle_since: None, ..departure.clone() };
            left = self.try_to_leave(connection, owner, seen, &departure).await?;
        }
        // Nothing is left if an answer was lost that said so.
        Ok(left.is_none_or(|before| Read::new(POLL, &before).has("look_again")))
    }

    /// What the item held before; `None` if it is not as the departure says.
    async fn try_to_leave(
        &self,
        connection: &ConnectionKey,
        owner: &str,
        seen: &ConnectionState,
        departure: &Departure,
    ) -> Result<Option<Item>, StoreError> {
        let mut changes = Changes::default();
        changes.assign("requests_seen = :requests");
        changes.remove(["lease_owner", "lease_until", "look_again"]);
        changes.set_or_remove("due_at", departure.due_at.map(time));
        changes.set_or_remove("idle", departure.idle_since.map(time));
        changes.set_or_remove("has_batch", departure.has_batch.then_some(AttributeValue::Bool(true)));
        changes.set_or_remove("tend_at", departure.tend_at.map(time));
        changes.set_or_remove("send_window", departure.send_window.as_ref().map(text));
        if let Some(as_of) = departure.synced_as_of {
            changes.set("answered_at", time(as_of));
            changes.set("fresh_as_of", time(as_of));
            changes.remove(["failed_at", "message"]);
        }
        let mut condition = "lease_owner = :owner".to_owned();
        let mut update = self.update(connection);
        if departure.idle_since.is_some() {
            condition += " AND (requests = :requests OR (:requests = :none AND attribute_not_exists(requests)))";
            update = update.expression_attribute_values(":none", number(0));
        }
        let update = update
            .condition_expression(condition)
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":requests", number(seen.requests));
        let update = changes.of(update);
        self.table.updated(update.return_values(ReturnValue::AllOld)).await
    }

    /// Takes the lease away from its holder. Only for a caller that knows that the holder is gone.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn revoke_lease(&self, connection: &ConnectionKey) -> Result<(), StoreError> {
        let update = self.update(connection).update_expression("REMOVE lease_owner, lease_until");
        self.table.write_if(update).await
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
        self.set(update.update_expression("SET failed_at = :at, message = :message REMOVE idle"), error.at).await
    }

    /// Asks for everything to be listed again, from the beginning. Requests are numbered, so that a batch clears just
    /// the one that it took in: no two clocks are compared.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn request_resync(&self, connection: &ConnectionKey, now: Timestamp) -> Result<(), StoreError> {
        let update = self.update(connection).update_expression(
            "SET resync_at = :at REMOVE idle, resync_again_at, resync_refusals ADD resync_count :one, requests :one",
        );
        self.set(update.expression_attribute_values(":one", number(1)), now).await
    }

    /// The source refused what a resync asks of it, or did not confirm it in time: it is asked again at `again_at`.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn resync_refused(&self, connection: &ConnectionKey, again_at: Timestamp) -> Result<(), StoreError> {
        let update = self
            .update(connection)
            .update_expression("SET resync_again_at = :again_at ADD resync_refusals :one")
            .expression_attribute_values(":again_at", time(again_at))
            .expression_attribute_values(":one", number(1));
        self.table.send(update).await.map(|_| ())
    }

    /// The request that a batch took in is done; a later one is still to be done.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn resynced(&self, connection: &ConnectionKey, request: u64) -> Result<(), StoreError> {
        self.done(connection, RESYNC, request).await
    }

    /// Asks for the deletions that were [confirmed](crate::Failures::confirm) to be carried out with the next batch.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn request_confirm(&self, connection: &ConnectionKey, now: Timestamp) -> Result<(), StoreError> {
        let update = self.update(connection).update_expression(
            "SET confirm_at = :at, confirm_marked = if_not_exists(confirm_count, :none) + :one \
             REMOVE idle ADD confirm_count :one, requests :one",
        );
        let update = update.expression_attribute_values(":none", number(0));
        self.set(update.expression_attribute_values(":one", number(1)), now).await
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
        let update =
            self.update(connection).update_expression("SET paused_at = if_not_exists(paused_at, :at) REMOVE idle");
        self.set(update, now).await
    }

    /// Ends the pause of the connection, if it is paused. It is due at once, whatever it was to wait for.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn resume(&self, connection: &ConnectionKey) -> Result<(), StoreError> {
        // As a request: whoever works for it waits no longer for what was to come later.
        let update = self.update(connection).update_expression("REMOVE paused_at, due_at ADD requests :one");
        let update = update.expression_attribute_values(":one", number(1));
        self.table.send(update).await.map(|_| ())
    }

    /// Whether the connection is paused, by a read at half the price: a pause may be seen a second late.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn is_paused(&self, connection: &ConnectionKey) -> Result<bool, StoreError> {
        let get = self.table.get_request(entry_key(connection, POLL)).consistent_read(false);
        let item = self.table.send(get.projection_expression("paused_at")).await?.item;
        Ok(item.is_some_and(|item| Read::new(POLL, &item).has("paused_at")))
    }

    async fn done(
        &self,
        connection: &ConnectionKey,
        (at, count): (&str, &str),
        request: u64,
    ) -> Result<(), StoreError> {
        let update = self
            .update(connection)
            .update_expression(format!("REMOVE {at}"))
            .condition_expression(format!(
                "attribute_exists({at}) AND ({count} = :request OR (:request = :none AND attribute_not_exists({count})))"
            ))
            .expression_attribute_values(":request", number(request))
            .expression_attribute_values(":none", number(0));
        self.table.write_if(update).await
    }

    /// How the polling of a connection stands.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn state(&self, connection: &ConnectionKey) -> Result<ConnectionState, StoreError> {
        ConnectionState::read(&self.table.get(connection, POLL).await?.unwrap_or_default())
    }

    fn update(&self, connection: &ConnectionKey) -> UpdateItemFluentBuilder {
        self.table.update(connection, POLL)
    }

    /// The states of many connections, as they stood a moment ago: half the price of a look at each.
    /// A connection whose state can't be read stands among them with the error.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn glance(
        &self,
        connections: &[ConnectionKey],
    ) -> Result<Vec<(ConnectionKey, Result<ConnectionState, StoreError>)>, StoreError> {
        let keys = connections.iter().map(|key| entry_key(key, POLL)).collect();
        let mut items: BTreeMap<String, Item> = BTreeMap::new();
        for item in self.table.glance(keys, &[], None).await? {
            let key = Read::new(POLL, &item).text("connection")?.to_owned();
            items.insert(key, item);
        }
        let read = |key: &ConnectionKey| {
            let item = items.remove(&key.to_string()).unwrap_or_default();
            (key.clone(), ConnectionState::read(&item))
        };
        Ok(connections.iter().map(read).collect())
    }

    async fn set(&self, update: UpdateItemFluentBuilder, at: Timestamp) -> Result<(), StoreError> {
        let update = update.expression_attribute_values(":at", time(at));
        self.table.send(update).await.map(|_| ())
    }
}
