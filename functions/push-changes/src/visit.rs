//! A visit of a destination: from its lease to its release.
//!
//! ```text
//!   lease -> begin with everybody, if it is new, is another system than before, or an operator asks for it
//!        -> a page of the change feed, a page of the listing, and a page of failures that are redriven, in turn,
//!           until there is none of them; before each, the lease is renewed, and a pause is seen
//!        -> leave: caught up, or in trouble until a time
//! ```
//!
//! Each page is sent and then noted: a worker that dies in between sends it again. What is sent is the customer as it
//! is at that moment, so that a customer's changes can only be repeated, and never come in another order: pages follow
//! one after the other, and hold each customer once.
//!
//! **Nothing is missed between listing and feed**: the place in the feed is noted before the first page of the listing
//! is read, and lies a minute back, for the index that is listed by lags behind. A listing has no deleted customers: if
//! the destination may have had some before, the whole feed follows it that is kept.
//!
//! **A worker that has lost its lease** may have sent a customer as it was before another worker sent it as it is. So
//! it asks for everybody whom it may have sent to be sent again.

mod sending;
mod trouble;

pub(crate) use trouble::LONGEST_PAUSE;

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use config::Destination;
use destinations::{DestinationClient, LONGEST_REQUEST, Pace, Trouble};
use jiff::Timestamp;
use model::{ChangeAction, ConnectionKey, CustomerId, FeedChange, FeedPosition};
use store::{ConnectionState, Delivery, DeliveryCounts, Departure, FeedError, Listed, Shadow, StoreError, Witness};

use crate::choice::{Choice, Told};
use crate::{LEASE, MARGIN, PushChanges, before};

/// How far back the feed begins that follows a listing: the index that is listed by lags behind by milliseconds.
const OVERLAP: Duration = Duration::from_secs(60);
/// How often the lease is renewed while something is sent.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What comes after a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing: the next message, or the next minute, goes on.
    Done,
    /// Another visit: a message found the lease taken, which has been given back since.
    LookAgain,
}

/// How a visit ends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// The destination has everything that was there at this time.
    CaughtUp(Timestamp),
    /// There is more, and no time left.
    OutOfTime,
    /// It takes nothing at the moment.
    Trouble(Trouble),
    /// An operator has paused it.
    Paused,
    /// Another worker has it.
    Lost,
}

/// Why a visit goes no further.
enum Stop {
    /// It ends.
    End(End),
    /// The store failed.
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// A visit under a lease.
pub(crate) struct Visit<'a> {
    pushing: &'a PushChanges,
    destination: &'a Destination,
    key: &'a ConnectionKey,
    owner: &'a str,
    choice: Choice<'a>,
    /// The state when the lease was taken.
    state: ConnectionState,
    leased_until: Timestamp,
    delivery: Delivery,
    /// What became of changes in this visit.
    counts: DeliveryCounts,
    /// Those that may have been sent since the last note.
    unsure: Vec<CustomerId>,
    /// Whether the place has moved since the last note.
    is_unnoted: bool,
    pace: Pace,
    /// The last step before this is begun.
    until: Timestamp,
    deadline: Timestamp,
}

/// What a page came to.
#[derive(Default)]
struct Sent {
    /// How many of its first customers have come to an end.
    settled: usize,
    counts: DeliveryCounts,
    /// Those that may have been sent.
    ids: Vec<CustomerId>,
    /// The last ones that were taken, the latest first.
    witnesses: Vec<Witness>,
    trouble: Option<Trouble>,
}

impl<'a> Visit<'a> {
    pub(crate) async fn new(
        pushing: &'a PushChanges,
        destination: &'a Destination,
        owner: &'a str,
        state: ConnectionState,
        deadline: Timestamp,
    ) -> Result<Self, StoreError> {
        let choice = Choice::of(destination, &pushing.registry, &pushing.shadow).await?;
        let delivery = pushing.deliveries.of(&destination.key).await?;
        let deadline = before(deadline, MARGIN);
        Ok(Self {
            pushing,
            destination,
            key: &destination.key,
            owner,
            choice,
            leased_until: state.lease_until.unwrap_or(Timestamp::MIN),
            state,
            delivery,
            counts: DeliveryCounts::default(),
            unsure: Vec::new(),
            is_unnoted: false,
            pace: pushing.client.pace(destination, deadline),
            until: before(deadline, LONGEST_REQUEST),
            deadline,
        })
    }

