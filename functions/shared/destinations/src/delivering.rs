//! A delivery: who is to blame for what a destination does not take.
//!
//! ```text
//!   send all, in as few requests as it takes ---- taken ---> done
//!       | not taken
//!       v
//!   was anybody taken? if not, the witnesses are sent, one by one -- none is taken --> the destination is in trouble:
//!       | one is taken                                                               nobody is to blame
//!       v
//!   halve the list, and its halves, the front first, until each that is not taken stands alone
//!       |
//!       v
//!   send it twice in direct succession, and after it one that was taken: only then it is to blame
//! ```
//!
//! A destination answers for a list as a whole, or for one customer a request: then a list holds one.
//!
//! **It may fail, instead of refusing.** A failure is trouble at first. If that goes on, it is treated like a refusal:
//! see [`Trouble::blames_content`].
//!
//! **It may take what it knows and nothing new**, or fail at some of many. So of those that it does not take, a few are
//! blamed in a delivery, and then it is left alone for a while: see [`Sorting::may_blame`].
//!
//! **The front first**: if time runs out, those that are known are the first ones, and the next delivery goes on after
//! them.
//!
//! Everything that is sent may be sent again: it says what a customer is like, by an id that the destination finds it
//! by.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use model::CustomerId;

use crate::{Context, Delivered, FOR_LONG, MOST_BLAMED, NO_ACCIDENT, Outcome, Outgoing, Trouble};

/// After so many attempts that failed, in more than an hour, a destination is asked as little as can be.
const MANY_ATTEMPTS: u32 = 10;

/// How often one is sent alone before it is to blame, if the destination took another that it had refused just before:
/// of several machines some may be ill.
const TIMES_IF_UNSTEADY: usize = 8;

/// What a destination says of a list.
pub(crate) enum Said {
    /// It has all of them.
    Taken,
    /// It does not have all of them.
    Refused {
        reason: String,
        answer: String,
        /// Whether it has some of them: so it works.
        has_some: bool,
        /// Whether it would answer the same if it did not know us.
        may_be_us: bool,
    },
}

/// A destination of some kind.
pub(crate) trait Takes {
    /// A customer as this destination is told it.
    type Item;

    /// How many requests are under way at once, while nothing is in doubt.
    const AT_ONCE: usize;

    /// A change as it is sent.
    ///
    /// # Errors
    /// What becomes of it if it is not.
    fn item(&self, change: &Outgoing) -> Result<Self::Item, Outcome>;

    /// The same, sent only to find out whether the destination takes it.
    ///
    /// # Errors
    /// If it is not sent.
    fn witness(&self, change: &Outgoing) -> Result<Self::Item, Outcome> {
        self.item(change)
    }

    /// In which lists some items have to be sent, as their places.
    fn lists(&self, items: &[Self::Item]) -> Vec<Vec<usize>>;

    /// Sends some of the items.
    ///
    /// # Errors
    /// If it does not say what became of them.
    async fn send(&self, items: &[&Self::Item]) -> Result<Said, Trouble>;
}

/// Sends changes of different customers.
pub(crate) async fn deliver<D: Takes>(destination: &D, changes: &[Outgoing], context: Context<'_>) -> Delivered {
    let mut outcomes: Vec<Option<Outcome>> = vec![None; changes.len()];
    let (mut items, mut sent) = (Vec::new(), Vec::new());
    for (change, outcome) in changes.iter().zip(&mut outcomes) {
        match destination.item(change) {
            Ok(item) => {
                items.push(item);
                sent.push(change);
            }
            Err(ended) => *outcome = Some(ended),
        }
    }
    let mut sorting = Sorting {
        destination,
        items: &items,
        changes: &sent,
        context,
        witnesses: context.witnesses.iter().collect(),
        proof: None,
        works: false,
        outcomes: vec![None; items.len()],
        last_alone: None,
        is_unsteady: false,
        blamed: Vec::new(),
        failures: 0,
    };
    let trouble = sorting.run().await.err();
    let has_taken = sorting.has_taken();
    let Sorting { outcomes: sorted, blamed, failures, is_unsteady, .. } = sorting;
    // Those that were sent, in their order.
    let open = outcomes.iter_mut().filter(|outcome| outcome.is_none());
    for (outcome, sorted) in open.zip(sorted) {
        *outcome = sorted;
    }
    Delivered { outcomes, trouble, has_taken, blamed, has_failed: failures > 0, is_unsteady }
}

