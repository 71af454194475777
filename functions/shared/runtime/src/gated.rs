//! Every request to a vendor passes the connection's gate: its pace, and its breaker.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use model::ConnectionKey;
use serde::Deserialize;
use store::{Admission, Clock, Gate, SecretRef, Secrets};

use crate::VendorHttp;
use crate::vendor::{Failed, Trouble};

/// What a vendor is given for a whole answer before a deadline of ours may cut it off. No request is sent later than
/// this before the deadline: it would be the vendor's work thrown away, and the breaker open, for our own haste.
pub const ANSWER_TIME: Duration = Duration::from_secs(25);
/// How long a request waits for its slot. Whoever would have to wait longer holds a worker's place that another
/// connection needs, and comes back later.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// So long before the next free slot it makes sense to come back: soon enough not to miss it, however long it takes to
/// be sent again, and late enough to wait for it.
const EARLY: Duration = Duration::from_secs(3);
/// No sooner than this after a request found no slot.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(1);

/// A vendor behind the gates of its connections.
#[derive(Clone, Debug)]
pub(crate) struct GatedVendor {
    pub(crate) http: VendorHttp,
    pub(crate) clock: Clock,
    secrets: Secrets,
    gate: Gate,
}

/// User name and password at a vendor.
#[derive(Deserialize)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: String,
}

impl Login {
    /// A vendor's message may quote what it was sent.
    fn redact(&self, message: &str) -> String {
        wire::redact(message, &self.username, &self.password)
    }
}

impl GatedVendor {
    pub(crate) fn new(http: VendorHttp, secrets: Secrets, gate: Gate, clock: Clock) -> Self {
        Self { http, clock, secrets, gate }
    }

    /// Reads the credentials.
    pub(crate) async fn login(&self, reference: &SecretRef) -> Result<Login, Trouble> {
        Ok(self.secrets.read(reference, "\"username\" and \"password\"").await?)
    }

    /// Sends a request when the gate allows it, and tells the gate how it went.
    ///
    /// [`Trouble::NotNow`] where the breaker is open, where no slot is free within [`LONGEST_WAIT`], or where less than
    /// [`ANSWER_TIME`] would be left: then the vendor is not to blame for anything.
    pub(crate) async fn ask<T, F: Future<Output = Result<T, Failed>>>(
        &self,
        key: &ConnectionKey,
        per_second: f64,
        deadline: Timestamp,
        login: &Login,
        request: impl FnOnce() -> F,
    ) -> Result<T, Trouble> {
        let now = self.clock.now();
        let Some(latest) = latest_slot(now, deadline) else {
            let message = "there was not enough time left for a whole answer".to_owned();
            return Err(Trouble::NotNow { until: now, message });
        };
        let _seat = tokio::select! {
            seat = self.http.seats.take(key) => seat,
            () = self.clock.sleep_until(now + NO_ROOM_PAUSE) => {
                let message = "as many requests are under way as the connection may have at once".to_owned();
                return Err(Trouble::NotNow { until: now + NO_ROOM_PAUSE * 2, message });
            }
        };
        let (slot, failures) = match self.gate.enter(key, per_second, latest).await? {
            Admission::At { slot, failures } => (slot, failures),
            Admission::ClosedUntil(until) => {
                let message = "the vendor failed a moment ago and is left alone for a while".to_owned();
                return Err(Trouble::NotNow { until, message });
            }
            Admission::NoRoom { next_slot } => {
                let message = "`max_requests_per_second` leaves no room for this request now".to_owned();
                return Err(Trouble::NotNow { until: come_back_at(now, next_slot), message });
            }
        };
        self.clock.pass_until(slot).await;
        let sent_at = self.clock.now();
        let answer = tokio::select! {
            answer = request() => answer,
            () = self.clock.sleep_until(deadline) => {
                // Held up on our side before it was sent: it never had the time that an answer may take.
                if self.clock.now() < sent_at + ANSWER_TIME {
                    let message = "our own deadline came before the vendor had time to answer".to_owned();
                    return Err(Trouble::NotNow { until: self.clock.now(), message });
                }
                Err(Failed::Passing { message: "the vendor did not answer in time".to_owned(), retry_after: None })
            }
        };
        match answer {
            Ok(answer) => {
                self.gate.succeeded(key, failures).await?;
                Ok(answer)
            }
            Err(Failed::Passing { message, retry_after }) => {
                let until = self.gate.failed(key, failures, retry_after).await?;
                Err(Trouble::Passing { until, message: login.redact(&message) })
            }
            // It did answer: whether the vendor or one record is to blame is for the caller to find out.
            Err(Failed::Unusable(message)) => {
                self.gate.succeeded(key, failures).await?;
                Err(Trouble::Unusable { message: login.redact(&message) })
            }
            Err(Failed::Panicked) => Err(Trouble::Panicked),
        }
    }
}

/// Before when a request must find its slot; `None` where there is not enough time for a whole answer.
pub(crate) fn latest_slot(now: Timestamp, deadline: Timestamp) -> Option<Timestamp> {
    let latest = (now + LONGEST_WAIT).min(deadline - ANSWER_TIME);
    (latest >= now).then_some(latest)
}

/// When it makes sense to ask for a slot again, where the first free one is too far away.
pub(crate) fn come_back_at(now: Timestamp, next_slot: Timestamp) -> Timestamp {
    (next_slot - EARLY).max(now + NO_ROOM_PAUSE)
}

#[cfg(test)]
mod tests;
