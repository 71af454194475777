//! Every request to a source passes the connection's limiter: its pace, and its breaker.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use model::ConnectionKey;
use serde::Deserialize;
use store::{Admission, Clock, SecretRef, Secrets, SourceLimiter};

use crate::SourceHttp;
use crate::http::{RequestError, SourceError};
use crate::seats::Seat;

/// The time that a source gets for a whole answer before one of our deadlines may cut it off. No request is sent later
/// than this before the deadline: otherwise the source would work in vain, and the breaker open, through our own fault.
pub const ANSWER_TIME: Duration = Duration::from_secs(25);
/// How long a request waits for its slot. One that would have to wait longer would hold a worker that another
/// connection needs, and is retried later.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A retry is due so long before the next free slot: soon enough not to miss it, however long sending takes, and late
/// enough to wait for it.
const EARLY: Duration = Duration::from_secs(3);
/// No sooner than this after a request found no slot.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(1);

/// A source behind its connections' limiters.
#[derive(Clone, Debug)]
pub(crate) struct SourceClient {
    pub(crate) http: SourceHttp,
    pub(crate) clock: Clock,
    secrets: Secrets,
    limiter: SourceLimiter,
}

/// User name and password at a source.
#[derive(Deserialize)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: String,
    /// Where it was read.
    #[serde(skip)]
    reference: Option<SecretRef>,
}

impl Login {
    /// A source's message may quote what it was sent.
    fn redact(&self, message: &str) -> String {
        wire::redact(message, &self.username, &self.password)
    }
}

impl SourceClient {
    pub(crate) fn new(http: SourceHttp, secrets: Secrets, limiter: SourceLimiter, clock: Clock) -> Self {
        Self { http, clock, secrets, limiter }
    }

    /// Reads the credentials.
    pub(crate) async fn login(&self, reference: &SecretRef) -> Result<Login, SourceError> {
        let login: Login = self.secrets.read_for_source(reference, "\"username\" and \"password\"").await?;
        Ok(Login { reference: Some(reference.clone()), ..login })
    }

    /// Sends a request when the limiter allows it, and tells the limiter how it went.
    ///
    /// [`SourceError::Throttled`] if the breaker is open, if no slot is free within [`LONGEST_WAIT`], or if less than
    /// [`ANSWER_TIME`] would be left: then the source is not to blame.
    pub(crate) async fn ask<T, F: Future<Output = Result<T, RequestError>>>(
        &self,
        key: &ConnectionKey,
        per_second: f64,
        deadline: Timestamp,
        login: &Login,
        request: impl FnOnce() -> F,
    ) -> Result<T, SourceError> {
        let (_seat, failures) = self.admitted(key, per_second, deadline).await?;
        self.send(key, failures, deadline, login, request()).await
    }

    /// Sends a request on which nothing depends: a source that fails at it is not left alone for that, because it may
    /// be well for others. If it failed at others before, this request shows whether it is well again, as any other.
    pub(crate) async fn ask_aside<T, F: Future<Output = Result<T, RequestError>>>(
        &self,
        key: &ConnectionKey,
        per_second: f64,
        deadline: Timestamp,
        login: &Login,
        request: impl FnOnce() -> F,
    ) -> Result<T, SourceError> {
        let (_seat, failures) = self.admitted(key, per_second, deadline).await?;
        if failures > 0 {
            return self.send(key, failures, deadline, login, request()).await;
        }
        let answer = tokio::select! {
            biased;
            answer = request() => answer,
            () = self.clock.sleep_until(deadline) => {
                Err(RequestError::Transient { message: "the source did not answer in time".to_owned(), retry_after: None })
            }
        };
        answer.map_err(|error| match error {
            RequestError::Transient { message, .. } => {
                SourceError::Transient { until: self.clock.now(), message: login.redact(&message) }
            }
            RequestError::InvalidResponse(message) => SourceError::InvalidResponse { message: login.redact(&message) },
            RequestError::Panicked => SourceError::Panicked,
        })
    }

