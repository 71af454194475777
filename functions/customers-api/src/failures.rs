//! Failures, as the command has them: listed, redriven and dropped.

use std::collections::HashSet;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use config::all_systems;
use model::{ConnectionKey, CustomerId, iso_millis};
use operations::resync::MOST_BYTES_OF_AN_ID;
use serde::{Deserialize, Serialize};
use store::{Failure, FailurePage, Registration, Withheld};
use utoipa::ToSchema;

use crate::CustomersApi;
use crate::answer::note_read;
use crate::auth::{OperatedTenant, Tenant};
use crate::problem::Problem;
use crate::request::{Api, NoParameters, Parameters, bad_cursor_in_body, read_json};

/// How many failures one request redrives or drops.
const MOST_FAILURES: usize = 500;
/// How many records are read at once.
const PAGE: usize = 100;

/// Whose failures are wanted, and from where on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FailuresWanted {
    /// The connection or destination.
    connection: String,
    /// The `cursor` of the page before; without one, the first page.
    cursor: Option<String>,
}

/// Some failures, by the id in the source.
#[derive(Serialize, ToSchema)]
pub(crate) struct FailureList {
    failures: Vec<ListedFailure>,
    /// What to ask with for the next page; null after the last one.
    #[schema(required)]
    cursor: Option<String>,
    /// Whether there are more.
    more: bool,
}

/// A customer that could not be taken over, or that a destination does not take.
#[derive(Serialize, ToSchema)]
struct ListedFailure {
    /// The customer's id; that of a destination's failure begins with the destination.
    id: CustomerId,
    /// When it failed.
    #[schema(format = DateTime)]
    failed_at: String,
    /// Why, without personal data.
    reason: String,
    /// Whether it is a deletion that waits for a person, and for what: `beyond_limit` or `unproven`.
    #[schema(required)]
    withheld: Option<&'static str>,
    /// Whether it is to be fetched, or sent, again.
    redriven: bool,
}

/// The failures of a connection or a destination, page by page.
///
/// The body says which: the ids of customers, which a cursor is made of, do not belong into a URL.
#[utoipa::path(
    post,
    path = "/v1/failures/list",
    operation_id = "listFailures",
    tag = "failures",
    request_body = inline(FailuresWanted),
    security(("bearer" = ["read"])),
    responses(
        (
            status = 200,
            description = "At most 100 failures.",
            body = inline(FailureList),
        ),
        (status = 404, description = "The tenant has no such connection or destination."),
    ),
)]
pub(crate) async fn list(
    Tenant(tenant): Tenant,
    State(api): Api,
    _: Parameters<NoParameters>,
    body: Body,
) -> Result<Json<FailureList>, Problem> {
    let FailuresWanted { connection, cursor } = read_json(body, "{\"connection\":…}").await?;
    let after = cursor.map(|text| read_place(&text).ok_or_else(bad_cursor_in_body)).transpose()?;
    let key = api.system(&tenant, connection).await?.key;
    let FailurePage { failures, next } = api.tables.failures.page(&key, after.as_deref(), PAGE, false).await?;
    let marks = api.tables.failures.marks(&key, &failures).await?;
    let failures = failures.into_iter().map(|Failure { source_id, reason, failed_at, .. }| ListedFailure {
        withheld: marks.withheld.get(&source_id).copied().map(name_of),
        redriven: marks.redriven.contains(&source_id),
        id: CustomerId { connection: key.connection.clone(), source_id },
        failed_at: iso_millis(failed_at),
        reason,
    });
    let failures: Vec<ListedFailure> = failures.collect();
    note_read(&tenant, "POST /v1/failures/list", failures.len());
    let more = next.is_some();
    Ok(Json(FailureList { failures, cursor: next.map(|id| BASE64_URL_SAFE_NO_PAD.encode(id)), more }))
}

/// The place in a list of failures.
fn read_place(cursor: &str) -> Option<String> {
    let place = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    (place.len() <= MOST_BYTES_OF_AN_ID).then_some(place)
}

fn name_of(why: Withheld) -> &'static str {
    match why {
        Withheld::BeyondLimit => "beyond_limit",
        Withheld::Unproven => "unproven",
    }
}

/// Whose failure is meant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FailureWanted {
    /// The customer's id; that of a destination's failure begins with the destination.
    id: CustomerId,
}

