//! The rate limit and the circuit breaker of a source, shared by every invocation.
//!
//! ```text
//!            a request fails: open for a while              the while has passed: one probe goes through
//!   closed -----------------------------------> open -----------------------------------------------> probing
//!     ^                                          ^                                                       |
//!     |                                          +------------- it fails: open for longer ---------------+
//!     +------------------------------------------- it succeeds ------------------------------------------+
//! ```
//!
//! One item per connection: `next_slot` (microseconds: when the next request may go), `failures` in a row, and
//! `open_until` (milliseconds). Every request reserves a slot, so the source's limit holds over all invocations.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use jiff::Timestamp;
use model::ConnectionKey;

use crate::StoreError;
use crate::item::{Item, Read, number, time};
use crate::table::{Refused, Table};

/// How long a probe may take before another may try.
const PROBE: Duration = Duration::from_secs(20);
/// The breaker opens for half a second times two for each failure in a row, and never longer than this: once the
/// source is back, everything is soon in sync again.
const LONGEST_BREAK: Duration = Duration::from_secs(15);
const FIRST_BREAK: Duration = Duration::from_millis(500);
/// A time that a source names itself is respected up to this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);
/// How long to go on trying to reserve a slot against other workers.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many races for a slot may be lost before waiting a little.
const RACES: u32 = 3;

/// The limiters, in the control table.
#[derive(Clone, Debug)]
pub struct SourceLimiter {
    pub(crate) table: Table,
}

/// The limiter's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// One request may go at this time.
    At {
        /// The slot's time.
        slot: Timestamp,
        /// How many requests in a row have failed before it.
        failures: u64,
    },
    /// None may go before this time.
    CircuitOpen(Timestamp),
    /// Others have reserved every slot before the deadline; none was reserved.
    RateLimited {
        /// The first slot that is still free.
        next_slot: Timestamp,
    },
}

