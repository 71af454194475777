//! Listings: how the pages of a source that can only be listed become a batch.
//!
//! A source that lists by a date of change is asked for everything since a **cursor**. When the batch is done, the
//! cursor moves to the newest change that was seen, and never beyond the time when the listing began. Every listing
//! starts a little before the cursor, to find what changed while the last one ran.
//!
//! Records move between pages while a list is read. [`ListingProgress`] describes how a listing proves that it saw
//! every record that was on the list all the time: pages that overlap, seams that fit, and an end that is asked for
//! once more.
//!
//! A **full** listing asks for everything: what it does not hold is deleted. Missing records are looked for in a second
//! listing, right after the first. What the second one lists is taken over as well.

mod memory;
mod page;
mod progress;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ContentHash, PlantedFault};

pub use page::{ListedPage, ListedRecord};
pub use progress::{ListingProgress, ListingState, PageRequest};

/// What a listing is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListingScope {
    /// What changed since the cursor.
    #[default]
    Changes,
    /// Everything.
    Full,
    /// Everything once more, to see which records are still missing.
    Confirming,
}

/// How far the listing of a batch has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// What it is for.
    pub scope: ListingScope,
    /// The cursor when it began; `None` is the beginning.
    pub since: Option<Timestamp>,
    /// How many pages came, in the whole batch: of two copies of a record, that of the later page is newer.
    pub step: u64,
    /// The number of pages of a hundred records as which an older release understands this.
    pub pages: u32,
    /// How many chunks the pages have become.
    pub chunks: u32,
    /// The newest change that was seen.
    pub newest: Option<Timestamp>,
    /// The fingerprint of the last page; `None` before the first.
    pub last_page: Option<ContentHash>,
    /// The fingerprint of all pages up to the first end of the list; `None` before the first, and if the batch was
    /// abandoned.
    pub all_pages: Option<ContentHash>,
    /// How far the list was read, in this scope.
    pub reading: ListingProgress,
}

impl Listing {
    /// A listing of what changed since a cursor.
    pub fn of_changes_since(since: Option<Timestamp>) -> Self {
        Self { since, ..Self::default() }
    }

    /// A listing of everything.
    pub fn of_everything() -> Self {
        Self { scope: ListingScope::Full, ..Self::default() }
    }

    /// The listing after one more page, and how it goes on.
    #[must_use]
    pub fn after_page(
        &self,
        page: ListedPage<'_>,
        fingerprint: ContentHash,
        newest: Option<Timestamp>,
    ) -> (Self, ListingState) {
        let mut reading = self.reading.clone();
        let course = reading.take(page, self.last_page == Some(fingerprint));
        let came_on = reading.listed_pages() > self.reading.listed_pages();
        let before = self.all_pages.map(|all| all.to_string()).unwrap_or_default();
        let all_pages = came_on.then(|| ContentHash::of(&format!("{before}{fingerprint}")));
        let next = Self {
            step: self.step + 1,
            pages: reading.older_pages(),
            newest: self.newest.max(newest),
            last_page: Some(fingerprint),
            all_pages: all_pages.or(self.all_pages),
            reading,
            ..self.clone()
        };
        (next, course)
    }

    /// Ends a listing of changes that has become too long for one batch: if its dates are in order, the cursor moves to
    /// what was listed, and the next batch continues from there. There is no such end for a list that goes on for ever
    /// with changes of this very moment, that listed no newer record than the last one did, or whose seams do not fit;
    /// nor for a full listing, which looks for missing records.
    pub fn pause(&mut self, settled_before: Timestamp) -> ListingState {
        let newest = self.reading.last_updated().filter(|newest| *newest < settled_before);
        // If the last seam does not fit, records may have been passed over.
        let comes_on = self.reading.fits()
            && self.reading.is_in_order()
            && newest.is_some_and(|newest| self.since.is_none_or(|since| newest > since));
        if self.scope != ListingScope::Changes || !comes_on {
            return ListingState::Broken("the source's list has no end");
        }
        self.newest = newest;
        self.reading.pause();
        ListingState::Ended
    }

