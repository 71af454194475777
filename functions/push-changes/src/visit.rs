//! A visit of a destination: from its lease to its release.
//!
//! ```text
//!   lease -> begin with everybody, if it is new, is another system than before, or an operator asks for it
//!        -> a page of the change feed, a page of the listing, and a page of failures that are redriven, in turn,
//!           until there is none of them; before each, the lease is renewed, and a pause is seen
//!        -> leave: caught up, or in trouble until a time
//! ```
//!
//! **Each of the three parts goes on, or stands, by itself**: it has its own count of attempts that failed, its own
//! time for the next one, and its own number of customers that are sent at once. So a part that stands at a customer
//! finds that out, whatever goes on elsewhere, and holds up no other. If nothing that was sent can be to blame, because
//! the destination is not reached or wants to be left alone, all parts wait.
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

use std::collections::BTreeSet;
use std::time::Duration;

use config::{Destination, DestinationKind};
use destinations::{DestinationClient, LONGEST_REQUEST, Pace, Trouble};
use jiff::{SignedDuration, Timestamp};
use model::{ConnectionKey, CustomerId};
use store::{
    ConnectionState, Delivery, DeliveryCounts, Departure, Listed, Part, Progress, StoreError, Tables, Witness,
};

use crate::choice::Choice;
use crate::{EARLY, LEASE, MARGIN, PushChanges, before};

