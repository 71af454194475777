//! A visit of a destination: from its lease to its release.
//!
//! ```text
//!   lease -> begin with everybody, if it is new, is another system than before, or an operator asks for it
//!        -> failures that are redriven
//!        -> a page of the change feed, and a page of the listing, in turn, until there is neither
//!        -> leave: caught up, or in trouble until a time
//! ```
//!
//! Each page is sent and then noted: a worker that dies in between sends it again. What is sent is the customer as it is
//! at that moment, so that a customer's changes can only be repeated, and never come in another order: pages follow one
//! after the other, and hold each customer once.
//!
//! **Nothing is missed between listing and feed**: the place in the feed is noted before the first page of the listing
//! is read, and lies a minute back, for the index that is listed by lags behind.

use std::collections::{BTreeSet, HashSet};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use config::{Destination, DestinationKind};
use destinations::{Context, Delivered, DestinationClient, LONGEST_REQUEST, Outcome, Outgoing, Trouble};
use futures::FutureExt;
use jiff::Timestamp;
use model::{ChangeAction, ConnectionKey, CustomerId, FeedChange, FeedPosition};
use store::{
    ConnectionState, Delivery, DeliveryCounts, Departure, Failure, FeedError, LastError, Listed, Shadow, StoreError,
};

use crate::choice::{Choice, Chosen, Told};
use crate::{LEASE, MARGIN, PushChanges, before};

/// How far back the feed begins that follows a listing: the index that is listed by lags behind by milliseconds.
const OVERLAP: Duration = Duration::from_secs(60);
/// How often the lease is renewed while something is sent.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The pause after the first attempt that failed; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// How a visit ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The destination has everything.
    CaughtUp,
    /// There is more, and no time left.
    OutOfTime,
    /// It takes nothing at the moment.
    Trouble(Trouble),
    /// An operator has paused it.
    Paused,
    /// Another worker has it.
    Lost,
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
    delivery: Delivery,
    /// What became of changes in this visit.
    counts: DeliveryCounts,
    /// The last step before this is begun.
    until: Timestamp,
    deadline: Timestamp,
}

