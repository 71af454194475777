//! One chunk: from ids to records, tombstones and failure records.
//!
//! **What is to blame** for a request that brings no usable answer: the source, unless it answers well for others. So a
//! request that fails is halved until one customer is left, and that customer becomes a failure record only if the
//! source answered well for another one meanwhile. Otherwise the chunk waits.
//!
//! **Which customer is gone**: only one that an answer lacks *although it yields companions that are known to exist*,
//! and that does not come without them either. A source that answers with nothing, or with only so many, deletes
//! nothing, and an answer that holds a customer that was not asked for proves nothing: see [`missing`].
//!
//! **How an id is written**: the queue may write one with leading zeros, or in another case, and the details without. A
//! customer that is asked for in one spelling and answered in another is stored under the answered one, however the
//! queue writes it next time: so there are never two records of one customer.

mod missing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use config::{AssociationAnywhereConfig as Settings, Connection};
use jiff::Timestamp;
use model::{Outcome, OutcomeCounts, Version, is_spelling_of};
use sources::association_anywhere::{AssociationAnywhereClient, DetailsAnswer};
use sources::companions::COMPANIONS;
use sources::{ANSWER_TIME, SourceError};
use store::{Change, IncomingChange, LeasedChunk, Settlement, StoreError, UpsertError, naming_addresses};
use working::Worker;

use crate::FetchCustomers;

/// The part of the deadline that is kept for settling the chunk.
const MARGIN: Duration = Duration::from_secs(5);
/// How long a worker works on one chunk, well within its invocation: another worker takes the rest. Long enough for a
/// slow answer, and for some requests before it.
const WORK_FOR: Duration = Duration::from_secs(45);
/// When a chunk is retried that waits for nothing in particular.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// When a chunk is retried that waits for a customer that is known to exist.
const RETRY_UNPROVEN_AFTER: Duration = Duration::from_secs(10);
/// How many attempts a source's transient failure gets before a record may be to blame for it.
const PATIENCE: u64 = 3;
/// How many requests may fail before one succeeds, if no customer is known to probe the source with.
const BLIND_FAILURES: u32 = 6;

/// The work on one chunk.
pub(crate) struct ChunkWork<'a> {
    worker: &'a Worker,
    source: &'a AssociationAnywhereClient,
    connection: &'a Connection<Settings>,
    chunk: &'a LeasedChunk,
    /// Until when the source is asked.
    deadline: Timestamp,
    /// Until when the chunk is held.
    settle_by: Timestamp,
    counts: OutcomeCounts,
    /// What is not done yet, as the queue writes it.
    fetch: BTreeSet<String>,
    /// How many deletions were not carried out, because there were too many at once.
    withheld: u64,
    /// Customers that were taken over or deleted: their older failure records are obsolete.
    resolved: BTreeSet<String>,
    /// Sets of ids to ask for.
    rounds: VecDeque<Vec<String>>,
    /// The id as the queue writes it, by the id as the details write it.
    written_as: BTreeMap<String, String>,
    /// Customers that an answer lacked and that may be gone.
    missing: Vec<String>,
    /// Customers that seem to be to blame, until the source is seen to be well.
    suspects: Vec<Suspect>,
    /// Customers that the source has just answered with: they exist.
    companions: Vec<String>,
    /// The most customers that one answer held: the source can answer with at least so many.
    most_heard: usize,
    /// Whether the source has just answered completely for a customer: then it is well.
    source_is_healthy: bool,
    blind_failures: u32,
    /// Whether the source was asked at all: if not, the chunk only waited for its turn.
    has_asked: bool,
}

/// A customer for which no usable answer came.
struct Suspect {
    source_id: String,
    reason: String,
    /// What the source sent, if it was for this customer alone.
    raw: String,
}

/// What an answer says of the customers that were asked for.
struct Heard {
    /// The customers that it lacks.
    missing: Vec<String>,
    /// A customer that came without an id.
    unidentified: Option<Unidentified>,
    /// Whether it holds a customer that matches none of the asked ids unambiguously.
    holds_others: bool,
    /// What broke the answer off; `raw` is what came, if it was for one customer alone.
    broken: Option<SourceError>,
    raw: String,
}

/// A customer in an answer that has no usable id.
struct Unidentified {
    reason: String,
    raw: String,
}

/// Why the work on a chunk ends before the chunk is done.
struct Pause {
    retry_at: Timestamp,
    unverified: bool,
    /// Whether it only waited for its turn: for a slot, or for the breaker. Then the attempt does not count.
    waited: bool,
    /// What the operator should see; `None` if it is in the connection's state already.
    message: Option<String>,
}

/// How a step ends: go on, or leave the rest for later.
type Step = Result<(), Pause>;

