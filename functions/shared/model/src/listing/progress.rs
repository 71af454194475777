//! How far a list was read, page by page, and what proves that no record was passed over.

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use super::memory::{MOST_REMEMBERED, Memory, Seam};
use super::page::{ListedPage, ListedRecord};
use crate::PlantedFault;

/// An older release asks for `pages x 100`.
const PLACES_OF_AN_OLDER_PAGE: u64 = 100;
/// A page begins at most so many records before the end of what was read, unless it has to step back.
const LONGEST_OVERLAP: u64 = 10;
/// Steps back in a row, before the list is read again from its beginning.
const MOST_STEPS: u32 = 64;
/// How often the list is read again from its beginning, before it is given up.
const MOST_RESTARTS: u32 = 3;
/// A list that ends with recent changes and is shorter than this is not suspected of having been cut: the next one
/// finds the rest.
const SHORTEST_CUT: u64 = 20;
/// So many dates, each later than the one before, are in order because the list is ordered by them, and not by chance.
const FEWEST_DATES: u32 = 8;
/// How many pages in a row may equal the one before although they begin elsewhere: once may be chance.
const MOST_REPEATED: u32 = 3;

/// What the next page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// From this date on, as the source writes it; `None`: from the listing's cursor.
    pub from: Option<DateTime>,
    /// From this place of that list on.
    pub start: u64,
}

/// How a listing goes on after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListingState {
    /// With another page.
    Continues,
    /// It is over: every record on the list was seen, but for those that were changed meanwhile.
    Ended,
    /// It can't be brought to an end; why.
    Broken(&'static str),
}

/// How far a list was read.
///
/// A list is read by places while it changes: a record that is edited or removed leaves its place, and all behind it
/// move up, one of them perhaps onto a page that was already read. So pages **overlap**, and each one proves its
/// **seam**: a record that was listed before stands on it unmoved, with its id and its date, and no unknown record
/// stands before that one. Then every record behind it is on this page or a later one. If the seam does not fit, the
/// next page begins further back. Places count what pages held, whatever their size.
///
/// The **end** is proven as well: a list in the order of its dates is asked for once more, from the newest date that
/// was listed. A record that comes then, and is not a recent change, shows that the source ends its lists early; it is
/// read on from there. If none comes, and this list is shorter than one before, no record was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListingProgress {
    /// How many pages were asked for.
    requests: u32,
    /// How many of them brought the reading forward, up to the first end of the list.
    listed_pages: u32,
    /// From which date the list is asked; `None`: from the listing's cursor.
    from: Option<DateTime>,
    /// How many records of that date the list before this one ended with; `None` from the listing's cursor.
    #[serde(rename = "told_of_from")]
    listed_of_from: Option<u64>,
    /// The place behind what was read when the list first came to its end.
    first_end: u64,
    /// The place behind what was read.
    position: u64,
    /// The next page begins so many places before that.
    back: u64,
    /// Where the last page began; `None` before the first from this date on.
    last_start: Option<u64>,
    /// How many pages in a row, from different places, equalled the one before.
    repeated: u32,
    memory: Memory,
    /// So many of the last remembered records stand on a page that overlapped with none.
    unproven: usize,
    /// The date of the last record; `None` before the first.
    last_date: Option<DateTime>,
    last_updated: Option<Timestamp>,
    /// The place of the first record of that date.
    date_from: u64,
    /// How many dates were listed that are later than all before.
    dates: u32,
    /// The id of the last record; `None` before the first.
    last_id: Option<String>,
    /// Whether ids were out of order anywhere, compared as texts.
    is_unordered_by_text: bool,
    /// The same, compared as numbers.
    is_unordered_by_number: bool,
    /// Whether the dates were out of order anywhere.
    is_unordered: bool,
    /// Whether the source said that nothing comes after what was read.
    at_end: bool,
    /// Whether the source ended its list although there were more.
    was_cut: bool,
    /// How many records the longest list had, of those that came to an end.
    longest_list: u64,
    is_end_proven: bool,
    /// Whether the last page, from right behind what was read, was empty.
    is_empty_beyond: bool,
    steps: u32,
    restarts: u32,
    /// Whether the rest of the list comes with the next batch.
    is_paused: bool,
}

