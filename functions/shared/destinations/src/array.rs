//! Destinations that answer for many customers at once: which of them they do not take.
//!
//! ```text
//!   send all ---- taken ---> done
//!       | refused, as a whole
//!       v
//!   send the witness -- refused too --> the destination is in trouble: nobody is to blame
//!       | taken, or there is none
//!       v
//!   send both halves, then theirs, and so on, until those that are refused stand alone
//!       |
//!       v
//!   was anybody taken? yes: those that stand alone are to blame. no, of several lists: the destination is in trouble
//! ```
//!
//! A destination that fails instead of refusing, again and again, is sent fewer and fewer customers. If it fails at one
//! alone, and takes the witness, that one is to blame too.
//!
//! Everything that is sent may be sent again: it says what a customer is like, by an id that the destination finds it
//! by.

use std::collections::VecDeque;

use crate::{Context, Delivered, NO_ACCIDENT, Outcome, Outgoing, Trouble};

/// How many lists are tried if the destination takes none: it may count wrong passwords.
const MOST_REFUSED: usize = 12;
/// The same, if it fails instead of refusing: each may take as long as a request is waited for.
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
        let (mut items, mut places) = (Vec::new(), Vec::new());
        for (place, change) in changes.iter().enumerate() {
            match self.0.item(change) {
                Ok(item) => {
                    items.push(item);
                    places.push(place);
                }
                Err(outcome) => outcomes[place] = Some(outcome),
            }
        }
        let witness = context.witness.and_then(|witness| self.0.item(witness).ok());
        let mut sorting = Sorting {
            destination: &self.0,
            items: &items,
            witness,
            attempts: context.attempts,
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

/// Finds out who is refused.
struct Sorting<'a, D: TakesLists> {
    destination: &'a D,
    items: &'a [D::Item],
    witness: Option<D::Item>,
    attempts: u32,
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
            let sent: Vec<&D::Item> = part.iter().map(|place| &self.items[*place]).collect();
            let (trouble, reason, answer) = match self.destination.send(&sent).await {
                Ok(Said::Taken) => {
                    self.works = true;
                    self.taken.extend(part);
                    continue;
                }
                Ok(Said::Refused { reason, answer, has_some }) => {
                    self.works |= has_some;
                    refused += 1;
                    (Trouble::new(format!("it takes nobody: {reason}")), reason, answer)
                }
                Err(trouble) if self.attempts >= NO_ACCIDENT && trouble.may_be_of_content => {
                    failed += 1;
                    (trouble.clone(), trouble.message, String::new())
                }
                Err(trouble) if trouble.is_out_of_time && !self.works => return Err(last.unwrap_or(trouble)),
                Err(trouble) => return Err(trouble),
            };
            self.ask_the_witness(&trouble).await?;
            if !self.works && (refused == MOST_REFUSED || failed == MOST_FAILED) {
                return Err(trouble);
            }
            last = Some(trouble);
            if part.len() > 1 {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([first.to_vec(), second.to_vec()]);
                continue;
            }
            let outcome = |item| (item, Outcome::Refused { reason: reason.clone(), answer: answer.clone() });
            self.alone.extend(part.into_iter().map(outcome));
        }
        last.filter(|_| !self.works).map_or(Ok(()), Err)
    }

    /// Fails with `trouble` if the destination does not take a customer that it took before.
    async fn ask_the_witness(&mut self, trouble: &Trouble) -> Result<(), Trouble> {
        if self.works {
            return Ok(());
        }
        let Some(witness) = self.witness.take() else { return Ok(()) };
        match self.destination.send(&[&witness]).await? {
            Said::Taken | Said::Refused { has_some: true, .. } => {
                self.works = true;
                Ok(())
            }
            Said::Refused { .. } => Err(trouble.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
