//! A visit of a connection: from its lease to its release.
//!
//! ```text
//!   idle: ask without a lease --- nothing new ---> one write: still in sync
//!        |  news, or slow
//!        v
//!   lease -> tend the open batch ---> wait for workers, or acknowledge
//!        |       | none is open, and the source is due
//!        |       v
//!        |     ask -> nothing new, or open a batch, and tend it
//!        v
//!   leave: when the source is due, whether a batch is open, what was sent to workers
//! ```

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use store::{ConnectionState, Departure, LedgerState, Message, PollPurpose, PollRequest, StoreError, Tables};
use tokio::task::JoinSet;

use config::{Connection, Settings};
use lambda::QueueHandler;
use sources::SourceError;
use tracing::Instrument;

use crate::poller::{HEARTBEAT, HEARTBEAT_AGAIN, LEASE, Poller, WATCH_EVERY};

/// The part of its deadline that a visit keeps for its end.
const MARGIN: Duration = Duration::from_secs(3);
/// How much earlier than it is due a source may be asked: messages are delayed by whole seconds.
const EARLY: Duration = Duration::from_millis(500);
/// An idle source that takes longer to answer is asked under the lease: so one request at most hangs.
const QUICK: Duration = Duration::from_secs(2);
/// A visit goes on with a batch that moves for this long. Then another one goes on with it.
const WATCH_FOR: Duration = Duration::from_secs(20);
/// A batch moves if the next look at it is not farther away than this.
const MOVING: Duration = Duration::from_millis(400);
/// A request that failed is repeated after this, or after the connection's own pause if that is shorter.
const LONGEST_RETRY_PAUSE: Duration = Duration::from_secs(10);
/// When a connection is visited again whose batch could not be tended.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// How one kind of system is polled.
pub trait Poll: Clone + Send + Sync + 'static {
    /// How such a system is reached.
    type Settings: Settings + Send + Sync + 'static;
    /// What a source answers that has news.
    type News: Send;

    /// The poller that it uses.
    fn poller(&self) -> &Poller;

    /// The time from one question to the next.
    fn pause(settings: &Self::Settings) -> Duration;

    /// When a request is repeated that failed: soon, however rarely the source is asked.
    fn retry_pause(settings: &Self::Settings) -> Duration {
        Self::pause(settings).min(LONGEST_RETRY_PAUSE)
    }

    /// Asks the source of an idle connection without a lease. A kind that asks rarely does not: it has nothing to save.
    ///
    /// # Errors
    /// If the source can't be asked.
    fn ask_ahead(
        &self,
        _connection: &Connection<Self::Settings>,
        _deadline: Timestamp,
    ) -> impl Future<Output = Result<Ahead<Self::News>, SourceError>> + Send {
        async { Ok(Ahead::NotAsked) }
    }

    /// Looks at the source of a connection beside the poller, without its lease: changes nothing that a poller needs,
    /// and holds none up. Nothing by default: it is for sources that report their changes by themselves.
    ///
    /// # Errors
    /// If the store fails.
    fn look(
        &self,
        _connection: &Connection<Self::Settings>,
        _seen: &ConnectionState,
        _deadline: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        async { Ok(()) }
    }

    /// Looks after the open batch of a connection: sends what is due to workers, or acknowledges it.
    ///
    /// # Errors
    /// If the store fails, or another poller has moved the batch on. What the system fails at is reported instead.
    fn tend(
        &self,
        connection: &Connection<Self::Settings>,
        deadline: Timestamp,
    ) -> impl Future<Output = Result<Tended, StoreError>> + Send;

    /// Asks the source what is new, unless `news` are its answer already, and opens a batch of it. `ledger` shows that
    /// no batch is open.
    ///
    /// # Errors
    /// As [`tend`](Self::tend).
    fn ask(
        &self,
        connection: &Connection<Self::Settings>,
        ledger: LedgerState,
        news: Option<Self::News>,
        deadline: Timestamp,
    ) -> impl Future<Output = Result<Next, StoreError>> + Send;
}

/// The answer of a source that was asked without a lease.
#[derive(Debug)]
pub enum Ahead<N> {
    /// It is asked under the lease only.
    NotAsked,
    /// Nothing changed.
    Nothing,
    /// Something did.
    News(N),
}

/// A look after the open batch.
#[derive(Debug)]
pub enum Tended {
    /// One was open: when the next look makes sense.
    Batch(Next),
    /// None is open.
    Nothing(Box<LedgerState>),
}

/// When the next step makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once.
    Now,
    /// After a pause.
    After(Duration),
    /// When the source is due again: the shadow holds all that it reported.
    InSync,
    /// The batch was given up: the source is asked anew after a pause.
    Anew(Duration),
}

/// A function that polls.
#[derive(Clone, Debug)]
pub struct Polling<P>(pub P);

impl<P: Poll> QueueHandler for Polling<P> {
    fn work<'a>(&'a self, message: &'a str, deadline: Timestamp) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let request = PollRequest::from_message(message)?;
            self.visit_all(request, deadline - MARGIN).await
        })
    }
}