    /// Sends what there is, and leaves.
    pub(crate) async fn carry_out(mut self) -> Result<Next, StoreError> {
        let end = match self.steps().await {
            Ok(as_of) => End::CaughtUp(as_of),
            Err(Stop::End(end)) => end,
            Err(Stop::Failed(error)) => return Err(error),
        };
        let PushChanges { states, clock, metrics, .. } = self.pushing;
        let now = clock.now();
        if self.counts.sum() > 0 {
            let DeliveryCounts { sent, failed, left_out } = self.counts;
            tracing::info!(sent, failed, left_out, "sent changes");
            let counts = [("changes_sent", sent), ("failed", failed), ("changes_left_out", left_out)];
            metrics.count(&self.key.to_string(), now, &counts);
        }
        let departure = match self.departure(&end, now).await {
            Ok(departure) => departure,
            Err(Stop::End(_)) => return Ok(Next::Done),
            Err(Stop::Failed(error)) => return Err(error),
        };
        let is_asked = states.leave(self.key, self.owner, &self.state, &departure).await?;
        Ok(if is_asked && matches!(end, End::CaughtUp(_)) { Next::LookAgain } else { Next::Done })
    }

    /// Notes what is not noted yet; how the destination is left.
    async fn departure(&mut self, end: &End, now: Timestamp) -> Result<Departure, Stop> {
        let mut departure = Departure::default();
        match end {
            End::Lost => return Err(Stop::End(End::Lost)),
            End::Trouble(trouble) => departure.due_at = self.note_trouble(trouble, now).await?,
            End::CaughtUp(as_of) => {
                departure.synced_as_of = Some(*as_of);
                let progress = &mut self.delivery.progress;
                // What it did not take may be nothing for it any more.
                if progress.attempts > 0 {
                    (progress.attempts, progress.failing_since) = (0, None);
                    self.is_unnoted = true;
                }
            }
            End::OutOfTime | End::Paused => {}
        }
        if self.is_unnoted {
            self.note().await?;
        }
        Ok(departure)
    }

    /// Sends everything; when it was all that was there.
    async fn steps(&mut self) -> Result<Timestamp, Stop> {
        self.begin().await?;
        loop {
            let began = self.pushing.clock.now();
            self.go_on().await?;
            let mut is_all = self.follow().await?;
            if let Some(connection) = self.delivery.progress.next_to_list(&self.destination.settings.from) {
                self.go_on().await?;
                is_all &= self.list(connection).await?;
            }
            // Last, for they may be refused again: what comes before shows whether the destination takes anybody.
            if self.delivery.progress.has_redrives {
                self.go_on().await?;
                is_all &= self.redrive().await?;
            }
            if is_all {
                return Ok(began);
            }
        }
    }

    /// Sees a pause and the deadline, and keeps the lease.
    async fn go_on(&mut self) -> Result<(), Stop> {
        if self.pushing.clock.now() > self.until {
            return Err(Stop::End(End::OutOfTime));
        }
        if self.pushing.states.is_paused(self.key).await? {
            return Err(Stop::End(End::Paused));
        }
        self.keep_lease().await
    }

    /// Renews the lease, if it was not just now: each renewal is paid for.
    async fn keep_lease(&mut self) -> Result<(), Stop> {
        let until = self.pushing.clock.now() + LEASE;
        if until < self.leased_until + HEARTBEAT {
            return Ok(());
        }
        if !self.pushing.states.renew(self.key, self.owner, until).await? {
            return Err(Stop::End(End::Lost));
        }
        self.leased_until = until;
        Ok(())
    }

    /// Begins with everybody, if that is to be done.
    async fn begin(&mut self) -> Result<(), Stop> {
        let system = self.destination.settings.receiver.to_string();
        let PushChanges { feed, states, .. } = self.pushing;
        let Delivery { position, progress, .. } = &mut self.delivery;
        let is_new = position.is_none();
        let is_other = is_new || progress.receiver != system;
        let from = &self.destination.settings.from;
        let is_back = from.iter().any(|it| progress.listed.get(it) == Some(&Listed::Left));
        let is_unlisted = from.iter().any(|it| !progress.listed.contains_key(it));
        let mut is_changed = is_other || is_back;
        if is_new || is_unlisted {
            // What was passed over because it was not wanted may not be in the index yet.
            let latest = feed.latest(&self.key.tenant, OVERLAP).await?;
            *position = Some(position.map_or(latest, |position| position.earlier(&latest)));
        }
        if !is_new && (is_other || is_back) {
            // It may be the same system at another address; and what was deleted meanwhile is in no listing.
            *position = Some(feed.oldest(&self.key.tenant).await?);
        }
        if is_other {
            progress.receiver = system;
            progress.witnesses.clear();
            (progress.attempts, progress.failing_since) = (0, None);
        }
        for (_, listed) in progress.listed.iter_mut().filter(|(connection, _)| !from.contains(connection)) {
            is_changed |= *listed != Listed::Left;
            *listed = Listed::Left;
        }
        if is_other || self.state.resync_requested.is_some() {
            tracing::info!("begins with everybody");
            progress.listed.retain(|connection, _| !from.contains(connection));
            progress.round += 1;
            progress.first_round = if is_other { progress.round } else { progress.first_round };
            is_changed = true;
        }
        if is_back {
            progress.listed.retain(|connection, listed| !from.contains(connection) || *listed != Listed::Left);
        }
        if self.state.has_new_request() && !progress.has_redrives {
            progress.has_redrives = true;
            is_changed = true;
        }
        if is_changed {
            self.note().await?;
        }
        if let Some(request) = self.state.resync_requested {
            states.resynced(self.key, request).await?;
        }
        Ok(())
    }

