//! What stands in a connection's `poll` item.

use std::time::Duration;

use jiff::Timestamp;

use super::POLL;
use crate::StoreError;
use crate::item::{Item, Read};

/// A poller may let a source wait for so long, even if it is asked more often: after it has abandoned a batch, say.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// For so long a source is asked without a lease before it is asked under one.
const LONGEST_IDLE: Duration = Duration::from_secs(15 * 60);
/// No poller lets an open batch wait for longer.
const LONGEST_TEND: Duration = Duration::from_secs(60);
/// No look for drift is planned farther ahead.
const LONGEST_VERIFY_PAUSE: Duration = Duration::from_secs(3 * 60 * 60);
/// When everything was asked to be listed again, and how often that was asked for.
pub(super) const RESYNC: (&str, &str) = ("resync_at", "resync_count");
/// When the deletions that were confirmed were asked to be carried out, and how often that was asked for.
pub(super) const CONFIRM: (&str, &str) = ("confirm_at", "confirm_count");

/// What went wrong last, until something goes right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// When it happened.
    pub at: Timestamp,
    /// The text, without secrets and personal data.
    pub message: String,
}

/// How the polling of a connection stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionState {
    /// The shadow holds everything that the source reported by then.
    pub fresh_as_of: Option<Timestamp>,
    /// When the source last answered.
    pub answered_at: Option<Timestamp>,
    /// What stands in the way now.
    pub error: Option<LastError>,
    /// The number of the request to list everything again, if one is to be done.
    pub resync_requested: Option<u64>,
    /// When the source is asked again for what it has refused or not confirmed in time, and how often that was.
    pub resync_refused: Option<(Timestamp, u32)>,
    /// The number of the request to carry out the deletions that were confirmed, if one is to be done.
    pub confirm_requested: Option<u64>,
    /// Whether that request is by a release that marks what it confirms. The one before meant all that wait.
    pub is_confirm_marked: bool,
    /// Since when an operator has it paused: it is not polled, and takes nothing.
    pub paused_at: Option<Timestamp>,
    /// Until when a poller has the lease, or had it when it died.
    pub lease_until: Option<Timestamp>,
    /// Before this the source is not asked again.
    pub due_at: Option<Timestamp>,
    /// Since when the connection is idle: nothing is open, nothing waits, and the source answers quickly.
    pub idle_since: Option<Timestamp>,
    /// Whether a batch was open when the last poller left.
    pub has_batch: bool,
    /// Before this the open batch is not looked after.
    pub tend_at: Option<Timestamp>,
    /// Since when freshness is counted if the connection never was in sync.
    pub watched_since: Option<Timestamp>,
    /// Which chunks were sent to workers, as the poller writes it.
    pub send_window: Option<String>,
    /// When some customers are compared with the source next; `None` if that was not planned yet.
    pub verify_at: Option<Timestamp>,
    /// How many requests operators have made.
    pub requests: u64,
    /// How many of them the last poller saw.
    pub requests_seen: u64,
}

/// How a poller leaves a connection.
#[derive(Clone, Debug, Default)]
pub struct Departure {
    /// Before this the source is not asked again.
    pub due_at: Option<Timestamp>,
    /// Since when the connection is idle, if it is. It is not if an operator made a request meanwhile.
    pub idle_since: Option<Timestamp>,
    /// Whether a batch is open.
    pub has_batch: bool,
    /// Before this the open batch is not looked after.
    pub tend_at: Option<Timestamp>,
    /// Which chunks were sent to workers.
    pub send_window: Option<String>,
    /// When everything was there that was to come, if it is: see [`mark_synced`](super::ConnectionStates::mark_synced).
    pub synced_as_of: Option<Timestamp>,
}

impl ConnectionState {
    /// Whether the source may be asked without a lease. Now and then it is asked under the lease all the same: a
    /// request of the release before leaves no trace in this item.
    pub fn may_be_asked_ahead(&self, now: Timestamp) -> bool {
        let is_requested = self.resync_requested.is_some() || self.confirm_requested.is_some();
        !is_requested && self.idle_since.is_some_and(|since| now < since + LONGEST_IDLE)
    }

    /// Whether an operator has asked for something since a poller left the connection.
    pub fn has_new_request(&self) -> bool {
        self.requests > self.requests_seen
    }

    /// Whether the open batch may be looked after. A time that lies farther away than pollers ever note was noted by
    /// another clock.
    pub fn may_be_tended(&self, now: Timestamp) -> bool {
        self.tend_at.is_none_or(|at| at <= now || at > now + LONGEST_TEND)
    }

    /// Whether some customers are to be compared with the source now. It must have been in sync once, and must not be
    /// paused. A time that lies farther away than any is planned was noted by another clock.
    pub fn may_be_verified(&self, now: Timestamp) -> bool {
        let is_due = self.verify_at.is_none_or(|at| at <= now || at > now + LONGEST_VERIFY_PAUSE);
        is_due && self.paused_at.is_none() && self.fresh_as_of.is_some()
    }

    /// When the source is to be asked again that is asked every `pause`. A time that is noted farther away was noted
    /// before its pace changed.
    pub fn due(&self, pause: Duration, now: Timestamp) -> Timestamp {
        self.due_at.filter(|due_at| *due_at <= now + pause.max(LONGEST_WAIT)).unwrap_or(now)
    }

    pub(crate) fn read(item: &Item) -> Result<Self, StoreError> {
        let read = Read::new(POLL, item);
        let error = match read.optional_time("failed_at")? {
            Some(at) => Some(LastError { at, message: read.text("message")?.to_owned() }),
            None => None,
        };
        Ok(Self {
            fresh_as_of: read.optional_time("fresh_as_of")?,
            answered_at: read.optional_time("answered_at")?,
            error,
            resync_requested: requested(&read, RESYNC)?,
            resync_refused: match read.optional_time("resync_again_at")? {
                Some(again_at) => Some((again_at, read.number("resync_refusals")?)),
                None => None,
            },
            confirm_requested: requested(&read, CONFIRM)?,
            is_confirm_marked: read.number_or_zero("confirm_marked")? == read.number_or_zero(CONFIRM.1)?,
            paused_at: read.optional_time("paused_at")?,
            lease_until: read.optional_time("lease_until")?,
            due_at: read.optional_time("due_at")?,
            idle_since: read.optional_time("idle")?,
            has_batch: read.has("has_batch"),
            tend_at: read.optional_time("tend_at")?,
            watched_since: read.optional_time("watched_since")?,
            send_window: read.optional_text("send_window")?,
            verify_at: read.optional_time("verify_at")?,
            requests: read.number_or_zero("requests")?,
            requests_seen: read.number_or_zero("requests_seen")?,
        })
    }
}

/// The number of a request that is to be done. One by a release that did not number requests has the number 0.
fn requested(read: &Read<'_>, (at, count): (&'static str, &'static str)) -> Result<Option<u64>, StoreError> {
    if read.has(at) { read.number_or_zero(count).map(Some) } else { Ok(None) }
}