impl ListingProgress {
    /// What to ask for next.
    pub fn question(&self) -> PageRequest {
        PageRequest { from: self.from, start: self.position.saturating_sub(self.back) }
    }

    /// How many pages were asked for.
    pub fn requests(&self) -> u32 {
        self.requests
    }

    /// How many pages came on, up to the first end of the list.
    pub fn listed_pages(&self) -> u32 {
        self.listed_pages
    }

    /// The number of pages that an older release is given: it continues at a place before which every record was
    /// listed.
    pub fn older_pages(&self) -> u32 {
        let position = if self.is_first() { self.position } else { self.first_end };
        u32::try_from(position / PLACES_OF_AN_OLDER_PAGE).unwrap_or(u32::MAX)
    }

    /// Whether the source ended its list although there were more. Such a list does not prove that a record is missing.
    pub fn was_cut(&self) -> bool {
        self.was_cut
    }

    /// Whether the end that the list came to is proven. That of a list in another order than its dates' is not, for
    /// what comes after its last record can't be asked for; nor is that of a long list with few dates, or in which ids
    /// are in order as well.
    pub fn is_end_proven(&self) -> bool {
        self.is_end_proven
    }

    /// Whether this is still the first reading of the list: it was neither proven nor read on from a date.
    pub fn is_first(&self) -> bool {
        self.from.is_none()
    }

    /// Whether the last page fitted what was read before it.
    pub fn fits(&self) -> bool {
        self.steps == 0 && self.unproven == 0
    }

    /// Whether dates came in order so far, and every seam fitted: then every record with an older date than the last
    /// one was listed.
    pub(super) fn is_in_order(&self) -> bool {
        !self.is_unordered && self.fits()
    }

    /// The rest of the list comes with the next batch.
    pub(super) fn pause(&mut self) {
        self.is_paused = true;
    }

    /// Whether the rest of the list comes with the next batch.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Another reading of the same list, from its beginning.
    pub(super) fn again(&self) -> Self {
        Self { was_cut: self.was_cut, ..Self::default() }
    }

    /// The instant of the last date.
    pub(super) fn last_updated(&self) -> Option<Timestamp> {
        self.last_updated
    }

    /// Whether a record differs from what was listed a moment ago.
    pub fn is_new_to(&self, record: &ListedRecord) -> bool {
        !self.memory.holds_the_same(record)
    }

    /// Takes a page that answers [`question`](Self::question).
    pub fn take(&mut self, page: ListedPage<'_>, repeats: bool) -> ListingState {
        let start = self.question().start;
        let length = page.records.len() as u64;
        if PlantedFault::TrustsPlaces.is_planted() {
            (self.requests, self.listed_pages) = (self.requests + 1, self.listed_pages + 1);
            (self.position, self.back) = (start + length, 0);
            return if page.more { ListingState::Continues } else { ListingState::Ended };
        }
        let has_moved = self.last_start.is_some_and(|last| last != start);
        self.last_start = Some(start);
        self.requests += 1;
        self.repeated = if repeats && has_moved && length > 1 { self.repeated + 1 } else { 0 };
        if self.repeated >= MOST_REPEATED {
            return ListingState::Broken(
                "the source sends the same page again and again, whatever place it is asked for",
            );
        }
        let seam = self.memory.seam(page, self.back, self.unproven);
        if seam.as_ref().is_some_and(|seam| self.proves_the_unproven(page, seam)) {
            self.unproven = 0;
            self.steps = 0;
            self.back = 0;
            return if self.at_end { self.end(page) } else { ListingState::Continues };
        }
        if start == 0 {
            return self.take_beginning(page);
        }
        let Some(seam) = seam else {
            return if self.back == 0 { self.take_beyond(page) } else { self.step_back(length) };
        };
        let comes_to_the_last = seam.remembered_last + 1 == self.memory.len() - self.unproven;
        let is_new = seam.last + 1 < page.records.len() || self.unproven > 0 || !comes_to_the_last;
        self.note_cut(page, &page.records[seam.last + 1..]);
        self.note_dates(&page.records[seam.first..], start + seam.first as u64);
        self.memory.replace_from(seam.remembered_first, &page.records[seam.first..]);
        self.unproven = 0;
        self.position = start + length;
        self.come_on(page, is_new)
    }

