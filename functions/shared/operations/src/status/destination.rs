//! How a destination stands.

use config::{DESTINATION, Destination, DestinationKind};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use model::iso_millis;
use serde::Serialize;
use store::{
    ConnectionState, Delivery, DeliveryCounts, FeedError, Listed, PlacedChange, Registration, Shadow, StoreError,
};
use utoipa::ToSchema;

use super::{AT_ONCE, Condition, ErrorStatus, HourlyPushCounts, StatusReader, seconds_since};

/// How many changes that wait are counted.
const MOST_COUNTED: usize = 1_000;

/// How a destination stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DestinationStatus {
    /// The destination's id.
    pub id: String,
    /// The tenant that it belongs to.
    pub tenant: String,
    /// Its kind; null if its settings can't be read.
    #[schema(required)]
    pub kind: Option<DestinationKind>,
    /// Its state: as that of a connection.
    pub condition: Condition,
    /// Since when it is paused.
    #[schema(required, format = DateTime)]
    pub paused_at: Option<String>,
    /// It has everything that had changed by then, but for failures.
    #[schema(required, format = DateTime)]
    pub fresh_as_of: Option<String>,
    /// How many seconds ago that is: for how long it is behind.
    #[schema(required)]
    pub freshness_seconds: Option<u64>,
    /// What stands in the way.
    #[schema(required)]
    pub error: Option<ErrorStatus>,
    /// Since when it takes nothing.
    #[schema(required, format = DateTime)]
    pub failing_since: Option<String>,
    /// Before this it is not tried again, unless an operator asks for something.
    #[schema(required, format = DateTime)]
    pub next_attempt_at: Option<String>,
    /// How many changes wait for it: by how many it is behind. More than 1,000 are not counted.
    pub waiting: u64,
    /// How many percent of all customers were listed for it, which is done when it is new and for a resync. About: the
    /// customers are not counted.
    #[schema(maximum = 100)]
    pub listed_percent: u8,
    /// What became of changes so far.
    pub counts: PushCounts,
    /// How many failure records there are now.
    pub failures: u64,
    /// The counts at the beginning of each hour of the last day, if they are asked for; none of an hour in which
    /// nothing ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub history: Option<Vec<HourlyPushCounts>>,
}

/// Changes = sent + failed + left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PushCounts {
    /// How many changes came to an end. One that is sent again counts again.
    pub changes: u64,
    /// The destination has them.
    pub sent: u64,
    /// It does not take them.
    pub failed: u64,
    /// They are not for it: they came from it, or are copies that we made elsewhere, or it has no word for them.
    pub left_out: u64,
}

impl StatusReader {
    /// How every destination stands, or those of one tenant, by key.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn destinations(
        &self,
        tenant: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<DestinationStatus>, StoreError> {
        let of_tenant = |found: &Registration| tenant.is_none_or(|tenant| tenant == found.key.tenant);
        let registrations = self.tables.registry.of_kind(DESTINATION).await?.into_iter().filter(of_tenant);
        let statuses = registrations.map(|registration| self.destination(registration, now));
        stream::iter(statuses).buffered(AT_ONCE).try_collect().await
    }

