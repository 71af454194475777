use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What became of one customer of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its record was added or changed.
    Written,
    /// Its record already had this content.
    Unchanged,
    /// A newer version was already stored.
    Stale,
    /// Its record was marked as deleted.
    Tombstoned,
    /// It became a failure record.
    Failed,
}

/// How many customers came to which end. Nothing is dropped silently: the sum is what was fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct OutcomeCounts {
    /// Records added or changed.
    #[schema(required)]
    pub written: u64,
    /// Records that were already so.
    #[schema(required)]
    pub unchanged: u64,
    /// Records that were already newer.
    #[schema(required)]
    pub stale: u64,
    /// Records marked as deleted.
    #[schema(required)]
    pub tombstoned: u64,
    /// Failure records made.
    #[schema(required)]
    pub failed: u64,
}

impl OutcomeCounts {
    /// Counts one customer.
    pub fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Written => self.written += 1,
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Stale => self.stale += 1,
            Outcome::Tombstoned => self.tombstoned += 1,
            Outcome::Failed => self.failed += 1,
        }
    }

    /// How many customers have come to an end.
    pub fn sum(&self) -> u64 {
        self.written + self.unchanged + self.stale + self.tombstoned + self.failed
    }

    /// The counts by the names under which they are stored, logged and published.
    pub fn by_name(&self) -> [(&'static str, u64); 5] {
        [
            ("written", self.written),
            ("unchanged", self.unchanged),
            ("stale", self.stale),
            ("tombstoned", self.tombstoned),
            ("failed", self.failed),
        ]
    }
}

impl AddAssign for OutcomeCounts {
    fn add_assign(&mut self, other: Self) {
        self.written += other.written;
        self.unchanged += other.unchanged;
        self.stale += other.stale;
        self.tombstoned += other.tombstoned;
        self.failed += other.failed;
    }
}

impl FromIterator<Outcome> for OutcomeCounts {
    fn from_iter<I: IntoIterator<Item = Outcome>>(outcomes: I) -> Self {
        let mut counts = Self::default();
        for outcome in outcomes {
            counts.count(outcome);
        }
        counts
    }
}
