//! Where a queue's answer ended: what a later answer holds behind it was told since.
//!
//! A queue that is not purged answers with all that it holds, and a batch may take hours. What is told meanwhile stands
//! at the end of the answer, as far as is known: a source appends a customer, or moves it there. That is no more than a
//! hint, because no document promises an order. If it does not hold, changes wait for the next batch, and nothing is
//! lost.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::QueuedCustomer;

/// How many of the last ids are remembered. A source may have moved some of them since, but hardly all.
const REMEMBERED: usize = 32;

/// The end of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueEnd {
    /// Its queue number, which grows by one at least with each entry.
    number: String,
    /// Its last ids, in their order.
    ids: VecDeque<String>,
}

impl QueueEnd {
    /// The end of an answer with these customers; `None` if it has none.
    pub fn of(number: &str, customers: &[QueuedCustomer]) -> Option<Self> {
        let first = customers.len().saturating_sub(REMEMBERED);
        let ids: VecDeque<String> = customers[first..].iter().map(|customer| customer.source_id.clone()).collect();
        (!ids.is_empty()).then(|| Self { number: number.to_owned(), ids })
    }
}

/// Reads a later answer of the same queue, customer by customer, for what stands behind an end.
#[derive(Debug)]
pub struct QueueTail {
    end: QueueEnd,
    most: usize,
    /// Whether one of the last ids came by: from there on customers may be new.
    has_begun: bool,
    /// The place among the last ids of the customer that came last, if it is one of them.
    came_last: Option<usize>,
    /// Whether two of them came by as they stood: that is the end.
    is_found: bool,
    told: Vec<QueuedCustomer>,
    /// How many customers came behind `most` new ones.
    left: u64,
    /// The last ids up to and with the last one of `told`.
    last: VecDeque<String>,
}

impl QueueTail {
    /// Looks for up to `most` customers behind `end`.
    pub fn new(end: QueueEnd, most: usize) -> Self {
        Self {
            end,
            most,
            has_begun: false,
            came_last: None,
            is_found: false,
            told: Vec::new(),
            left: 0,
            last: VecDeque::new(),
        }
    }

    /// Takes the next customer of the answer.
    pub fn take(&mut self, customer: QueuedCustomer) {
        let place = self.end.ids.iter().position(|id| *id == customer.source_id);
        let is_known = place.is_some();
        self.has_begun |= is_known;
        let before = std::mem::replace(&mut self.came_last, place);
        // What came before the end stood before it. Two that were told again may stand so once more, behind it.
        if !self.is_found && before.zip(place).is_some_and(|(before, place)| place == before + 1) {
            self.is_found = true;
            (self.left, self.told) = (0, Vec::new());
        }
        if self.told.len() == self.most {
            self.left += 1;
            return;
        }
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(customer.source_id.clone());
        // The last ids stand there as they did, but for those that were told again: they stand behind others.
        if self.has_begun && (!is_known || !self.told.is_empty()) {
            self.told.push(customer);
        }
    }

    /// What was told since, and the end up to which it was; `None` if the answer, which has this queue number, does not
    /// show it: because nothing was told, or because its order is another one.
    pub fn end(self, number: Option<&str>) -> Option<(Vec<QueuedCustomer>, QueueEnd)> {
        let number = number?;
        let grown = number.parse::<u128>().ok()?.checked_sub(self.end.number.parse().ok()?)?;
        // A customer that is told once may stand there several times, with a reason each.
        let ids: BTreeSet<&String> = self.told.iter().map(|customer| &customer.source_id).collect();
        if self.told.is_empty() || ids.len() as u128 > grown {
            return None;
        }
        // The rest is looked for by the number from which it was told.
        let number = if self.left == 0 { number.to_owned() } else { self.end.number };
        Some((self.told, QueueEnd { number, ids: self.last }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(ids: impl IntoIterator<Item = u64>) -> Vec<QueuedCustomer> {
        ids.into_iter().map(|id| QueuedCustomer { source_id: id.to_string(), deleted: false }).collect()
    }

    fn behind(
        end: &QueueEnd,
        most: usize,
        number: u64,
        ids: impl IntoIterator<Item = u64>,
    ) -> Option<(Vec<u64>, QueueEnd)> {
        let mut tail = QueueTail::new(end.clone(), most);
        queue(ids).into_iter().for_each(|customer| tail.take(customer));
        let (told, end) = tail.end(Some(&number.to_string()))?;
        Some((told.iter().map(|customer| customer.source_id.parse().unwrap()).collect(), end))
    }

    fn told(end: &QueueEnd, number: u64, ids: impl IntoIterator<Item = u64>) -> Option<Vec<u64>> {
        behind(end, 1_000, number, ids).map(|(told, _)| told)
    }

    #[test]
    fn what_is_appended_was_told_since() {
        let end = QueueEnd::of("100", &queue(1..=100)).unwrap();
        assert_eq!(told(&end, 100, 1..=100), None);
        assert_eq!(told(&end, 102, (1..=100).chain([101, 7])), Some(vec![101, 7]));
    }

    #[test]
    fn what_was_moved_to_the_end_was_told_since() {
        let end = QueueEnd::of("100", &queue(1..=100)).unwrap();
        let moved = (1..=100).filter(|id| ![7, 90, 100].contains(id)).chain([7, 100, 90]);
        assert_eq!(told(&end, 103, moved), Some(vec![7, 100, 90]));
    }

    #[test]
    fn each_look_goes_on_where_the_last_one_ended() {
        let end = QueueEnd::of("100", &queue(1..=100)).unwrap();
        let (first, end) = behind(&end, 2, 105, 1..=105).unwrap();
        let (second, end) = behind(&end, 2, 106, 1..=106).unwrap();
        let (third, end) = behind(&end, 1_000, 107, 1..=107).unwrap();
        assert_eq!((first, second, third), (vec![101, 102], vec![103, 104], vec![105, 106, 107]));
        assert_eq!(told(&end, 107, 1..=107), None);
    }

    #[test]
    fn a_customer_that_stands_there_several_times_was_told_once() {
        let end = QueueEnd::of("100", &queue(1..=100)).unwrap();
        assert_eq!(told(&end, 101, (1..=100).chain([101, 101])), Some(vec![101, 101]));
    }

    #[test]
    fn the_last_ones_may_be_told_again_in_their_order() {
        let end = QueueEnd::of("100", &queue(1..=100)).unwrap();
        assert_eq!(told(&end, 103, (1..=98).filter(|id| *id != 7).chain([7, 99, 100])), Some(vec![7, 99, 100]));
    }

    #[test]
    fn one_of_the_last_that_stood_further_ahead_too_is_no_end() {
        let end = QueueEnd::of("101", &queue([90].into_iter().chain(1..=100))).unwrap();
        assert_eq!(told(&end, 102, [90].into_iter().chain(1..=100).chain([7])), Some(vec![7]));
    }

    #[test]
    fn an_answer_in_another_order_tells_nothing() {
        let end = QueueEnd::of("100", &queue(1..=100)).unwrap();
        assert_eq!(told(&end, 103, (1..=103).rev()), None);
    }

    #[test]
    fn a_queue_that_was_built_anew_tells_nothing() {
        let end = QueueEnd::of("100", &queue(1..=100)).unwrap();
        assert_eq!(told(&end, 50, 95..=150), None, "its numbers began again");
        assert_eq!(told(&end, 300, 201..=300), None, "it holds others");
        assert_eq!(told(&end, 300, []), None);
        assert_eq!(QueueTail::new(end, 10).end(None), None);
        assert_eq!(QueueEnd::of("100", &[]), None);
    }
}
