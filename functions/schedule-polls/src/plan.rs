//! Which connections to look at in the next minute, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use model::ConnectionKey;
use store::{ConnectionState, PollPurpose, PollRequest};

/// A minute, until the next plan, and a little more: a schedule is not exact. What both plans hold is looked at once,
/// for then it is not due any more.
const PLANNED: u32 = 65;
/// How often an open batch is looked after.
const LOOK_EVERY: u32 = 2;
/// How often the source of an open batch is asked what it told since.
const LOOK_ASIDE_EVERY: u32 = 30;
/// How many connections one message names. Those of another message are polled by another invocation.
const CONNECTIONS_PER_MESSAGE: usize = 50;

/// The requests of one minute for one polling function.
#[derive(Debug, Default)]
pub(crate) struct Plan(BTreeMap<(u32, PollPurpose), Vec<ConnectionKey>>);

impl Plan {
    /// Adds a connection that is polled every `pause`, as it stands now, unless it is paused. One whose state is not
    /// known is due at once.
    pub(crate) fn add(
        &mut self,
        key: &ConnectionKey,
        state: Option<&ConnectionState>,
        pause: Duration,
        now: Timestamp,
    ) {
        let state = state.cloned().unwrap_or_default();
        if state.paused_at.is_some() {
            return;
        }
        // A poller that dies leaves the source due, or the request unseen: it is planned again.
        let is_requested = state.has_new_request();
        let due_at = if is_requested { now } else { state.due(pause, now) };
        let wait = Duration::try_from(due_at.duration_since(now)).unwrap_or_default();
        // A whole second at least as late: a message that comes too early would find nothing due.
        let first = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        let every = u32::try_from(pause.as_secs()).unwrap_or(u32::MAX).max(1);
        for (number, second) in seconds(first, every).enumerate() {
            let is_first = number == 0 && is_requested;
            self.put(second, if is_first { PollPurpose::Now } else { PollPurpose::Due }, key);
        }
        if state.has_batch {
            for second in seconds(0, LOOK_EVERY) {
                self.put(second, PollPurpose::Batch, key);
            }
        }
    }

    /// Adds a look at a source beside its poller: if some customers are to be compared with it (`verifies`), and their
    /// time has come, or if a batch is open.
    pub(crate) fn add_look(&mut self, key: &ConnectionKey, state: &ConnectionState, verifies: bool, now: Timestamp) {
        if verifies && state.may_be_verified(now) && !state.has_batch {
            self.put(0, PollPurpose::Look, key);
        }
        if state.has_batch && state.paused_at.is_none() {
            for second in seconds(0, LOOK_ASIDE_EVERY) {
                self.put(second, PollPurpose::Look, key);
            }
        }
    }

    fn put(&mut self, second: u32, purpose: PollPurpose, key: &ConnectionKey) {
        self.0.entry((second, purpose)).or_default().push(key.clone());
    }

    /// The messages, each with its delay in seconds.
    pub(crate) fn into_requests(self) -> Vec<(u32, PollRequest)> {
        let parts = |((second, purpose), connections): ((u32, PollPurpose), Vec<ConnectionKey>)| {
            let parts: Vec<_> = connections.chunks(CONNECTIONS_PER_MESSAGE).map(<[ConnectionKey]>::to_vec).collect();
            parts.into_iter().map(move |connections| (second, PollRequest { purpose, connections }))
        };
        self.0.into_iter().flat_map(parts).collect()
    }
}

