//! Destinations that answer for many customers at once: which of them they do not take.
//!
//! ```text
//!   send all ---- taken ---> done
//!       | refused, as a whole
//!       v
//!   send the witnesses, one by one -- none is taken --> the destination is in trouble: nobody is to blame
//!       | one is taken, or there are none
//!       v
//!   send both halves, then theirs, and so on, until those that are refused stand alone
//!       |
//!       v
//!   was anybody taken? yes: those that stand alone are to blame. no, of several lists: the destination is in trouble
//! ```
//!
//! A destination that fails instead of refusing, again and again, is treated as if it refused. One that stands alone is
//! sent once more before it is blamed, and after it one that was taken.
//!
//! **Which half first.** Until somebody is taken, both halves before their halves: that shows soonest if anybody is.
//! From then on the front before all others: if time runs out, those that are known are the first ones, and the next
//! delivery goes on after them.
//!
//! Everything that is sent may be sent again: it says what a customer is like, by an id that the destination finds it
//! by.

use std::collections::VecDeque;

use crate::{Context, Delivered, NO_ACCIDENT, Outcome, Outgoing, Trouble};

/// How many lists are tried if the destination takes none: it may count wrong passwords.
const MOST_REFUSED: usize = 12;
/// The same, if it fails instead of refusing, for each may take as long as a request is waited for; or if it refuses
/// what it took before, too.
const MOST_FAILED: usize = 4;

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
    },
}

/// A destination that takes lists.
pub(crate) trait TakesLists {
    /// A customer as this destination is told it.
    type Item;

    /// A change as it is sent.
    ///
    /// # Errors
    /// What becomes of it if it is not.
    fn item(&self, change: &Outgoing) -> Result<Self::Item, Outcome>;

    /// In which parts some items have to be sent, as their places.
    fn parts(&self, items: &[Self::Item]) -> Vec<Vec<usize>>;

    /// Sends some of the items.
    ///
    /// # Errors
    /// If it does not say what became of them.
    async fn send(&self, items: &[&Self::Item]) -> Result<Said, Trouble>;
}

/// Deliveries to one of them.
pub(crate) struct Arrays<D>(D);

impl<D: TakesLists> Arrays<D> {
    pub(crate) fn new(destination: D) -> Self {
        Self(destination)
    }

    pub(crate) async fn deliver(&self, changes: &[Outgoing], context: Context<'_>) -> Delivered {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; changes.len()];
        let (mut items, mut places, mut lives) = (Vec::new(), Vec::new(), Vec::new());
        for (place, change) in changes.iter().enumerate() {
            match self.0.item(change) {
                Ok(item) => {
                    items.push(item);
                    places.push(place);
                    lives.push(!change.is_deletion());
                }
                Err(outcome) => outcomes[place] = Some(outcome),
            }
        }
        let witnesses = context.witnesses.iter().filter_map(|witness| self.0.item(witness).ok()).collect();
        let mut sorting = Sorting {
            destination: &self.0,
            items: &items,
            lives: &lives,
            witnesses,
            attempts: context.attempts,
            most_blamed: context.most_blamed,
            known: None,
            most_refused: MOST_REFUSED,
            works: false,
            alone: Vec::new(),
            taken: Vec::new(),
        };
        let trouble = sorting.run().await.err();
        for item in sorting.taken {
            outcomes[places[item]] = Some(Outcome::Taken);
        }
        // If it takes nobody, nobody is to blame.
        if trouble.is_none() || sorting.works {
            for (item, outcome) in sorting.alone {
                outcomes[places[item]] = Some(outcome);
            }
        }
        Delivered { outcomes, trouble }
    }
}

/// What a destination did with a list that it does not take.
struct No {
    /// If the destination is to blame.
    trouble: Trouble,
    /// If the only customer in it is.
    refused: Outcome,
    /// Whether it has some of them all the same.
    has_some: bool,
    /// Whether it failed, instead of refusing.
    is_failure: bool,
}

/// Finds out who is refused.
struct Sorting<'a, D: TakesLists> {
    destination: &'a D,
    items: &'a [D::Item],
    /// Whether each of them is no deletion.
    lives: &'a [bool],
    /// Those that were not asked yet.
    witnesses: Vec<D::Item>,
    attempts: u32,
    /// How many are blamed at most while none of the items is taken.
    most_blamed: usize,
    /// The one that it took now.
    known: Option<D::Item>,
    /// How many lists are tried if it refuses all of them.
    most_refused: usize,
    /// Whether the destination has taken anybody.
    works: bool,
    /// Those that are refused alone.
    alone: Vec<(usize, Outcome)>,
    taken: Vec<usize>,
}

