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
//! Kinds of poison: `row-dropped`, `whole-batch-error`, `server-error`, `counted-twice`, `hang`.
//!
//! Faults, with their `value`: `none`, `delay` (milliseconds), `hang`, `status` (HTTP status), `retry-after`
//! (`status:seconds`), `cut-body`, `not-xml`, `malformed`, `doctype`, `huge` (bytes), `error-answer` (message),
//! `unescaped-ampersand`, `wrong-counts` (difference), `wrong-credentials`.
//!
//! Done is 200 with JSON; a request that makes no sense is 400 with one line of text. There is no authentication: this
//! is for a simulator that only a test can reach.

use serde_json::{Value, json};

use super::types::{LoyaltySimulator, Poison};
use crate::control::{BadRequest, Controlled, Parameters, done, no_command, not_known};

impl Controlled for LoyaltySimulator {
    fn command(&self, name: &str, parameters: &Parameters) -> Result<Value, BadRequest> {
        match name {
            "poison" => self.poison(parameters.text("code")?, poison(parameters)?),
            "heal" => self.heal(parameters.text("code")?),
            "fault" => self.plan_fault(parameters)?,
            "take-news" => return Ok(json!({ "codes": self.take_news() })),
            other => return Err(no_command(other)),
        }
        Ok(done())
    }

    fn look(&self, name: &str, parameters: &Parameters) -> Result<Value, BadRequest> {
        match name {
            "state" => {
                let state = self.state();
                Ok(json!({
                    "requests": state.counts,
                    "customers": state.customers().len(),
                    "batches": state.batches.len(),
                }))
            }
            "customer" => {
                let code = parameters.text("code")?;
                let columns = self.customer(code);
                Ok(json!({
                    "code": code,
                    "exists": columns.is_some(),
                    "times_written": self.times_written(code),
                    "columns": columns,
                }))
            }
            "batches" => Ok(json!(self.batches())),
            other => Err(no_command(other)),
        }
    }
}

fn poison(parameters: &Parameters) -> Result<Poison, BadRequest> {
    Ok(match parameters.text("kind")? {
        "row-dropped" => Poison::RowDropped,
        "whole-batch-error" => Poison::WholeBatchError,
        "server-error" => Poison::Status(500),
        "counted-twice" => Poison::CountedTwice,
        "hang" => Poison::Hang,
        other => return Err(not_known("kind", other)),
    })
}
