//! Which customers are gone, and which only seem to be.
//!
//! A source may answer with only so many customers: the first, the last, or those with the smallest ids. It does not
//! say so, and may begin and end between any two answers: what it was heard with before or afterwards says nothing
//! about the answer in between. So customers that an answer lacked are asked for twice more, few at a time:
//!
//! 1. **Alone.** However few customers the source answers with, one of these is among them if any exists.
//! 2. **Beside companions** that are known to exist: one comes first, one in the middle, one last. A source that
//!    answers with nothing shows it here.
//!
//! A customer is gone if neither answer has it or a customer that was not asked for, and the second has every
//! companion. Beside companions no more are asked for than the source was heard with: so one that always answers with
//! only so many leaves nobody out of the second answer either. Only if it was heard with a single customer, because no
//! other is left, the second answer may lack those that exist: then they are asked for alone once more after it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use model::{Outcome, PlantedFault, other_spellings};
use sources::companions::{COMPANIONS, MISSING_AT_ONCE, between};
use store::{Change, IncomingChange};

use super::{ChunkWork, Heard, PATIENCE, Pause, Step, Unidentified};

/// Why a customer is a failure record if another one came in its place.
pub(super) const OTHERS_CAME: &str =
    "the answer lacks this customer, and holds one that was not asked for: it proves nothing";

const EVERYONE_IS_MISSING: &str = "customers are missing from the answer, and so is every one that is known to exist";

/// What is known so far of the customers that seem to be gone.
struct Confirmation {
    /// Which of them are asked for together next.
    groups: VecDeque<Vec<String>>,
    /// Customers that exist, and are asked for beside each group.
    companions: Vec<String>,
    /// The id under which a missing customer is stored, if it is another spelling.
    stored: BTreeMap<String, String>,
    /// Whether an answer proved nothing.
    unverified: bool,
}