/// The seconds of the planned time from `first` on.
fn seconds(first: u32, every: u32) -> impl Iterator<Item = u32> {
    (first..PLANNED).step_by(usize::try_from(every).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn key() -> ConnectionKey {
        ConnectionKey::new("acme", "aa")
    }

    fn planned(state: Option<&ConnectionState>, pause: u64) -> Vec<(u32, PollPurpose)> {
        let mut plan = Plan::default();
        plan.add(&key(), state, Duration::from_secs(pause), NOW);
        plan.into_requests().into_iter().map(|(second, request)| (second, request.purpose)).collect()
    }

    fn due_in(millis: i64) -> ConnectionState {
        let due_at = Some(NOW + jiff::SignedDuration::from_millis(millis));
        ConnectionState { due_at, idle_since: Some(NOW), ..ConnectionState::default() }
    }

    #[test]
    fn a_connection_is_planned_from_when_it_is_due_and_then_at_its_pace() {
        let seconds: Vec<u32> = planned(Some(&due_in(3_200)), 30).into_iter().map(|(second, _)| second).collect();
        assert_eq!(seconds, [4, 34, 64]);
        assert_eq!(planned(None, 60).len(), 2, "one whose state is not known is due at once");
        assert_eq!(planned(Some(&due_in(0)), 1).len(), 65);
    }

    #[test]
    fn a_connection_that_is_polled_once_an_hour_is_planned_in_its_minute_only() {
        assert_eq!(planned(Some(&due_in(120_000)), 3_600), []);
        assert_eq!(planned(Some(&due_in(60_000)), 3_600), [(60, PollPurpose::Due)]);
        assert_eq!(
            planned(Some(&due_in(120_000)), 60),
            [(0, PollPurpose::Due), (60, PollPurpose::Due)],
            "its pace changed"
        );
    }

    #[test]
    fn a_request_of_an_operator_does_not_wait_until_the_source_is_due() {
        let state = ConnectionState { requests: 1, idle_since: None, ..due_in(3_000_000) };
        assert_eq!(planned(Some(&state), 3_600), [(0, PollPurpose::Now)]);
    }

    #[test]
    fn a_request_that_a_poller_has_seen_is_repeated_no_more_often_than_the_source_is_asked() {
        let state = ConnectionState { requests: 1, requests_seen: 1, resync_requested: Some(1), ..due_in(3_000_000) };
        assert_eq!(planned(Some(&state), 3_600), []);
    }

    #[test]
    fn a_connection_that_is_paused_is_not_planned() {
        let state = ConnectionState { paused_at: Some(NOW), has_batch: true, requests: 1, ..due_in(0) };
        assert_eq!(planned(Some(&state), 5), []);
    }

    #[test]
    fn an_open_batch_is_looked_after_every_two_seconds() {
        let state = ConnectionState { has_batch: true, idle_since: None, ..due_in(3_000_000) };
        let looks = planned(Some(&state), 3_600);
        assert_eq!((looks.len(), looks[1]), (33, (2, PollPurpose::Batch)));
    }

    #[test]
    fn a_look_for_drift_is_planned_when_its_time_has_come_and_not_before_the_first_sync() {
        let planned = |state: ConnectionState| {
            let mut plan = Plan::default();
            plan.add_look(&key(), &state, true, NOW);
            plan.into_requests().len()
        };
        let synced = ConnectionState { fresh_as_of: Some(NOW), ..ConnectionState::default() };
        let at = |seconds| ConnectionState { verify_at: Some(NOW + Duration::from_secs(seconds)), ..synced.clone() };
        assert_eq!(planned(ConnectionState::default()), 0);
        assert_eq!((planned(synced.clone()), planned(at(0)), planned(at(1))), (1, 1, 0));
        assert_eq!(planned(at(100_000)), 1, "noted by a clock that was far ahead");
        assert_eq!(planned(ConnectionState { paused_at: Some(NOW), ..at(0) }), 0);
    }

    #[test]
    fn a_source_is_looked_at_while_a_batch_is_open() {
        let planned = |state: ConnectionState| {
            let mut plan = Plan::default();
            plan.add_look(&key(), &state, false, NOW);
            plan.into_requests().len()
        };
        let open = ConnectionState { has_batch: true, ..ConnectionState::default() };
        assert_eq!((planned(ConnectionState::default()), planned(open.clone())), (0, 3));
        assert_eq!(planned(ConnectionState { paused_at: Some(NOW), ..open }), 0);
    }

    #[test]
    fn several_hundred_connections_are_polled_by_several_invocations() {
        let mut plan = Plan::default();
        for number in 0..120 {
            plan.add(&ConnectionKey::new("acme", format!("aa-{number}")), None, Duration::from_secs(3_600), NOW);
        }
        let sizes: Vec<usize> = plan.into_requests().iter().map(|(_, request)| request.connections.len()).collect();
        assert_eq!(sizes, [50, 50, 20]);
    }
}
