//! Controls a running simulator from another process.
//!
//! Everything that a story does to a simulator in its own process can be done over HTTP, under `/_simulator/`:
//!
//! | request | what it does |
//! |---|---|
//! | `POST /_simulator/change?ids=1001,1002` | new content for these contacts |
//! | `POST /_simulator/change-some?count=50` | the same for this many, chosen by the seed |
//! | `POST /_simulator/touch?ids=1001,1002` | a new date, and the same content |
//! | `POST /_simulator/delete?id=1001` | delete a contact: it is listed as deleted |
//! | `POST /_simulator/remove-silently?id=1001` | out of all listings, without a word |
//! | `POST /_simulator/create?id=5001` | create a contact, or a deleted one anew; without an id the next free one |
//! | `POST /_simulator/on-page?record_start=100&action=change&ids=1001` | one of the above, with its parameters, right before this page is next answered |
//! | `POST /_simulator/poison?id=1001&kind=bad-date` | from now on something is wrong with this contact |
//! | `POST /_simulator/heal?id=1001` | no longer |
//! | `POST /_simulator/refuse?external_id=aa~1001` | from now on requests to write this contact fail as a whole |
//! | `POST /_simulator/accept?external_id=aa~1001` | no longer |
//! | `POST /_simulator/take-news` | answers the external ids of the contacts that were written since the last time |
//! | `POST /_simulator/fault?operation=retrieve&fault=status&value=503` | from now on, or with `&times=3` the next three times; with `&record_start=600` only for that page; `fault=none` ends it |
//! | `POST /_simulator/set-time?to=2024-10-27T02:30:00` | the site's clock stands at this local time |
//! | `POST /_simulator/set-step?seconds=0` | how far each change moves it on |
//! | `GET /_simulator/state` | time, counts of requests, the last listings, counts of contacts, as JSON |
//! | `GET /_simulator/contact?id=1001` | name, e-mail, external id, revision and date of a contact, as JSON |
//! | `GET /_simulator/contact?external_id=aa~1001` | whether this contact exists, and what it holds, as JSON |
//!
//! The first six answer the ids of the contacts concerned.
//!
//! Kinds of poison: `no-entity-id`, `bad-date`, `broken-xml`, `too-deep`, `unknown-entity`, `huge-text` (with `value` =
//! bytes).
//!
//! Operations: `retrieve`, `update-insert`, `all`. Faults, with their `value`: `none`, `delay` (milliseconds), `hang`,
//! `status` (HTTP status), `retry-after` (`status:seconds`), `cut-body`, `malformed`, `not-xml`, `doctype`, `huge`
//! (bytes), `soap-fault` (text), `fault-text` (text), `no-contacts-fault`, `empty-result`, `no-result`, `repeat-pages`,
//! `endless`, `wrong-credentials`.
//!
//! Done is 200 with JSON; a request that makes no sense is 400 with one line of text. There is no authentication: this
//! is for a simulator that only a test can reach.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    requests::{ListingRequest, date_time},
    types::{Action, BcSimulator, Poison},
};
use crate::control::{BadRequest, Controlled, Parameters, bad_request, done, no_command, not_known};

impl Controlled for BcSimulator {
    fn command(&self, name: &str, parameters: &Parameters) -> Result<Value, BadRequest> {
        match name {
            "on-page" => {
                let name = parameters.text("action")?;
                let action = action(name, parameters)?.ok_or_else(|| not_known("action", name))?;
                self.on_page(parameters.number("record_start")?, action);
            }
            "poison" => self.poison(parameters.number("id")?, poison(parameters)?),
            "heal" => self.heal(parameters.number("id")?),
            "refuse" => self.refuse_external_id(parameters.text("external_id")?),
            "accept" => self.accept_external_id(parameters.text("external_id")?),
            "take-news" => return Ok(json!({ "external_ids": self.take_news() })),
            "fault" => self.plan_fault(parameters)?,
            "set-time" => self.set_time(date_time("to", parameters.text("to")?).map_err(bad_request)?),
            "set-step" => self.set_step(SignedDuration::from_secs(parameters.number("seconds")?)),
            name => {
                let action = action(name, parameters)?.ok_or_else(|| no_command(name))?;
                return Ok(json!({ "ids": self.act(action) }));
            }
        }
        Ok(done())
    }

    fn look(&self, name: &str, parameters: &Parameters) -> Result<Value, BadRequest> {
        match name {
            "state" => Ok(state(self)),
            "contact" => contact(self, parameters),
            other => Err(no_command(other)),
        }
    }
}

/// `None` if there is no action of this name.
fn action(name: &str, parameters: &Parameters) -> Result<Option<Action>, BadRequest> {
    Ok(Some(match name {
        "change" => Action::Change(parameters.numbers("ids")?),
        "change-some" => Action::ChangeSome(parameters.number("count")?),
        "touch" => Action::Touch(parameters.numbers("ids")?),
        "delete" => Action::Delete(parameters.number("id")?),
        "remove-silently" => Action::RemoveSilently(parameters.number("id")?),
        "create" => Action::Create(parameters.number_if_given("id")?),
        _ => return Ok(None),
    }))
}

fn poison(parameters: &Parameters) -> Result<Poison, BadRequest> {
    Ok(match parameters.text("kind")? {
        "no-entity-id" => Poison::NoEntityId,
        "bad-date" => Poison::BadDate,
        "broken-xml" => Poison::BrokenXml,
        "too-deep" => Poison::TooDeep,
        "unknown-entity" => Poison::UnknownEntity,
        "huge-text" => Poison::HugeText(parameters.number("value")?),
        other => return Err(not_known("kind", other)),
    })
}

/// How many listings the state shows.
const LAST_LISTINGS: usize = 20;

fn state(simulator: &BcSimulator) -> Value {
    let listings = simulator.listings();
    let last_listings: Vec<Value> = listings[listings.len().saturating_sub(LAST_LISTINGS)..]
        .iter()
        .map(|ListingRequest { last_update_date, record_start }| {
            json!({ "last_update_date": last_update_date.to_string(), "record_start": record_start })
        })
        .collect();
    json!({
        "time": simulator.time().to_string(),
        "requests": simulator.requests(),
        "listings": { "count": listings.len(), "last": last_listings },
        "contacts": simulator.contact_ids().len(),
        "deleted": simulator.deleted_ids().len(),
    })
}

fn contact(simulator: &BcSimulator, parameters: &Parameters) -> Result<Value, BadRequest> {
    if let Some(external_id) = parameters.text_if_given("external_id") {
        let contact = simulator.contact_by_external_id(external_id);
        let exists = contact.as_ref().is_some_and(|contact| !contact.deleted);
        return Ok(json!({ "external_id": external_id, "exists": exists, "contact": contact }));
    }
    let id = parameters.number("id")?;
    Ok(json!({
        "id": id,
        "exists": simulator.revision(id).is_some(),
        "revision": simulator.revision(id),
        "display_name": simulator.display_name(id),
        "email": simulator.email(id),
        "external_id": simulator.external_id(id),
        "last_update_date": simulator.last_update(id).map(|date| date.to_string()),
    }))
}
