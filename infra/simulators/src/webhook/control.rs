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
//! (`status:seconds`), `redirect` (address), `one-at-a-time` (milliseconds that it takes over an
//! event), `takes-one-in` (`status:requests`: it takes one of so many), `cut-body`, `huge` (bytes).
//!
//! Done is 200 with JSON; a request that makes no sense is 400 with one line of text. There is no authentication: this
//! is for a receiver that only a test can reach.

use serde_json::{Value, json};

use super::{signatures, types::WebhookReceiver};
use crate::control::{BadRequest, Controlled, Parameters, bad_request, done, no_command};

impl Controlled for WebhookReceiver {
    fn command(&self, name: &str, parameters: &Parameters) -> Result<Value, BadRequest> {
        match name {
            "refuse" => self.refuse(parameters.text("subject")?, parameters.number("status")?),
            "accept" => self.accept(parameters.text("subject")?),
            "set-secret" => {
                let secret = parameters.text("secret")?;
                if signatures::key(secret).is_none() {
                    return Err(bad_request("secret: whsec_ and base64 are expected"));
                }
                self.set_secret(secret);
            }
            "fault" => self.plan_fault(parameters)?,
            "take-news" => return Ok(json!({ "ids": self.take_news() })),
            other => return Err(no_command(other)),
        }
        Ok(done())
    }

    fn look(&self, name: &str, parameters: &Parameters) -> Result<Value, BadRequest> {
        match name {
            "state" => Ok(json!({ "requests": self.requests(), "customers": self.ids().len() })),
            "customer" => {
                let id = parameters.text("id")?;
                let state = self.state();
                Ok(json!({ "id": id, "exists": state.exists(id), "data": state.data(id) }))
            }
            "events" => Ok(json!(self.events())),
            "last-request" => Ok(match self.last_request() {
                Some((headers, body)) => json!({ "headers": headers, "body": body }),
                None => Value::Null,
            }),
            other => Err(no_command(other)),
        }
    }
}
