//! Controls a running simulator from another process.
//!
//! Everything that a story does to a simulator in its own process can be done over HTTP, under `/_simulator/`:
//!
//! | request | what it does |
//! |---|---|
//! | `POST /_simulator/change?ids=1001,1002` | new content for these customers, and into the queue |
//! | `POST /_simulator/change-some?count=50` | the same for this many, chosen by the seed; answers which |
//! | `POST /_simulator/delete?id=1001` | delete a customer, told as such |
//! | `POST /_simulator/delete-silently?id=1001` | delete a customer, queued as if only changed |
//! | `POST /_simulator/change-unqueued?ids=1001` | new content, and not into the queue: it forgets to tell |
//! | `POST /_simulator/delete-unqueued?id=1001` | delete a customer, and do not queue it |
//! | `POST /_simulator/create?id=5001` | create a customer, or a deleted one anew |
//! | `POST /_simulator/enqueue?id=1001` | into the queue, though nothing changed |
//! | `POST /_simulator/enqueue-all` | every customer into the queue |
//! | `POST /_simulator/enqueue-text?text=10%3Cb%3E01` | into the queue what is no customer's id, as it is |
//! | `POST /_simulator/poison?id=1001&kind=broken-xml` | from now on something is wrong with this customer |
//! | `POST /_simulator/heal?id=1001` | no longer |
//! | `POST /_simulator/fault?procedure=details&fault=status&value=503` | from now on, or with `&times=3` the next three times; `fault=none` ends it |
//! | `GET /_simulator/state` | queue, counts of requests, purges, customers, as JSON |
//! | `GET /_simulator/customer?id=1001` | display name, e-mail and revision of a customer, as JSON |
//!
//! Kinds of poison: `no-cust-id`, `broken-xml`, `server-error`, `error-element`, `too-deep`, `huge-text` (with `value`
//! = bytes).
//!
//! Procedures: `queue`, `details`, `purge`, `enqueue`, `all`. Faults, with their `value`: `none`, `delay`
//! (milliseconds), `hang`, `status` (HTTP status), `retry-after` (`status:seconds`), `cut-body`, `error-document`
//! (message), `failure-status` (message), `empty`, `malformed`, `not-xml`, `doctype`, `duplicates`, `wrong-dialect`,
//! `huge` (bytes), `wrong-credentials`.
//!
//! Done is 200 with JSON; a request that makes no sense is 400 with one line of text. There is no authentication: this
//! is for a simulator that only a test can reach.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{AaSimulator, Fault, Poison, Procedure};
use crate::control::{BadRequest, Parameters, no_command, not_known};

/// The control surface of one simulator. [`AaSimulator::serve`] has it already.
pub fn router(simulator: &AaSimulator) -> Router {
    Router::new()
        .route("/_simulator/state", get(state))
        .route("/_simulator/customer", get(customer))
        .route("/_simulator/{command}", post(command))
        .with_state(simulator.clone())
}

async fn command(
    State(simulator): State<AaSimulator>,
    Path(command): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, BadRequest> {
    match command.as_str() {
        "change" => simulator.change(parameters.numbers("ids")?),
        "change-some" => {
            let ids = simulator.change_some(parameters.number("count")?);
            return Ok(Json(json!({ "ids": ids })));
        }
        "delete" => simulator.delete(parameters.number("id")?),
        "delete-silently" => simulator.delete_silently(parameters.number("id")?),
        "change-unqueued" => simulator.change_unqueued(parameters.numbers("ids")?),
        "delete-unqueued" => simulator.delete_unqueued(parameters.number("id")?),
        "create" => simulator.create(parameters.number("id")?),
        "enqueue" => simulator.enqueue(parameters.number("id")?),
        "enqueue-all" => simulator.enqueue_all(),
        "enqueue-text" => simulator.enqueue_text(parameters.text("text")?),
        "poison" => simulator.poison(parameters.number("id")?, poison(&parameters)?),
        "heal" => simulator.heal(parameters.number("id")?),
        "fault" => set_fault(&simulator, &parameters)?,
        other => return Err(no_command(other)),
    }
    Ok(Json(json!({ "done": true })))
}

fn set_fault(simulator: &AaSimulator, parameters: &Parameters) -> Result<(), BadRequest> {
    let procedures = match parameters.text("procedure")? {
        "queue" => vec![Procedure::Queue],
        "details" => vec![Procedure::Details],
        "purge" => vec![Procedure::Purge],
        "enqueue" => vec![Procedure::Enqueue],
        "all" => Procedure::ALL.to_vec(),
        other => return Err(not_known("procedure", other)),
    };
    let fault = fault(parameters)?;
    let times = parameters.number_if_given("times")?;
    for procedure in procedures {
        simulator.shared.faults.plan(procedure as usize, None, fault.clone(), times);
    }
    Ok(())
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
        "cut-body" => Fault::CutBody,
        "error-document" => Fault::ErrorDocument(parameters.text("value")?.to_owned()),
        "failure-status" => Fault::FailureStatus(parameters.text("value")?.to_owned()),
        "empty" => Fault::Empty,
        "malformed" => Fault::Malformed,
        "not-xml" => Fault::NotXml,
        "doctype" => Fault::Doctype,
        "duplicates" => Fault::Duplicates,
        "wrong-dialect" => Fault::WrongDialect,
        "huge" => Fault::Huge(parameters.number("value")?),
        "wrong-credentials" => Fault::WrongCredentials,
        other => return Err(not_known("fault", other)),
    }))
}

fn poison(parameters: &Parameters) -> Result<Poison, BadRequest> {
    Ok(match parameters.text("kind")? {
        "no-cust-id" => Poison::NoCustId,
        "broken-xml" => Poison::BrokenXml,
        "server-error" => Poison::ServerError,
        "error-element" => Poison::ErrorElement,
        "too-deep" => Poison::TooDeep,
        "huge-text" => Poison::HugeText(parameters.number("value")?),
        other => return Err(not_known("kind", other)),
    })
}

/// How many ids of the queue the state shows.
const FIRST_IDS: usize = 20;

async fn state(State(simulator): State<AaSimulator>) -> Json<Value> {
    let queue = simulator.queue();
    Json(json!({
        "queue": { "length": simulator.queue_len(), "first_ids": &queue[..queue.len().min(FIRST_IDS)] },
        "requests": simulator.requests(),
        "purges": simulator.purges(),
        "customers": simulator.customer_ids().len(),
    }))
}

async fn customer(
    State(simulator): State<AaSimulator>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, BadRequest> {
    let id = parameters.number("id")?;
    Ok(Json(json!({
        "id": id,
        "exists": simulator.revision(id).is_some(),
        "revision": simulator.revision(id),
        "display_name": simulator.display_name(id),
        "email": simulator.email(id),
    })))
}