    /// Waits for a seat and for a slot. Returns how often the source failed since it last answered.
    async fn admitted(
        &self,
        key: &ConnectionKey,
        per_second: f64,
        deadline: Timestamp,
    ) -> Result<(Seat, u64), SourceError> {
        let now = self.clock.now();
        let Some(latest) = latest_slot(now, deadline) else {
            let message = "there was not enough time left for a whole answer".to_owned();
            return Err(SourceError::Throttled { until: now, message });
        };
        let seat = tokio::select! {
            biased;
            seat = self.http.seats.take(key) => seat,
            () = self.clock.sleep_until(now + NO_ROOM_PAUSE) => {
                let message = "as many requests are under way as the connection may have at once".to_owned();
                return Err(SourceError::Throttled { until: now + NO_ROOM_PAUSE * 2, message });
            }
        };
        let (slot, failures) = match self.limiter.acquire(key, per_second, latest).await? {
            Admission::At { slot, failures } => (slot, failures),
            Admission::CircuitOpen(until) => {
                let message = "the source failed a moment ago and is left alone for a while".to_owned();
                return Err(SourceError::Throttled { until, message });
            }
            Admission::RateLimited { next_slot } => {
                let message = "`max_requests_per_second` leaves no room for this request now".to_owned();
                return Err(SourceError::Throttled { until: come_back_at(now, next_slot), message });
            }
        };
        self.clock.wait_until(slot).await;
        Ok((seat, failures))
    }

    /// Sends a request without a slot of its own, for a caller that knows that no other request is under way: it costs
    /// no write. The limiter is told if it fails.
    pub(crate) async fn ask_alone<T, F: Future<Output = Result<T, RequestError>>>(
        &self,
        key: &ConnectionKey,
        deadline: Timestamp,
        login: &Login,
        request: impl FnOnce() -> F,
    ) -> Result<T, SourceError> {
        self.send(key, 0, deadline, login, request()).await
    }

    /// Takes the next slot after a request that was sent without one: those that follow keep their distance.
    pub(crate) async fn count_request(&self, key: &ConnectionKey, per_second: f64) -> Result<(), SourceError> {
        let latest = self.clock.now() + LONGEST_WAIT;
        self.limiter.acquire(key, per_second, latest).await?;
        Ok(())
    }

    async fn send<T, F: Future<Output = Result<T, RequestError>>>(
        &self,
        key: &ConnectionKey,
        failures: u64,
        deadline: Timestamp,
        login: &Login,
        request: F,
    ) -> Result<T, SourceError> {
        let sent_at = self.clock.now();
        let answer = tokio::select! {
            biased;
            answer = request => answer,
            () = self.clock.sleep_until(deadline) => {
                // Held up on our side before it was sent: it did not have the time that an answer may take.
                if self.clock.now() < sent_at + ANSWER_TIME {
                    let message = "our own deadline came before the source had time to answer".to_owned();
                    return Err(SourceError::Throttled { until: self.clock.now(), message });
                }
                Err(RequestError::Transient { message: "the source did not answer in time".to_owned(), retry_after: None })
            }
        };
        match answer {
            Ok(answer) => {
                self.limiter.succeeded(key, failures).await?;
                Ok(answer)
            }
            Err(RequestError::Transient { message, retry_after }) => {
                let until = self.limiter.failed(key, failures, retry_after).await?;
                Err(SourceError::Transient { until, message: login.redact(&message) })
            }
            // It did answer: the caller finds out whether the source or one record is to blame.
            Err(RequestError::InvalidResponse(message)) => {
                if let Some(reference) = &login.reference {
                    self.secrets.doubt(reference);
                }
                self.limiter.succeeded(key, failures).await?;
                Err(SourceError::InvalidResponse { message: login.redact(&message) })
            }
            Err(RequestError::Panicked) => Err(SourceError::Panicked),
        }
    }
}

/// The time by which a request must find its slot; `None` if there is not enough time for a whole answer.
pub(crate) fn latest_slot(now: Timestamp, deadline: Timestamp) -> Option<Timestamp> {
    let latest = (now + LONGEST_WAIT).min(deadline - ANSWER_TIME);
    (latest >= now).then_some(latest)
}

/// When to ask for a slot again, if the first free one is too far away.
pub(crate) fn come_back_at(now: Timestamp, next_slot: Timestamp) -> Timestamp {
    (next_slot - EARLY).max(now + NO_ROOM_PAUSE)
}

#[cfg(test)]
mod tests;
