//! What DynamoDB refuses at times, and SQLite never does.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use store::Clock;

/// Write units that one partition key takes in a second.
const WRITES_A_SECOND: f64 = 1_000.0;
/// Read units that one partition key takes in a second.
const READS_A_SECOND: f64 = 3_000.0;
/// How long after a transaction another write may still meet it: they take some ten milliseconds, and a waiting
/// writer's clock moves in larger steps.
const MEETS_FOR: Duration = Duration::from_millis(100);

/// How the embedded DynamoDB behaves as AWS does; by default it refuses nothing.
#[derive(Clone, Debug)]
pub struct Habits {
    /// The clock that seconds are counted by.
    pub clock: Clock,
    /// Whether a partition key, of a table or an index, takes 1,000 write units and 3,000 read units a second and no
    /// more. A request is taken as long as the second has units left, and uses up more than those if it is large.
    pub throttles: bool,
    /// Whether writes meet transactions.
    pub conflicts: Option<Conflicts>,
}

/// Some of the writes to an item that a transaction wrote just before find that it still holds the item.
#[derive(Clone, Copy, Debug)]
pub struct Conflicts {
    /// Which of them: the same seed means the same writes, whatever is written to other items meanwhile.
    pub seed: u64,
    /// One of so many on average.
    pub one_in: u64,
}

impl Default for Habits {
    fn default() -> Self {
        Self { clock: Clock::system(), throttles: false, conflicts: None }
    }
}

impl Habits {
    /// Whether it refuses anything.
    pub(super) fn are_on(&self) -> bool {
        self.throttles || self.conflicts.is_some()
    }
}

/// What partition keys and items have been through.
#[derive(Debug, Default)]
pub(super) struct Memory {
    writes: HashMap<String, Bucket>,
    reads: HashMap<String, Bucket>,
    /// When a transaction wrote an item last, and how often another write could have met one since the beginning.
    held: HashMap<String, (Timestamp, u64)>,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Timestamp,
}

impl Memory {
    /// Whether a partition key takes one more write.
    pub(super) fn takes_write(&mut self, habits: &Habits, partition: &str) -> bool {
        !habits.throttles || bucket(&mut self.writes, partition, WRITES_A_SECOND, habits.clock.now()).left > 0.0
    }

    /// Whether a partition key takes one more read.
    pub(super) fn takes_read(&mut self, habits: &Habits, partition: &str) -> bool {
        !habits.throttles || bucket(&mut self.reads, partition, READS_A_SECOND, habits.clock.now()).left > 0.0
    }

    pub(super) fn wrote(&mut self, habits: &Habits, partition: &str, units: f64) {
        if habits.throttles {
            bucket(&mut self.writes, partition, WRITES_A_SECOND, habits.clock.now()).left -= units;
        }
    }

    pub(super) fn read(&mut self, habits: &Habits, partition: &str, units: f64) {
        if habits.throttles {
            bucket(&mut self.reads, partition, READS_A_SECOND, habits.clock.now()).left -= units;
        }
    }

    /// Whether a write to an item meets a transaction.
    pub(super) fn meets(&mut self, habits: &Habits, item: &str) -> bool {
        let Some(Conflicts { seed, one_in }) = habits.conflicts else { return false };
        let now = habits.clock.now();
        let Some((at, meetings)) = self.held.get_mut(item) else { return false };
        if now >= *at + MEETS_FOR {
            return false;
        }
        *meetings += 1;
        let mut hasher = DefaultHasher::new();
        (seed, item, *meetings).hash(&mut hasher);
        hasher.finish().is_multiple_of(one_in.max(1))
    }

    /// A transaction wrote an item.
    pub(super) fn held(&mut self, habits: &Habits, item: &str) {
        if habits.conflicts.is_some() {
            let now = habits.clock.now();
            self.held.entry(item.to_owned()).or_insert((now, 0)).0 = now;
        }
    }
}

/// What a partition key has left, of the last second.
fn bucket<'a>(
    buckets: &'a mut HashMap<String, Bucket>,
    partition: &str,
    a_second: f64,
    now: Timestamp,
) -> &'a mut Bucket {
    let bucket = buckets.entry(partition.to_owned()).or_insert(Bucket { left: a_second, at: now });
    let passed = now.duration_since(bucket.at).as_secs_f64().max(0.0);
    bucket.left = (bucket.left + passed * a_second).min(a_second);
    bucket.at = bucket.at.max(now);
    bucket
}