/// A failure with its raw document.
#[derive(Serialize, ToSchema)]
pub(crate) struct RawDocument {
    /// The customer's id; that of a destination's failure begins with the destination.
    id: CustomerId,
    /// When it failed.
    #[schema(format = DateTime)]
    failed_at: String,
    /// Why, without personal data.
    reason: String,
    /// What the source sent, up to 100 KB of it, or the beginning of the destination's answer. Empty if there is none.
    raw: String,
}

/// What was sent of one customer, as it came.
#[utoipa::path(
    post,
    path = "/v1/failures/raw-document",
    operation_id = "getRawDocument",
    tag = "failures",
    request_body = inline(FailureWanted),
    security(("bearer" = ["operate"])),
    responses(
        (status = 200, description = "The failure with its raw document.", body = inline(RawDocument)),
        (status = 404, description = "The customer has no failure."),
    ),
)]
pub(crate) async fn raw_document(
    OperatedTenant(tenant): OperatedTenant,
    State(api): Api,
    _: Parameters<NoParameters>,
    body: Body,
) -> Result<Json<RawDocument>, Problem> {
    let FailureWanted { id } = read_json(body, "{\"id\":…}").await?;
    let none = || Problem::not_found("there is no such failure");
    if id.source_id.len() > MOST_BYTES_OF_AN_ID {
        return Err(none());
    }
    let key = api.system(&tenant, id.connection.clone()).await?.key;
    let Failure { reason, raw, failed_at, .. } =
        api.tables.failures.find_with_raw(&key, &id.source_id).await?.ok_or_else(none)?;
    note_read(&tenant, "POST /v1/failures/raw-document", 1);
    Ok(Json(RawDocument { id, failed_at: iso_millis(failed_at), reason, raw }))
}

/// Which failures are meant, by exactly one of `ids` and `all`; of all, the first 500.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Failures {
    /// The customers whose failures are meant.
    #[schema(max_items = 500)]
    ids: Option<Vec<CustomerId>>,
    /// Whether all are meant.
    #[serde(default)]
    all: bool,
    /// With `all`: leaves out the failures of other connections. With `ids`: theirs are not found.
    connection: Option<String>,
    /// With `all`: the `cursor` of the answer before. So each failure is meant once, however many fail again.
    cursor: Option<String>,
}

/// The failures that a request means.
#[derive(Default)]
struct Meant {
    failures: Vec<(ConnectionKey, CustomerId)>,
    /// Whether there are more.
    more: bool,
    /// After which of all to go on, if there are more.
    cursor: Option<CustomerId>,
}

impl From<Meant> for Json<ChosenFailures> {
    fn from(meant: Meant) -> Self {
        let ids = meant.failures.into_iter().map(|(_, id)| id).collect();
        let cursor = meant.cursor.map(|id| BASE64_URL_SAFE_NO_PAD.encode(id.to_string()));
        Self(ChosenFailures { ids, more: meant.more, cursor })
    }
}

/// Whose failures were meant.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChosenFailures {
    /// The customers whose failures were meant.
    ids: Vec<CustomerId>,
    /// Whether there are more of those that were meant: then ask again, with the cursor.
    more: bool,
    /// Where to go on, if there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Fetches failed customers again.
#[utoipa::path(
    post,
    path = "/v1/failures/redrive",
    operation_id = "redriveFailures",
    tag = "failures",
    request_body = inline(Failures),
    security(("bearer" = ["operate"])),
    responses(
        (status = 200, description = "They are fetched again with the next batch.", body = inline(ChosenFailures)),
        (status = 404, description = "One of the ids has no failure, or there is no such connection. Nothing is done."),
    ),
)]
pub(crate) async fn redrive(
    OperatedTenant(tenant): OperatedTenant,
    State(api): Api,
    _: Parameters<NoParameters>,
    body: Body,
) -> Result<Json<ChosenFailures>, Problem> {
    let meant = api.meant(&tenant, body, true).await?;
    for (key, id) in &meant.failures {
        api.tables.failures.request_redrive(key, &id.source_id, api.tables.clock.now()).await?;
    }
    tracing::info!(tenant, failures = meant.failures.len(), "failures are redriven");
    Ok(meant.into())
}

/// Forgets failures: a customer comes again only if its source reports it.
#[utoipa::path(
    post,
    path = "/v1/failures/drop",
    operation_id = "dropFailures",
    tag = "failures",
    request_body = inline(Failures),
    security(("bearer" = ["operate"])),
    responses(
        (status = 200, description = "They are gone.", body = inline(ChosenFailures)),
        (status = 404, description = "One of the ids has no failure, or there is no such connection. Nothing is done."),
    ),
)]
pub(crate) async fn drop(
    OperatedTenant(tenant): OperatedTenant,
    State(api): Api,
    _: Parameters<NoParameters>,
    body: Body,
) -> Result<Json<ChosenFailures>, Problem> {
    let meant = api.meant(&tenant, body, false).await?;
    for (key, id) in &meant.failures {
        api.tables.failures.remove(key, &id.source_id).await?;
    }
    tracing::info!(tenant, failures = meant.failures.len(), "failures were dropped");
    Ok(meant.into())
}

