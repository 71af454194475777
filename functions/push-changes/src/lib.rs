//! Triggered by SQS: messages of `publish-changes`, as the change feed grows, and of `schedule-polls`, once a minute.
//! Sends changes of customers to destinations, each at its own place in the change feed.
//!
//! | reads | writes |
//! |---|---|
//! | destinations, the change feed, the shadow, redrive and resync requests | the destination; how far it has come, failure records, its state |
//!
//! A message says which destination to look at, and nothing else: one that is lost, doubled or late changes nothing.
//! One worker at a time has a destination, by a lease. A message that finds it taken is noted beside the lease, and its
//! holder looks once more after it has left.
//!
//! **When it fails** the destination's place in the feed stands, and the next message goes on from there. What was sent
//! already may be sent again: a destination is told what a customer is like now, by an id that it finds it by.

mod choice;
mod visit;

use std::sync::Arc;
use std::time::Duration;

use config::Destination;
use destinations::{DestinationClient, LONGEST_REQUEST};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use lambda::{Clients, Environment, EnvironmentError, Function, Metrics, QueueHandler};
use model::ConnectionKey;
use store::{ConnectionState, Departure, LastError, Message, PushRequest, StoreError, Tables};
use tracing::Instrument;

use crate::choice::Choice;
use crate::visit::{Next, Visit, is_over};

/// The part of its deadline that a visit keeps for its end.
const MARGIN: Duration = Duration::from_secs(10);
/// How long a worker that dies holds up the next one.
const LEASE: Duration = Duration::from_secs(60);
/// How much earlier than it is due a destination may be looked at: messages are delayed by whole seconds.
const EARLY: Duration = Duration::from_millis(500);

/// Builds the function.
///
/// # Errors
/// If a variable of its environment is missing: see [`PushChanges::new`].
pub fn function(environment: &Environment, clients: Clients) -> Result<Function, EnvironmentError> {
    Ok(Function::Queue(Arc::new(PushChanges::new(environment, clients)?)))
}

/// The function.
#[derive(Clone, Debug)]
pub struct PushChanges {
    tables: Tables,
    client: DestinationClient,
    metrics: Metrics,
}

impl PushChanges {
    /// The function with the tables that its environment names: `CONTROL_TABLE`, `SHADOW_TABLE`, `FEED_TABLE`.
    ///
    /// # Errors
    /// If a variable is missing.
    pub fn new(environment: &Environment, clients: Clients) -> Result<Self, EnvironmentError> {
        let tables = clients.tables(environment)?;
        let Clients { destinations, secrets, clock, metrics, .. } = clients;
        Ok(Self { tables, client: DestinationClient::new(destinations, secrets, clock), metrics })
    }

    /// Sends a destination all that it does not have yet, as far as the time allows.
    async fn push(&self, key: &ConnectionKey, deadline: Timestamp) -> Result<(), StoreError> {
        while self.visit(key, deadline).await? == Next::LookAgain {}
        Ok(())
    }

    /// One visit under a lease, if there is something to be done now.
    async fn visit(&self, key: &ConnectionKey, deadline: Timestamp) -> Result<Next, StoreError> {
        let now = self.tables.clock.now();
        if now > before(deadline, MARGIN + LONGEST_REQUEST) {
            return Ok(Next::Done);
        }
        let state = self.tables.states.state(key).await?;
        if state.paused_at.is_some() || !(is_over(state.due_at, now) || state.has_new_request()) {
            return Ok(Next::Done);
        }
        if state.lease_until.is_some_and(|until| until > now) {
            let is_asked = self.tables.states.ask_to_look_again(key).await?;
            // Its holder may have left before it was asked.
            return Ok(if is_asked { Next::Done } else { Next::LookAgain });
        }
        let Some(registration) = self.tables.registry.get(key).await? else { return Ok(Next::Done) };
        if registration.kind != config::DESTINATION {
            return Ok(Next::Done);
        }
        let destination = match Destination::from_registration(&registration) {
            Ok(destination) => destination,
            Err(error) => {
                tracing::error!(destination = %key, %error, "a registration can't be read and is left out");
                return Ok(Next::Done);
            }
        };
        let choice = match Choice::of(&destination, &self.tables.registry, &self.tables.shadow).await? {
            Ok(choice) => choice,
            Err(message) => return self.stands(key, message).await,
        };
        let owner = self.tables.random.owner_id();
        // Whoever has taken it since will see what this message is about.
        let Some(state) = self.tables.states.lease(key, &owner, now, now + LEASE).await? else { return Ok(Next::Done) };
        // Until it is noted what operators have asked for, it is still to be done.
        let mut seen = ConnectionState { requests: state.requests_seen, ..state.clone() };
        let visited = match Visit::new(self, &destination, &owner, choice, state, deadline).await {
            Ok(visit) => visit.carry_out(&mut seen).await,
            Err(error) => Err(error),
        };
        match visited {
            Ok(next) => Ok(next),
            Err(damage @ StoreError::Corrupt { .. }) => {
                self.tables.states.leave(key, &owner, &seen, &Departure::default()).await?;
                self.stands(key, damage.to_string()).await
            }
            Err(error) => Err(error),
        }
    }

    /// Nothing can be sent until a person has mended something.
    async fn stands(&self, key: &ConnectionKey, message: String) -> Result<Next, StoreError> {
        tracing::error!(destination = %key, problem = message, "nothing is sent there");
        self.tables.states.mark_failed(key, &LastError { at: self.tables.clock.now(), message }).await?;
        Ok(Next::Done)
    }
}

impl QueueHandler for PushChanges {
    fn work<'a>(&'a self, message: &'a str, deadline: Timestamp) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let PushRequest { destination } = PushRequest::from_message(message)?;
            let span = tracing::error_span!("push", destination = %destination);
            self.push(&destination, deadline).instrument(span).await
        })
    }
}

/// A time so much before another.
fn before(time: Timestamp, pause: Duration) -> Timestamp {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    time.checked_sub(pause).unwrap_or(Timestamp::MIN)
}