impl<D: TakesLists> Sorting<'_, D> {
    async fn run(&mut self) -> Result<(), Trouble> {
        let mut parts: VecDeque<Vec<usize>> = self.destination.parts(self.items).into();
        let (mut refused, mut failed) = (0, 0);
        let mut last: Option<Trouble> = None;
        while let Some(part) = parts.pop_front() {
            let no = match self.say(&part).await {
                Ok(None) => {
                    self.takes(&part, &mut parts);
                    continue;
                }
                Ok(Some(no)) => no,
                Err(trouble) if trouble.is_out_of_time && !self.works => return Err(last.unwrap_or(trouble)),
                Err(trouble) => return Err(trouble),
            };
            if no.has_some || self.ask_the_witnesses(&no.trouble).await? {
                self.finds_it_working(&mut parts);
            }
            if no.is_failure {
                failed += 1;
            } else {
                refused += 1;
            }
            // Each failure may take as long as a request is waited for.
            let most_failed = if self.works { MOST_REFUSED } else { MOST_FAILED };
            if !self.works && refused == self.most_refused || self.taken.is_empty() && failed == most_failed {
                return Err(no.trouble);
            }
            last = Some(no.trouble.clone());
            if part.len() > 1 {
                let (first, second) = part.split_at(part.len() / 2);
                if !self.taken.is_empty() {
                    parts.push_front(second.to_vec());
                    parts.push_front(first.to_vec());
                } else {
                    parts.extend([first.to_vec(), second.to_vec()]);
                }
                continue;
            }
            self.judge(part, no, &mut parts).await?;
        }
        last.filter(|_| !self.works).map_or(Ok(()), Err)
    }

    /// Sends some of the items; `None` if all of them are taken.
    async fn say(&self, part: &[usize]) -> Result<Option<No>, Trouble> {
        let sent: Vec<&D::Item> = part.iter().map(|place| &self.items[*place]).collect();
        match self.destination.send(&sent).await {
            Ok(Said::Taken) => Ok(None),
            Ok(Said::Refused { reason, answer, has_some }) => {
                let trouble = Trouble::new(format!("it takes nobody: {reason}")).of_content();
                Ok(Some(No { trouble, refused: Outcome::Refused { reason, answer }, has_some, is_failure: false }))
            }
            Err(trouble) if trouble.blames_content(self.attempts) => {
                let refused = Outcome::Refused { reason: trouble.message.clone(), answer: String::new() };
                Ok(Some(No { trouble, refused, has_some: false, is_failure: true }))
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// One that stands alone is to blame. If the destination works, it is sent once more, and after it one that was
    /// taken: it may have been an accident, or the destination be down by now, or let us in no more.
    async fn judge(&mut self, part: Vec<usize>, mut no: No, parts: &mut VecDeque<Vec<usize>>) -> Result<(), Trouble> {
        if self.works {
            match self.say(&part).await? {
                None => {
                    self.takes(&part, parts);
                    return Ok(());
                }
                Some(again) => no = again,
            }
        }
        // A deletion is not to be sent twice: so it comes last.
        let known = self.known.as_ref().or(self.witnesses.first());
        let taken = self.taken.iter().max_by_key(|place| self.lives[**place]);
        let known = known.or(taken.map(|place| &self.items[*place]));
        if let Some(known) = known
            && !matches!(self.destination.send(&[known]).await?, Said::Taken)
        {
            return Err(no.trouble);
        }
        // One that takes what it knows may take nothing that is new.
        if self.works && self.taken.is_empty() && self.alone.len() >= self.most_blamed {
            return Err(no.trouble);
        }
        self.alone.extend(part.into_iter().map(|item| (item, no.refused.clone())));
        Ok(())
    }

    /// The destination has taken some: from now on the first ones come first.
    fn takes(&mut self, part: &[usize], parts: &mut VecDeque<Vec<usize>>) {
        self.finds_it_working(parts);
        if self.taken.is_empty() {
            parts.make_contiguous().sort_by_key(|part| part.first().copied());
        }
        self.taken.extend(part);
    }

    /// The destination works. Those that stood alone before are sent once more, for it may not have worked yet.
    fn finds_it_working(&mut self, parts: &mut VecDeque<Vec<usize>>) {
        if !self.works {
            parts.extend(self.alone.drain(..).map(|(item, _)| vec![item]));
        }
        self.works = true;
    }

    /// Whether the destination takes a customer that it took before. Fails with `trouble` if it takes none of them, and
    /// this is not one of many attempts: then it may be that it wants something that they do not have.
    async fn ask_the_witnesses(&mut self, trouble: &Trouble) -> Result<bool, Trouble> {
        if self.works || self.witnesses.is_empty() {
            return Ok(false);
        }
        for witness in std::mem::take(&mut self.witnesses) {
            match self.destination.send(&[&witness]).await {
                Ok(Said::Taken | Said::Refused { has_some: true, .. }) => {
                    self.known = Some(witness);
                    return Ok(true);
                }
                Ok(Said::Refused { .. }) => {}
                // Another one is asked at the next attempt.
                Err(trouble) if trouble.blames_content(self.attempts) => break,
                Err(trouble) => return Err(trouble),
            }
        }
        self.most_refused = MOST_FAILED;
        if self.attempts < NO_ACCIDENT { Err(trouble.clone()) } else { Ok(false) }
    }
}

#[cfg(test)]
mod tests;