/// A destination that did not come to the end of the feed for so long has missed what is not kept any more.
const LONG_AGO: SignedDuration = SignedDuration::from_hours(24 * 89);
/// To within what the time is noted at which the end of the feed was reached.
const A_DAY: SignedDuration = SignedDuration::from_hours(24);
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
    /// It takes nothing at the moment, which showed at a part.
    Trouble(Part, Trouble),
    /// Nothing is left but what waits for its next attempt.
    Waiting,
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
    /// Whether there are more of them than could be sent at once.
    is_full: bool,
    trouble: Option<Trouble>,
    /// See [`Delivered`](destinations::Delivered).
    has_taken: bool,
    has_failed: bool,
    is_unsteady: bool,
    /// How many are failure records now that were none before, though the destination takes others.
    blamed: usize,
    /// Whether any request was made.
    is_begun: bool,
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
        let delivery = pushing.tables.deliveries.of(&destination.key).await?;
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

    /// Sends what there is, and leaves. What operators have asked for is `seen` once it is noted.
    pub(crate) async fn carry_out(mut self, seen: &mut ConnectionState) -> Result<Next, StoreError> {
        let end = match self.steps(seen).await {
            Ok(as_of) => End::CaughtUp(as_of),
            Err(Stop::End(end)) => end,
            Err(Stop::Failed(error)) => return Err(error),
        };
        let PushChanges { tables: Tables { states, clock, .. }, metrics, .. } = self.pushing;
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
        let may_look_again = departure.due_at.is_none() && matches!(end, End::CaughtUp(_) | End::Waiting);
        Ok(if is_asked && may_look_again { Next::LookAgain } else { Next::Done })
    }

    /// Notes what is not noted yet; how the destination is left.
    async fn departure(&mut self, end: &End, now: Timestamp) -> Result<Departure, Stop> {
        let mut departure = Departure::default();
        match end {
            End::Lost => return Err(Stop::End(End::Lost)),
            End::Trouble(part, trouble) => {
                self.note_trouble(*part, trouble, now).await?;
                let due_at = self.delivery.progress.effort_of(*part).due_at;
                for part in Part::ALL {
                    let effort = self.delivery.progress.effort(part);
                    effort.due_at = effort.due_at.max(due_at);
                }
                self.is_unnoted = true;
            }
            End::CaughtUp(as_of) => {
                departure.synced_as_of = Some(*as_of);
                // What it did not take may be nothing for it any more.
                self.is_unnoted |= self.delivery.progress.all_is_sent();
            }
            End::Waiting | End::OutOfTime | End::Paused => {}
        }
        if self.is_unnoted {
            self.note().await?;
        }
        // While all that is open waits, no change need be looked at. While any of it goes on, each is, and each minute.
        let progress = &self.delivery.progress;
        let waits = |part| progress.effort_of(part).due_at.is_some_and(|due_at| due_at > now);
        if Part::ALL.into_iter().filter(|part| self.is_open(*part)).all(waits) {
            departure.due_at = progress.next_attempt_at(now);
        }
        Ok(departure)
    }

    /// Sends everything; when it was all that was there.
    async fn steps(&mut self, seen: &mut ConnectionState) -> Result<Timestamp, Stop> {
        self.begin().await?;
        seen.requests = self.state.requests;
        loop {
            let began = self.pushing.tables.clock.now();
            let (mut is_all, mut goes_on) = (true, false);
            for part in Part::ALL {
                if !self.is_open(part) {
                    continue;
                }
                if !is_over(self.delivery.progress.effort_of(part).due_at, self.pushing.tables.clock.now()) {
                    is_all = false;
                    continue;
                }
                self.go_on().await?;
                match self.page(part).await {
                    Ok(is_last) => {
                        is_all &= is_last;
                        goes_on |= !is_last;
                    }
                    Err(Stop::End(End::Trouble(part, trouble))) if !trouble.stops_all => {
                        self.note_trouble(part, &trouble, self.pushing.tables.clock.now()).await?;
                        is_all = false;
                    }
                    Err(stop) => return Err(stop),
                }
            }
            match (is_all, goes_on) {
                (true, _) => return Ok(began),
                (false, true) => {}
                (false, false) => return Err(Stop::End(End::Waiting)),
            }
        }
    }

    /// Whether there may be something to be sent of a part.
    fn is_open(&self, part: Part) -> bool {
        let progress = &self.delivery.progress;
        match part {
            Part::Feed => true,
            Part::Listing => progress.next_to_list(&self.destination.settings.from).is_some(),
            Part::Redrives => progress.has_redrives,
        }
    }

    /// Sends a page of a part; whether it is the last one.
    async fn page(&mut self, part: Part) -> Result<bool, Stop> {
        match part {
            Part::Feed => self.follow().await,
            Part::Listing => self.list().await,
            Part::Redrives => self.redrive().await,
        }
    }

    /// Sees a pause and the deadline, and keeps the lease.
    async fn go_on(&mut self) -> Result<(), Stop> {
        if self.pushing.tables.clock.now() > self.until {
            return Err(Stop::End(End::OutOfTime));
        }
        if self.pushing.tables.states.is_paused(self.key).await? {
            return Err(Stop::End(End::Paused));
        }
        self.keep_lease().await
    }

    /// Renews the lease, if it was not just now: each renewal is paid for.
    async fn keep_lease(&mut self) -> Result<(), Stop> {
        let until = self.pushing.tables.clock.now() + LEASE;
        if until < self.leased_until + HEARTBEAT {
            return Ok(());
        }
        if !self.pushing.tables.states.renew(self.key, self.owner, until).await? {
            return Err(Stop::End(End::Lost));
        }
        self.leased_until = until;
        Ok(())
    }

    /// Begins with everybody, if that is to be done.
    async fn begin(&mut self) -> Result<(), Stop> {
        let system = self.destination.settings.receiver.to_string();
        let Tables { feed, states, clock, .. } = &self.pushing.tables;
        let now = clock.now();
        let Delivery { position, listed_from, progress, .. } = &mut self.delivery;
        let is_new = position.is_none();
        let is_other = is_new || progress.receiver != system;
        let is_resync = self.state.resync_requested.is_some();
        let from = &self.destination.settings.from;
        let is_back = from.iter().any(|it| progress.listed.get(it) == Some(&Listed::Left));
        let is_begun = |it: &String| progress.listed.contains_key(it) || progress.begun.contains(it);
        let is_unlisted = !from.iter().all(is_begun);
        let mut is_changed = is_other || is_back || is_unlisted;
        if is_new || is_unlisted || is_resync {
            // What was passed over because it was not wanted may not be in the index yet.
            let latest = feed.latest(&self.key.tenant, Progress::OVERLAP).await?;
            *position = Some(position.map_or(latest, |position| position.earlier(&latest)));
        }
        // It may be the same system at another address; and what was deleted meanwhile is in no listing. A system that
        // may have lost something is told of deletions again if that does no harm.
        let is_told_gone_again = is_resync && self.choice.ignores_unknown();
        if !is_new && (is_other || is_back || is_told_gone_again) {
            *position = Some(feed.oldest(&self.key.tenant).await?);
        }
        let begins_anew = is_other || is_resync || is_back;
        if !is_new && begins_anew {
            progress.began_anew = Some(now);
            *listed_from = Some(feed.latest(&self.key.tenant, Progress::OVERLAP).await?);
        }
        if is_other {
            progress.receiver = system;
            progress.begin_with_another();
        }
        // It may have been sent customers of one whose listing was not begun: by the feed, or in an earlier round.
        let known: BTreeSet<String> = progress.listed.keys().chain(&progress.begun).cloned().collect();
        for left in known.into_iter().filter(|connection| !from.contains(connection)) {
            is_changed |= progress.listed.insert(left, Listed::Left) != Some(Listed::Left);
        }
        if begins_anew {
            tracing::info!("begins with everybody");
            progress.listed.retain(|connection, _| !from.contains(connection));
            progress.round += 1;
            progress.first_round = if is_other { progress.round } else { progress.first_round };
            is_changed = true;
        }
        progress.begun = from.iter().cloned().collect();
        if self.state.has_new_request() {
            let waited = progress.wait_no_longer();
            is_changed |= waited || !progress.has_redrives;
            progress.has_redrives = true;
        }
        if is_changed {
            self.note().await?;
        }
        if self.has_missed_something(now) {
            self.begin_after_a_gap().await?;
        }
        if let Some(request) = self.state.resync_requested {
            states.resynced(self.key, request).await?;
        }
        Ok(())
    }

    /// Whether it was away for longer than the feed is kept, and did not begin anew since.
    fn has_missed_something(&self, now: Timestamp) -> bool {
        let is_long_ago = |at: Timestamp| now.duration_since(at) > LONG_AGO;
        let progress = &self.delivery.progress;
        progress.at_feed_end.or(self.state.fresh_as_of).is_some_and(is_long_ago)
            && progress.began_anew.is_none_or(is_long_ago)
    }

    /// Notes what a page came to. With trouble, the note is written with it.
    async fn take(&mut self, part: Part, sent: Sent) -> Result<(), Stop> {
        let Sent { settled, counts, ids, witnesses, is_full, trouble, blamed, .. } = sent;
        let (now, most) = (self.pushing.tables.clock.now(), self.most_at_once());
        // If one request holds them all.
        let is_list = self.destination.settings.receiver.kind() != DestinationKind::Webhook;
        let at_once = is_list.then(|| self.page_size(part));
        let progress = &mut self.delivery.progress;
        progress.counts += counts;
        self.counts += counts;
        progress.remember(witnesses);
        let effort = progress.effort(part);
        if settled > 0 {
            effort.come_on(blamed, trouble.is_none());
        }
        if sent.has_taken {
            effort.is_taken();
            progress.goes_on_with(part);
        }
        let effort = progress.effort(part);
        if sent.has_failed {
            effort.failed_at = Some(now);
        }
        effort.note_steadiness(now, sent.is_unsteady, trouble.is_none());
        if is_full && trouble.is_none() {
            effort.allow_more(most);
        }
        self.unsure = ids;
        let is_out_of_time = trouble.is_some();
        match trouble {
            Some(trouble) if !trouble.is_out_of_time => {
                effort.fail(now, sent.has_taken, at_once.filter(|_| trouble.blames_after.is_some()));
                return Err(Stop::End(End::Trouble(part, trouble)));
            }
            // All of its time was not enough for the first ones: fewer may be sooner done.
            Some(_) if settled == 0 && sent.is_begun => effort.run_out_of_time(at_once),
            _ => {}
        }
        if self.state.error.is_some() && self.delivery.progress.failing_since().is_none() {
            self.pushing.tables.states.mark_answered(self.key, now).await?;
            self.state.error = None;
        }
        self.note().await?;
        if is_out_of_time { Err(Stop::End(End::OutOfTime)) } else { Ok(()) }
    }

    /// How many customers of a part are sent at once: as many as the destination came to an end with, or many of them.
    fn page_size(&self, part: Part) -> usize {
        let most = self.most_at_once();
        self.delivery.progress.effort_of(part).at_once.map_or(most, |at_once| at_once.min(most))
    }

    fn most_at_once(&self) -> usize {
        DestinationClient::most_at_once(self.destination.settings.receiver.kind())
    }

    /// Notes how far the destination has come.
    async fn note(&mut self) -> Result<(), Stop> {
        let unsure = std::mem::take(&mut self.unsure);
        self.is_unnoted = false;
        if self.pushing.tables.deliveries.note(self.key, &mut self.delivery).await? {
            return Ok(());
        }
        tracing::warn!("another worker was at this destination meanwhile: this one ends");
        self.send_again(&unsure).await?;
        Err(Stop::End(End::Lost))
    }
}

/// Whether a time has come. One that is farther away than any pause was noted by another clock.
pub(crate) fn is_over(due_at: Option<Timestamp>, now: Timestamp) -> bool {
    due_at.is_none_or(|due_at| due_at <= now + EARLY || due_at > now + LONGEST_PAUSE + EARLY)
}
