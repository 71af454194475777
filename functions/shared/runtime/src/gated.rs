//! Every request to a vendor passes the connection's gate: its pace, and its breaker.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use model::ConnectionKey;
use serde::Deserialize;
use store::{Admission, Clock, Gate, SecretRef, Secrets};

use crate::VendorHttp;
use crate::vendor::{Failed, Trouble};

/// When to ask again where others have reserved every slot before the deadline.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(5);

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
    pub(crate) async fn ask<T, F: Future<Output = Result<T, Failed>>>(
        &self,
        key: &ConnectionKey,
        per_second: f64,
        deadline: Timestamp,
        login: &Login,
        request: impl FnOnce() -> F,
    ) -> Result<T, Trouble> {
        let _seat = tokio::select! {
            seat = self.http.seats.take(key) => seat,
            () = self.clock.sleep_until(deadline.min(self.clock.now() + NO_ROOM_PAUSE)) => {
                let message = "as many requests are under way as the connection may have at once".to_owned();
                return Err(Trouble::NotNow { until: self.clock.now() + NO_ROOM_PAUSE, message });
            }
        };
        let (slot, failures) = match self.gate.enter(key, per_second, deadline).await? {
            Admission::At { slot, failures } => (slot, failures),
            Admission::ClosedUntil(until) => {
                let message = "the vendor failed a moment ago and is left alone for a while".to_owned();
                return Err(Trouble::NotNow { until, message });
            }
            Admission::NoRoom => {
                let message = "`max_requests_per_second` leaves no room for this request now".to_owned();
                return Err(Trouble::NotNow { until: self.clock.now() + NO_ROOM_PAUSE, message });
            }
        };
        self.clock.pass_until(slot).await;
        let out_of_time =
            Failed::Passing { message: "the vendor did not answer in time".to_owned(), retry_after: None };
        let answer = tokio::select! {
            answer = request() => answer,
            () = self.clock.sleep_until(deadline) => Err(out_of_time),
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