impl<'a> ChunkWork<'a> {
    pub(crate) fn new(
        function: &'a FetchCustomers,
        connection: &'a Connection<Settings>,
        chunk: &'a LeasedChunk,
        deadline: Timestamp,
    ) -> Self {
        Self {
            worker: &function.worker,
            source: &function.source,
            connection,
            chunk,
            deadline: (deadline - MARGIN).min(function.worker.tables.clock.now() + WORK_FOR),
            settle_by: deadline,
            counts: OutcomeCounts::default(),
            // A deletion in the queue is a hint: only an answer proves it.
            fetch: chunk.fetch.union(&chunk.delete).cloned().collect(),
            withheld: 0,
            resolved: BTreeSet::new(),
            rounds: VecDeque::new(),
            written_as: BTreeMap::new(),
            missing: Vec::new(),
            suspects: Vec::new(),
            companions: Vec::new(),
            most_heard: 0,
            source_is_healthy: false,
            blind_failures: 0,
            has_asked: false,
        }
    }

    /// Does what can be done, and settles the chunk.
    pub(crate) async fn run(mut self) -> Result<(), StoreError> {
        let pause = match self.all_steps().await {
            Ok(()) => {
                Pause { retry_at: self.worker.tables.clock.now(), unverified: false, waited: false, message: None }
            }
            Err(pause) => pause,
        };
        let (worker, key) = (self.worker, &self.connection.key);
        if let Some(message) = pause.message {
            worker.report(key, message, self.fetch.len()).await?;
        }
        worker.tables.failures.remove_resolved(key, &self.resolved).await?;
        if pause.waited && self.counts.sum() == 0 {
            return worker.tables.ledger.release(self.chunk, pause.retry_at).await;
        }
        let settlement = Settlement {
            counts: self.counts,
            fetch: self.fetch,
            delete: BTreeSet::new(),
            retry_at: pause.retry_at,
            unverified: pause.unverified,
        };
        worker.settle(self.chunk, &settlement, self.withheld, self.settle_by).await
    }

    async fn all_steps(&mut self) -> Step {
        self.rounds.push_back(self.first_request());
        while let Some(mut ids) = self.rounds.pop_front() {
            // A customer that came as a companion meanwhile is done.
            ids.retain(|source_id| !self.asked_for_by(source_id).is_empty());
            if !ids.is_empty() {
                self.ask(ids).await?;
            }
        }
        self.record_suspects().await?;
        self.confirm_missing().await
    }

    /// The first ids to ask for: all of them, but fewer with each attempt if the workers of the chunk keep dying.
    fn first_request(&self) -> Vec<String> {
        let halvings = u32::try_from(self.chunk.attempt.saturating_sub(PATIENCE + 1)).unwrap_or(u32::MAX).min(63);
        let size = (self.fetch.len() as u64 >> halvings).max(1);
        self.fetch.iter().take(usize::try_from(size).unwrap_or(usize::MAX)).cloned().collect()
    }

    /// The customers of this chunk that are not done and are asked for by this id, in whichever spelling.
    fn asked_for_by(&self, source_id: &str) -> Vec<String> {
        let queued = self.written_as.get(source_id).map(String::as_str);
        let all = [Some(source_id), queued].into_iter().flatten();
        all.filter(|source_id| self.fetch.contains(*source_id)).map(str::to_owned).collect()
    }

    /// Asks for some customers and takes over what comes.
    async fn ask(&mut self, ids: Vec<String>) -> Step {
        let answer = match self.request(&ids).await? {
            Ok(answer) => answer,
            Err(error) => return self.halve(ids, error.to_string(), String::new()).await,
        };
        let heard = self.take_over(&ids, answer).await?;
        let missing = heard.missing;
        if missing.is_empty() {
            return Ok(());
        }
        let is_alone = ids.len() == 1;
        if let Some(error) = heard.broken {
            self.wait_out(&error).await?;
            return self.halve(missing, error.to_string(), heard.raw).await;
        }
        match heard.unidentified {
            // A customer came without an id: it may be any of the missing ones.
            Some(Unidentified { reason, raw }) if is_alone => return self.fail(&ids[0], reason, raw).await,
            None if !heard.holds_others => {
                self.missing.extend(missing);
                return Ok(());
            }
            None if is_alone => return self.fail(&ids[0], missing::OTHERS_CAME.to_owned(), heard.raw).await,
            _ => {}
        }
        self.split(missing);
        Ok(())
    }

