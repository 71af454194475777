//! One chunk: from ids to records, tombstones and failure records.
//!
//! **Who is to blame** for a request that brings no usable answer: the vendor, unless it answers well for others. So
//! a request that fails is halved until the culprit stands alone, and a culprit becomes a failure record only if the
//! vendor answered well for somebody else meanwhile. Otherwise the chunk waits.
//!
//! **Who is gone**: only a customer that an answer lacks *although it yields a companion that is known to exist*. A
//! vendor that answers with nothing deletes nothing.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use model::{Outcome, Tally, Version};
use runtime::association_anywhere::DetailsAnswer;
use runtime::connections::{AssociationAnywhere as Settings, Connection};
use runtime::{ANSWER_TIME, Trouble};
use store::{Failure, Incoming, LastError, LeasedChunk, News, Settlement, StoreError, UpsertError};

use crate::FetchCustomers;

/// What is left of the deadline for settling the chunk.
const MARGIN: Duration = Duration::from_secs(5);
/// How long a worker works on one chunk, well within its invocation: the rest is another's turn. Long enough for an
/// answer that takes its time, and for some requests before it.
const WORK_FOR: Duration = Duration::from_secs(45);
/// When a chunk is tried again that waits for nothing in particular.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// When a chunk is tried again that waits for somebody who is known to exist.
const RETRY_UNPROVEN_AFTER: Duration = Duration::from_secs(10);
/// How many attempts a vendor's passing failure gets before a record may be to blame for it.
const PATIENCE: u64 = 3;
/// How many customers who are known to exist are asked for beside those who seem to be gone.
const COMPANIONS: usize = 3;
/// How many requests may fail before one succeeds, where nobody is known to probe the vendor with.
const BLIND_FAILURES: u32 = 6;

const EVERYONE_IS_MISSING: &str = "customers are missing from the answer, and so is everyone who is known to exist";

/// The work on one chunk.
pub(crate) struct ChunkWork<'a> {
    function: &'a FetchCustomers,
    connection: &'a Connection<Settings>,
    chunk: &'a LeasedChunk,
    /// Until when the vendor is asked.
    deadline: Timestamp,
    /// Until when the chunk is held.
    settle_by: Timestamp,
    tally: Tally,
    /// What is not done yet.
    fetch: BTreeSet<String>,
    /// How many deletions were not carried out, for there were too many at once.
    withheld: u64,
    /// Who was taken over or deleted: an older failure record of theirs is obsolete.
    resolved: BTreeSet<String>,
    /// Sets of ids to ask for.
    rounds: VecDeque<Vec<String>>,
    /// Who an answer lacked that may be gone.
    missing: Vec<String>,
    /// Who seems to be to blame, and why, until the vendor is seen to be well.
    suspects: Vec<(String, String)>,
    /// Customers that the vendor has just answered with: they exist.
    companions: Vec<String>,
    /// Whether the vendor has just answered for somebody in whole: then it is well.
    vendor_is_well: bool,
    blind_failures: u32,
    /// Whether the vendor was asked at all: if not, the chunk only waited for its turn.
    has_asked: bool,
}