impl<P: Poll> Polling<P> {
    /// Visits the connections of a request, side by side. What fails for one stands in its state and costs no other.
    async fn visit_all(&self, request: PollRequest, deadline: Timestamp) -> Result<(), StoreError> {
        let PollRequest { purpose, connections } = request;
        let poller = self.0.poller();
        let (registrations, states) = futures::future::try_join(
            poller.tables.registry.glance(&connections),
            poller.tables.states.glance(&connections),
        )
        .await?;
        // A task for each: one that is busy, or hangs, takes no turn of another. All end with this future.
        let mut tasks = JoinSet::new();
        for (key, state) in states {
            let Some(registration) = registrations.iter().find(|registration| registration.key == key) else {
                continue;
            };
            let span = tracing::error_span!("poll", connection = %key);
            let (connection, seen) = match (Connection::from_registration(registration), state) {
                (Ok(connection), Ok(seen)) => (connection, seen),
                (Err(error), _) | (_, Err(error)) => {
                    span.in_scope(|| tracing::error!(%error, "a connection is left out"));
                    continue;
                }
            };
            let poll = self.0.clone();
            let task = async move {
                match AssertUnwindSafe(visit(&poll, &connection, seen, purpose, deadline)).catch_unwind().await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "polling ended early"),
                    Err(_) => tracing::error!("polling caused a panic"),
                }
            };
            tasks.spawn(task.instrument(span));
        }
        while tasks.join_next().await.is_some() {}
        Ok(())
    }
}

/// Visits a connection that was just `seen`, if it is free and the purpose gives a reason.
async fn visit<P: Poll>(
    poll: &P,
    connection: &Connection<P::Settings>,
    seen: ConnectionState,
    purpose: PollPurpose,
    deadline: Timestamp,
) -> Result<(), StoreError> {
    let Tables { states, clock, random, .. } = &poll.poller().tables;
    let key = &connection.key;
    let began = clock.now();
    if purpose == PollPurpose::Look {
        return if seen.paused_at.is_none() { poll.look(connection, &seen, deadline).await } else { Ok(()) };
    }
    let pause = P::pause(&connection.settings);
    let is_wanted = match purpose {
        PollPurpose::Now => true,
        PollPurpose::Due | PollPurpose::Batch if seen.has_batch => seen.may_be_tended(began + EARLY),
        PollPurpose::Due => seen.due(pause, began) <= began + EARLY,
        // If it is not idle either, a poller died, or another release is at work: nothing is known.
        PollPurpose::Batch => seen.idle_since.is_none(),
        PollPurpose::Look => false,
    };
    if !is_wanted || seen.paused_at.is_some() || seen.lease_until.is_some_and(|until| until > began) {
        return Ok(());
    }
    let owner = random.owner_id();
    let mut news = None;
    let leased = if seen.may_be_asked_ahead(began) {
        match ask_ahead(poll, connection, deadline).await {
            Some(Ok(Ahead::Nothing)) => {
                let due_at = next_due(seen.due(pause, began), began, pause);
                return states.mark_still_synced(key, began, due_at).await;
            }
            Some(Ok(Ahead::News(answer))) => {
                news = Some(answer);
                states.lease_idle(key, &owner, &seen, clock.now(), clock.now() + LEASE).await?
            }
            Some(Err(error)) => {
                let retry_pause = P::retry_pause(&connection.settings);
                let next = poll.poller().report(key, "queue", error, retry_pause).await?;
                let pause = if let Next::After(pause) = next { pause } else { retry_pause };
                return states.postpone(key, clock.now() + pause).await;
            }
            Some(Ok(Ahead::NotAsked)) | None => states.lease(key, &owner, began, clock.now() + LEASE).await?,
        }
    } else {
        states.lease(key, &owner, began, clock.now() + LEASE).await?
    };
    let Some(state) = leased else { return Ok(()) };
    if state.paused_at.is_some() {
        return states.release(key, &owner).await;
    }
    let visit = Visit { poll, connection, purpose, pause, deadline };
    visit.under_lease(&owner, state, news).await
}

/// The answer of an idle source; `None` if it does not answer quickly.
async fn ask_ahead<P: Poll>(
    poll: &P,
    connection: &Connection<P::Settings>,
    deadline: Timestamp,
) -> Option<Result<Ahead<P::News>, SourceError>> {
    tokio::select! {
        biased;
        answer = poll.ask_ahead(connection, deadline) => Some(answer),
        () = poll.poller().tables.clock.sleep(QUICK) => None,
    }
}

/// When a source is due again that is asked now. One that is asked a little early is not asked more often for it.
fn next_due(due_at: Timestamp, now: Timestamp, pause: Duration) -> Timestamp {
    due_at.clamp(now, now + EARLY) + pause
}

/// A visit that holds the lease.
struct Visit<'a, P: Poll> {
    poll: &'a P,
    connection: &'a Connection<P::Settings>,
    purpose: PollPurpose,
    pause: Duration,
    deadline: Timestamp,
}