    /// Whether a page ends with the very record before the unproven ones: it is still at its place, so no record came
    /// between it and them.
    fn proves_the_unproven(&self, page: ListedPage<'_>, seam: &Seam) -> bool {
        let is_last = seam.last + 1 == page.records.len();
        self.unproven > 0 && is_last && seam.remembered_last + 1 + self.unproven == self.memory.len()
    }

    /// The page holds the list from its beginning: no record can be missing before it.
    fn take_beginning(&mut self, page: ListedPage<'_>) -> ListingState {
        let had = self.position > 0;
        if page.records.is_empty() && had {
            if self.is_first() {
                return ListingState::Broken("the source listed contacts, and then none at all");
            }
            // The records with the newest date are gone, or the list is: nothing is proven.
            self.was_cut = true;
            return ListingState::Ended;
        }
        if had && self.steps > 0 {
            self.restarts += 1;
            if self.restarts > MOST_RESTARTS {
                return ListingState::Broken(
                    "the source's list changes its order from page to page: which contacts are on it can't be proven",
                );
            }
            // What stood before no longer fits: dates are compared anew.
            self.last_date = self.from;
            self.dates = 0;
            self.last_id = None;
        }
        let is_new = !had || page.records.iter().any(|record| !self.memory.holds_unmoved(record));
        self.note_cut(page, page.records);
        self.note_dates(page.records, 0);
        self.memory.replace_from(0, page.records);
        self.unproven = 0;
        self.position = page.records.len() as u64;
        self.come_on(page, is_new)
    }

    /// The page begins right behind what was read, and overlaps with nothing.
    fn take_beyond(&mut self, page: ListedPage<'_>) -> ListingState {
        if page.records.is_empty() {
            self.is_empty_beyond = true;
            self.back = 1;
            return ListingState::Continues;
        }
        // No more than can be remembered beside the one before them; the others are read again.
        let taken = &page.records[..page.records.len().min(MOST_REMEMBERED / 2)];
        self.note_cut(page, taken);
        self.note_dates(taken, self.position);
        self.unproven = self.memory.append(taken);
        self.at_end = !page.more && taken.len() == page.records.len();
        self.position += taken.len() as u64;
        self.back = taken.len() as u64 + 1;
        ListingState::Continues
    }

    /// The page fits what was read.
    fn come_on(&mut self, page: ListedPage<'_>, is_new: bool) -> ListingState {
        let was_empty_beyond = std::mem::take(&mut self.is_empty_beyond);
        self.steps = 0;
        self.listed_pages += u32::from(self.is_first());
        self.at_end = !page.more;
        if !page.more {
            return self.end(page);
        }
        if is_new {
            self.back = (page.records.len() as u64 / 10).clamp(1, LONGEST_OVERLAP);
            return ListingState::Continues;
        }
        // The page ends where the last one did. The source may say that there are more when there are none.
        if was_empty_beyond {
            return self.end(page);
        }
        self.back = 0;
        ListingState::Continues
    }

    /// The page does not fit what was read: the next one begins further back.
    fn step_back(&mut self, length: u64) -> ListingState {
        self.memory.forget_last(self.unproven);
        self.position -= self.unproven as u64;
        self.unproven = 0;
        self.is_empty_beyond = false;
        self.steps += 1;
        // A page that begins so much earlier still meets what is remembered, wherever that has moved to.
        let step = self.back.min(length + (MOST_REMEMBERED / 2) as u64).max(1);
        self.back = if self.steps > MOST_STEPS { self.position } else { self.back + step };
        ListingState::Continues
    }

