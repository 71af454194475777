use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How new a record is. A stored record's version never goes back.
///
/// Versions of one connection order as their texts do, so that a conditional write can compare them in the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// The version of what a fetch for `batch` saw: of two fetches the one of the later batch is newer, and within a
    /// batch the one that began later.
    ///
    /// The batch number is the ledger's own and only grows; the upstream's queue number is not used, for it starts
    /// again when the vendor rebuilds an environment. Batch first, because the clocks of two workers may differ.
    pub fn of_fetch(batch: u64, began: Timestamp) -> Self {
        Self(format!("{batch:012}-{:015}", began.as_millisecond().max(0)))
    }

    /// The version of what a listing for `batch` told: of two records the one that the upstream changed later is
    /// newer, and of two that it changed at the same time the one of the later batch.
    pub fn of_update(updated: Timestamp, batch: u64) -> Self {
        Self(format!("{:015}-{batch:012}", updated.as_millisecond().max(0)))
    }

    /// The version of the news that a full listing for `batch` no longer holds the record whose version is `last`:
    /// newer than that record, and older than any record that a later batch lists, even one with an older change.
    #[must_use]
    pub fn of_absence(last: &Version, batch: u64) -> Self {
        let updated = last.0.split('-').next().unwrap_or_default();
        Self(format!("{updated}-{batch:012}"))
    }

    /// The version of what was pushed to us and arrived at this time: of two pushes the one that was taken later is
    /// newer, whatever the clocks of those who took them say. `last` is the version that is stored.
    pub fn of_arrival(last: Option<&Version>, arrived: Timestamp) -> Self {
        let now = arrived.as_millisecond().max(0);
        let last: i64 = last.and_then(|last| last.0.parse().ok()).unwrap_or(-1);
        Self(format!("{:015}", now.max(last.saturating_add(1))))
    }

    /// A version as it was stored.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text that is stored and compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(millisecond).unwrap()
    }

    #[test]
    fn a_later_batch_is_newer_whatever_the_clocks_say() {
        assert!(Version::of_fetch(10, at(5)) > Version::of_fetch(9, at(1_900_000_000_000)));
    }

    #[test]
    fn within_a_batch_the_fetch_that_began_later_is_newer() {
        assert!(Version::of_fetch(9, at(1_000)) > Version::of_fetch(9, at(999)));
    }
    #[test]
    fn a_later_update_is_newer_and_so_is_the_same_update_in_a_later_batch() {
        let first = Version::of_update(at(1_000), 7);
        assert!(Version::of_update(at(1_001), 3) > first);
        assert!(Version::of_update(at(1_000), 8) > first);
    }

    #[test]
    fn a_record_that_is_listed_again_is_newer_than_its_absence() {
        let listed = Version::of_update(at(1_000), 7);
        let absent = Version::of_absence(&listed, 8);
        assert!(absent > listed);
        assert!(Version::of_update(at(1_000), 9) > absent);
        assert!(Version::of_update(at(1_001), 7) > absent);
    }

    #[test]
    fn a_push_that_is_taken_later_is_newer_whatever_the_clocks_say() {
        let first = Version::of_arrival(None, at(1_000));
        let same_time = Version::of_arrival(Some(&first), at(1_000));
        let clock_behind = Version::of_arrival(Some(&same_time), at(10));
        assert!(first < same_time && same_time < clock_behind, "{first} {same_time} {clock_behind}");
        assert_eq!(Version::of_arrival(Some(&clock_behind), at(5_000)).as_str(), "000000000005000");
    }
}
