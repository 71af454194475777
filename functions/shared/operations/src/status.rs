//! How a connection stands: what `customer-sync status` prints and `GET /v1/connections` answers.

mod destination;
mod history;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use model::{ConnectionKey, OutcomeCounts, Phase, iso_millis};
use serde::Serialize;
use store::{ConnectionState, LedgerState, Registration, StoreError, Tables};
use utoipa::ToSchema;

use config::{ConnectionKind, all_connections, problem_of};

pub use destination::{DestinationStatus, PushCounts};
pub use history::{HourlyCounts, HourlyPushCounts};

/// How many connections are read side by side.
const AT_ONCE: usize = 16;

/// The state of a connection: `waiting` if it was not polled yet, `syncing` while a batch is in progress, `in_sync` if
/// the shadow holds what the source reported last, `failing` if something stands in the way, `paused` by an operator.
/// Likewise of a destination: `waiting` if it was sent nothing yet, `syncing` while changes wait, `in_sync` if it has
/// all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It was not polled yet.
    Waiting,
    /// A batch is in progress.
    Syncing,
    /// The shadow holds what the source reported last.
    InSync,
    /// Something stands in the way.
    Failing,
    /// An operator has paused it.
    Paused,
}

/// The connections and the destinations of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Connections {
    /// The connections, by key.
    pub connections: Vec<ConnectionStatus>,
    /// The destinations, by key.
    pub destinations: Vec<DestinationStatus>,
}

/// How a connection stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConnectionStatus {
    /// The connection's id.
    pub id: String,
    /// The tenant that it belongs to.
    pub tenant: String,
    /// Its kind.
    pub kind: ConnectionKind,
    /// Its state.
    pub condition: Condition,
    /// Since when it is paused.
    #[schema(required, format = DateTime)]
    pub paused_at: Option<String>,
    /// The shadow holds everything that the source reported by then.
    #[schema(required, format = DateTime)]
    pub fresh_as_of: Option<String>,
    /// How many seconds ago that is.
    #[schema(required)]
    pub freshness_seconds: Option<u64>,
    /// When the source last answered.
    #[schema(required, format = DateTime)]
    pub last_success_at: Option<String>,
    /// What stands in the way.
    #[schema(required)]
    pub error: Option<ErrorStatus>,
    /// The batch in progress.
    #[schema(required)]
    pub batch: Option<BatchStatus>,
    /// What became of every customer so far, with those of the batch in progress that are done. Zero if systems push to
    /// the connection.
    pub counts: Counts,
    /// How many failure records there are now.
    pub failures: u64,
    /// How many of them stand for deletions that wait for a person, because there were too many at once.
    pub deletes_withheld: u64,
    /// The counts at the beginning of each hour of the last day, if they are asked for; none of an hour in which
    /// nothing ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub history: Option<Vec<HourlyCounts>>,
}

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErrorStatus {
    /// Since when, or when last.
    #[schema(format = DateTime)]
    pub at: String,
    /// The error's text.
    pub message: String,
}

/// A batch in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BatchStatus {
    /// Its number.
    pub number: u64,
    /// When the source was asked.
    #[schema(format = DateTime)]
    pub asked_at: String,
    /// Whether its source is still being listed: then more customers may come.
    pub listing: bool,
    /// How many customers it holds, so far.
    pub customers: u64,
    /// How many of them have not come to an end.
    pub left: u64,
}

/// Fetched = written + unchanged + stale + tombstoned + failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
    /// How many customers came to an end.
    pub fetched: u64,
    /// By outcome.
    #[serde(flatten)]
    pub ends: OutcomeCounts,
}

/// Reads how connections stand.
#[derive(Clone, Debug)]
pub struct StatusReader {
    tables: Tables,
}

impl StatusReader {
    /// A reader of these tables.
    pub fn new(tables: &Tables) -> Self {
        Self { tables: tables.clone() }
    }