impl<P: Poll> Visit<'_, P> {
    /// Goes on step by step, with the lease renewed meanwhile, and gives it back.
    async fn under_lease(&self, owner: &str, state: ConnectionState, news: Option<P::News>) -> Result<(), StoreError> {
        let poller = self.poll.poller();
        let key = &self.connection.key;
        poller.open_window(key, state.send_window.as_deref());
        let mut departure = tokio::select! {
            biased;
            departure = self.steps(&state, news) => departure,
            lost = self.keep_lease(owner) => {
                poller.close_window(key);
                return lost;
            }
        };
        departure.send_window = poller.close_window(key).filter(|_| departure.has_batch);
        poller.tables.states.leave(key, owner, &state, &departure).await.map(|_| ())
    }

    /// Renews the lease; ends when it is lost.
    async fn keep_lease(&self, owner: &str) -> Result<(), StoreError> {
        let Tables { states, clock, .. } = &self.poll.poller().tables;
        let (mut held_until, mut pause) = (clock.now() + LEASE, HEARTBEAT);
        loop {
            clock.sleep(pause).await;
            let now = clock.now();
            match states.renew(&self.connection.key, owner, now + LEASE).await {
                Ok(true) => (held_until, pause) = (now + LEASE, HEARTBEAT),
                Ok(false) => return Ok(()),
                // No other poller can have it before it has run out.
                Err(error) if clock.now() < held_until => {
                    tracing::warn!(%error, "the lease could not be renewed yet");
                    pause = HEARTBEAT_AGAIN;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Goes on until there is nothing to do at this moment. Returns how the connection is left.
    async fn steps(&self, state: &ConnectionState, mut news: Option<P::News>) -> Departure {
        let Tables { clock, .. } = &self.poll.poller().tables;
        let watch_until = (clock.now() + WATCH_FOR).min(self.deadline);
        let due_at = (self.purpose == PollPurpose::Due).then(|| state.due(self.pause, clock.now()));
        let mut left = Departure { due_at: due_at.or(state.due_at), ..Departure::default() };
        let mut has_opened = false;
        loop {
            let now = clock.now();
            let tended = self.poll.tend(self.connection, self.deadline).await;
            left.has_batch = !matches!(tended, Ok(Tended::Nothing(_)));
            let step = match tended {
                Ok(Tended::Batch(next)) => Ok(next),
                Ok(Tended::Nothing(ledger)) => {
                    if !self.may_ask(left.due_at, news.is_some()) {
                        break;
                    }
                    let asked = self.poll.ask(self.connection, *ledger, news.take(), self.deadline).await;
                    let retry_at = now + self.pause.min(PAUSE_AFTER_FAILURE);
                    left.due_at = Some(match asked {
                        Ok(_) => next_due(left.due_at.unwrap_or(now), now, self.pause),
                        Err(_) => retry_at,
                    });
                    has_opened |= matches!(asked, Ok(Next::Now));
                    asked
                }
                Err(error) => Err(error),
            };
            match step {
                Ok(Next::Now) if clock.now() < self.deadline => {}
                Ok(Next::After(pause)) if self.goes_on(&left, pause, watch_until) => {
                    clock.wait_until(clock.now() + pause).await;
                }
                Ok(Next::Now) => {
                    left.has_batch = true;
                    break;
                }
                Ok(Next::After(pause)) if left.has_batch => {
                    left.tend_at = (pause > WATCH_EVERY).then(|| clock.now() + pause);
                    break;
                }
                Ok(Next::After(pause)) => {
                    left.due_at = Some(if pause < self.pause { clock.now() + pause } else { now + pause });
                    break;
                }
                Ok(Next::Anew(pause)) => {
                    (left.has_batch, left.due_at) = (false, Some(clock.now() + pause));
                    if !pause.is_zero() {
                        break;
                    }
                }
                Ok(Next::InSync) => {
                    left.has_batch = false;
                    left.idle_since = (clock.now() < now + QUICK).then_some(now);
                    break;
                }
                // Another poller has moved the batch on, or the store is busy: the next visit looks anew.
                Err(error) => {
                    tracing::warn!(%error, "a step failed");
                    (left.has_batch, left.tend_at) = (true, Some(clock.now() + PAUSE_AFTER_FAILURE.min(self.pause)));
                    break;
                }
            }
        }
        if has_opened && left.has_batch && self.purpose != PollPurpose::Batch {
            self.poll.poller().request_looks(&self.connection.key, self.deadline).await;
        }
        left
    }

    fn may_ask(&self, due_at: Option<Timestamp>, has_news: bool) -> bool {
        match self.purpose {
            PollPurpose::Now => true,
            PollPurpose::Due => has_news || due_at.is_none_or(|at| at <= self.poll.poller().tables.clock.now() + EARLY),
            PollPurpose::Batch | PollPurpose::Look => false,
        }
    }

    /// Whether to wait for the next look at a batch: only while it moves.
    fn goes_on(&self, left: &Departure, pause: Duration, watch_until: Timestamp) -> bool {
        let is_watching = left.has_batch && self.purpose != PollPurpose::Now;
        is_watching && pause <= MOVING && self.poll.poller().tables.clock.now() + pause < watch_until
    }
}
