//! `GET /v1/changes`: the change feed.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::{ChangeAction, ConnectionKey, Customer, CustomerId, FeedPosition, Status, iso_millis};
use serde::Serialize;
use serde_json::json;
use store::{FeedPage, PlacedChange};

use crate::answer::Rows;
use crate::auth::Tenant;
use crate::etag::tagged;
use crate::parameters::{Parameters, bad_cursor};
use crate::problem::Problem;
use crate::routes::{Api, PATIENCE, note_read};

/// How long an answer may wait for a change, in seconds.
const LONGEST_WAIT: usize = 20;
/// How often is looked for one meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A change as the feed shows it.
#[derive(Serialize)]
struct Change<'a> {
    id: String,
    action: &'static str,
    changed_at: String,
    revision: u64,
    customer: Option<&'a Customer>,
}

/// A position in a tenant's feed, as an opaque text.
pub(crate) fn write_position(position: &FeedPosition, tenant: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(position.to_bytes(tenant))
}

pub(crate) fn read_position(text: &str, tenant: &str) -> Option<FeedPosition> {
    FeedPosition::of_bytes(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?, tenant)
}

pub(crate) async fn changes(
    Tenant(tenant): Tenant,
    State(api): Api,
    mut parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let connection = parameters.take("connection");
    let cursor = parameters.take("cursor");
    let limit = parameters.limit()?;
    let wait = parameters.number("wait", 0, 0..=LONGEST_WAIT)?;
    parameters.no_others()?;
    let began = match cursor {
        Some(text) => read_position(&text, &tenant).ok_or_else(bad_cursor)?,
        None => api.feed.oldest(&tenant).await?,
    };
    let connection = match connection {
        Some(connection) => Some(api.connection(&tenant, connection).await?.connection),
        None => None,
    };
    let deadline = api.clock.now() + PATIENCE;
    let until = api.clock.now() + Duration::from_secs(wait as u64);
    let wanted = |id: &CustomerId| connection.as_ref().is_none_or(|connection| id.connection == *connection);
    let mut position = began;
    let FeedPage { changes, mut position, mut more } = loop {
        let page = api.feed.read(&tenant, &position, limit, |change| wanted(&change.id)).await?;
        let now = api.clock.now();
        if !page.changes.is_empty() || page.more || now >= until {
            break page;
        }
        position = page.position;
        api.clock.wait_until(until.min(now + LOOK_EVERY)).await;
    };
    // Several changes of a customer are one: its record is told as it is now.
    let last: HashMap<&CustomerId, usize> =
        changes.iter().enumerate().map(|(place, placed)| (&placed.change.id, place)).collect();
    let added: BTreeSet<&CustomerId> = changes
        .iter()
        .filter(|placed| placed.change.action == ChangeAction::Added)
        .map(|placed| &placed.change.id)
        .collect();
    let shown: Vec<usize> = (0..changes.len()).filter(|place| last[&changes[*place].change.id] == *place).collect();
    let mut rows = Rows::default();
    let mut at = 0;
    'reading: while at < shown.len() {
        let slice = &shown[at..at + rows.to_read(shown.len() - at)];
        let keys = slice.iter().map(|place| {
            let CustomerId { connection, source_id } = &changes[*place].change.id;
            (ConnectionKey::new(&tenant, connection), source_id.clone())
        });
        let found = api.shadow.get_many(keys, deadline).await?;
        let found: HashMap<CustomerId, Customer> =
            found.into_iter().map(|customer| (customer.id(), customer)).collect();
        for place in slice {
            let PlacedChange { change, at: appended_at, .. } = &changes[*place];
            let customer = found.get(&change.id);
            let lives = customer.is_some_and(|customer| customer.content.status != Status::Deleted);
            let row = Change {
                id: change.id.to_string(),
                action: match (lives, added.contains(&change.id) || change.action == ChangeAction::Deleted) {
                    (false, _) => "deleted",
                    // It was deleted in between, or is back since.
                    (true, true) => "added",
                    (true, false) => "updated",
                },
                changed_at: iso_millis(customer.map_or(*appended_at, |customer| customer.changed_at)),
                revision: customer.map_or(change.revision, |customer| customer.revision),
                customer,
            };
            if !rows.take(&row)? {
                // What stands before it and was left out, because it comes again, comes after it.
                position = changes[place - 1].position;
                more = true;
                break 'reading;
            }
            at += 1;
        }
    }
    note_read(&tenant, "GET /v1/changes", rows.count());
    let chosen = connection.map(|connection| BTreeSet::from([connection]));
    let fresh = api.freshness.of(&tenant, chosen.as_ref()).await?;
    let cursor = write_position(&position, &tenant);
    let content = format!("{}{cursor}{more}", rows.json());
    let others = [("cursor", json!(cursor)), ("more", json!(more))];
    Ok(tagged(&headers, &content, rows.into_answer("changes", &others, &fresh)))
}
