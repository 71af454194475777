use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many digits of a version stand for its batch.
const NUMBER_DIGITS: usize = 12;

/// How new a record is. A stored record's version never goes back.
///
/// Versions of one connection order as their texts do, so that a conditional write can compare them in the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// The version of what was reported in the batch `number`: of two records, that of the later batch is newer, and
    /// within a batch that of the later step.
    ///
    /// The batches of a connection come strictly one after the other, so **the later batch reports the later state**.
    /// The source's dates and numbers play no part, for they may lie in the future, or start again when the source
    /// rebuilds an environment. Batch before step, because the clocks of two workers may differ.
    ///
    /// A step is the millisecond at which a fetch began, or the number of a page within its batch.
    pub fn of_batch(number: u64, step: u64) -> Self {
        Self(format!("{number:012}-{:015}", step.min(Self::LAST_STEP)))
    }

    /// The step of what is known only at the end of a batch.
    pub const LAST_STEP: u64 = 999_999_999_999_999;

    /// The number of the batch that this version is of; any batch with a greater number is newer. `None` for a text
    /// that no release ever wrote.
    ///
    /// Versions of a listing once were `<milliseconds>-<batch>`, and those of a push are milliseconds, in 15 digits:
    /// the first 12 of them, the seconds, are a number that is compared in just the same way.
    pub fn batch(&self) -> Option<u64> {
        self.0.get(..NUMBER_DIGITS)?.parse().ok()
    }

    /// The version of what was pushed to us and arrived at this time: of two pushes, the one that was taken later is
    /// newer, whatever the clocks of the receivers say. `last` is the version that is stored.
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
    fn a_later_batch_is_newer_whatever_the_steps_say() {
        assert!(Version::of_batch(10, 5) > Version::of_batch(9, 1_900_000_000_000));
        assert!(Version::of_batch(10, 0) > Version::of_batch(9, u64::MAX));
    }

    #[test]
    fn within_a_batch_the_later_step_is_newer() {
        assert!(Version::of_batch(9, 1_000) > Version::of_batch(9, 999));
        assert!(Version::of_batch(9, Version::LAST_STEP) > Version::of_batch(9, 999));
    }

    #[test]
    fn a_batch_with_a_greater_number_is_newer_than_any_version_that_a_release_ever_wrote() {
        for (stored, number) in [
            ("000000000500-001767225600000", 500),
            ("001767225600123-000000000007", 1_767_225_600),
            ("253402300799999-000000000007", 253_402_300_799),
            ("001767225600123", 1_767_225_600),
        ] {
            let stored = Version::from_stored(stored);
            assert_eq!(stored.batch(), Some(number));
            assert!(Version::of_batch(number + 1, 0) > stored, "{stored}");
        }
        for never_written in ["", "7", "x00000000500-001767225600000", "00000000050\u{e9}1"] {
            assert_eq!(Version::from_stored(never_written).batch(), None);
        }
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
