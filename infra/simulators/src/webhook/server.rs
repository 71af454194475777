//! The HTTP side: one path that takes events, and when faults apply.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    events::Event,
    signatures,
    types::{Fault, WebhookFault, WebhookReceiver},
};
use crate::{
    faults::{delay, huge_document, spoil},
    server::{Document, media_type, plain_status},
    simulator::ONLY_OPERATION,
    xml::entity_bomb,
};

/// The answers with which a sender need not send an event again.
const APPLIED: &str = "{\"event\":\"applied\"}\n";
const APPLIED_BEFORE: &str = "{\"event\":\"applied before\"}\n";

/// A status, and why.
type Refusal = (StatusCode, String);

pub(super) async fn call(State(receiver): State<WebhookReceiver>, headers: HeaderMap, body: Bytes) -> Response {
    {
        let mut state = receiver.state();
        state.counts.received += 1;
        state.last_request = Some((plain_headers(&headers), String::from_utf8_lossy(&body).into_owned()));
    }

    let fault = receiver.meet(ONLY_OPERATION, None).await;
    if let Some(response) = fault.as_ref().and_then(instead_of_answer) {
        return response;
    }

    if let Some(Fault::Own(WebhookFault::OneAtATime(time))) = &fault {
        if std::mem::replace(&mut receiver.state().is_at_work, true) {
            return plain_status(502).into_response();
        }
        delay(Some(&Fault::Delay(*time))).await;
        receiver.state().is_at_work = false;
    }

    if let Some(Fault::Own(WebhookFault::TakesOneIn(requests, status))) = &fault
        && receiver.state().counts.received % requests != 1
    {
        return plain_status(*status).into_response();
    }

    match (receive(&receiver, &headers, &body), fault) {
        (Ok(_), Some(Fault::Huge(bytes))) => huge_document(XML_TYPE, bytes),
        (Ok(answer), fault) => spoil(fault.as_ref(), Document::ok("application/json", answer)).await,
        (Err(refusal), fault) => {
            delay(fault.as_ref()).await;
            refusal.into_response()
        }
    }
}

const XML_TYPE: &str = "text/xml; charset=utf-8";

/// The answer of a fault with which the event is not applied; `None` for the others.
fn instead_of_answer(fault: &Fault) -> Option<Response> {
    match fault {
        Fault::Huge(_) => None,
        Fault::Own(WebhookFault::Redirect(location)) => {
            Some((StatusCode::FOUND, [(header::LOCATION, location)], plain_status(302).1).into_response())
        }
        common => common.instead_of_answer(XML_TYPE, || entity_bomb("<event>&laugh10;</event>")),
    }
}

fn plain_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let plain = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), plain(value))).collect()
}

fn receive(receiver: &WebhookReceiver, headers: &HeaderMap, body: &[u8]) -> Result<&'static str, Refusal> {
    let settings = receiver.settings();
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
        return Ok(APPLIED_BEFORE);
    }
    if let Some(&status) = state.refused.get(&event.subject) {
        state.counts.refused += 1;
        return Err(plain_status(status));
    }
    state.apply(webhook_id, event);
    Ok(APPLIED)
}

fn read_event(headers: &HeaderMap, body: &[u8]) -> Result<Event, Refusal> {
    if media_type(headers) != "application/cloudevents+json" {
        return Err(plain_status(415));
    }
    Event::read(body).map_err(|reason| (StatusCode::BAD_REQUEST, format!("{reason}\n")))
}
