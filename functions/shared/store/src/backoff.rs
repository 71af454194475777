use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use jiff::Timestamp;

use crate::error::is_busy;
use crate::{Clock, Random};

/// How long a write waits for transactions that hold its item: they take some ten milliseconds each, and there may be
/// one after the other.
const CONFLICT_PATIENCE: Duration = Duration::from_secs(5);

/// Sends an update, and retries while a transaction holds the item or the table takes no more.
///
/// To be used for every item that a transaction writes, too: DynamoDB refuses a plain write to it meanwhile, and the
/// SDK does not retry that.
pub(crate) async fn update_past_conflicts(
    clock: &Clock,
    random: &Random,
    update: UpdateItemFluentBuilder,
) -> Result<UpdateItemOutput, SdkError<UpdateItemError>> {
    let mut backoff = Backoff::until(clock, random, clock.now() + CONFLICT_PATIENCE);
    loop {
        let answer = update.clone().send().await;
        let is_busy = answer.as_ref().is_err_and(|error| error.code().is_some_and(is_busy));
        if !is_busy || !backoff.wait().await {
            return answer;
        }
    }
}

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
