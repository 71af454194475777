//! Which destinations are looked at in the next minute, and when: a message of `publish-changes` may have been lost,
//! and a destination that was in trouble is tried again.

use config::{DESTINATION, Destination};
use jiff::{SignedDuration, Timestamp};
use model::ConnectionKey;
use store::{ConnectionState, PushRequest, StoreError};

use crate::SchedulePolls;
use crate::history::Noting;

/// A minute, until the next plan, and a little more.
const PLANNED: SignedDuration = SignedDuration::from_secs(65);
/// No destination is left alone for longer: a time that is farther away was noted by another clock.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(3_660);

impl SchedulePolls {
    /// Plans the next minute for the destinations.
    pub(crate) async fn plan_pushes(&self, deadline: Timestamp) -> Result<(), StoreError> {
        let registrations = self.tables.registry.of_kind(DESTINATION).await?;
        let destinations = Destination::readable(&registrations);
        let mut unreadable = (registrations.len() - destinations.len()) as u64;
        let keys: Vec<ConnectionKey> = destinations.into_iter().map(|destination| destination.key).collect();
        let states = self.tables.states.glance(&keys).await?;
        let now = self.tables.clock.now();
        let mut requests = Vec::new();
        for (key, state) in states {
            let state = match state {
                Ok(state) => state,
                Err(error) => {
                    tracing::error!(destination = %key, %error, "a state can't be read");
                    unreadable += 1;
                    continue;
                }
            };
            // One that has said that it is gone is paused, and somebody should know.
            if state.paused_at.is_some() && state.error.is_none() {
                continue;
            }
            if let Err(error) = self.publish_backlog(&key, &state, now).await {
                tracing::error!(destination = %key, %error, "how far a destination is behind can't be published");
            }
            if state.paused_at.is_some() {
                continue;
            }
            requests.extend(delay(&state, now).map(|delay| (delay, PushRequest { destination: key })));
        }
        self.metrics.total(now, &[("unreadable", unreadable)]);
        self.push_requests.send(requests, deadline).await?;
        self.note_totals(Noting::Destinations, keys, deadline).await;
        Ok(())
    }

    /// Publishes for how long a destination is behind, and for how long it has taken nothing.
    async fn publish_backlog(
        &self,
        key: &ConnectionKey,
        state: &ConnectionState,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let behind_since = match state.fresh_as_of.or(state.watched_since) {
            Some(since) => since,
            None => {
                self.tables.states.watch(key, now).await?;
                now
            }
        };
        let failing_since = self.tables.deliveries.of(key).await?.progress.failing_since().unwrap_or(now);
        let seconds = |since| u64::try_from(now.duration_since(since).as_secs()).unwrap_or(0);
        let values = [("destination_behind", seconds(behind_since)), ("destination_failing", seconds(failing_since))];
        self.metrics.seconds(&key.to_string(), now, &values);
        Ok(())
    }
}

/// After how many seconds a destination is looked at; `None` if that is not within the next minute.
fn delay(state: &ConnectionState, now: Timestamp) -> Option<u32> {
    let is_near = |due_at: &Timestamp| due_at.duration_since(now) <= LONGEST_PAUSE;
    let due_at = state.due_at.filter(is_near).filter(|_| !state.has_new_request()).unwrap_or(now);
    let wait = due_at.duration_since(now).max(SignedDuration::ZERO);
    // A whole second at least as late: a message that comes too early would find nothing due.
    (wait <= PLANNED).then(|| u32::try_from(wait.as_millis().unsigned_abs().div_ceil(1_000)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn due_in(seconds: i64) -> ConnectionState {
        ConnectionState { due_at: Some(NOW + SignedDuration::from_secs(seconds)), ..ConnectionState::default() }
    }

    #[test]
    fn a_destination_is_looked_at_every_minute() {
        assert_eq!(delay(&ConnectionState::default(), NOW), Some(0));
        assert_eq!(delay(&due_in(-30), NOW), Some(0));
    }

    #[test]
    fn one_in_trouble_is_looked_at_when_it_is_due() {
        assert_eq!(delay(&due_in(42), NOW), Some(42));
        assert_eq!(delay(&due_in(120), NOW), None);
        assert_eq!(delay(&due_in(1_000_000), NOW), Some(0), "noted by a clock that was far ahead");
    }

    #[test]
    fn a_request_of_an_operator_does_not_wait_until_it_is_due() {
        assert_eq!(delay(&ConnectionState { requests: 1, ..due_in(120) }, NOW), Some(0));
    }
}
