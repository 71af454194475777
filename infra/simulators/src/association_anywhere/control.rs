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

use serde_json::{Value, json};

use super::types::{AaSimulator, Poison};
use crate::control::{BadRequest, Controlled, Parameters, done, no_command, not_known};

impl Controlled for AaSimulator {
    fn command(&self, name: &str, parameters: &Parameters) -> Result<Value, BadRequest> {
        match name {
            "change" => self.change(parameters.numbers("ids")?),
            "change-some" => return Ok(json!({ "ids": self.change_some(parameters.number("count")?) })),
            "delete" => self.delete(parameters.number("id")?),
            "delete-silently" => self.delete_silently(parameters.number("id")?),
            "change-unqueued" => self.change_unqueued(parameters.numbers("ids")?),
            "delete-unqueued" => self.delete_unqueued(parameters.number("id")?),
            "create" => self.create(parameters.number("id")?),
            "enqueue" => self.enqueue(parameters.number("id")?),
            "enqueue-all" => self.enqueue_all(),
            "enqueue-text" => self.enqueue_text(parameters.text("text")?),
            "poison" => self.poison(parameters.number("id")?, poison(parameters)?),
            "heal" => self.heal(parameters.number("id")?),
            "fault" => self.plan_fault(parameters)?,
            other => return Err(no_command(other)),
        }
        Ok(done())
    }

    fn look(&self, name: &str, parameters: &Parameters) -> Result<Value, BadRequest> {
        match name {
            "state" => {
                let queue = self.queue();
                Ok(json!({
                    "queue": { "length": self.queue_len(), "first_ids": &queue[..queue.len().min(FIRST_IDS)] },
                    "requests": self.requests(),
                    "purges": self.purges(),
                    "customers": self.customer_ids().len(),
                }))
            }
            "customer" => {
                let id = parameters.number("id")?;
                Ok(json!({
                    "id": id,
                    "exists": self.revision(id).is_some(),
                    "revision": self.revision(id),
                    "display_name": self.display_name(id),
                    "email": self.email(id),
                }))
            }
            other => Err(no_command(other)),
        }
    }
}

/// How many ids of the queue the state shows.
const FIRST_IDS: usize = 20;

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
