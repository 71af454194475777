//! The records that a listing saw last.

use serde::{Deserialize, Serialize};

use super::page::{ListedPage, ListedRecord};
use crate::ContentHash;

/// How many records are remembered: some 30 bytes each, in the item of the batch.
pub(super) const MOST_REMEMBERED: usize = 64;
/// So many known records in a row prove a place even after unknown ones: a page that had to step back may begin before
/// all that is remembered.
const PROVING_RUN: usize = 3;

/// A record as it is remembered: fingerprints of its id, its date and its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered(u64, u32, u64);

impl Remembered {
    fn of(record: &ListedRecord) -> Self {
        // An undated record is unmoved only if its content is the same.
        let date = match record.date {
            Some(date) => short(&ContentHash::of(&date.to_string())),
            None => short(&record.content),
        };
        let date = u32::try_from(date >> 21).unwrap_or_default();
        Self(short(&ContentHash::of(&record.source_id)), date, short(&record.content))
    }

    fn is_unmoved(self, other: Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

/// The first 53 bits: what every JSON parser keeps exactly.
fn short(hash: &ContentHash) -> u64 {
    hash.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)) >> 11
}

/// The records that were listed last, in the list's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Memory(Vec<Remembered>);

/// Where a page joins the remembered records: indices of the first and the last record that stand on it unmoved.
pub(super) struct Seam {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) remembered_first: usize,
    pub(super) remembered_last: usize,
}

impl Memory {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn holds_the_same(&self, record: &ListedRecord) -> bool {
        self.0.contains(&Remembered::of(record))
    }

    pub(super) fn holds_unmoved(&self, record: &ListedRecord) -> bool {
        let sought = Remembered::of(record);
        self.0.iter().any(|known| known.is_unmoved(sought))
    }

    /// Where a page joins. `None` if no record on it is unmoved, if unknown records stand before or between the unmoved
    /// ones, or if these are in another order. A record that was changed just now does not count as unknown: it came in
    /// meanwhile. The last `unproven` remembered records prove nothing by themselves.
    pub(super) fn seam(&self, page: ListedPage<'_>, back: u64, unproven: usize) -> Option<Seam> {
        let mut seam: Option<Seam> = None;
        let mut strangers = 0;
        let mut strangers_before = 0;
        let mut run = 0;
        for (index, record) in page.records.iter().enumerate() {
            let sought = Remembered::of(record);
            let Some(place) = self.0.iter().position(|known| known.0 == sought.0) else {
                let is_settled = record.updated.is_none_or(|updated| updated < page.settled_before);
                strangers += usize::from(is_settled);
                continue;
            };
            if !self.0[place].is_unmoved(sought) {
                continue;
            }
            run += 1;
            match &mut seam {
                None => {
                    strangers_before = strangers;
                    seam = Some(Seam { first: index, last: index, remembered_first: place, remembered_last: place });
                }
                Some(seam) => {
                    if strangers > strangers_before || place < seam.remembered_last {
                        return None;
                    }
                    seam.last = index;
                    seam.remembered_last = place;
                }
            }
        }
        let may_begin_earlier = back > (MOST_REMEMBERED / 4) as u64 && run >= PROVING_RUN;
        let proven = self.0.len().saturating_sub(unproven);
        seam.filter(|seam| seam.remembered_first < proven && (strangers_before == 0 || may_begin_earlier))
    }

    /// Replaces the records from this index on.
    pub(super) fn replace_from(&mut self, index: usize, records: &[ListedRecord]) {
        self.0.truncate(index);
        self.append(records);
    }

    /// Adds the next records. Returns how many of them were remembered.
    pub(super) fn append(&mut self, records: &[ListedRecord]) -> usize {
        let from = records.len().saturating_sub(MOST_REMEMBERED);
        let mut added = 0;
        for record in &records[from..] {
            let next = Remembered::of(record);
            // A record that is listed again stands at its last place.
            self.0.retain(|known| known.0 != next.0);
            self.0.push(next);
            added += 1;
        }
        let surplus = self.0.len().saturating_sub(MOST_REMEMBERED);
        self.0.drain(..surplus);
        added.min(self.0.len())
    }

    pub(super) fn forget_last(&mut self, count: usize) {
        self.0.truncate(self.0.len().saturating_sub(count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undated_record_is_unmoved_only_where_it_says_the_same() {
        let record = |content: &str| ListedRecord {
            source_id: "1".into(),
            date: None,
            updated: None,
            content: ContentHash::of(content),
        };
        let mut memory = Memory::default();
        memory.append(&[record("a")]);
        assert!(memory.holds_unmoved(&record("a")));
        assert!(!memory.holds_unmoved(&record("b")));
    }
}