/// What a page came to.
struct Sent {
    /// How many of its first customers have come to an end.
    settled: usize,
    counts: DeliveryCounts,
    /// The last customer that was taken.
    last_taken: Option<CustomerId>,
    /// Those that were taken, in this page.
    taken: Vec<CustomerId>,
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
            state,
            delivery,
            counts: DeliveryCounts::default(),
            until: before(deadline, LONGEST_REQUEST),
            deadline,
        })
    }

    /// Sends what there is, and leaves.
    pub(crate) async fn carry_out(mut self) -> Result<End, StoreError> {
        let end = self.steps().await?;
        let PushChanges { states, clock, metrics, .. } = self.pushing;
        let now = clock.now();
        if self.counts.sum() > 0 {
            let DeliveryCounts { sent, failed, left_out } = self.counts;
            tracing::info!(sent, failed, left_out, "sent changes");
            let counts = [("changes_sent", sent), ("changes_refused", failed), ("changes_left_out", left_out)];
            metrics.count(&self.key.to_string(), now, &counts);
        }
        let due_at = match &end {
            End::Lost => return Ok(end),
            End::Trouble(trouble) => self.note_trouble(trouble, now).await?,
            End::CaughtUp | End::OutOfTime | End::Paused => None,
        };
        states.leave(self.key, self.owner, &self.state, &Departure { due_at, ..Departure::default() }).await?;
        Ok(end)
    }

    async fn steps(&mut self) -> Result<End, StoreError> {
        if !self.begin().await? {
            return Ok(End::Lost);
        }
        if let Some(end) = self.redrive().await? {
            return Ok(end);
        }
        loop {
            let now = self.pushing.clock.now();
            if now > self.until {
                return Ok(End::OutOfTime);
            }
            if self.pushing.states.is_paused(self.key).await? {
                return Ok(End::Paused);
            }
            if !self.pushing.states.renew(self.key, self.owner, now + LEASE).await? {
                return Ok(End::Lost);
            }
            let followed = match self.follow().await? {
                Step::Ended(end) => return Ok(end),
                Step::Done { is_all } => is_all,
            };
            let listed = match self.list().await? {
                Step::Ended(end) => return Ok(end),
                Step::Done { is_all } => is_all,
            };
            if followed && listed {
                self.pushing.states.mark_synced(self.key, now).await?;
                return Ok(End::CaughtUp);
            }
        }
    }

    /// Begins with everybody, if that is to be done; `false` if another worker has the destination.
    async fn begin(&mut self) -> Result<bool, StoreError> {
        let system = self.destination.settings.receiver.to_string();
        let PushChanges { feed, states, .. } = self.pushing;
        let Delivery { position, progress, .. } = &mut self.delivery;
        let is_other = position.is_none() || progress.receiver != system;
        let mut is_changed = is_other;
        if is_other {
            *position = Some(feed.latest(&self.key.tenant, OVERLAP).await?);
            progress.receiver = system;
            progress.last_taken = None;
        }
        if is_other || self.state.resync_requested.is_some() {
            tracing::info!("begins with everybody");
            progress.listed.clear();
            progress.round += 1;
            is_changed = true;
        }
        // One that is taken out and put back was not followed meanwhile.
        let from = &self.destination.settings.from;
        let listed_before = progress.listed.len();
        progress.listed.retain(|connection, _| from.contains(connection));
        is_changed |= progress.listed.len() < listed_before;
        if self.state.has_new_request() && !progress.has_redrives {
            progress.has_redrives = true;
            is_changed = true;
        }
        if is_changed && !self.note().await? {
            return Ok(false);
        }
        if let Some(request) = self.state.resync_requested {
            states.resynced(self.key, request).await?;
        }
        Ok(true)
    }

    /// Sends the failures that an operator has asked for; `None` if the visit goes on.
    async fn redrive(&mut self) -> Result<Option<End>, StoreError> {
        if !self.delivery.progress.has_redrives {
            return Ok(None);
        }
        let failures = &self.pushing.failures;
        let mut ids = Vec::new();
        for text in failures.redrive_requests(self.key).await? {
            match text.parse::<CustomerId>() {
                Ok(id) => ids.push(id),
                // It can't be that of a customer.
                Err(_) => failures.clear_redrive(self.key, &text).await?,
            }
        }
        let now = self.pushing.clock.now();
        let told = |id: &CustomerId| Told { id: id.clone(), at: now, revision: 1, is_new: false };
        for page in ids.chunks(self.page_size()) {
            if self.pushing.clock.now() > self.until {
                return Ok(Some(End::OutOfTime));
            }
            let told: Vec<Told> = page.iter().map(told).collect();
            let Some(sent) = self.send(&told).await? else { return Ok(Some(End::Lost)) };
            for id in &page[..sent.settled] {
                failures.clear_redrive(self.key, &id.to_string()).await?;
            }
            if let Some(end) = self.take(sent).await? {
                return Ok(Some(end));
            }
        }
        self.delivery.progress.has_redrives = false;
        if self.note().await? { Ok(None) } else { Ok(Some(End::Lost)) }
    }

    /// Sends a page of the change feed.
    async fn follow(&mut self) -> Result<Step, StoreError> {
        let from = &self.destination.settings.from;
        let wanted = |change: &FeedChange| from.contains(&change.id.connection);
        let position = self.delivery.position.unwrap_or_default();
        let page = self.pushing.feed.read(&self.key.tenant, &position, self.page_size(), wanted).await;
        let page = match page {
            Ok(page) => page,
            Err(FeedError::Gone) => return self.begin_after_a_gap().await,
            Err(FeedError::Store(error)) => return Err(error),
        };
        // Several changes of a customer are one, at the place of the first: it is sent as it is now.
        let mut seen = HashSet::new();
        let places: Vec<usize> =
            (0..page.changes.len()).filter(|place| seen.insert(&page.changes[*place].change.id)).collect();
        let is_news = |action: ChangeAction| action != ChangeAction::Updated;
        let new: BTreeSet<&CustomerId> =
            page.changes.iter().map(|it| &it.change).filter(|it| is_news(it.action)).map(|it| &it.id).collect();
        let told = |place: &usize| {
            let placed = &page.changes[*place];
            let id = placed.change.id.clone();
            Told { is_new: new.contains(&id), at: placed.at, revision: placed.change.revision, id }
        };
        let told: Vec<Told> = places.iter().map(told).collect();
        let Some(sent) = self.send(&told).await? else { return Ok(Step::Ended(End::Lost)) };
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
            return match is_moved && is_all && !self.note().await? {
                true => Ok(Step::Ended(End::Lost)),
                false => Ok(Step::Done { is_all }),
            };
        }
        match self.take(sent).await? {
            Some(end) => Ok(Step::Ended(end)),
            None => Ok(Step::Done { is_all }),
        }
    }

    /// What follows the place in the feed is not kept any more, or was restored: begins with everybody.
    async fn begin_after_a_gap(&mut self) -> Result<Step, StoreError> {
        tracing::warn!("the change feed has a gap at this destination's place: begins with everybody");
        self.delivery.position = Some(self.pushing.feed.latest(&self.key.tenant, OVERLAP).await?);
        self.delivery.progress.listed.clear();
        self.delivery.progress.round += 1;
        if self.note().await? { Ok(Step::Done { is_all: false }) } else { Ok(Step::Ended(End::Lost)) }
    }

    /// Sends a page of the listing of a connection that was not listed yet.
    async fn list(&mut self) -> Result<Step, StoreError> {
        let from = &self.destination.settings.from;
        let listed = &self.delivery.progress.listed;
        let Some(connection) = from.iter().find(|it| listed.get(*it) != Some(&Listed::All)).cloned() else {
            return Ok(Step::Done { is_all: true });
        };
        let cursor = match listed.get(&connection) {
            Some(Listed::UpTo(shard, source_id)) => Some((*shard, source_id.clone())),
            _ => None,
        };
        let key = ConnectionKey::new(&self.key.tenant, &connection);
        let (source_ids, next) = self.pushing.shadow.page(&key, cursor.clone(), self.page_size()).await?;
        let is_first_round = self.delivery.progress.round == 1;
        let now = self.pushing.clock.now();
        let told = |source_id: &String| Told {
            id: CustomerId { connection: connection.clone(), source_id: source_id.clone() },
            at: now,
            revision: 1,
            is_new: is_first_round,
        };
        let told: Vec<Told> = source_ids.iter().map(told).collect();
        let Some(sent) = self.send(&told).await? else { return Ok(Step::Ended(End::Lost)) };
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
        match self.take(sent).await? {
            Some(end) => Ok(Step::Ended(end)),
            None => Ok(Step::Done { is_all: self.delivery.progress.has_listed(from) }),
        }
    }

    /// Sends customers, and writes and removes their failure records; `None` if another worker has the destination.
    async fn send(&mut self, told: &[Told]) -> Result<Option<Sent>, StoreError> {
        let mut sent =
            Sent { settled: 0, counts: DeliveryCounts::default(), last_taken: None, taken: Vec::new(), trouble: None };
        if told.is_empty() {
            return Ok(Some(sent));
        }
        let chosen = self.choice.choose(told, self.deadline).await?;
        let outgoing: Vec<Outgoing> = chosen
            .iter()
            .filter_map(|chosen| match chosen {
                Chosen::Send(outgoing) => Some((**outgoing).clone()),
                Chosen::LeftOut | Chosen::Damaged => None,
            })
            .collect();
        let Some(delivered) = self.deliver(&outgoing).await? else { return Ok(None) };
        let mut outcomes = delivered.outcomes.into_iter();
        sent.trouble = delivered.trouble;
        let mut resolved = BTreeSet::new();
        let mut is_prefix = true;
        for (told, chosen) in told.iter().zip(&chosen) {
            let outcome = match chosen {
                Chosen::Send(_) => outcomes.next().flatten(),
                Chosen::LeftOut => Some(Outcome::LeftOut),
                Chosen::Damaged => {
                    let reason = "its record is damaged and can't be read".to_owned();
                    Some(Outcome::Refused { reason, answer: String::new() })
                }
            };
            is_prefix &= outcome.is_some();
            let mut counts = DeliveryCounts::default();
            match outcome {
                None => continue,
                Some(Outcome::Taken) => {
                    counts.sent = 1;
                    resolved.insert(told.id.to_string());
                    sent.taken.push(told.id.clone());
                    sent.last_taken = Some(told.id.clone());
                }
                Some(Outcome::LeftOut) => {
                    counts.left_out = 1;
                    resolved.insert(told.id.to_string());
                }
                Some(Outcome::Refused { reason, answer }) => {
                    counts.failed = 1;
                    let failed_at = self.pushing.clock.now();
                    let failure = Failure { source_id: told.id.to_string(), reason, raw: answer, failed_at };
                    self.pushing.failures.put(self.key, &failure).await?;
                }
            }
            if is_prefix {
                sent.settled += 1;
                sent.counts += counts;
            }
        }
        self.pushing.failures.remove_resolved(self.key, &resolved).await?;
        Ok(Some(sent))
    }

    /// Delivers, and renews the lease meanwhile; `None` if another worker has the destination.
    async fn deliver(&self, changes: &[Outgoing]) -> Result<Option<Delivered>, StoreError> {
        if changes.is_empty() {
            return Ok(Some(Delivered::default()));
        }
        let witness = self.witness().await?;
        let context =
            Context { round: self.delivery.progress.round, witness: witness.as_ref(), deadline: self.deadline };
        let mut delivering = std::pin::pin!(self.deliver_all(changes, context));
        loop {
            tokio::select! {
                biased;
                delivered = &mut delivering => return Ok(Some(delivered)),
                () = self.pushing.clock.sleep(HEARTBEAT) => {
                    let until = self.pushing.clock.now() + LEASE;
                    if !self.pushing.states.renew(self.key, self.owner, until).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Delivers; if a customer makes this program panic, it costs that customer.
    async fn deliver_all(&self, changes: &[Outgoing], context: Context<'_>) -> Delivered {
        let client = &self.pushing.client;
        let delivery = client.deliver(self.destination, changes, context);
        if let Ok(delivered) = AssertUnwindSafe(delivery).catch_unwind().await {
            return delivered;
        }
        tracing::error!("a delivery caused a panic: its customers are sent one by one");
        let mut all = Delivered { outcomes: vec![None; changes.len()], trouble: None };
        for (change, outcome) in changes.iter().zip(&mut all.outcomes) {
            let alone = client.deliver(self.destination, std::slice::from_ref(change), context);
            let Ok(alone) = AssertUnwindSafe(alone).catch_unwind().await else {
                let reason = "sending it caused a panic: a bug".to_owned();
                *outcome = Some(Outcome::Refused { reason, answer: String::new() });
                continue;
            };
            *outcome = alone.outcomes.into_iter().next().flatten();
            if alone.trouble.is_some() {
                all.trouble = alone.trouble;
                break;
            }
        }
        all
    }

    /// Notes what a page came to; how the visit ends, if it does.
    async fn take(&mut self, sent: Sent) -> Result<Option<End>, StoreError> {
        let Sent { settled, counts, last_taken, taken, trouble } = sent;
        let progress = &mut self.delivery.progress;
        progress.counts += counts;
        self.counts += counts;
        if let Some(id) = last_taken {
            progress.last_taken = Some(id.to_string());
        }
        let is_progress = settled > 0 && counts.sum() > 0;
        let was_failing = self.delivery.progress.attempts > 0;
        if trouble.is_none() || is_progress {
            self.delivery.progress.attempts = 0;
            self.delivery.progress.failing_since = None;
        }
        if trouble.is_none() && (was_failing || self.state.error.is_some()) {
            self.pushing.states.mark_answered(self.key, self.pushing.clock.now()).await?;
            self.state.error = None;
        }
        let trouble = trouble.filter(|trouble| !trouble.is_out_of_time());
        // With trouble, the note is written with it.
        if trouble.is_none() && !self.note().await? {
            // Another worker was at it meanwhile, and may have sent some of these before: as they were then.
            for id in &taken {
                let now = self.pushing.clock.now();
                self.pushing.failures.request_redrive(self.key, &id.to_string(), now).await?;
            }
            return Ok(Some(End::Lost));
        }
        Ok(trouble.map(End::Trouble))
    }

    /// The customer that the destination took last, as it is now; webhooks answer for each event alone.
    async fn witness(&self) -> Result<Option<Outgoing>, StoreError> {
        let Some(id) = &self.delivery.progress.last_taken else { return Ok(None) };
        let is_alone = self.destination.settings.receiver.kind() == DestinationKind::Webhook;
        let Some(id) = id.parse::<CustomerId>().ok().filter(|_| !is_alone) else { return Ok(None) };
        let told = Told { id, at: self.pushing.clock.now(), revision: 1, is_new: false };
        match self.choice.choose(&[told], self.deadline).await?.pop() {
            Some(Chosen::Send(witness)) => Ok(Some(*witness)),
            _ => Ok(None),
        }
    }

    /// How many customers are sent at once.
    fn page_size(&self) -> usize {
        DestinationClient::most_at_once(self.destination.settings.receiver.kind())
    }

    async fn note(&mut self) -> Result<bool, StoreError> {
        let is_noted = self.pushing.deliveries.note(self.key, &mut self.delivery).await?;
        if !is_noted {
            tracing::warn!("another worker was at this destination meanwhile: this one ends");
        }
        Ok(is_noted)
    }

    /// Notes that the destination takes nothing; when it is tried again.
    async fn note_trouble(&mut self, trouble: &Trouble, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let PushChanges { states, random, .. } = self.pushing;
        let progress = &mut self.delivery.progress;
        progress.attempts = progress.attempts.saturating_add(1);
        progress.failing_since.get_or_insert(now);
        let attempts = progress.attempts;
        self.note().await?;
        let mut message = trouble.message.clone();
        if trouble.is_gone {
            message += ": it is paused until it is resumed";
            states.pause(self.key, now).await?;
        }
        tracing::warn!(attempts, problem = message, "the destination takes nothing");
        states.mark_failed(self.key, &LastError { at: now, message }).await?;
        if trouble.is_gone {
            return Ok(None);
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
        // Between half of it and all of it: destinations that fail together do not come back together.
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let pause = Duration::from_millis(millis / 2 + random.below(millis / 2 + 1));
        let pause = pause.max(trouble.retry_after.unwrap_or_default()).min(LONGEST_PAUSE);
        Ok(Some(now + pause))
    }
}

/// What became of a step.
enum Step {
    /// It was carried out; whether there is nothing more of its kind.
    Done { is_all: bool },
    /// The visit ends.
    Ended(End),
}
