//! Triggered by a schedule, once a minute. Plans which connections are polled within the next minute, and sends the
//! polling functions a message for each second in which one is due: SQS delays it until then, so that no function
//! waits. Has `push-changes` look at every destination, likewise.
//!
//! | reads | writes |
//! |---|---|
//! | connections and destinations, and when each is due | messages on SQS, the metrics `freshness`, `destination_behind` and `destination_failing` |
//! | once an hour, their totals | their histories, see [`Histories`](store::Histories) |
//!
//! **When it fails** the connections are polled with the plan of the next minute. A plan that is carried out twice asks
//! no source more often: when it was asked last stands in the connection's state.

mod history;
mod plan;
mod pushes;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use config::{AssociationAnywhereConfig, BusinessCatalystConfig, Connection, Settings};
use futures::future::{self, BoxFuture};
use jiff::Timestamp;
use lambda::{Clients, Environment, EnvironmentError, Function, Metrics, ScheduleHandler};
use model::ConnectionKey;
use store::{ConnectionState, PollRequests, PushRequests, StoreError, Tables};

use crate::history::{Noted, Noting};
use crate::plan::Plan;

/// The part of the deadline that is kept for the end.
const MARGIN: Duration = Duration::from_secs(1);

/// Builds the function.
///
/// # Errors
/// If a variable of its environment is missing: see [`SchedulePolls::new`].
pub fn function(environment: &Environment, clients: Clients) -> Result<Function, EnvironmentError> {
    Ok(Function::Schedule(Arc::new(SchedulePolls::new(environment, &clients)?)))
}

/// The function.
#[derive(Clone, Debug)]
pub struct SchedulePolls {
    tables: Tables,
    queue_polls: PollRequests,
    contact_polls: PollRequests,
    push_requests: PushRequests,
    noted: Arc<Mutex<Noted>>,
    metrics: Metrics,
    /// How many customers of an Association Anywhere are compared with it once an hour; 0: none.
    drift_sample: u32,
}

impl SchedulePolls {
    /// The function with the table and the queues that its environment names: `CONTROL_TABLE`, `QUEUE_POLLS_URL`,
    /// `CONTACT_POLLS_URL`, `PUSH_REQUESTS_URL`. It has connections looked at for drift, unless `DRIFT_SAMPLE` is 0.
    ///
    /// # Errors
    /// If a variable is missing, or is no number.
    pub fn new(environment: &Environment, clients: &Clients) -> Result<Self, EnvironmentError> {
        let tables = clients.tables(environment)?;
        let Clients { sqs, clock, random, metrics, .. } = clients;
        let queue = |url| Ok(PollRequests::new(sqs.clone(), environment.required(url)?, clock.clone(), random.clone()));
        let pushes_url = environment.required("PUSH_REQUESTS_URL")?;
        Ok(Self {
            queue_polls: queue("QUEUE_POLLS_URL")?,
            contact_polls: queue("CONTACT_POLLS_URL")?,
            push_requests: PushRequests::new(sqs.clone(), pushes_url, clock.clone(), random.clone()),
            noted: Arc::default(),
            tables,
            metrics: metrics.clone(),
            drift_sample: environment.number("DRIFT_SAMPLE")?,
        })
    }

    /// Plans the next minute for one kind of source.
    async fn plan<S: Settings>(
        &self,
        requests: &PollRequests,
        poll_seconds: fn(&S) -> u32,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let registrations = self.tables.registry.of_kind(S::KIND.name()).await?;
        let connections = Connection::<S>::readable(&registrations);
        let keys: Vec<ConnectionKey> = connections.iter().map(|connection| connection.key.clone()).collect();
        let states = self.tables.states.glance(&keys).await?;
        let now = self.tables.clock.now();
        let mut plan = Plan::default();
        for (Connection { key, settings }, (_, state)) in connections.iter().zip(&states) {
            let state = state.as_ref();
            let state = state.inspect_err(|error| tracing::error!(connection = %key, %error, "a state can't be read"));
            if let Ok(state) = state
                && S::KIND == AssociationAnywhereConfig::KIND
            {
                plan.add_look(key, state, self.drift_sample > 0, now);
            }
            plan.add(key, state.ok(), Duration::from_secs(u64::from(poll_seconds(settings))), now);
        }
        let unreadable = registrations.len() - states.iter().filter(|(_, state)| state.is_ok()).count();
        self.metrics.total(now, &[("unreadable", unreadable as u64)]);
        for (key, state) in &states {
            if let Ok(state) = state
                && state.paused_at.is_none()
                && let Err(error) = self.publish_freshness(key, state, now).await
            {
                tracing::error!(connection = %key, %error, "how fresh a connection is can't be published");
            }
        }
        requests.send(plan.into_requests(), deadline).await?;
        self.note_totals(Noting::Connections, keys, deadline).await;
        Ok(())
    }

    /// Publishes how old the shadow of a connection is. If it never was in sync, that is since it was first seen here.
    async fn publish_freshness(
        &self,
        key: &ConnectionKey,
        state: &ConnectionState,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let since = match state.fresh_as_of.or(state.watched_since) {
            Some(since) => since,
            None => {
                self.tables.states.watch(key, now).await?;
                now
            }
        };
        let seconds = u64::try_from(now.duration_since(since).as_secs()).unwrap_or(0);
        self.metrics.seconds(&key.to_string(), now, &[("freshness", seconds)]);
        Ok(())
    }
}

impl ScheduleHandler for SchedulePolls {
    fn run(&self, deadline: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        let deadline = deadline - MARGIN;
        Box::pin(async move {
            let queues = self.plan::<AssociationAnywhereConfig>(&self.queue_polls, |aa| aa.poll_seconds, deadline);
            let contacts = self.plan::<BusinessCatalystConfig>(&self.contact_polls, |bc| bc.poll_seconds, deadline);
            // One that fails does not keep the others from being planned.
            let (queues, contacts, pushes) = future::join3(queues, contacts, self.plan_pushes(deadline)).await;
            queues.and(contacts).and(pushes)
        })
    }
}