    /// How every connection stands, or those of one tenant, by key.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn all(&self, tenant: Option<&str>, now: Timestamp) -> Result<Vec<ConnectionStatus>, StoreError> {
        let statuses = self.of_tenant(tenant, now).await?.into_iter().map(|status| self.with_failures(status));
        stream::iter(statuses).buffered(AT_ONCE).try_collect().await
    }

    /// How every connection stands, without its failure records: they may be many, and are not counted.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn without_failures(&self, now: Timestamp) -> Result<Vec<ConnectionStatus>, StoreError> {
        self.of_tenant(None, now).await
    }

    async fn of_tenant(&self, tenant: Option<&str>, now: Timestamp) -> Result<Vec<ConnectionStatus>, StoreError> {
        let of_tenant = |found: &Registration| tenant.is_none_or(|tenant| tenant == found.key.tenant);
        let registrations = all_connections(&self.tables.registry).await?.into_iter().filter(of_tenant);
        let statuses = registrations.map(|registration| self.registered(registration, now));
        let statuses: Vec<Option<ConnectionStatus>> = stream::iter(statuses).buffered(AT_ONCE).try_collect().await?;
        Ok(statuses.into_iter().flatten().collect())
    }

    async fn with_failures(&self, mut status: ConnectionStatus) -> Result<ConnectionStatus, StoreError> {
        if !status.kind.is_push() {
            let key = ConnectionKey::new(&status.tenant, &status.id);
            status.failures = self.tables.failures.count(&key).await?;
            status.deletes_withheld = self.tables.failures.count_withheld(&key).await?;
        }
        Ok(status)
    }

    /// How a registration stands; `None` if this release does not know its kind.
    async fn registered(
        &self,
        registration: Registration,
        now: Timestamp,
    ) -> Result<Option<ConnectionStatus>, StoreError> {
        let problem = problem_of(&registration);
        let Registration { key, kind, .. } = registration;
        let Some(kind) = ConnectionKind::from_name(&kind) else { return Ok(None) };
        let mut status = self.one(&key, kind, now).await?;
        if let Some(problem) = problem {
            if status.condition != Condition::Paused {
                status.condition = Condition::Failing;
            }
            status.error = Some(ErrorStatus { at: iso_millis(now), message: problem.to_string() });
        }
        Ok(Some(status))
    }

    async fn one(
        &self,
        key: &ConnectionKey,
        kind: ConnectionKind,
        now: Timestamp,
    ) -> Result<ConnectionStatus, StoreError> {
        let ConnectionState { fresh_as_of, answered_at, error, paused_at, .. } = self.tables.states.state(key).await?;
        if kind.is_push() {
            return Ok(pushed(key, kind, paused_at, now));
        }
        let LedgerState { latest, totals, came_on_at, .. } = self.tables.ledger.state(key).await?;
        let batch = latest.filter(|batch| batch.phase != Phase::Closed);
        // What one chunk met is over if the batch has come on since.
        let error = error.filter(|error| batch.is_none() || came_on_at.is_none_or(|came_on_at| came_on_at <= error.at));
        let mut ends = totals;
        if let Some(batch) = &batch {
            ends += batch.counts;
        }
        let condition = match (&error, &batch, fresh_as_of) {
            _ if paused_at.is_some() => Condition::Paused,
            (Some(_), _, _) => Condition::Failing,
            (None, Some(_), _) => Condition::Syncing,
            (None, None, Some(_)) => Condition::InSync,
            (None, None, None) => Condition::Waiting,
        };
        Ok(ConnectionStatus {
            id: key.connection.clone(),
            tenant: key.tenant.clone(),
            kind,
            condition,
            paused_at: paused_at.map(iso_millis),
            fresh_as_of: fresh_as_of.map(iso_millis),
            freshness_seconds: fresh_as_of.map(|at| seconds_since(at, now)),
            last_success_at: answered_at.map(iso_millis),
            error: error.map(|error| ErrorStatus { at: iso_millis(error.at), message: error.message }),
            batch: batch.map(|batch| BatchStatus {
                number: batch.number,
                asked_at: iso_millis(batch.asked_at),
                listing: batch.phase == Phase::Listing,
                customers: batch.total,
                left: batch.left(),
            }),
            counts: Counts { fetched: ends.sum(), ends },
            failures: 0,
            deletes_withheld: 0,
            history: None,
        })
    }
}

fn seconds_since(at: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0)
}

/// What is acknowledged to a system that pushes is stored: such a connection is in sync unless it is paused. It has no
/// counts, because a stored count would cost every push a second write; metrics have them.
fn pushed(key: &ConnectionKey, kind: ConnectionKind, paused_at: Option<Timestamp>, now: Timestamp) -> ConnectionStatus {
    let fresh_as_of = paused_at.unwrap_or(now);
    let ends = OutcomeCounts::default();
    ConnectionStatus {
        id: key.connection.clone(),
        tenant: key.tenant.clone(),
        kind,
        condition: if paused_at.is_some() { Condition::Paused } else { Condition::InSync },
        paused_at: paused_at.map(iso_millis),
        fresh_as_of: Some(iso_millis(fresh_as_of)),
        freshness_seconds: Some(seconds_since(fresh_as_of, now)),
        last_success_at: None,
        error: None,
        batch: None,
        counts: Counts { fetched: ends.sum(), ends },
        failures: 0,
        deletes_withheld: 0,
        history: None,
    }
}