/// What a destination did with a list that it does not take.
struct No {
    /// If the destination is to blame.
    trouble: Trouble,
    /// If the only customer in it is.
    refused: Outcome,
    /// Whether it has some of them all the same.
    has_some: bool,
    /// Whether it would answer the same if it did not know us.
    may_be_us: bool,
    /// Whether it failed, instead of refusing.
    is_failure: bool,
}

/// A list that is not settled, and what the destination said of it, if it was sent.
type Open = (Vec<usize>, Option<No>);

/// Finds out who is not taken.
struct Sorting<'a, D: Takes> {
    destination: &'a D,
    items: &'a [D::Item],
    /// What each of them is made of.
    changes: &'a [&'a Outgoing],
    context: Context<'a>,
    /// Those that were not asked yet.
    witnesses: VecDeque<&'a Outgoing>,
    /// One that the destination took in this delivery, and that is no deletion if there is such.
    proof: Option<&'a Outgoing>,
    /// Whether the destination has taken anybody in this delivery.
    works: bool,
    /// Of each item.
    outcomes: Vec<Option<Outcome>>,
    /// The item that the last request held alone.
    last_alone: Option<usize>,
    /// Whether it has taken one alone that it had not taken alone before.
    is_unsteady: bool,
    /// Those that are blamed, and at how many of them it failed.
    blamed: Vec<CustomerId>,
    failures: usize,
}

impl<'a, D: Takes> Sorting<'a, D> {
    async fn run(&mut self) -> Result<(), Trouble> {
        let mut lists = self.destination.lists(self.items);
        lists.sort_by_key(|list| list.first().copied());
        let mut open: VecDeque<Open> = lists.into_iter().map(|list| (list, None)).collect();
        let (mut put_off, mut last) = (Vec::new(), None);
        loop {
            if self.proof.is_some() || open.is_empty() {
                while let Some(single) = put_off.pop() {
                    open.push_front(single);
                }
            }
            let Some((list, no)) = open.pop_front() else { break };
            let Some(no) = no else {
                open.push_front((list, None));
                self.send_front(&mut open).await?;
                continue;
            };
            if !self.works {
                self.ask_the_witnesses(&no).await?;
            }
            match list.as_slice() {
                // It has some of those that are left, as it said: they prove more than a witness.
                [_] if self.proof.is_none() && !open.is_empty() => put_off.push((list, Some(no))),
                [place] => last = self.judge(*place, no).await?.or(last),
                _ => {
                    let (front, rest) = list.split_at(list.len() / 2);
                    open.push_front((rest.to_vec(), None));
                    open.push_front((front.to_vec(), None));
                }
            }
        }
        // For a while it took nobody but those that it knew: it is not to be sent the next ones at once.
        let blamed = self.context.blamed.map_or(0, |before| before + self.blamed.len());
        let is_closed = blamed > MOST_BLAMED && !self.has_taken();
        last.filter(|_| is_closed).map_or(Ok(()), Err)
    }