    /// The source says that the list ends here.
    fn end(&mut self, page: ListedPage<'_>) -> ListingState {
        let Some(date) = self.last_date.filter(|_| !self.is_unordered) else { return ListingState::Ended };
        self.longest_list = self.longest_list.max(self.position);
        // No list is cut so soon; and while the source is in use, there would always be a newer record.
        let is_asked_again = self.last_updated.is_some_and(|updated| updated >= page.settled_before);
        let is_short = self.position < SHORTEST_CUT;
        if self.from == Some(date) || (is_asked_again && is_short) {
            // The source has shown lists that are longer: so it did not cut this one.
            let is_whole = is_short || self.position < self.longest_list;
            // A short rest says nothing of a long list that may be in another order than its dates'.
            self.is_end_proven = self.longest_list < SHORTEST_CUT || (is_whole && self.is_ordered_by_date());
            // No record gets a past date: those that were not listed before had been cut off.
            self.was_cut |= !is_asked_again && self.listed_of_from.is_some_and(|listed| self.position > listed);
            if self.was_cut && !is_whole {
                return ListingState::Broken(
                    "the source has more contacts of one date than it lists at once: the others can't be asked for",
                );
            }
            return ListingState::Ended;
        }
        if self.is_first() {
            self.first_end = self.position;
        }
        self.from = Some(date);
        self.position = self.position.saturating_sub(self.date_from);
        self.listed_of_from = Some(self.position);
        self.date_from = 0;
        self.back = self.position.min(LONGEST_OVERLAP);
        self.last_start = None;
        ListingState::Continues
    }

    /// Whether dates are what the list is ordered by.
    fn is_ordered_by_date(&self) -> bool {
        !self.is_unordered && self.dates >= FEWEST_DATES && self.is_unordered_by_text && self.is_unordered_by_number
    }

    /// Notes that the list was ended early, if records show it: they existed before, and come after all that it held. A
    /// record with the very date that it ended with may have been listed long ago.
    fn note_cut(&mut self, page: ListedPage<'_>, records: &[ListedRecord]) {
        self.was_cut |= self.from.is_some()
            && records.iter().any(|record| {
                let was_there = record.updated.is_none_or(|updated| updated < page.settled_before);
                was_there && record.date > self.from && !self.memory.holds_unmoved(record)
            });
    }

    /// Notes the dates of records in a row, the first of which has this place.
    fn note_dates(&mut self, records: &[ListedRecord], place: u64) {
        let mut before = if place == self.position { self.last_date } else { None };
        for (record, place) in records.iter().zip(place..) {
            let Some(date) = record.date else { continue };
            self.is_unordered |= before.is_some_and(|before| before > date);
            self.dates += u32::from(self.last_date.max(before).is_none_or(|latest| latest < date));
            if before != Some(date) {
                let goes_on = before.is_none() && self.last_date == Some(date);
                self.date_from = if goes_on { self.date_from.min(place) } else { place };
            }
            before = Some(date);
            self.last_updated = record.updated;
        }
        self.last_date = before.or(self.last_date);
        self.note_ids(records, place);
    }

    /// Notes the ids of records in a row, the first of which has this place.
    fn note_ids(&mut self, records: &[ListedRecord], place: u64) {
        let last = if place == self.position { self.last_id.take() } else { None };
        let ids = last.as_deref().into_iter().chain(records.iter().map(|record| record.source_id.as_str()));
        for (before, id) in ids.clone().zip(ids.skip(1)) {
            self.is_unordered_by_text |= before > id;
            // Numbers are written without leading zeros.
            self.is_unordered_by_number |= (before.len(), before) > (id.len(), id);
        }
        self.last_id = records.last().map(|record| record.source_id.clone());
    }
}