    /// The second listing, which looks for missing records. If the first one was cut, it proves nothing.
    #[must_use]
    pub fn confirming(&self) -> Self {
        Self {
            scope: ListingScope::Confirming,
            pages: 0,
            last_page: None,
            all_pages: None,
            reading: self.reading.again(),
            ..self.clone()
        }
    }

    /// Whether this listing, which has come to the end of its list, listed the same as `last`: every listing starts a
    /// little before the cursor, so the newest records come again and again. A list that was cut may continue
    /// elsewhere.
    pub fn lists_the_same_as(&self, last: &Listing) -> bool {
        let is_whole = !last.reading.was_cut() && self.reading.requests() == self.reading.listed_pages();
        is_whole && (self.scope, self.since) == (last.scope, last.since) && self.all_pages == last.all_pages
    }

    /// The cursor after the batch: the newest change that was seen. It never goes back, and never beyond the time at
    /// which the listing began: a later change may not have been listed, whatever the source's clock says.
    pub fn cursor_after(&self, cursor: Option<Timestamp>, began: Timestamp) -> Option<Timestamp> {
        let latest = if PlantedFault::TrustsDates.is_planted() { Timestamp::MAX } else { began };
        cursor.max(self.newest.map(|newest| newest.min(latest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn page(text: &str) -> ContentHash {
        ContentHash::of(text)
    }

    /// Takes pages of one record each, of a list that is longer than they are.
    fn listing(since: Option<Timestamp>, pages: &[&str]) -> Listing {
        pages.iter().fold(Listing::of_changes_since(since), |listing, text| {
            let record = ListedRecord { source_id: (*text).into(), date: None, updated: None, content: page(text) };
            let records = [record.clone(), ListedRecord { source_id: format!("{text} too"), ..record }];
            let shown = ListedPage { records: &records, more: true, settled_before: at(1_000) };
            // Places do not matter here: each page is read as the first one.
            let fresh = Listing { reading: ListingProgress::default(), ..listing };
            fresh.after_page(shown, page(text), None).0
        })
    }

    #[test]
    fn a_listing_tells_the_same_only_with_the_same_pages_in_order_since_the_same_cursor() {
        let last = listing(Some(at(50)), &["a", "b"]);
        assert!(listing(Some(at(50)), &["a", "b"]).lists_the_same_as(&last));
        for other in [
            listing(Some(at(51)), &["a", "b"]),
            listing(Some(at(50)), &["b", "a"]),
            listing(Some(at(50)), &["a"]),
            listing(Some(at(50)), &["a", "b", "c"]),
            Listing::of_everything(),
        ] {
            assert!(!other.lists_the_same_as(&last), "{other:?}");
        }
    }

    #[test]
    fn the_cursor_moves_to_the_newest_change_and_never_back() {
        let listing = Listing { newest: Some(at(70)), ..Listing::of_changes_since(Some(at(50))) };
        assert_eq!(listing.cursor_after(Some(at(50)), at(100)), Some(at(70)));
        assert_eq!(listing.cursor_after(Some(at(80)), at(100)), Some(at(80)));
        assert_eq!(Listing::of_everything().cursor_after(Some(at(80)), at(100)), Some(at(80)));
        assert_eq!(Listing::of_everything().cursor_after(None, at(100)), None);
    }

    #[test]
    fn a_date_in_the_future_does_not_take_the_cursor_with_it() {
        let listing = Listing { newest: Some(at(253_000_000_000)), ..Listing::of_everything() };
        assert_eq!(listing.cursor_after(None, at(100)), Some(at(100)));
    }

    #[test]
    fn a_confirming_listing_begins_at_the_first_page_and_keeps_what_was_seen() {
        let full = Listing {
            step: 3,
            chunks: 4,
            newest: Some(at(70)),
            last_page: Some(page("a")),
            ..Listing::of_everything()
        };
        let listing = full.confirming();
        assert_eq!((listing.scope, listing.last_page), (ListingScope::Confirming, None));
        assert_eq!((listing.step, listing.chunks, listing.newest), (3, 4, Some(at(70))));
        assert_eq!(listing.reading, ListingProgress::default());
    }
}