impl ChunkWork<'_> {
    /// Asks for the missing customers once more, beside companions that exist: a customer that is missing then is gone.
    pub(super) async fn confirm_missing(&mut self) -> Step {
        let mut missing = std::mem::take(&mut self.missing);
        missing.retain(|source_id| !self.asked_for_by(source_id).is_empty());
        if missing.is_empty() {
            return Ok(());
        }
        if PlantedFault::TrustsOneAnswer.is_planted() {
            let began = self.worker.tables.clock.now();
            return self.write_tombstones(&missing, &missing, &BTreeMap::new(), began).await;
        }
        let known = self.known_customers(COMPANIONS + MISSING_AT_ONCE, &missing).await?;
        self.hear_enough(known, missing.len()).await?;
        let mut companions = std::mem::take(&mut self.companions);
        if companions.is_empty() {
            return Err(self.unverified(EVERYONE_IS_MISSING));
        }
        companions.truncate(self.bulk_size() - 1);
        let at_once = (self.bulk_size() - companions.len()).clamp(1, MISSING_AT_ONCE);
        let mut confirmation = Confirmation {
            groups: missing.chunks(at_once).map(<[_]>::to_vec).collect(),
            companions,
            stored: self.stored_otherwise(&missing).await?,
            unverified: false,
        };
        while let Some(mut group) = confirmation.groups.pop_front() {
            // Without those that came meanwhile, or were found under another spelling.
            group.retain(|source_id| !self.asked_for_by(source_id).is_empty());
            if !group.is_empty() {
                self.look_again(group, &mut confirmation).await?;
            }
        }
        if confirmation.unverified { Err(self.unverified(EVERYONE_IS_MISSING)) } else { Ok(()) }
    }

    /// Asks for a group of missing customers alone, and then beside the companions. Those that neither answer has are
    /// gone.
    async fn look_again(&mut self, group: Vec<String>, confirmation: &mut Confirmation) -> Step {
        let stored = |source_id: &String| confirmation.stored.get(source_id).cloned();
        for source_id in &group {
            // If a customer comes under the id that it is stored under, it is the one that the queue means.
            self.written_as.extend(stored(source_id).map(|other| (other, source_id.clone())));
        }
        let asked: Vec<String> = group.iter().cloned().chain(group.iter().filter_map(stored)).collect();
        let mut ids = between(&asked, &confirmation.companions);
        let most = self.bulk_size().min(self.most_heard);
        let may_lack_some = ids.len() > most;
        if may_lack_some && confirmation.ask_for_fewer(&group, most) {
            return Ok(());
        }
        // One spelling is enough beside the last companion, if a request has no room for two.
        ids.truncate(self.bulk_size());
        if !self.lacks_all_alone(&group, &asked, confirmation).await? {
            return Ok(());
        }
        let answer = match self.request(&ids).await? {
            Ok(answer) => answer,
            Err(error) => return Err(self.later(format!("details: {error}"))),
        };
        let began = answer.began;
        let heard = self.take_over(&ids, answer).await?;
        let Confirmation { groups, companions, unverified, .. } = &mut *confirmation;
        let came: Vec<String> = companions.iter().filter(|id| !heard.missing.contains(id)).cloned().collect();
        if came.is_empty() || heard.broken.is_some() {
            *unverified = true;
        } else if came.len() < companions.len() || self.is_any_done(&group) {
            // A companion is gone itself: the others are enough, once an answer has all of them. Or a missing customer
            // came only now: then the answer before may have lacked others too.
            *companions = came;
            groups.push_back(group);
        } else if heard.holds_others || heard.unidentified.is_some() {
            self.tell_apart(group, heard, groups).await?;
        } else if !may_lack_some || self.lacks_all_alone(&group, &asked, confirmation).await? {
            self.write_tombstones(&group, &heard.missing, &confirmation.stored, began).await?;
        }
        Ok(())
    }

    /// Asks for missing customers without companions: whether the answer has none of them.
    async fn lacks_all_alone(
        &mut self,
        group: &[String],
        asked: &[String],
        confirmation: &mut Confirmation,
    ) -> Result<bool, Pause> {
        if PlantedFault::TrustsCompanions.is_planted() {
            return Ok(true);
        }
        let groups = &mut confirmation.groups;
        let answer = match (self.request(asked).await?, group) {
            (Ok(answer), _) => answer,
            (Err(error), _) if self.chunk.attempt <= PATIENCE => return Err(self.later(format!("details: {error}"))),
            (Err(error), [source_id]) => {
                self.fail(source_id, error.to_string(), String::new()).await?;
                return Ok(false);
            }
            (Err(_), _) => {
                groups.extend(group.iter().map(|source_id| vec![source_id.clone()]));
                return Ok(false);
            }
        };
        let heard = self.take_over(asked, answer).await?;
        if heard.broken.is_some() {
            confirmation.unverified = true;
        } else if heard.holds_others || heard.unidentified.is_some() {
            self.tell_apart(group.to_vec(), heard, groups).await?;
        } else if self.is_any_done(group) {
            // The source may have left out the others.
            groups.push_back(group.to_vec());
        } else {
            return Ok(true);
        }
        Ok(false)
    }

    /// Whether a customer of a group has come to an end since it was asked for.
    fn is_any_done(&self, group: &[String]) -> bool {
        group.iter().any(|source_id| self.asked_for_by(source_id).is_empty())
    }

    fn bulk_size(&self) -> usize {
        self.connection.settings.bulk_size as usize
    }

    /// An answer held a customer that may be any of the missing: each is asked for alone, then it becomes a failure.
    async fn tell_apart(&mut self, group: Vec<String>, heard: Heard, groups: &mut VecDeque<Vec<String>>) -> Step {
        let [source_id] = group.as_slice() else {
            groups.extend(group.into_iter().map(|source_id| vec![source_id]));
            return Ok(());
        };
        if !heard.missing.contains(source_id) {
            return Ok(());
        }
        self.fail_unclear(source_id, heard).await
    }

    /// Makes a failure record of a customer that was asked for alone, and for which another one came.
    async fn fail_unclear(&mut self, source_id: &str, heard: Heard) -> Step {
        match heard.unidentified {
            Some(Unidentified { reason, raw }) => self.fail(source_id, reason, raw).await,
            None => self.fail(source_id, OTHERS_CAME.to_owned(), heard.raw).await,
        }
    }

    /// Has the source answer with as many customers as will be asked for beside the missing ones, unless it has
    /// already: a source that answers with only so many shows it here. A customer that comes is a companion.
    async fn hear_enough(&mut self, mut known: Vec<String>, missing: usize) -> Step {
        let wanted = (COMPANIONS + missing.min(MISSING_AT_ONCE)).min(self.bulk_size());
        if self.companions.len() == COMPANIONS && self.most_heard >= wanted {
            return Ok(());
        }
        known.truncate(wanted);
        if known.is_empty() {
            return Ok(());
        }
        match self.request(&known).await? {
            Ok(answer) => self.take_over(&known, answer).await.map(|_| ()),
            Err(error) => Err(self.later(format!("details: {error}"))),
        }
    }

    /// Up to `count` customers of the shadow that are known to exist, without `apart_from`.
    pub(super) async fn known_customers(&self, count: usize, apart_from: &[String]) -> Result<Vec<String>, Pause> {
        let known = self.worker.tables.shadow.some_existing(&self.connection.key, count + apart_from.len()).await;
        let mut known = known.map_err(|error| self.later(format!("shadow: {error}")))?;
        known.retain(|source_id| !apart_from.contains(source_id));
        known.truncate(count.min(self.bulk_size()));
        Ok(known)
    }

    /// Which missing customers are stored in another spelling, and in which: then the stored one is gone, or is not.
    async fn stored_otherwise(&self, missing: &[String]) -> Result<BTreeMap<String, String>, Pause> {
        let (shadow, key) = (&self.worker.tables.shadow, &self.connection.key);
        let spellings: BTreeSet<String> = missing.iter().flat_map(|id| other_spellings(id)).collect();
        if spellings.is_empty() {
            return Ok(BTreeMap::new());
        }
        let all = spellings.into_iter().chain(missing.iter().cloned()).collect();
        let living = shadow.living(key, &all, self.deadline).await;
        let living = living.map_err(|error| self.later(format!("shadow: {error}")))?;
        let mut stored = BTreeMap::new();
        for source_id in missing.iter().filter(|source_id| !living.contains(*source_id)) {
            let other = other_spellings(source_id).into_iter().find(|spelling| living.contains(spelling));
            stored.extend(other.map(|other| (source_id.clone(), other)));
        }
        Ok(stored)
    }

    /// Makes tombstones of the missing customers of the group, as far as the deletion limit lets. A customer that is
    /// stored in another spelling did not come under that one either.
    async fn write_tombstones(
        &mut self,
        group: &[String],
        missing: &[String],
        stored: &BTreeMap<String, String>,
        began: Timestamp,
    ) -> Step {
        let mut gone = BTreeMap::new();
        for source_id in group.iter().filter(|id| missing.contains(id) && !self.asked_for_by(id).is_empty()) {
            gone.insert(stored.get(source_id).unwrap_or(source_id).clone(), source_id.clone());
        }
        let (worker, percent) = (self.worker, self.connection.settings.most_deletes_percent);
        let ids: BTreeSet<String> = gone.keys().cloned().collect();
        let held_back = match worker.tables.deletion_limit.holds_back(self.chunk, &ids, percent, self.deadline).await {
            Ok(Some(held_back)) => held_back,
            Ok(None) => return Err(self.later("another worker has the chunk, or its batch is over".to_owned())),
            Err(error) => return Err(self.later(format!("deletion_limit: {error}"))),
        };
        for source_id in held_back {
            if let Err(error) = worker.tables.deletion_limit.withhold(&self.connection.key, &source_id).await {
                return Err(self.later(format!("failure record: {error}")));
            }
            self.withheld += 1;
            for queued in gone.remove(&source_id).map(|queued| self.asked_for_by(&queued)).unwrap_or_default() {
                self.done(&queued, Outcome::Failed);
            }
        }
        let version = self.version_of(began);
        let tombstone = |source_id: &String| IncomingChange {
            source_id: source_id.clone(),
            version: version.clone(),
            news: Change::Gone,
        };
        let tombstones = gone.keys().map(tombstone).collect();
        self.upsert(tombstones, BTreeMap::new()).await
    }
}

impl Confirmation {
    /// Has fewer customers asked for at once, so that `most` hold them and the companions; `false` if it is one beside
    /// the last companion already.
    fn ask_for_fewer(&mut self, group: &[String], most: usize) -> bool {
        let room = most.saturating_sub(self.companions.len());
        if group.len() > 1 && (room > 0 || self.companions.len() == 1) {
            self.groups.extend(group.chunks(room.clamp(1, group.len() - 1)).map(<[_]>::to_vec));
        } else if self.companions.len() > 1 {
            self.companions.pop();
            self.groups.push_back(group.to_vec());
        } else {
            return false;
        }
        true
    }
}
