//! A visit of a destination: from its lease to its release.
//!
//! ```text
//!   lease -> begin with everybody, if it is new, is another system than before, or an operator asks for it
//!        -> a page of the change feed, a page of the listing, and a page of failures that are redriven, in turn,
//!           until there is none of them; before each, the lease is renewed, and a pause is seen
//!        -> leave: caught up, or in trouble until a time
//! ```
//!
//! **Each of the three parts goes on, or stands, by itself**: it has its own count of attempts that failed, and of
//! customers that are sent at once. So a part that stands at a customer finds that out, whatever goes on elsewhere.
//! Until the trouble is due again the feed alone goes on, if it is not the feed that is in trouble.
//!
//! Each page is sent and then noted: a worker that dies in between sends it again. What is sent is the customer as it
//! is at that moment, so that a customer's changes can only be repeated, and never come in another order: pages follow
//! one after the other, and hold each customer once.
//!
//! **Nothing is missed between listing and feed**: the place in the feed is noted before the first page of the listing
//! is read, and lies a minute back, for the index that is listed by lags behind. A listing has no deleted customers: if
//! the destination may have had some before, the whole feed follows it that is kept. Of what is older than the listing,
//! the deletions alone are sent: whoever lives is in the listing.
//!
//! **A worker that has lost its lease** may have sent a customer as it was before another worker sent it as it is. So
//! it asks for everybody whom it may have sent to be sent again.

mod pages;
mod sending;
mod trouble;

pub(crate) use trouble::LONGEST_PAUSE;

use std::time::Duration;

use config::{Destination, DestinationKind};
use destinations::{DestinationClient, LONGEST_REQUEST, NO_ACCIDENT, Pace, Trouble};
use jiff::{SignedDuration, Timestamp};
use model::{ConnectionKey, CustomerId};
use store::{ConnectionState, Delivery, DeliveryCounts, Departure, Effort, Listed, Part, StoreError, Witness};

use crate::choice::Choice;
use crate::{LEASE, MARGIN, PushChanges, before};

/// How far back the feed begins that follows a listing: the index that is listed by lags behind by milliseconds.
const OVERLAP: Duration = Duration::from_secs(60);
/// A destination that did not come to the end of the feed for so long has missed what is not kept any more.
const LONG_AGO: SignedDuration = SignedDuration::from_hours(24 * 89);
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
    /// It takes nothing of a part at the moment.
    Trouble(Part, Trouble),
    /// All of the feed is sent; what else there is is not due yet.
    NotDue,
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
    /// Whether all parts may go on; otherwise it is the feed alone.
    is_due: bool,
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
        choice: Choice<'a>,
        state: ConnectionState,
        deadline: Timestamp,
    ) -> Result<Self, StoreError> {
        let delivery = pushing.deliveries.of(&destination.key).await?;
        let deadline = before(deadline, MARGIN);
        Ok(Self {
            pushing,
            destination,
            key: &destination.key,
            owner,
            choice,
            leased_until: state.lease_until.unwrap_or(Timestamp::MIN),
            is_due: crate::is_due(&state, pushing.clock.now()),
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
            End::Trouble(part, trouble) => departure.due_at = self.note_trouble(*part, trouble, now).await?,
            End::NotDue => departure.due_at = self.state.due_at,
            End::CaughtUp(as_of) => {
                departure.synced_as_of = Some(*as_of);
                // What it did not take may be nothing for it any more.
                self.is_unnoted |= self.delivery.progress.all_is_sent();
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
            if is_all && !self.is_due {
                return Err(Stop::End(End::NotDue));
            }
            if !self.is_due {
                continue;
            }
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
        let PushChanges { feed, states, clock, .. } = self.pushing;
        let now = clock.now();
        if self.has_missed_something(now) {
            self.begin_after_a_gap().await?;
        }
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
        let is_resync = self.state.resync_requested.is_some();
        if !is_new && (is_other || is_back || is_resync) {
            // It may be the same system at another address; and what was deleted meanwhile is in no listing.
            *position = Some(feed.oldest(&self.key.tenant).await?);
        }
        if !is_new && (is_other || is_resync) {
            progress.began_anew = Some(now);
        }
        if is_other {
            progress.receiver = system;
            progress.witnesses.clear();
            progress.all_is_sent();
        }
        for (_, listed) in progress.listed.iter_mut().filter(|(connection, _)| !from.contains(connection)) {
            is_changed |= *listed != Listed::Left;
            *listed = Listed::Left;
        }
        if is_other || is_resync {
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

    /// Whether it was away for longer than the feed is kept, and did not begin anew since.
    fn has_missed_something(&self, now: Timestamp) -> bool {
        let is_long_ago = |at: Timestamp| now.duration_since(at) > LONG_AGO;
        self.delivery.position.is_some()
            && self.state.fresh_as_of.is_some_and(is_long_ago)
            && self.delivery.progress.began_anew.is_none_or(is_long_ago)
    }

    /// Notes what a page came to. With trouble, the note is written with it.
    async fn take(&mut self, part: Part, sent: Sent) -> Result<(), Stop> {
        let Sent { settled, counts, ids, witnesses, trouble, .. } = sent;
        let (now, most) = (self.pushing.clock.now(), self.most_at_once());
        // If one request holds them all.
        let is_list = self.destination.settings.receiver.kind() != DestinationKind::Webhook;
        let at_once = is_list.then(|| self.page_size(part));
        let progress = &mut self.delivery.progress;
        progress.counts += counts;
        self.counts += counts;
        progress.remember(witnesses);
        let effort = progress.effort(part);
        if settled > 0 {
            effort.come_on(counts.sent > 0, settled, most);
        }
        self.unsure = ids;
        let is_out_of_time = trouble.is_some();
        match trouble {
            Some(trouble) if !trouble.is_out_of_time => {
                effort.fail(now, at_once.filter(|_| trouble.blames_after.is_some()));
                return Err(Stop::End(End::Trouble(part, trouble)));
            }
            // All of its time was not enough for anybody: fewer may be sooner done.
            Some(_) if settled == 0 => effort.fail(now, at_once),
            _ => {}
        }
        if self.state.error.is_some() && self.delivery.progress.failing_since().is_none() {
            self.pushing.states.mark_answered(self.key, now).await?;
            self.state.error = None;
        }
        self.note().await?;
        if is_out_of_time { Err(Stop::End(End::OutOfTime)) } else { Ok(()) }
    }

    /// How many customers of a part are sent at once: as many as the destination came to an end with. Many of them
    /// every second time after some attempts that failed, for among a few there may be none that it takes.
    fn page_size(&self, part: Part) -> usize {
        let most = self.most_at_once();
        let Effort { attempts, at_once, .. } = self.delivery.progress.effort_of(part);
        let is_widened = *attempts > NO_ACCIDENT && attempts.is_multiple_of(2);
        at_once.filter(|_| !is_widened).map_or(most, |at_once| at_once.min(most))
    }

    fn most_at_once(&self) -> usize {
        DestinationClient::most_at_once(self.destination.settings.receiver.kind())
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
