//! `GET /v1/changes`: the change feed.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use model::{ChangeAction, Customer, CustomerId, CustomerView, Status, iso_millis};
use serde::{Deserialize, Serialize};
use store::{ChangedCustomer, FeedPage, PlacedChange};
use utoipa::{IntoParams, ToSchema};

use crate::CustomersApi;
use crate::answer::{Rows, answer, note_read};
use crate::auth::Tenant;
use crate::cursor::{read_position, write_position};
use crate::customers::Records;
use crate::etag::tagged;
use crate::freshness::FreshAsOf;
use crate::problem::Problem;
use crate::request::{Api, Limit, PATIENCE, Parameters, WholeNumber, bad_cursor};

/// How often an answer that waits for a change looks for one.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// From where the feed is read, and how far.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangesParameters {
    /// The `cursor` of the answer before, or the `changes_cursor` of a listing; without one, from the oldest change
    /// that is kept.
    cursor: Option<String>,
    /// How many changes an answer may have.
    #[serde(default)]
    #[param(inline)]
    limit: Limit,
    /// Leaves out the changes of other connections. A page may then be empty, with `more`.
    connection: Option<String>,
    /// For so many seconds at most, the answer is held until there is a change.
    #[serde(default)]
    #[param(inline)]
    wait: WholeNumber<0, 20, 0>,
}

/// Changes, oldest first; those of one customer in their order, each at least once.
#[derive(Serialize, ToSchema)]
struct ChangePage {
    #[schema(value_type = Vec<Change<'_>>)]
    changes: Rows,
    /// Where to go on: to be stored once you have what came with it.
    cursor: String,
    /// Whether more changes are there already.
    more: bool,
    fresh_as_of: FreshAsOf,
}

/// A change of a customer. Several changes of a customer may be told as one.
#[derive(Serialize, ToSchema)]
struct Change<'a> {
    id: &'a CustomerId,
    /// What became of the customer, seen from now.
    action: ChangeAction,
    /// When its content last changed.
    #[schema(format = DateTime)]
    changed_at: String,
    /// The revision of the record.
    #[schema(minimum = 1)]
    revision: u64,
    /// The record as it is now, and not as the change made it: that of a deleted customer is its tombstone, or null if
    /// it was removed. Null although the customer was not deleted if the record is damaged: the log says why.
    #[schema(required, value_type = Option<CustomerView<'_>>)]
    customer: Option<&'a Customer>,
}

/// The change feed.
///
/// Follow it from the `changes_cursor` of a listing, and go on with the `cursor` of each answer: no change is passed
/// over, however long you stay away, up to 90 days.
#[utoipa::path(
    get,
    path = "/v1/changes",
    operation_id = "readChanges",
    tag = "changes",
    params(
        ChangesParameters,
        ("If-None-Match" = Option<String>, Header, nullable = false, description = "The `ETag` of an answer that you have."),
    ),
    security(("bearer" = ["read"])),
    responses(
        (
            status = 200,
            description = "What changed since.",
            body = ChangePage,
            headers(
                ("ETag" = String, description = "The tag of this answer."),
                ("Fresh-As-Of" = String, description = "As `fresh_as_of`."),
            ),
            links(
                ("next" = (operation_id = "readChanges", parameters(("cursor" = "$response.body#/cursor")))),
                ("customer" = (operation_id = "getCustomer", parameters(("id" = "$response.body#/changes/0/id")))),
            ),
        ),
        (status = 304, description = "You have this answer already, by its `ETag`."),
        (status = 404, description = "The tenant has no such connection."),
        (status = 410, description = "What follows the cursor is not kept any more: list the customers again."),
    ),
)]
pub(crate) async fn changes(
    Tenant(tenant): Tenant,
    State(api): Api,
    Parameters(parameters): Parameters<ChangesParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ChangesParameters { cursor, limit, connection, wait } = parameters;
    let began = match cursor {
        Some(text) => read_position(&text, &tenant).ok_or_else(bad_cursor)?,
        None => api.tables.feed.oldest(&tenant).await?,
    };
    let connection = match connection {
        Some(connection) => Some(api.connection(&tenant, connection).await?.key.connection),
        None => None,
    };
    let deadline = api.tables.clock.now() + PATIENCE;
    let until = api.tables.clock.now() + Duration::from_secs(wait.get() as u64);
    let wanted = |id: &CustomerId| connection.as_ref().is_none_or(|connection| id.connection == *connection);
    let chosen = connection.iter().cloned().collect();
    let chosen = connection.is_some().then_some(&chosen);
    let mut fresh_as_of = api.freshness.of(&tenant, chosen).await?;
    let mut position = began;
    let mut page = loop {
        let page = api.tables.feed.read(&tenant, &position, limit.get(), |placed| wanted(&placed.change.id)).await?;
        let now = api.tables.clock.now();
        if !page.changes.is_empty() || page.more || now >= until {
            break page;
        }
        position = page.position;
        api.tables.clock.wait_until(until.min(now + LOOK_EVERY)).await;
        if api.tables.clock.now() >= until {
            // It is looked for the last time.
            fresh_as_of = api.freshness.of(&tenant, chosen).await?;
        }
    };
    let rows = rows_of(&api, &tenant, &mut page, deadline).await?;
    let FeedPage { position, more, .. } = page;
    note_read(&tenant, "GET /v1/changes", rows.count());
    let page = ChangePage { changes: rows, cursor: write_position(&position, &tenant), more, fresh_as_of };
    // How fresh it is changes with the time, and is no change.
    let content = serde_json::to_string(&(&page.changes, &page.cursor, more))?;
    Ok(tagged(&headers, &content, answer(&page, &page.fresh_as_of)?))
}

/// What changed, as it is now. If it has no room in the answer, the page ends before it.
async fn rows_of(api: &CustomersApi, tenant: &str, page: &mut FeedPage, deadline: Timestamp) -> Result<Rows, Problem> {
    let told = page.customers();
    let mut rows = Rows::default();
    let mut at = 0;
    while at < told.len() {
        let slice = &told[at..at + rows.to_read(told.len() - at)];
        let ids: Vec<CustomerId> =
            slice.iter().map(|customer| page.changes[customer.place].change.id.clone()).collect();
        let Records { by_id: found, unreadable } = api.records(tenant, &ids, deadline).await?;
        for ChangedCustomer { place, is_new, .. } in slice {
            let PlacedChange { change, at: appended_at, .. } = &page.changes[*place];
            let customer = found.get(&change.id);
            // Of a damaged record only this is known: it is there.
            let lives = unreadable.contains(&change.id)
                || customer.is_some_and(|customer| customer.content.status != Status::Deleted);
            let row = Change {
                id: &change.id,
                action: ChangeAction::seen_now(lives, *is_new),
                changed_at: iso_millis(customer.map_or(*appended_at, |customer| customer.changed_at)),
                revision: customer.map_or(change.revision, |customer| customer.revision),
                customer,
            };
            if !rows.take(&row)? {
                // What stands before it and was left out was told with an earlier change of the same customer.
                (page.position, page.more) = (page.changes[place - 1].position, true);
                return Ok(rows);
            }
            at += 1;
        }
    }
    Ok(rows)
}