    /// Sends those at the front that were not sent, some side by side; none is begun after one that is not taken. Puts
    /// back what is left, in its order.
    async fn send_front(&mut self, open: &mut VecDeque<Open>) -> Result<(), Trouble> {
        let count = open.iter().take_while(|(_, no)| no.is_none()).count();
        let is_stopped = AtomicBool::new(false);
        let (destination, items, failing_for) = (self.destination, self.items, self.context.failing_for);
        let sending = open.drain(..count).map(|(list, _)| {
            let is_stopped = &is_stopped;
            async move {
                if is_stopped.load(Ordering::Relaxed) {
                    return (list, Ok(Answered::Not(None)));
                }
                let said = say(destination, items, &list, failing_for).await;
                (list, said)
            }
        });
        // After trouble it may bear no more than one at a time.
        let at_once = if self.context.attempts == 0 { D::AT_ONCE } else { 1 };
        let mut sending = stream::iter(sending.collect::<Vec<_>>()).buffer_unordered(at_once);
        let mut left: Vec<Open> = Vec::new();
        let mut trouble: Option<Trouble> = None;
        while let Some((list, said)) = sending.next().await {
            self.last_alone = if let [place] = list.as_slice() { Some(*place) } else { None };
            match said {
                Ok(Answered::Taken) => self.takes(&list),
                Ok(Answered::Not(no)) => {
                    self.works |= no.as_ref().is_some_and(|no| no.has_some);
                    left.push((list, no));
                    is_stopped.store(true, Ordering::Relaxed);
                }
                Err(met) => {
                    left.push((list, None));
                    trouble = Some(match trouble {
                        Some(before) => before.and(met),
                        None => met,
                    });
                    is_stopped.store(true, Ordering::Relaxed);
                }
            }
        }
        drop(sending);
        if at_once > 1 || left.len() > 1 {
            self.last_alone = None;
        }
        left.sort_by_key(|(list, _)| list.first().copied());
        let doubt = left.iter().find_map(|(_, no)| no.as_ref()).filter(|_| !self.works);
        match (trouble, doubt) {
            (None, _) => {}
            (Some(trouble), Some(no)) if trouble.is_out_of_time => return Err(no.trouble.clone()),
            (Some(trouble), _) => return Err(trouble),
        }
        for list in left.into_iter().rev() {
            open.push_front(list);
        }
        Ok(())
    }

    /// Sends some of the items; `None` if all of them are taken.
    async fn ask(&mut self, list: &[usize]) -> Result<Option<No>, Trouble> {
        self.last_alone = if let [place] = list { Some(*place) } else { None };
        match say(self.destination, self.items, list, self.context.failing_for).await? {
            Answered::Taken => {
                self.takes(list);
                Ok(None)
            }
            Answered::Not(no) => {
                self.works |= no.as_ref().is_some_and(|no| no.has_some);
                Ok(no)
            }
        }
    }

    fn takes(&mut self, list: &[usize]) {
        self.works = true;
        for place in list {
            self.outcomes[*place] = Some(Outcome::Taken);
        }
        // A deletion is not to be sent twice, if it can be avoided.
        let taken = list.iter().map(|place| self.changes[*place]).min_by_key(|change| change.is_deletion());
        if self.proof.is_none_or(Outgoing::is_deletion) {
            self.proof = taken.or(self.proof);
        }
    }

    /// Whether it has taken anybody of those that are sent, and not only witnesses.
    fn has_taken(&self) -> bool {
        self.outcomes.contains(&Some(Outcome::Taken))
    }

    /// Finds out whether the destination takes anybody.
    ///
    /// # Errors
    /// With the trouble of `no` if it takes none of the witnesses.
    async fn ask_the_witnesses(&mut self, no: &No) -> Result<(), Trouble> {
        let is_alone = self.context.witnesses.is_empty() && self.items.len() == 1;
        if is_alone && !no.is_failure && !no.may_be_us {
            self.works = true;
            return Ok(());
        }
        // Each may take as long as a request is waited for; and another one comes first at the next attempt.
        let mut failures_left = if self.context.attempts < MANY_ATTEMPTS { 3 } else { 1 };
        while let Some(witness) = self.witnesses.pop_front().filter(|_| failures_left > 0) {
            match self.takes_again(witness).await {
                Ok(true) => {
                    (self.works, self.proof) = (true, Some(witness));
                    return Ok(());
                }
                Ok(false) => {}
                Err(met) if met.is_out_of_time => break,
                Err(met) if met.blames_content(self.context.failing_for) && !met.stops_all => failures_left -= 1,
                Err(met) => return Err(met),
            }
        }
        Err(no.trouble.clone())
    }

