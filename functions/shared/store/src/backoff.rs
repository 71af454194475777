//! Waiting, when DynamoDB takes no more at this moment or a transaction holds an item.

use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use jiff::Timestamp;

use crate::error::is_busy;
use crate::{Clock, Random};

/// How long a request waits whose caller says no deadline: transactions take some ten milliseconds each, one after the
/// other, and a key that takes no more recovers within seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends requests again while DynamoDB takes no more, or a transaction holds the item: DynamoDB refuses a plain write
/// to it meanwhile, and the SDK does not retry that. Every request to a table goes through here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patience(Option<(Clock, Random)>);

impl Patience {
    pub(crate) fn new(clock: Clock, random: Random) -> Self {
        Self(Some((clock, random)))
    }

    /// Sends a request until it is answered otherwise, or the deadline leaves no room for another attempt: then the
    /// last error stands. Without a deadline of the caller, ten seconds are one.
    pub(crate) async fn send<T, E, R, F>(
        &self,
        deadline: Option<Timestamp>,
        request: impl Fn() -> F,
    ) -> Result<T, SdkError<E, R>>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, R>>>,
    {
        let mut backoff = self.backoff(deadline);
        loop {
            let answer = request().await;
            let is_busy = answer.as_ref().is_err_and(|error| error.code().is_some_and(is_busy));
            if !is_busy || !Self::wait(&mut backoff).await {
                return answer;
            }
        }
    }

    /// The pauses between attempts until the deadline; `None` if there is to be but one.
    pub(crate) fn backoff(&self, deadline: Option<Timestamp>) -> Option<Backoff<'_>> {
        let (clock, random) = self.0.as_ref()?;
        Some(Backoff::until(clock, random, deadline.unwrap_or_else(|| clock.now() + PATIENCE)))
    }

    /// Waits before the next attempt; `false` if there is to be none.
    pub(crate) async fn wait(backoff: &mut Option<Backoff<'_>>) -> bool {
        match backoff {
            Some(backoff) => backoff.wait().await,
            None => false,
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
