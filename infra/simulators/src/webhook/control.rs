//! Controls a running receiver from another process.
//!
//! Everything that a story does to a receiver in its own process can be done over HTTP, under `/_simulator/`:
//!
//! | request | what it does |
//! |---|---|
//! | `POST /_simulator/refuse?subject=aa~1001&status=400` | from now on events of this customer are answered with this status |
//! | `POST /_simulator/accept?subject=aa~1001` | no longer |
//! | `POST /_simulator/set-secret?secret=whsec_…` | from now on only this secret verifies; a `+` in it is written `%2B` |
//! | `POST /_simulator/fault?fault=status&value=503` | from now on, or with `&times=3` the next three times; `fault=none` ends it |
//! | `POST /_simulator/take-news` | answers the ids that events told of since the last time |
//! | `GET /_simulator/state` | counts of requests and customers, as JSON |
//! | `GET /_simulator/customer?id=aa~1001` | whether a customer exists, and the data of its last event, as JSON |
//! | `GET /_simulator/events` | the events that were applied, in order, as JSON |
//! | `GET /_simulator/last-request` | headers and body of the last request, as JSON |
//!
//! Faults, with their `value`: `none`, `delay` (milliseconds), `hang`, `status` (HTTP status), `retry-after`
//! (`status:seconds`), `redirect` (address), `cut-body`, `huge` (bytes).
//!
//! Done is 200 with JSON; a request that makes no sense is 400 with one line of text. There is no authentication: this
//! is for a receiver that only a test can reach.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::HeaderValue,
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{Fault, ONLY_OPERATION, WebhookReceiver, signatures};
use crate::control::{BadRequest, Parameters, bad_request, no_command, not_known};

/// The control surface of one receiver. [`WebhookReceiver::serve`] has it already.
pub fn router(receiver: &WebhookReceiver) -> Router {
    Router::new()
        .route("/_simulator/state", get(state))
        .route("/_simulator/customer", get(customer))
        .route("/_simulator/events", get(events))
        .route("/_simulator/last-request", get(last_request))
        .route("/_simulator/{command}", post(command))
        .with_state(receiver.clone())
}

async fn command(
    State(receiver): State<WebhookReceiver>,
    Path(command): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, BadRequest> {
    match command.as_str() {
        "refuse" => receiver.refuse(parameters.text("subject")?, parameters.number("status")?),
        "accept" => receiver.accept(parameters.text("subject")?),
        "set-secret" => {
            let secret = parameters.text("secret")?;
            if signatures::key(secret).is_none() {
                return Err(bad_request("secret: whsec_ and base64 are expected"));
            }
            receiver.set_secret(secret);
        }
        "fault" => {
            let times = parameters.number_if_given("times")?;
            receiver.shared.faults.plan(ONLY_OPERATION, None, fault(&parameters)?, times);
        }
        "take-news" => return Ok(Json(json!({ "ids": receiver.take_news() }))),
        other => return Err(no_command(other)),
    }
    Ok(Json(json!({ "done": true })))
}

fn fault(parameters: &Parameters) -> Result<Option<Fault>, BadRequest> {
    Ok(Some(match parameters.text("fault")? {
        "none" => return Ok(None),
        "delay" => Fault::Delay(Duration::from_millis(parameters.number("value")?)),
        "hang" => Fault::Hang,
        "status" => Fault::Status(parameters.number("value")?),
        "retry-after" => {
            let (status, seconds) = parameters.status_and_seconds("value")?;
            Fault::RetryAfter { status, seconds }
        }
        "redirect" => {
            let location = parameters.text("value")?;
            HeaderValue::from_str(location).map_err(|_| bad_request("value: it is no address"))?;
            Fault::Redirect(location.to_owned())
        }
        "cut-body" => Fault::CutBody,
        "huge" => Fault::Huge(parameters.number("value")?),
        other => return Err(not_known("fault", other)),
    }))
}

async fn state(State(receiver): State<WebhookReceiver>) -> Json<Value> {
    Json(json!({
        "requests": receiver.requests(),
        "customers": receiver.ids().len(),
    }))
}

async fn customer(
    State(receiver): State<WebhookReceiver>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, BadRequest> {
    let id = parameters.text("id")?;
    let state = receiver.state();
    Ok(Json(json!({
        "id": id,
        "exists": state.exists(id),
        "data": state.data(id),
    })))
}

async fn events(State(receiver): State<WebhookReceiver>) -> Json<Value> {
    Json(json!(receiver.events()))
}

async fn last_request(State(receiver): State<WebhookReceiver>) -> Json<Value> {
    Json(match receiver.last_request() {
        Some((headers, body)) => json!({ "headers": headers, "body": body }),
        None => Value::Null,
    })
}