    async fn takes_again(&mut self, change: &Outgoing) -> Result<bool, Trouble> {
        self.last_alone = None;
        let Ok(item) = self.destination.witness(change) else { return Ok(false) };
        let said = self.destination.send(&[&item]).await?;
        Ok(matches!(said, Said::Taken | Said::Refused { has_some: true, .. }))
    }

    /// One that stands alone is to blame if the destination does not take it, twice in direct succession, and takes
    /// another after that: it may have been an accident, or one of several machines that is ill, or the destination be
    /// down by now, or let us in no more. Returns the trouble that it would have been.
    async fn judge(&mut self, place: usize, mut no: No) -> Result<Option<Trouble>, Trouble> {
        let is_unsteady = self.is_unsteady || self.context.unsteady_for.is_some();
        let times = match self.last_alone == Some(place) {
            // A failure may take as long as a request is waited for.
            _ if is_unsteady && !no.is_failure => TIMES_IF_UNSTEADY,
            true => 1,
            false => 2,
        };
        for _ in 0..times {
            match self.ask(&[place]).await? {
                None => {
                    self.is_unsteady = true;
                    return Ok(None);
                }
                Some(again) => no = again,
            }
        }
        let is_proved = match self.proof {
            Some(proof) => self.takes_again(proof).await?,
            None => self.ask_the_witnesses(&no).await.map(|()| true)?,
        };
        if !is_proved || !self.may_blame(&no) {
            return Err(no.trouble);
        }
        self.blamed.push(self.changes[place].id.clone());
        self.failures += usize::from(no.is_failure);
        self.outcomes[place] = Some(no.refused);
        Ok(Some(no.trouble))
    }

    /// Whether one more may be blamed.
    fn may_blame(&self, no: &No) -> bool {
        let (failing_for, Some(before)) = (self.context.failing_for, self.context.blamed) else { return true };
        // It may take what it knows, and nothing that is new.
        let most = if failing_for < FOR_LONG { MOST_BLAMED } else { before.max(MOST_BLAMED) };
        let is_one_of_few = self.has_taken() || self.blamed.len() < most;
        // A part of it may be down.
        let is_one_of_few_failures = !no.is_failure || self.failures < MOST_BLAMED;
        let is_steady = match self.context.unsteady_for {
            Some(unsteady_for) => unsteady_for >= NO_ACCIDENT,
            None => !self.is_unsteady,
        };
        is_one_of_few && is_one_of_few_failures && is_steady
    }
}

/// The answer to a list.
enum Answered {
    Taken,
    /// It is not taken; `None` if it was not sent.
    Not(Option<No>),
}

/// Sends some of the items to a destination that has been failing for so long.
async fn say<D: Takes>(
    destination: &D,
    items: &[D::Item],
    list: &[usize],
    failing_for: Duration,
) -> Result<Answered, Trouble> {
    let sent: Vec<&D::Item> = list.iter().map(|place| &items[*place]).collect();
    match destination.send(&sent).await {
        Ok(Said::Taken) => Ok(Answered::Taken),
        Ok(Said::Refused { reason, answer, has_some, may_be_us }) => {
            let trouble = Trouble::new(format!("it takes nobody: {reason}"));
            let refused = Outcome::Refused { reason, answer };
            Ok(Answered::Not(Some(No { trouble, refused, has_some, may_be_us, is_failure: false })))
        }
        Err(trouble) if trouble.blames_content(failing_for) => {
            let refused = Outcome::Refused { reason: trouble.message.clone(), answer: String::new() };
            Ok(Answered::Not(Some(No { trouble, refused, has_some: false, may_be_us: false, is_failure: true })))
        }
        Err(trouble) => Err(trouble),
    }
}

#[cfg(test)]
mod tests;