impl CustomersApi {
    /// The failures that a body means. If one of its ids has no failure record, that is an error, and nothing is done.
    /// If all are meant, those that are redriven already may be left out.
    async fn meant(&self, tenant: &str, body: Body, without_redriven: bool) -> Result<Meant, Problem> {
        let failures: Failures = read_json(body, "{\"ids\":[…]} or {\"all\":true}").await?;
        let of_tenant = |registration: &Registration| registration.key.tenant == tenant;
        let is_meant = |key: &ConnectionKey| failures.connection.as_ref().is_none_or(|id| *id == key.connection);
        let all = all_systems(&self.tables.registry).await?.into_iter().filter(of_tenant).map(|found| found.key);
        let keys: Vec<ConnectionKey> = all.filter(is_meant).collect();
        if failures.connection.is_some() && keys.is_empty() {
            return Err(Problem::not_found("there is no such connection"));
        }
        match (failures.ids, failures.all) {
            (Some(ids), false) if failures.cursor.is_none() => {
                Ok(Meant { failures: self.named(&keys, ids).await?, ..Meant::default() })
            }
            (None, true) => {
                let after = failures.cursor.map(|text| read_place(&text)?.parse::<CustomerId>().ok());
                let after = after.map(|id| id.ok_or_else(bad_cursor_in_body)).transpose()?;
                self.first_of(&keys, after, without_redriven).await
            }
            (Some(_), false) => Err(Problem::bad_request("`cursor` goes with `all` alone")),
            _ => Err(Problem::bad_request("the body must have either `ids` or `all`")),
        }
    }

    async fn named(
        &self,
        keys: &[ConnectionKey],
        ids: Vec<CustomerId>,
    ) -> Result<Vec<(ConnectionKey, CustomerId)>, Problem> {
        if ids.len() > MOST_FAILURES {
            let count = ids.len();
            return Err(Problem::bad_request(format!("`ids` has {count} entries; at most {MOST_FAILURES} are taken")));
        }
        let mut chosen = Vec::with_capacity(ids.len());
        for (position, id) in ids.into_iter().enumerate() {
            let key = keys.iter().find(|key| key.connection == id.connection);
            let key = key.filter(|_| id.source_id.len() <= MOST_BYTES_OF_AN_ID);
            let is_there = match key {
                Some(key) => self.tables.failures.is_there(key, &id.source_id).await?,
                None => false,
            };
            match key.filter(|_| is_there) {
                Some(key) => chosen.push((key.clone(), id)),
                None => return Err(Problem::not_found(format!("`ids[{position}]`: there is no such failure"))),
            }
        }
        Ok(chosen)
    }

    /// The first failures of some connections behind this one.
    async fn first_of(
        &self,
        keys: &[ConnectionKey],
        after: Option<CustomerId>,
        without_redriven: bool,
    ) -> Result<Meant, Problem> {
        let mut meant = Meant::default();
        let (first, mut start) = match after {
            Some(id) => (keys.iter().position(|key| key.connection == id.connection), Some(id.source_id)),
            None => (Some(0), None),
        };
        let first = first.ok_or_else(bad_cursor_in_body)?;
        for key in keys.iter().skip(first) {
            // A redrive leaves the record where it is until a batch has fetched the customer.
            let redriven: HashSet<String> = match without_redriven {
                true => self.tables.failures.redrive_requests(key).await?.into_iter().collect(),
                false => HashSet::new(),
            };
            let mut after = start.take();
            loop {
                let page = self.tables.failures.page(key, after.as_deref(), PAGE, false).await?;
                for failure in page.failures {
                    if redriven.contains(&failure.source_id) {
                        continue;
                    }
                    if meant.failures.len() == MOST_FAILURES {
                        let cursor = meant.failures.last().map(|(_, id)| id.clone());
                        return Ok(Meant { more: true, cursor, ..meant });
                    }
                    let id = CustomerId { connection: key.connection.clone(), source_id: failure.source_id };
                    meant.failures.push((key.clone(), id));
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(meant)
    }
}
