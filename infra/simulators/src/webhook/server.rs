//! The HTTP side: one path that takes events, and when faults apply.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};

use super::{
    ENDPOINT_PATH, Fault, ONLY_OPERATION, WebhookReceiver,
    events::{Event, is_event_type},
    faults, signatures,
};
use crate::faults::plain_status;

/// Far more than a customer needs.
const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;

/// The answer with which a sender need not send an event again.
#[derive(Clone, Copy)]
pub(super) enum Acknowledgement {
    Applied,
    Repeated,
}

impl Acknowledgement {
    pub(super) const CONTENT_TYPE: &str = "application/json";

    pub(super) fn document(self) -> &'static str {
        match self {
            Self::Applied => "{\"event\":\"applied\"}\n",
            Self::Repeated => "{\"event\":\"applied before\"}\n",
        }
    }
}

impl IntoResponse for Acknowledgement {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, Self::CONTENT_TYPE)], self.document()).into_response()
    }
}

/// A status, and why.
type Refusal = (StatusCode, String);

pub(super) fn router(receiver: &WebhookReceiver) -> Router {
    Router::new()
        .route(ENDPOINT_PATH, post(call))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(receiver.clone())
}

async fn call(State(receiver): State<WebhookReceiver>, headers: HeaderMap, body: Bytes) -> Response {
    {
        let mut state = receiver.state();
        state.counts.received += 1;
        state.last_request = Some((plain_headers(&headers), String::from_utf8_lossy(&body).into_owned()));
    }

    let (mut fault, mut fault_changes) = receiver.shared.faults.take(ONLY_OPERATION, None);
    if fault.is_some() {
        receiver.state().counts.faulted += 1;
    }
    if fault == Some(Fault::Hang) {
        // The sender lives as long as the receiver, which this request holds.
        let _ = fault_changes.changed().await;
        fault = None;
    }
    if let Some(response) = fault.as_ref().and_then(faults::instead_of_answer) {
        return response;
    }

    let answer = receive(&receiver, &headers, &body);
    if let Some(Fault::Delay(delay)) = fault {
        tokio::time::sleep(delay).await;
    }
    match answer {
        Ok(acknowledgement) => faults::spoil(fault.as_ref(), acknowledgement),
        Err(refusal) => refusal.into_response(),
    }
}

fn plain_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let plain = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), plain(value))).collect()
}

fn receive(receiver: &WebhookReceiver, headers: &HeaderMap, body: &[u8]) -> Result<Acknowledgement, Refusal> {
    let settings = &receiver.shared.settings;
    let now = (settings.clock)();
    let mut state = receiver.state();
    let verified =
        state.key.as_deref().and_then(|key| signatures::verified_id(key, headers, body, now, settings.tolerance));
    let Some(webhook_id) = verified else {
        state.counts.unverified += 1;
        return Err(plain_status(401));
    };
    let event = match read_event(headers, body) {
        Ok(event) => event,
        Err(refusal) => {
            state.counts.unreadable += 1;
            return Err(refusal);
        }
    };
    if state.was_applied(webhook_id) {
        state.counts.repeated += 1;
        return Ok(Acknowledgement::Repeated);
    }
    if let Some(&status) = state.refused.get(&event.subject) {
        state.counts.refused += 1;
        return Err(plain_status(status));
    }
    state.apply(webhook_id, event);
    Ok(Acknowledgement::Applied)
}

fn read_event(headers: &HeaderMap, body: &[u8]) -> Result<Event, Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_event_type(content_type) {
        return Err(plain_status(415));
    }
    Event::read(body).map_err(|reason| (StatusCode::BAD_REQUEST, format!("{reason}\n")))
}