impl SourceLimiter {
    /// Reserves a slot for one request before `deadline`.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn acquire(
        &self,
        connection: &ConnectionKey,
        per_second: f64,
        deadline: Timestamp,
    ) -> Result<Admission, StoreError> {
        let interval = Duration::from_secs_f64(1.0 / per_second.max(0.001));
        let mut backoff = self.table.backoff(Some(self.table.clock.now() + PATIENCE));
        for attempt in 1_u32.. {
            // In a busy hour the next slot lies ahead: take it, and move it on. One write, and no race to lose.
            let known = match self.take_next_slot(connection, interval, deadline).await? {
                Ok(slot) => return Ok(Admission::At { slot, failures: 0 }),
                Err(item) => item,
            };
            let read = Read::new("limiter", &known);
            let now = self.table.clock.now();
            let failures = read.number_or_zero("failures")?;
            let open_until = read.optional_time("open_until")?;
            if let Some(open_until) = open_until.filter(|until| failures > 0 && *until > now) {
                return Ok(Admission::CircuitOpen(open_until));
            }
            let next_slot: i64 = if read.has("next_slot") { read.number("next_slot")? } else { 0 };
            if failures == 0 && next_slot >= deadline.as_microsecond() {
                return Ok(Admission::RateLimited { next_slot: read_slot(next_slot)? });
            }
            if self.take_slot_now(connection, &known, now, interval, failures > 0).await? {
                return Ok(Admission::At { slot: now, failures });
            }
            // The winner has moved the next slot ahead; if that has passed already, the next attempt takes one anew.
            if attempt > RACES && !backoff.wait().await {
                break;
            }
        }
        Err(StoreError::Deadline { operation: "UpdateItem" })
    }

    /// A request was answered as it should be: the breaker closes, if it was not closed.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn succeeded(&self, connection: &ConnectionKey, failures_before: u64) -> Result<(), StoreError> {
        if failures_before == 0 {
            return Ok(());
        }
        let update = self
            .table
            .update(connection, "limiter")
            .update_expression("SET failures = :none REMOVE open_until")
            .expression_attribute_values(":none", number(0));
        self.table.send(update).await.map(|_| ())
    }

    /// A request failed in a way that may pass: the breaker opens. Returns until when.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn failed(
        &self,
        connection: &ConnectionKey,
        failures_before: u64,
        retry_after: Option<Duration>,
    ) -> Result<Timestamp, StoreError> {
        let exponent = u32::try_from(failures_before).unwrap_or(u32::MAX).min(10);
        let ceiling = (FIRST_BREAK * 2_u32.pow(exponent)).min(LONGEST_BREAK);
        let half = u64::try_from(ceiling.as_millis() / 2).unwrap_or(0);
        let jittered = Duration::from_millis(half + self.table.random.below(half + 1));
        let pause = retry_after.map_or(jittered, |asked| asked.clamp(jittered, LONGEST_RETRY_AFTER));
        let open_until = self.table.clock.now() + pause;
        let update = self
            .table
            .update(connection, "limiter")
            .update_expression("SET failures = :failures, open_until = :until")
            .expression_attribute_values(":failures", number(failures_before + 1))
            .expression_attribute_values(":until", time(open_until));
        self.table.send(update).await.map(|_| open_until)
    }

    async fn take_next_slot(
        &self,
        connection: &ConnectionKey,
        interval: Duration,
        deadline: Timestamp,
    ) -> Result<Result<Timestamp, Item>, StoreError> {
        let update = self
            .update(connection)
            .update_expression("SET next_slot = next_slot + :interval")
            .condition_expression(
                "next_slot >= :now AND next_slot < :deadline AND (attribute_not_exists(failures) OR failures = :none)",
            )
            .expression_attribute_values(":deadline", number(deadline.as_microsecond()))
            .expression_attribute_values(":interval", number(interval.as_micros()))
            .expression_attribute_values(":now", number(self.table.clock.now().as_microsecond()))
            .expression_attribute_values(":none", number(0))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::UpdatedOld);
        match self.table.write(None, update).await? {
            Ok(answer) => {
                let item = answer.attributes.unwrap_or_default();
                Ok(Ok(read_slot(Read::new("limiter", &item).number("next_slot")?)?))
            }
            Err(Refused(item)) => Ok(Err(item.unwrap_or_default())),
        }
    }

    /// Takes the slot that is free now, if it still is; a probe only if the limiter is still as `known`. `false` if
    /// another worker was quicker.
    async fn take_slot_now(
        &self,
        connection: &ConnectionKey,
        known: &Item,
        now: Timestamp,
        interval: Duration,
        probe: bool,
    ) -> Result<bool, StoreError> {
        let interval = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX);
        let mut update = self
            .update(connection)
            .expression_attribute_values(":next", number(now.as_microsecond().saturating_add(interval)));
        update = match known.get("next_slot") {
            None => update.condition_expression("attribute_not_exists(next_slot)"),
            // If it is free, not if it is the one that is `known`: if the store is slow, many workers know the same
            // slot, and all but one of them would lose.
            Some(_) if !probe => update
                .condition_expression("next_slot <= :now AND (attribute_not_exists(failures) OR failures = :none)")
                .expression_attribute_values(":now", number(now.as_microsecond()))
                .expression_attribute_values(":none", number(0)),
            Some(next) => {
                update.condition_expression("next_slot = :known").expression_attribute_values(":known", next.clone())
            }
        };
        update = if probe {
            // Only one goes through: for the others the limiter stays closed while the probe is under way.
            update
                .update_expression("SET next_slot = :next, open_until = :probed")
                .expression_attribute_values(":probed", time(now + PROBE))
        } else {
            update.update_expression("SET next_slot = :next")
        };
        self.table.is_done(update).await
    }

    fn update(&self, connection: &ConnectionKey) -> UpdateItemFluentBuilder {
        self.table
            .update(connection, "limiter")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

fn read_slot(microseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(microseconds)
        .map_err(|_| StoreError::Corrupt { key: "limiter".to_owned(), attribute: "next_slot" })
}
