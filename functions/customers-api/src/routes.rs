use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::{ConnectionKey, Customer, CustomerId};
use runtime::connections::READER;
use runtime::status::Connections;
use serde::{Deserialize, Serialize};
use store::Shadow;

use crate::CustomersApi;
use crate::problem::Problem;

/// How many ids one request may name.
const MOST_IDS: usize = 500;
const DEFAULT_LIMIT: usize = 100;
const LARGEST_LIMIT: usize = 500;
/// API Gateway gives up after 30 seconds; what takes longer than this is given up before.
const PATIENCE: Duration = Duration::from_secs(25);

type Api = State<Arc<CustomersApi>>;

pub(crate) fn router(api: Arc<CustomersApi>) -> Router {
    Router::new()
        .route("/v1/customers/{id}", get(one_customer))
        .route("/v1/customers/batch-get", post(many_customers))
        .route("/v1/customers", get(list_customers))
        .route("/v1/connections", get(connections))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this route does not know that method")
        })
        .fallback(async || Problem::not_found("there is no such route"))
        .with_state(api)
}

async fn one_customer(
    State(api): Api,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Customer>, Problem> {
    let tenant = api.readers.tenant_of(&headers).await?;
    let Path(id) = id.map_err(|rejection| Problem::bad_request(format!("the id in the path: {rejection}")))?;
    let id: CustomerId = id.parse().map_err(|error| Problem::bad_request(format!("the id in the path: {error}")))?;
    let connection = ConnectionKey::new(tenant, id.connection);
    match api.shadow.get(&connection, &id.source_id).await? {
        Some(customer) => Ok(Json(customer)),
        None => Err(Problem::not_found("there is no such customer")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchGet {
    ids: Vec<String>,
}

#[derive(Serialize)]
struct Batch {
    customers: Vec<Customer>,
    missing: Vec<String>,
}

async fn many_customers(State(api): Api, headers: HeaderMap, body: Bytes) -> Result<Json<Batch>, Problem> {
    let tenant = api.readers.tenant_of(&headers).await?;
    let request: BatchGet = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format!("the body must be {{\"ids\":[…]}}: {error}")))?;
    if request.ids.len() > MOST_IDS {
        let count = request.ids.len();
        return Err(Problem::bad_request(format!(
            "`ids` has {count} entries; at most {MOST_IDS} are answered at once"
        )));
    }
    let mut seen = HashSet::new();
    let mut wanted = Vec::with_capacity(request.ids.len());
    for (position, text) in request.ids.into_iter().enumerate() {
        let id: CustomerId =
            text.parse().map_err(|error| Problem::bad_request(format!("`ids[{position}]`: {error}")))?;
        if seen.insert(text) {
            wanted.push(id);
        }
    }
    let keys = wanted.iter().map(|id| (ConnectionKey::new(&tenant, &id.connection), id.source_id.clone()));
    let found = api.shadow.get_many(keys, api.clock.now() + PATIENCE).await?;
    let mut by_id: HashMap<CustomerId, Customer> =
        found.into_iter().map(|customer| (customer.id(), customer)).collect();
    let mut answer = Batch { customers: Vec::with_capacity(by_id.len()), missing: Vec::new() };
    for id in wanted {
        match by_id.remove(&id) {
            Some(customer) => answer.customers.push(customer),
            None => answer.missing.push(id.to_string()),
        }
    }
    Ok(Json(answer))
}

#[derive(Serialize)]
struct List {
    customers: Vec<Customer>,
    cursor: Option<String>,
    more: bool,
}

async fn list_customers(
    State(api): Api,
    headers: HeaderMap,
    Query(mut query): Query<HashMap<String, String>>,
) -> Result<Json<List>, Problem> {
    let tenant = api.readers.tenant_of(&headers).await?;
    let connection = query
        .remove("connection")
        .ok_or_else(|| Problem::bad_request("the query parameter `connection` is missing"))?;
    let limit = match query.remove("limit") {
        None => DEFAULT_LIMIT,
        Some(text) => text.parse().ok().filter(|limit| (1..=LARGEST_LIMIT).contains(limit)).ok_or_else(|| {
            Problem::bad_request(format!(
                "the query parameter `limit` must be a whole number from 1 to {LARGEST_LIMIT}"
            ))
        })?,
    };
    let cursor =
        match query.remove("cursor") {
            None => None,
            Some(text) => Some(read_cursor(&text).ok_or_else(|| {
                Problem::bad_request("the query parameter `cursor` is not one that this API gave out")
            })?),
        };
    if let Some(unknown) = query.keys().min() {
        return Err(Problem::bad_request(format!("the query parameter `{unknown}` is not known")));
    }
    let key = ConnectionKey::new(tenant, connection);
    if api.directory.get(&key).await?.is_none_or(|registration| registration.kind == READER) {
        return Err(Problem::not_found("there is no such connection"));
    }
    let (customers, next) = api.shadow.list(&key, cursor, limit, api.clock.now() + PATIENCE).await?;
    let cursor = next.map(|(shard, source_id)| write_cursor(shard, &source_id));
    Ok(Json(List { customers, more: cursor.is_some(), cursor }))
}

async fn connections(State(api): Api, headers: HeaderMap) -> Result<Json<Connections>, Problem> {
    let tenant = api.readers.tenant_of(&headers).await?;
    let connections = api.status.all(Some(&tenant), api.clock.now()).await?;
    Ok(Json(Connections { connections }))
}

fn write_cursor(shard: u8, source_id: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{shard}:{source_id}"))
}

fn read_cursor(text: &str) -> Option<(u8, String)> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (shard, source_id) = text.split_once(':')?;
    let shard = shard.parse().ok().filter(|shard| *shard < Shadow::SHARDS)?;
    Some((shard, source_id.to_owned()))
}