    /// Sends one request. `Ok(Err(_))` if the answer can't be used: then a record may be to blame.
    async fn request(&mut self, ids: &[String]) -> Result<Result<DetailsAnswer, SourceError>, Pause> {
        loop {
            let now = self.worker.tables.clock.now();
            if now + ANSWER_TIME > self.deadline {
                // The next worker goes on with what is left.
                return Err(Pause { retry_at: now, unverified: false, waited: !self.has_asked, message: None });
            }
            let Connection { key, settings } = self.connection;
            let answer = self.source.details(key, settings, ids, self.deadline).await;
            self.has_asked |= !matches!(answer, Err(SourceError::Throttled { .. }));
            match answer {
                Ok(answer) => return Ok(Ok(answer)),
                Err(error @ (SourceError::InvalidResponse { .. } | SourceError::Panicked)) => return Ok(Err(error)),
                Err(SourceError::Throttled { until, .. }) if self.may_wait(until) => {
                    self.worker.tables.clock.wait_until(until).await;
                }
                Err(SourceError::Throttled { until, .. }) => {
                    return Err(Pause { retry_at: until, unverified: false, waited: !self.has_asked, message: None });
                }
                Err(error @ SourceError::Transient { .. }) => {
                    self.wait_out(&error).await?;
                    return Ok(Err(error));
                }
                Err(error @ (SourceError::Store(_) | SourceError::Secret(_))) => {
                    return Err(self.later(format!("details: {error}")));
                }
            }
        }
    }

    /// Waits out a transient failure: at first by leaving the chunk for later.
    async fn wait_out(&self, error: &SourceError) -> Step {
        match error {
            SourceError::Transient { until, .. } if self.may_wait(*until) => {
                self.worker.tables.clock.wait_until(*until).await;
                Ok(())
            }
            SourceError::Transient { until, .. } => {
                let message = Some(format!("details: {error}"));
                Err(Pause { retry_at: *until, unverified: false, waited: false, message })
            }
            _ => Ok(()),
        }
    }

    /// A failure that did not pass for some attempts may be a record's: then the breaker's pauses are waited out here,
    /// to find out which.
    fn may_wait(&self, until: Timestamp) -> bool {
        self.chunk.attempt > PATIENCE && until + ANSWER_TIME < self.deadline
    }

    /// Takes over what an answer holds of `asked`, and returns what else it says.
    async fn take_over(&mut self, asked: &[String], answer: DetailsAnswer) -> Result<Heard, Pause> {
        let version = self.version_of(answer.began);
        let mut wanted: BTreeSet<&str> = asked.iter().map(String::as_str).collect();
        let mut found = BTreeMap::new();
        let mut respelled = BTreeMap::new();
        let mut heard = Heard {
            missing: Vec::new(),
            unidentified: None,
            holds_others: answer.unasked.count > 0,
            broken: answer.broken,
            raw: answer.raw,
        };
        for detail in answer.details {
            match detail.source_id {
                None => {
                    let reason = detail.content.err().map_or_else(String::new, |error| error.to_string());
                    heard.unidentified = Some(Unidentified { reason, raw: detail.raw });
                }
                Some(source_id) if asked.contains(&source_id) => {
                    // If a customer comes twice, the last one counts.
                    found.insert(source_id, (detail.content, detail.raw));
                }
                Some(source_id) => {
                    respelled.insert(source_id, (detail.content, detail.raw));
                }
            }
        }
        wanted.retain(|source_id| !found.contains_key(*source_id));
        for (source_id, detail) in respelled {
            let mut meant = wanted.iter().copied().filter(|id| is_spelling_of(id, &source_id));
            if let (Some(queued), None) = (meant.next(), meant.next()) {
                wanted.remove(queued);
                // Stored as the details write it, so that there is one record of it however the queue writes it.
                self.written_as.insert(source_id.clone(), queued.to_owned());
                found.insert(source_id, detail);
            } else {
                heard.holds_others = true;
            }
        }
        let mut incoming = Vec::with_capacity(found.len());
        let mut raws = BTreeMap::new();
        self.most_heard = self.most_heard.max(found.len());
        self.source_is_healthy |= heard.broken.is_none() && !found.is_empty();
        for (source_id, (content, raw)) in found {
            // A companion is asked for to see that it exists; its news belong to another chunk.
            let is_ours = !self.asked_for_by(&source_id).is_empty();
            match content {
                Ok(content) => {
                    if self.companions.len() < COMPANIONS && !self.companions.contains(&source_id) {
                        self.companions.push(source_id.clone());
                    }
                    if is_ours {
                        raws.insert(source_id.clone(), naming_addresses(raw, &content));
                        let news = Change::Present(Box::new(content));
                        incoming.push(IncomingChange { source_id, version: version.clone(), news });
                    }
                }
                Err(error) if is_ours => self.fail(&source_id, error.to_string(), raw).await?,
                Err(_) => {}
            }
        }
        heard.missing = wanted.into_iter().map(str::to_owned).collect();
        self.upsert(incoming, raws).await?;
        Ok(heard)
    }

