//! Waiting, when DynamoDB takes no more at this moment or a transaction holds an item.

use std::time::Duration;

use jiff::Timestamp;

use crate::{Clock, Random};

/// Exponential backoff with full jitter, inside a deadline.
pub(crate) struct Backoff<'a> {
    clock: &'a Clock,
    random: &'a Random,
    deadline: Timestamp,
    ceiling: Duration,
}

const FIRST_CEILING: Duration = Duration::from_millis(50);
const LAST_CEILING: Duration = Duration::from_secs(5);

impl<'a> Backoff<'a> {
    pub(crate) fn until(clock: &'a Clock, random: &'a Random, deadline: Timestamp) -> Self {
        Self { clock, random, deadline, ceiling: FIRST_CEILING }
    }

    /// Waits before the next attempt; `false`, at once, if the deadline leaves no room for one.
    pub(crate) async fn wait(&mut self) -> bool {
        let ceiling = u64::try_from(self.ceiling.as_millis()).unwrap_or(u64::MAX);
        let pause = Duration::from_millis(self.random.below(ceiling + 1));
        let next_attempt = self.clock.now() + pause;
        if next_attempt >= self.deadline {
            return false;
        }
        self.clock.wait_until(next_attempt).await;
        self.ceiling = (self.ceiling * 2).min(LAST_CEILING);
        true
    }
}
