//! The receiver, where it is, what it tells of the requests, and what goes wrong.

use std::time::Duration;

use axum::http::HeaderValue;
use serde::Serialize;

use super::{events::EventKind, settings::WebhookSettings};
use crate::{
    control::{BadRequest, Parameters, bad_request, not_known},
    faults::OwnFault,
    simulator::Simulator,
};

/// A receiver of webhooks. It knows no customers at the start.
pub type WebhookReceiver = Simulator<WebhookSettings>;

/// Where the receiver is on its host.
pub const ENDPOINT_PATH: &str = "/hook";

/// The address of the receiver under `base`, such as `http://127.0.0.1:8794`.
pub fn endpoint(base: &str) -> String {
    format!("{}{ENDPOINT_PATH}", base.trim_end_matches('/'))
}

/// What goes wrong with a whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookFault {
    /// HTTP status 302 with this `Location`; the event is not applied.
    Redirect(String),
    /// It takes this long over an event, and answers others that come meanwhile with HTTP status 502; those are not
    /// applied.
    OneAtATime(Duration),
    /// Of so many requests in a row it takes one, and answers the others with this HTTP status; those events are not
    /// applied. Two: one of two machines is ill.
    TakesOneIn(u64, u16),
}

/// What goes wrong with a whole request: what every simulator can do, and what only this one can.
///
/// With `Huge` the event **is applied**, and only its answer suffers. What concerns XML and credentials is for others.
pub type Fault = crate::faults::Fault<WebhookFault>;

impl OwnFault for WebhookFault {
    fn read(name: &str, parameters: &Parameters) -> Result<Option<Self>, BadRequest> {
        match name {
            "redirect" => {
                let location = parameters.text("value")?;
                HeaderValue::from_str(location).map_err(|_| bad_request("value: it is no address"))?;
                Ok(Some(Self::Redirect(location.to_owned())))
            }
            "one-at-a-time" => Ok(Some(Self::OneAtATime(Duration::from_millis(parameters.number("value")?)))),
            "takes-one-in" => {
                let (status, requests) = parameters.status_and_seconds("value")?;
                Ok(Some(Self::TakesOneIn(u64::from(requests).max(1), status)))
            }
            "malformed" | "not-xml" | "doctype" | "wrong-credentials" => Err(not_known("fault", name)),
            _ => Ok(None),
        }
    }
}

/// The requests to a receiver so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// Requests that were posted. Each is in just one of the next six, unless it met a fault and was carried out all
    /// the same.
    pub received: u64,
    /// Events that were applied.
    pub accepted: u64,
    /// Events that had been applied before, and were acknowledged again.
    pub repeated: u64,
    /// Requests with a signature that is missing, wrong or too old.
    pub unverified: u64,
    /// Requests with a good signature and no event that can be read.
    pub unreadable: u64,
    /// Events of subjects that are refused.
    pub refused: u64,
    /// Requests that met a fault.
    pub faulted: u64,
    /// Applied events whose revision is lower than one that arrived before of the same subject.
    pub out_of_order: u64,
}

/// An event that was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The id of its request, the same however often it is sent.
    pub webhook_id: String,
    /// The customer's id.
    pub subject: String,
    /// What became of the customer.
    pub kind: EventKind,
    /// The customer's revision.
    pub revision: u64,
}
