//! Listings: how the pages of an upstream that can only be listed become a batch.
//!
//! An upstream that lists by a date of change is asked for everything since a **cursor**. The cursor moves when the
//! batch is done, to the newest change that was seen; every question goes back a little behind it, for records move
//! between pages while a listing runs.
//!
//! A **full** listing asks for everything, and what it no longer holds is gone. But a record can be missing from a
//! listing that only moved to another page meanwhile. So who is missing is looked for in a second listing, right
//! after the first: only if more records moved between two of its pages than a page holds could it be missed again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ContentHash;

/// What a listing is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListingScope {
    /// What changed since the cursor.
    Changes,
    /// Everything.
    Full,
    /// Everything once more, only to see who is still missing.
    Confirming,
}

/// How far the listing of a batch has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What it is for.
    pub scope: ListingScope,
    /// The cursor when it began; `None` is the beginning.
    pub since: Option<Timestamp>,
    /// How many pages came, in this scope.
    pub pages: u32,
    /// How many chunks they have become.
    pub chunks: u32,
    /// The newest change that was seen.
    pub newest: Option<Timestamp>,
    /// The fingerprint of the last page; `None` before the first.
    pub last_page: Option<ContentHash>,
    /// The fingerprint of all pages; `None` before the first, and where the batch was abandoned.
    pub all_pages: Option<ContentHash>,
}

impl Listing {
    /// A listing of what changed since a cursor.
    pub fn of_changes_since(since: Option<Timestamp>) -> Self {
        Self {
            scope: ListingScope::Changes,
            since,
            pages: 0,
            chunks: 0,
            newest: None,
            last_page: None,
            all_pages: None,
        }
    }

    /// A listing of everything.
    pub fn of_everything() -> Self {
        Self { scope: ListingScope::Full, ..Self::of_changes_since(None) }
    }

    /// The listing after one more page. A page of a confirming listing brings no news.
    #[must_use]
    pub fn after_page(&self, fingerprint: ContentHash, chunks: u32, newest: Option<Timestamp>) -> Self {
        let before = self.all_pages.map(|all| all.to_string()).unwrap_or_default();
        Self {
            pages: self.pages + 1,
            chunks: self.chunks + chunks,
            newest: self.newest.max(newest),
            last_page: Some(fingerprint),
            all_pages: Some(ContentHash::of(&format!("{before}{fingerprint}"))),
            ..self.clone()
        }
    }

    /// The second listing, of which only who is missing counts.
    #[must_use]
    pub fn confirming(&self) -> Self {
        Self { scope: ListingScope::Confirming, pages: 0, last_page: None, all_pages: None, ..self.clone() }
    }

    /// Whether this listing, all of whose pages came, told just what `last` told: every question goes back a little
    /// behind the cursor, so the newest records come again and again.
    pub fn tells_the_same_as(&self, last: &Listing) -> bool {
        (self.scope, self.since) == (last.scope, last.since) && self.all_pages == last.all_pages
    }

    /// The cursor after the batch: the newest change that was seen. It never goes back, and never beyond the time at
    /// which the listing began: what changed later than that may not have been listed, whatever the vendor's clock says.
    pub fn cursor_after(&self, cursor: Option<Timestamp>, began: Timestamp) -> Option<Timestamp> {
        cursor.max(self.newest.map(|newest| newest.min(began)))
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

    #[test]
    fn a_listing_tells_the_same_only_with_the_same_pages_in_order_since_the_same_cursor() {
        let listing = |since, pages: &[&str]| {
            pages.iter().fold(Listing::of_changes_since(since), |listing, text| listing.after_page(page(text), 1, None))
        };
        let last = listing(Some(at(50)), &["a", "b"]);
        assert!(listing(Some(at(50)), &["a", "b"]).tells_the_same_as(&last));
        for other in [
            listing(Some(at(51)), &["a", "b"]),
            listing(Some(at(50)), &["b", "a"]),
            listing(Some(at(50)), &["a"]),
            listing(Some(at(50)), &["a", "b", "c"]),
            Listing::of_everything(),
        ] {
            assert!(!other.tells_the_same_as(&last), "{other:?}");
        }
    }

    #[test]
    fn the_cursor_moves_to_the_newest_change_and_never_back() {
        let listing = Listing::of_changes_since(Some(at(50)));
        let listing = listing.after_page(page("a"), 1, Some(at(70))).after_page(page("b"), 2, Some(at(60)));
        let listing = listing.after_page(page("c"), 0, None);
        assert_eq!((listing.pages, listing.chunks, listing.last_page), (3, 3, Some(page("c"))));
        assert_eq!(listing.cursor_after(Some(at(50)), at(100)), Some(at(70)));
        assert_eq!(listing.cursor_after(Some(at(80)), at(100)), Some(at(80)));
        assert_eq!(Listing::of_everything().cursor_after(Some(at(80)), at(100)), Some(at(80)));
        assert_eq!(Listing::of_everything().cursor_after(None, at(100)), None);
    }

    #[test]
    fn a_date_in_the_future_does_not_take_the_cursor_with_it() {
        let listing = Listing::of_everything().after_page(page("a"), 1, Some(at(253_000_000_000)));
        assert_eq!(listing.cursor_after(None, at(100)), Some(at(100)));
    }

    #[test]
    fn a_confirming_listing_begins_at_the_first_page_and_keeps_what_was_seen() {
        let listing = Listing::of_everything().after_page(page("a"), 4, Some(at(70))).confirming();
        assert_eq!((listing.scope, listing.pages, listing.last_page), (ListingScope::Confirming, 0, None));
        assert_eq!((listing.chunks, listing.newest, listing.all_pages), (4, Some(at(70)), None));
    }
}