/// Why the work on a chunk ends before the chunk is done.
struct Pause {
    retry_at: Timestamp,
    unproven: bool,
    /// Whether it only waited for its turn: for a slot, or for the breaker. Then the attempt does not count.
    waited: bool,
    /// What the operator should see; nothing where it is in the connection's state already.
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
            function,
            connection,
            chunk,
            deadline: (deadline - MARGIN).min(function.clock.now() + WORK_FOR),
            settle_by: deadline,
            tally: Tally::default(),
            // A deletion that the queue tells is a hint: only an answer proves it.
            fetch: chunk.fetch.union(&chunk.delete).cloned().collect(),
            withheld: 0,
            resolved: BTreeSet::new(),
            rounds: VecDeque::new(),
            missing: Vec::new(),
            suspects: Vec::new(),
            companions: Vec::new(),
            vendor_is_well: false,
            blind_failures: 0,
            has_asked: false,
        }
    }

    /// Does what can be done, and settles the chunk.
    pub(crate) async fn run(mut self) -> Result<(), StoreError> {
        let pause = match self.all_steps().await {
            Ok(()) => Pause { retry_at: self.function.clock.now(), unproven: false, waited: false, message: None },
            Err(pause) => pause,
        };
        let (function, key) = (self.function, &self.connection.key);
        if let Some(message) = &pause.message {
            tracing::warn!(connection = %key, message, left = self.fetch.len(), "a chunk waits");
            let error = LastError { at: function.clock.now(), message: message.clone() };
            function.polls.failed(key, &error).await?;
        }
        function.failures.remove_resolved(key, &self.resolved).await?;
        if pause.waited && self.tally.sum() == 0 {
            return function.ledger.give_back(self.chunk, pause.retry_at).await;
        }
        let settlement = Settlement {
            tally: self.tally,
            fetch: self.fetch,
            delete: BTreeSet::new(),
            retry_at: pause.retry_at,
            unproven: pause.unproven,
        };
        if function.ledger.settle(self.chunk, &settlement, self.settle_by).await? {
            let withheld = [("deletes_withheld", self.withheld)];
            let counts: Vec<_> = self.tally.by_name().into_iter().chain(withheld).collect();
            function.metrics.count(&key.to_string(), function.clock.now(), &counts);
        } else {
            tracing::info!(connection = %key, "another worker has the chunk: it counts what was done");
        }
        Ok(())
    }

    async fn all_steps(&mut self) -> Step {
        self.rounds.push_back(self.bite());
        while let Some(mut ids) = self.rounds.pop_front() {
            // Who served as a companion meanwhile is done.
            ids.retain(|source_id| self.fetch.contains(source_id));
            if !ids.is_empty() {
                self.ask(ids).await?;
            }
        }
        self.judge_suspects().await?;
        self.confirm_missing().await
    }

    /// What to take on at once: everything, but less and less of a chunk whose workers die of it.
    fn bite(&self) -> Vec<String> {
        let halvings = u32::try_from(self.chunk.attempt.saturating_sub(PATIENCE + 1)).unwrap_or(u32::MAX).min(63);
        let size = (self.fetch.len() as u64 >> halvings).max(1);
        self.fetch.iter().take(usize::try_from(size).unwrap_or(usize::MAX)).cloned().collect()
    }

    /// Asks for some customers and takes over what comes.
    async fn ask(&mut self, ids: Vec<String>) -> Step {
        let answer = match self.request(&ids).await? {
            Ok(answer) => answer,
            Err(trouble) => return self.halve(ids, trouble.to_string()).await,
        };
        let (missing, unidentified, broken) = self.take_over(&ids, answer).await?;
        if missing.is_empty() {
            return Ok(());
        }
        match (broken, unidentified) {
            (Some(trouble), _) => {
                self.let_pass(&trouble).await?;
                self.halve(missing, trouble.to_string()).await
            }
            (None, None) => {
                self.missing.extend(missing);
                Ok(())
            }
            // Somebody came without an id: it may be any of those who are missing.
            (None, Some(unidentified)) if ids.len() == 1 => {
                let Unidentified { reason, raw } = unidentified;
                self.fail(&ids[0], reason, raw).await
            }
            (None, Some(_)) => {
                self.split(missing);
                Ok(())
            }
        }
    }

    /// Sends one request. `Ok(Err(_))` where the answer can't be used: then some record may be to blame.
    async fn request(&mut self, ids: &[String]) -> Result<Result<DetailsAnswer, Trouble>, Pause> {
        loop {
            let now = self.function.clock.now();
            if now + ANSWER_TIME > self.deadline {
                // The next worker goes on with what is left.
                return Err(Pause { retry_at: now, unproven: false, waited: !self.has_asked, message: None });
            }
            let Connection { key, settings } = self.connection;
            let answer = self.function.vendor.details(key, settings, ids, self.deadline).await;
            self.has_asked |= !matches!(answer, Err(Trouble::NotNow { .. }));
            match answer {
                Ok(answer) => return Ok(Ok(answer)),
                Err(trouble @ (Trouble::Unusable { .. } | Trouble::Panicked)) => return Ok(Err(trouble)),
                Err(Trouble::NotNow { until, .. }) if self.may_wait(until) => {
                    self.function.clock.pass_until(until).await;
                }
                Err(Trouble::NotNow { until, .. }) => {
                    return Err(Pause { retry_at: until, unproven: false, waited: !self.has_asked, message: None });
                }
                Err(trouble @ Trouble::Passing { .. }) => {
                    self.let_pass(&trouble).await?;
                    return Ok(Err(trouble));
                }
                Err(trouble @ (Trouble::Store(_) | Trouble::Secret(_))) => {
                    return Err(self.later(format!("details: {trouble}")));
                }
            }
        }
    }

    /// What may pass by itself is waited for: at first by leaving the chunk for later.
    async fn let_pass(&self, trouble: &Trouble) -> Step {
        match trouble {
            Trouble::Passing { until, .. } if self.may_wait(*until) => {
                self.function.clock.pass_until(*until).await;
                Ok(())
            }
            Trouble::Passing { until, .. } => {
                let message = Some(format!("details: {trouble}"));
                Err(Pause { retry_at: *until, unproven: false, waited: false, message })
            }
            _ => Ok(()),
        }
    }

    /// A failure that did not pass for some attempts may be a record's: then the breaker's pauses are waited out here,
    /// to find out which.
    fn may_wait(&self, until: Timestamp) -> bool {
        self.chunk.attempt > PATIENCE && until + ANSWER_TIME < self.deadline
    }

    /// Takes over what an answer holds of `asked`. Returns who is missing from it, whether somebody came without an
    /// id, and what broke the answer off.
    async fn take_over(
        &mut self,
        asked: &[String],
        answer: DetailsAnswer,
    ) -> Result<(Vec<String>, Option<Unidentified>, Option<Trouble>), Pause> {
        let version = self.version_of(answer.began);
        let mut wanted: BTreeSet<&str> = asked.iter().map(String::as_str).collect();
        let mut found = HashMap::new();
        let mut unidentified = None;
        for detail in answer.details {
            match detail.source_id {
                None => {
                    let reason = detail.content.err().map_or_else(String::new, |error| error.to_string());
                    unidentified = Some(Unidentified { reason, raw: detail.raw });
                }
                Some(source_id) if asked.contains(&source_id) => {
                    // Of a customer that comes twice the last one counts.
                    found.insert(source_id, (detail.content, detail.raw));
                }
                Some(_) => {}
            }
        }
        let mut incoming = Vec::with_capacity(found.len());
        self.vendor_is_well |= answer.broken.is_none() && !found.is_empty();
        for (source_id, (content, raw)) in found {
            wanted.remove(source_id.as_str());
            match content {
                Ok(content) => {
                    if self.companions.len() < COMPANIONS {
                        self.companions.push(source_id.clone());
                    }
                    // A companion is asked for to see that it exists; its news are another chunk's.
                    if self.fetch.contains(&source_id) {
                        let news = News::Present(Box::new(content));
                        incoming.push(Incoming { source_id, version: version.clone(), news });
                    }
                }
                Err(error) if self.fetch.contains(&source_id) => self.fail(&source_id, error.to_string(), raw).await?,
                Err(_) => {}
            }
        }
        let missing = wanted.into_iter().map(str::to_owned).collect();
        self.upsert(incoming).await?;
        Ok((missing, unidentified, answer.broken))
    }

    async fn upsert(&mut self, incoming: Vec<Incoming>) -> Step {
        if incoming.is_empty() {
            return Ok(());
        }
        let function = self.function;
        let merged = match function.shadow.upsert(&self.connection.key, incoming, self.deadline).await {
            Ok(merged) => merged,
            Err(error) => return Err(self.later(format!("shadow: {error}"))),
        };
        if let Some(later) = merged.overtaken_by
            && let Err(error) = function.ledger.note_overtaken(&self.chunk.key, later).await
        {
            return Err(self.later(format!("ledger: {error}")));
        }
        let mut not_stored = None;
        for (source_id, outcome) in merged.outcomes {
            match outcome {
                Ok(outcome) => {
                    self.done(&source_id, outcome);
                    self.resolved.insert(source_id);
                }
                Err(error @ UpsertError::TooLarge { .. }) => {
                    self.fail(&source_id, error.to_string(), String::new()).await?
                }
                Err(UpsertError::Store(error)) => not_stored = Some(error),
            }
        }
        match not_stored {
            Some(error) => Err(self.later(format!("shadow: {error}"))),
            None => Ok(()),
        }
    }

    /// The version of what a request that began then has told.
    fn version_of(&self, began: Timestamp) -> Version {
        Version::of_batch(self.chunk.key.batch, u64::try_from(began.as_millisecond()).unwrap_or(0))
    }

    /// Makes tombstones, as far as the brake lets.
    async fn bury(&mut self, mut source_ids: Vec<String>, told_at: Timestamp) -> Step {
        let (function, percent) = (self.function, self.connection.settings.most_deletes_percent);
        let gone = source_ids.iter().cloned().collect();
        let held_back = match function.brake.holds_back(self.chunk, &gone, percent, self.deadline).await {
            Ok(Some(held_back)) => held_back,
            Ok(None) => return Err(self.later("another worker has the chunk, or its batch is over".to_owned())),
            Err(error) => return Err(self.later(format!("brake: {error}"))),
        };
        source_ids.retain(|source_id| !held_back.contains(source_id));
        for source_id in held_back {
            if let Err(error) = function.brake.withhold(&self.connection.key, &source_id).await {
                return Err(self.later(format!("failure record: {error}")));
            }
            self.withheld += 1;
            self.done(&source_id, Outcome::Failed);
        }
        let version = self.version_of(told_at);
        let tombstone = |source_id| Incoming { source_id, version: version.clone(), news: News::Gone };
        self.upsert(source_ids.into_iter().map(tombstone).collect()).await
    }

    /// A request for `ids` brought no usable answer: halves them, or suspects the one that is left.
    async fn halve(&mut self, ids: Vec<String>, reason: String) -> Step {
        if !self.vendor_is_well {
            self.probe(&ids, &reason).await?;
        }
        if ids.len() > 1 {
            self.split(ids);
        } else {
            self.suspects.extend(ids.into_iter().map(|source_id| (source_id, reason.clone())));
        }
        Ok(())
    }

    fn split(&mut self, mut ids: Vec<String>) {
        let second_half = ids.split_off(ids.len() / 2);
        self.rounds.extend([ids, second_half]);
    }

    /// Finds out whether the vendor answers well for somebody who is known to exist.
    async fn probe(&mut self, failed: &[String], reason: &str) -> Step {
        let known = self.known_companions(failed).await?;
        if known.is_empty() {
            self.blind_failures += 1;
            if self.blind_failures > BLIND_FAILURES {
                return Err(self.unproven(reason));
            }
            return Ok(());
        }
        if let Ok(answer) = self.request(&known).await? {
            self.take_over(&known, answer).await?;
        }
        if !self.vendor_is_well {
            return Err(self.unproven(reason));
        }
        Ok(())
    }

    /// Customers of the shadow that are known to exist, without `apart_from`.
    async fn known_companions(&self, apart_from: &[String]) -> Result<Vec<String>, Pause> {
        let known =
            self.function.shadow.some_existing(&self.connection.key, COMPANIONS + apart_from.len().min(COMPANIONS));
        let mut known = known.await.map_err(|error| self.later(format!("shadow: {error}")))?;
        known.retain(|source_id| !apart_from.contains(source_id));
        known.truncate(COMPANIONS.min(self.connection.settings.bulk_size as usize));
        Ok(known)
    }

    async fn judge_suspects(&mut self) -> Step {
        let suspects = std::mem::take(&mut self.suspects);
        if !self.vendor_is_well
            && let Some((_, reason)) = suspects.first()
        {
            return Err(self.unproven(reason));
        }
        for (source_id, reason) in suspects {
            self.fail(&source_id, reason, String::new()).await?;
        }
        Ok(())
    }

    /// Asks for those who are missing once more, beside companions who exist: who is missing then, is gone.
    async fn confirm_missing(&mut self) -> Step {
        let missing = std::mem::take(&mut self.missing);
        if missing.is_empty() {
            return Ok(());
        }
        let mut companions = std::mem::take(&mut self.companions);
        if companions.is_empty() {
            companions = self.known_companions(&missing).await?;
        }
        let bulk_size = self.connection.settings.bulk_size as usize;
        companions.truncate(bulk_size - 1);
        if companions.is_empty() {
            return Err(self.unproven(EVERYONE_IS_MISSING));
        }
        let mut unproven = false;
        for missing in missing.chunks(bulk_size - companions.len()) {
            let ids: Vec<String> = missing.iter().chain(&companions).cloned().collect();
            let answer = match self.request(&ids).await? {
                Ok(answer) => answer,
                Err(trouble) => return Err(self.later(format!("details: {trouble}"))),
            };
            let began = answer.began;
            let (absent, unidentified, broken) = self.take_over(&ids, answer).await?;
            let companion_came = companions.iter().any(|companion| !absent.contains(companion));
            if !companion_came || unidentified.is_some() || broken.is_some() {
                unproven = true;
                continue;
            }
            let gone = absent.into_iter().filter(|source_id| self.fetch.contains(source_id)).collect();
            self.bury(gone, began).await?;
        }
        if unproven { Err(self.unproven(EVERYONE_IS_MISSING)) } else { Ok(()) }
    }

    async fn fail(&mut self, source_id: &str, reason: String, raw: String) -> Step {
        if !self.fetch.contains(source_id) {
            return Ok(());
        }
        let failed_at = self.function.clock.now();
        tracing::warn!(connection = %self.connection.key, reason, "a customer became a failure record");
        let failure = Failure { source_id: source_id.to_owned(), reason, raw, failed_at };
        if let Err(error) = self.function.failures.put(&self.connection.key, &failure).await {
            return Err(self.later(format!("failure record: {error}")));
        }
        self.done(source_id, Outcome::Failed);
        Ok(())
    }

    fn done(&mut self, source_id: &str, outcome: Outcome) {
        let was_left = self.fetch.remove(source_id);
        debug_assert!(was_left, "a customer came to two ends");
        self.tally.count(outcome);
    }

    fn later(&self, message: String) -> Pause {
        Pause {
            retry_at: self.function.clock.now() + RETRY_AFTER,
            unproven: false,
            waited: false,
            message: Some(message),
        }
    }

    /// Nobody who is known to exist vouches for the vendor's answers: only a later batch may hold somebody who does.
    fn unproven(&self, reason: &str) -> Pause {
        Pause {
            retry_at: self.function.clock.now() + RETRY_UNPROVEN_AFTER,
            unproven: true,
            waited: false,
            message: Some(format!("details: {reason}")),
        }
    }
}

/// Somebody in an answer who can't be told apart.
struct Unidentified {
    reason: String,
    raw: String,
}