    /// Sends a page of the failures that an operator has asked for; whether it is the last one.
    async fn redrive(&mut self) -> Result<bool, Stop> {
        let failures = &self.pushing.failures;
        let requests = failures.redrives_requested(self.key).await?;
        let page = &requests[..requests.len().min(self.page_size())];
        let mut told = Vec::with_capacity(page.len());
        for (text, requested_at) in page {
            match text.parse::<CustomerId>() {
                // Nobody is told of one that never was.
                Ok(id) if !self.is_known(&id).await? => failures.clear_redrive(self.key, text).await?,
                Ok(id) => told.push(Told {
                    id,
                    at: *requested_at,
                    revision: 1,
                    is_new: false,
                    occasion: format!("redrive {}", requested_at.as_millisecond()),
                }),
                // It can't be that of a customer.
                Err(_) => failures.clear_redrive(self.key, text).await?,
            }
        }
        let sent = self.send(&told).await?;
        for told in &told[..sent.settled] {
            // One that was made anew meanwhile is still to be done.
            failures.clear_redrive_of(self.key, &told.id.to_string(), told.at).await?;
        }
        self.delivery.progress.has_redrives = page.len() < requests.len() || sent.settled < told.len();
        let is_all = !self.delivery.progress.has_redrives;
        self.take(sent).await?;
        Ok(is_all)
    }

    /// Whether there is a customer, or its failure record here.
    async fn is_known(&self, id: &CustomerId) -> Result<bool, StoreError> {
        if self.pushing.failures.is_there(self.key, &id.to_string()).await? {
            return Ok(true);
        }
        let key = ConnectionKey::new(&self.key.tenant, &id.connection);
        let found = self.pushing.shadow.find_many([(key, id.source_id.clone())], self.deadline).await?;
        Ok(!found.customers.is_empty() || !found.unreadable.is_empty())
    }

    /// Sends a page of the change feed; whether it is the last one.
    async fn follow(&mut self) -> Result<bool, Stop> {
        let from = &self.destination.settings.from;
        let wanted = |change: &FeedChange| from.contains(&change.id.connection);
        let position = self.delivery.position.unwrap_or_default();
        let page = self.pushing.feed.read(&self.key.tenant, &position, self.page_size(), wanted).await;
        let page = match page {
            Ok(page) => page,
            Err(FeedError::Gone) => return self.begin_after_a_gap().await,
            Err(FeedError::Store(error)) => return Err(error.into()),
        };
        // Several changes of a customer are one, at the place of the first: it is sent as it is now.
        let mut seen = HashSet::new();
        let places: Vec<usize> =
            (0..page.changes.len()).filter(|place| seen.insert(&page.changes[*place].change.id)).collect();
        let is_news = |action: ChangeAction| action != ChangeAction::Updated;
        let new: BTreeSet<&CustomerId> =
            page.changes.iter().map(|it| &it.change).filter(|it| is_news(it.action)).map(|it| &it.id).collect();
        let progress = &self.delivery.progress;
        let (listed, is_first_round) = (&progress.listed, progress.is_first_round());
        let occasion = progress.round.to_string();
        let told = |place: &usize| {
            let placed = &page.changes[*place];
            let id = placed.change.id.clone();
            // One that was not listed yet is new to the destination, whatever became of it.
            let is_new = new.contains(&id) || is_first_round && listed.get(&id.connection) != Some(&Listed::All);
            let revision = placed.change.revision;
            Told { is_new, at: placed.at, revision, occasion: occasion.clone(), id }
        };
        let told: Vec<Told> = places.iter().map(told).collect();
        let sent = self.send(&told).await?;
        let reached: FeedPosition = match places.get(sent.settled) {
            None => page.position,
            Some(0) => position,
            // What stands before it was sent, or is told again with a customer that was.
            Some(place) => page.changes[place - 1].position,
        };
        let is_moved = reached != position;
        self.delivery.position = Some(reached);
        let is_all = !page.more;
        if told.is_empty() && sent.trouble.is_none() {
            // Nothing is for it: the place is noted once in a visit, at its end.
            self.is_unnoted |= is_moved;
            return Ok(is_all);
        }
        let is_all = is_all && sent.settled == told.len();
        self.take(sent).await?;
        Ok(is_all)
    }

