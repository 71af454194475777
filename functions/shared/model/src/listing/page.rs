use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::ContentHash;

/// A record on a page, as far as the listing must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRecord {
    /// The id in the source.
    pub source_id: String,
    /// Its date of change as the source writes it: what its list is ordered by, and can be asked from.
    pub date: Option<DateTime>,
    /// The instant of that date.
    pub updated: Option<Timestamp>,
    /// The fingerprint of all that the source says of it.
    pub content: ContentHash,
}

/// A page as a listing takes it.
#[derive(Clone, Copy, Debug)]
pub struct ListedPage<'a> {
    /// Its records, in its order.
    pub records: &'a [ListedRecord],
    /// Whether the source says that there are more.
    pub more: bool,
    /// What was changed at this time or later is in the next listing in any case.
    pub settled_before: Timestamp,
}