    /// Merges news; `raws` is what the source sent of each customer, for those that can't be stored.
    async fn upsert(&mut self, incoming: Vec<IncomingChange>, mut raws: BTreeMap<String, String>) -> Step {
        if incoming.is_empty() {
            return Ok(());
        }
        let worker = self.worker;
        let merged = match worker.tables.shadow.upsert(&self.connection.key, incoming, self.deadline).await {
            Ok(merged) => merged,
            Err(error) => return Err(self.later(format!("shadow: {error}"))),
        };
        if let Some(later) = merged.overtaken_by
            && let Err(error) = worker.tables.ledger.note_overtaken(&self.chunk.key, later).await
        {
            return Err(self.later(format!("ledger: {error}")));
        }
        let mut not_stored = None;
        for (source_id, outcome) in merged.outcomes {
            match outcome {
                Ok(mut outcome) => {
                    for queued in self.asked_for_by(&source_id) {
                        self.done(&queued, outcome);
                        self.resolved.insert(queued);
                        // A customer that is named in two spellings is one record.
                        outcome = Outcome::Unchanged;
                    }
                    self.resolved.insert(source_id);
                }
                Err(UpsertError::Store(error)) => not_stored = Some(error),
                Err(error) => {
                    let raw = raws.remove(&source_id).unwrap_or_default();
                    self.fail(&source_id, error.to_string(), raw).await?;
                }
            }
        }
        match not_stored {
            Some(error) => Err(self.later(format!("shadow: {error}"))),
            None => Ok(()),
        }
    }

    /// The version of an answer to a request that began then.
    fn version_of(&self, began: Timestamp) -> Version {
        Version::of_batch(self.chunk.key.batch, u64::try_from(began.as_millisecond()).unwrap_or(0))
    }

    /// A request for `ids` brought no usable answer: halves them, or suspects the one that is left.
    async fn halve(&mut self, ids: Vec<String>, reason: String, raw: String) -> Step {
        if !self.source_is_healthy {
            self.probe(&ids, &reason).await?;
        }
        if let [source_id] = ids.as_slice() {
            self.suspects.push(Suspect { source_id: source_id.clone(), reason, raw });
        } else {
            self.split(ids);
        }
        Ok(())
    }

    fn split(&mut self, mut ids: Vec<String>) {
        let second_half = ids.split_off(ids.len() / 2);
        self.rounds.extend([ids, second_half].into_iter().filter(|ids| !ids.is_empty()));
    }

    /// Finds out whether the source answers well for a customer that is known to exist.
    async fn probe(&mut self, failed: &[String], reason: &str) -> Step {
        let known = self.known_customers(COMPANIONS, failed).await?;
        if known.is_empty() {
            self.blind_failures += 1;
            if self.blind_failures > BLIND_FAILURES {
                return Err(self.unverified(reason));
            }
            return Ok(());
        }
        if let Ok(answer) = self.request(&known).await? {
            self.take_over(&known, answer).await?;
        }
        if !self.source_is_healthy {
            return Err(self.unverified(reason));
        }
        Ok(())
    }

    async fn record_suspects(&mut self) -> Step {
        let suspects = std::mem::take(&mut self.suspects);
        if !self.source_is_healthy
            && let Some(suspect) = suspects.first()
        {
            return Err(self.unverified(&suspect.reason));
        }
        for Suspect { source_id, reason, raw } in suspects {
            self.fail(&source_id, reason, raw).await?;
        }
        Ok(())
    }

    /// Makes failure records of the customers of this chunk that are asked for by this id.
    async fn fail(&mut self, source_id: &str, reason: String, raw: String) -> Step {
        for source_id in self.asked_for_by(source_id) {
            let failed = self.worker.fail(&self.connection.key, source_id.clone(), reason.clone(), raw.clone());
            if let Err(error) = failed.await {
                return Err(self.later(format!("failure record: {error}")));
            }
            self.done(&source_id, Outcome::Failed);
        }
        Ok(())
    }

    fn done(&mut self, source_id: &str, outcome: Outcome) {
        let was_left = self.fetch.remove(source_id);
        debug_assert!(was_left, "a customer came to two ends");
        self.counts.count(outcome);
    }

    fn later(&self, message: String) -> Pause {
        Pause {
            retry_at: self.worker.tables.clock.now() + RETRY_AFTER,
            unverified: false,
            waited: false,
            message: Some(message),
        }
    }

    /// No customer that is known to exist confirms the source's answers: only a later batch may hold one that does.
    fn unverified(&self, reason: &str) -> Pause {
        Pause {
            retry_at: self.worker.tables.clock.now() + RETRY_UNPROVEN_AFTER,
            unverified: true,
            waited: false,
            message: Some(format!("details: {reason}")),
        }
    }
}
