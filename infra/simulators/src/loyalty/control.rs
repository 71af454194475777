//! Controls a running simulator from another process.
//!
//! Everything that a story does to a simulator in its own process can be done over HTTP, under `/_simulator/`:
//!
//! | request | what it does |
//! |---|---|
//! | `POST /_simulator/poison?code=1001&kind=row-dropped` | from now on something is wrong with this customer |
//! | `POST /_simulator/heal?code=1001` | no longer |
//! | `POST /_simulator/fault?fault=status&value=503` | from now on, or with `&times=3` the next three times; `fault=none` ends it |
//! | `POST /_simulator/take-news` | answers the codes written since the last time |
//! | `GET /_simulator/state` | counts of requests, customers and batches, as JSON |
//! | `GET /_simulator/customer?code=1001` | a customer's columns, and how often it was written, as JSON |
//! | `GET /_simulator/batches` | the batches that could be read, in order, as JSON |
//!
//! Kinds of poison: `row-dropped`, `whole-batch-error`, `server-error`.
//!
//! Faults, with their `value`: `none`, `delay` (milliseconds), `hang`, `status` (HTTP status), `retry-after`
//! (`status:seconds`), `cut-body`, `not-xml`, `malformed`, `doctype`, `huge` (bytes), `error-answer` (message),
//! `unescaped-ampersand`, `wrong-counts` (difference), `wrong-credentials`.
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

use super::{Fault, LoyaltySimulator, ONLY_OPERATION, Poison};
use crate::control::{BadRequest, Parameters, no_command, not_known};

/// The control surface of one simulator. [`LoyaltySimulator::serve`] has it already.
pub fn router(simulator: &LoyaltySimulator) -> Router {
    Router::new()
        .route("/_simulator/state", get(state))
        .route("/_simulator/customer", get(customer))
        .route("/_simulator/batches", get(batches))
        .route("/_simulator/{command}", post(command))
        .with_state(simulator.clone())
}

async fn command(
    State(simulator): State<LoyaltySimulator>,
    Path(command): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, BadRequest> {
    match command.as_str() {
        "poison" => simulator.poison(parameters.text("code")?, poison(&parameters)?),
        "heal" => simulator.heal(parameters.text("code")?),
        "fault" => {
            let times = parameters.number_if_given("times")?;
            simulator.shared.faults.plan(ONLY_OPERATION, None, fault(&parameters)?, times);
        }
        "take-news" => return Ok(Json(json!({ "codes": simulator.take_news() }))),
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
        "cut-body" => Fault::CutBody,
        "not-xml" => Fault::NotXml,
        "malformed" => Fault::Malformed,
        "doctype" => Fault::Doctype,
        "huge" => Fault::Huge(parameters.number("value")?),
        "error-answer" => Fault::ErrorAnswer(parameters.text("value")?.to_owned()),
        "unescaped-ampersand" => Fault::UnescapedAmpersand,
        "wrong-counts" => Fault::WrongCounts(parameters.number("value")?),
        "wrong-credentials" => Fault::WrongCredentials,
        other => return Err(not_known("fault", other)),
    }))
}

fn poison(parameters: &Parameters) -> Result<Poison, BadRequest> {
    Ok(match parameters.text("kind")? {
        "row-dropped" => Poison::RowDropped,
        "whole-batch-error" => Poison::WholeBatchError,
        "server-error" => Poison::ServerError,
        other => return Err(not_known("kind", other)),
    })
}

async fn state(State(simulator): State<LoyaltySimulator>) -> Json<Value> {
    let state = simulator.state();
    Json(json!({
        "requests": state.counts,
        "customers": state.customers().len(),
        "batches": state.batches.len(),
    }))
}

async fn customer(
    State(simulator): State<LoyaltySimulator>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, BadRequest> {
    let code = parameters.text("code")?;
    let columns = simulator.customer(code);
    Ok(Json(json!({
        "code": code,
        "exists": columns.is_some(),
        "times_written": simulator.times_written(code),
        "columns": columns,
    })))
}

async fn batches(State(simulator): State<LoyaltySimulator>) -> Json<Value> {
    Json(json!(simulator.batches()))
}