    async fn destination(&self, registration: Registration, now: Timestamp) -> Result<DestinationStatus, StoreError> {
        let key = &registration.key;
        let destination = Destination::from_registration(&registration);
        let state = self.tables.states.state(key).await?;
        let (delivery, damage) = match self.tables.deliveries.of(key).await {
            Ok(delivery) => (delivery, None),
            Err(damage @ StoreError::Corrupt { .. }) => (Delivery::default(), Some(damage)),
            Err(error) => return Err(error),
        };
        let failures = self.tables.failures.count(key).await?;
        let waiting = match &destination {
            Ok(destination) => self.waiting(destination, &delivery).await,
            Err(_) => Ok(0),
        };
        let (waiting, damage) = match waiting {
            Ok(waiting) => (waiting, damage),
            Err(found @ StoreError::Corrupt { .. }) => (0, damage.or(Some(found))),
            Err(error) => return Err(error),
        };
        let (id, tenant) = (key.connection.clone(), key.tenant.clone());
        let mut status = status(id, tenant, destination.as_ref().ok(), state, &delivery, now);
        (status.waiting, status.failures) = (waiting, failures);
        let problem = destination.err().map(|problem| problem.to_string()).or(damage.map(|damage| damage.to_string()));
        if let Some(message) = problem {
            if status.condition != Condition::Paused {
                status.condition = Condition::Failing;
            }
            status.error = Some(ErrorStatus { at: iso_millis(now), message });
        } else if status.condition == Condition::InSync && waiting > 0 {
            status.condition = Condition::Syncing;
        }
        Ok(status)
    }

    async fn waiting(&self, destination: &Destination, delivery: &Delivery) -> Result<u64, StoreError> {
        let Some(position) = delivery.position else { return Ok(0) };
        let from = &destination.settings.from;
        let wanted =
            |placed: &PlacedChange| from.contains(&placed.change.id.connection) && delivery.is_to_be_told(placed);
        match self.tables.feed.read(&destination.key.tenant, &position, MOST_COUNTED, wanted).await {
            Ok(page) => Ok(page.changes.len() as u64),
            // Everybody is listed for it with the next attempt.
            Err(FeedError::Gone) => Ok(0),
            Err(FeedError::Store(error)) => Err(error),
        }
    }
}

fn status(
    id: String,
    tenant: String,
    destination: Option<&Destination>,
    state: ConnectionState,
    delivery: &Delivery,
    now: Timestamp,
) -> DestinationStatus {
    let ConnectionState { fresh_as_of, error, paused_at, due_at, resync_requested, .. } = state;
    let from = destination.map(|destination| destination.settings.from.as_slice()).unwrap_or_default();
    let progress = &delivery.progress;
    let is_listed = delivery.position.is_some() && progress.next_to_list(from).is_none() && resync_requested.is_none();
    let condition = match (&error, fresh_as_of) {
        _ if paused_at.is_some() => Condition::Paused,
        (Some(_), _) => Condition::Failing,
        _ if delivery.position.is_none() => Condition::Waiting,
        (None, Some(_)) if is_listed => Condition::InSync,
        (None, _) => Condition::Syncing,
    };
    let DeliveryCounts { sent, failed, left_out } = progress.counts;
    DestinationStatus {
        id,
        tenant,
        kind: destination.map(|destination| destination.settings.receiver.kind()),
        condition,
        paused_at: paused_at.map(iso_millis),
        fresh_as_of: fresh_as_of.map(iso_millis),
        freshness_seconds: fresh_as_of.map(|at| seconds_since(at, now)),
        error: error.map(|error| ErrorStatus { at: iso_millis(error.at), message: error.message }),
        failing_since: progress.failing_since().map(iso_millis),
        next_attempt_at: progress.next_attempt_at(now).or(due_at).filter(|due_at| *due_at > now).map(iso_millis),
        waiting: 0,
        history: None,
        listed_percent: listed_percent(from, delivery),
        counts: PushCounts { changes: progress.counts.sum(), sent, failed, left_out },
        failures: 0,
    }
}

/// By the shards of the listing, which have as many customers each.
fn listed_percent(from: &[String], delivery: &Delivery) -> u8 {
    let shards = |connection: &String| match delivery.progress.listed.get(connection) {
        Some(Listed::All) => u64::from(Shadow::SHARDS),
        Some(Listed::UpTo(shard, _)) => u64::from(*shard),
        Some(Listed::Left) | None => 0,
    };
    let all = u64::from(Shadow::SHARDS) * from.len() as u64;
    let listed: u64 = from.iter().map(shards).sum();
    u8::try_from((listed * 100).checked_div(all).unwrap_or(100)).unwrap_or(100)
}