    /// What follows the place in the feed is not kept any more, or was restored: begins with everybody, and with all of
    /// the feed that is kept, for the deletions in it.
    async fn begin_after_a_gap(&mut self) -> Result<bool, Stop> {
        tracing::warn!("the change feed has a gap at this destination's place: begins with everybody");
        self.delivery.position = Some(self.pushing.feed.oldest(&self.key.tenant).await?);
        self.delivery.progress.listed.retain(|_, listed| *listed == Listed::Left);
        self.delivery.progress.round += 1;
        self.note().await?;
        Ok(false)
    }

    /// Sends a page of the listing of a connection; whether it is the last one of all.
    async fn list(&mut self, connection: String) -> Result<bool, Stop> {
        let cursor = match self.delivery.progress.listed.get(&connection) {
            Some(Listed::UpTo(shard, source_id)) => Some((*shard, source_id.clone())),
            _ => None,
        };
        let key = ConnectionKey::new(&self.key.tenant, &connection);
        let (source_ids, next) = self.pushing.shadow.page(&key, cursor.clone(), self.page_size()).await?;
        let (round, is_first_round) = (self.delivery.progress.round, self.delivery.progress.is_first_round());
        let now = self.pushing.clock.now();
        let told = |source_id: &String| Told {
            id: CustomerId { connection: connection.clone(), source_id: source_id.clone() },
            at: now,
            revision: 1,
            is_new: is_first_round,
            occasion: round.to_string(),
        };
        let told: Vec<Told> = source_ids.iter().map(told).collect();
        let sent = self.send(&told).await?;
        let reached = match (sent.settled == told.len(), source_ids[..sent.settled].last()) {
            (true, _) => Some(next.map_or(Listed::All, |(shard, source_id)| Listed::UpTo(shard, source_id))),
            (false, Some(last)) => {
                let (shard, source_id) = Shadow::place_of(last);
                Some(Listed::UpTo(shard, source_id))
            }
            (false, None) => cursor.map(|(shard, source_id)| Listed::UpTo(shard, source_id)),
        };
        if let Some(reached) = reached {
            self.delivery.progress.listed.insert(connection, reached);
        }
        self.take(sent).await?;
        Ok(self.delivery.progress.next_to_list(&self.destination.settings.from).is_none())
    }

    /// Notes what a page came to. With trouble, the note is written with it.
    async fn take(&mut self, sent: Sent) -> Result<(), Stop> {
        let Sent { counts, ids, witnesses, trouble, .. } = sent;
        let progress = &mut self.delivery.progress;
        progress.counts += counts;
        self.counts += counts;
        progress.remember(witnesses);
        // What is left out is nothing that the destination has answered.
        let has_answered = counts.sent + counts.failed > 0;
        let was_failing = progress.attempts > 0;
        if has_answered {
            progress.attempts = 0;
            progress.failing_since = None;
        }
        match trouble {
            Some(trouble) if !trouble.is_out_of_time => {
                self.unsure = ids;
                Err(Stop::End(End::Trouble(trouble)))
            }
            trouble => {
                if has_answered && (was_failing || self.state.error.is_some()) {
                    self.pushing.states.mark_answered(self.key, self.pushing.clock.now()).await?;
                    self.state.error = None;
                }
                self.unsure = ids;
                self.note().await?;
                if trouble.is_some() { Err(Stop::End(End::OutOfTime)) } else { Ok(()) }
            }
        }
    }

    /// How many customers are sent at once.
    fn page_size(&self) -> usize {
        DestinationClient::most_at_once(self.destination.settings.receiver.kind(), self.delivery.progress.attempts)
    }

    /// Notes how far the destination has come.
    async fn note(&mut self) -> Result<(), Stop> {
        let unsure = std::mem::take(&mut self.unsure);
        self.is_unnoted = false;
        if self.pushing.deliveries.note(self.key, &mut self.delivery).await? {
            return Ok(());
        }
        tracing::warn!("another worker was at this destination meanwhile: this one ends");
        self.send_again(&unsure).await?;
        Err(Stop::End(End::Lost))
    }
}
