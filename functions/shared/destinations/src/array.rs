//! Destinations that answer for many customers at once: which of them they do not take.
//!
//! ```text
//!   send all ---- taken ---> done
//!       | refused, as a whole
//!       v
//!   send the witness -- refused too --> the destination is in trouble: nobody is to blame
//!       | taken, or there is none
//!       v
//!   send the first half, the second half, and so on, until those that are refused stand alone
//!       |
//!       v
//!   was anybody taken? yes: those that stand alone are to blame. no: the destination is in trouble
//! ```
//!
//! Everything that is sent may be sent again: it says what a customer is like, by an id that the destination finds it
//! by.

use crate::{Delivered, Outcome, Outgoing, Trouble};

/// How many customers are tried alone if the destination takes nobody.
const MOST_ALONE: usize = 10;

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

    pub(crate) async fn deliver(&self, changes: &[Outgoing], witness: Option<&Outgoing>) -> Delivered {
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
        let witness = witness.and_then(|witness| self.0.item(witness).ok());
        let mut sorting = Sorting {
            destination: &self.0,
            items: &items,
            witness,
            works: false,
            alone: Vec::new(),
            taken: Vec::new(),
        };
        let trouble = sorting.run().await.err();
        for item in sorting.taken {
            outcomes[places[item]] = Some(Outcome::Taken);
        }
        if trouble.is_none() {
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
    /// Whether the destination has taken anybody.
    works: bool,
    /// Those that are refused alone.
    alone: Vec<(usize, Outcome)>,
    taken: Vec<usize>,
}

impl<D: TakesLists> Sorting<'_, D> {
    async fn run(&mut self) -> Result<(), Trouble> {
        // The last part is sent first: they are pushed in the opposite order.
        let mut parts = self.destination.parts(self.items);
        parts.reverse();
        while let Some(part) = parts.pop() {
            let sent: Vec<&D::Item> = part.iter().map(|place| &self.items[*place]).collect();
            let (reason, answer) = match self.destination.send(&sent).await? {
                Said::Taken => {
                    self.works = true;
                    self.taken.extend(part);
                    continue;
                }
                Said::Refused { reason, answer, has_some } => {
                    self.works |= has_some;
                    (reason, answer)
                }
            };
            self.ask_the_witness(&reason).await?;
            if part.len() > 1 {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second.to_vec(), first.to_vec()]);
                continue;
            }
            self.alone.extend(
                part.into_iter()
                    .map(|item| (item, Outcome::Refused { reason: reason.clone(), answer: answer.clone() })),
            );
            if !self.works && self.alone.len() == MOST_ALONE {
                break;
            }
        }
        match self.alone.first() {
            Some((_, Outcome::Refused { reason, .. })) if !self.works => Err(refuses_everybody(reason)),
            _ => Ok(()),
        }
    }

    /// Whether the destination takes a customer that it took before.
    async fn ask_the_witness(&mut self, reason: &str) -> Result<(), Trouble> {
        if self.works {
            return Ok(());
        }
        let Some(witness) = self.witness.take() else { return Ok(()) };
        match self.destination.send(&[&witness]).await? {
            Said::Taken => self.works = true,
            Said::Refused { has_some: true, .. } => self.works = true,
            Said::Refused { .. } => return Err(refuses_everybody(reason)),
        }
        Ok(())
    }
}

fn refuses_everybody(reason: &str) -> Trouble {
    Trouble::new(format!("it takes nobody: {reason}"))
}

#[cfg(test)]
mod tests;
