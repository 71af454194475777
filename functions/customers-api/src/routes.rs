use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use model::{ConnectionKey, Customer, CustomerId, LeadSource, Record, Referred, Staff, is_id};
use runtime::connections::READER;
use runtime::status::Connections;
use runtime::{read_cursor, write_cursor};
use serde::{Deserialize, Serialize};
use store::Catalog;

use crate::CustomersApi;
use crate::list_query::ListQuery;
use crate::problem::Problem;

/// How many ids one request may name.
const MOST_IDS: usize = 500;
/// API Gateway gives up after 30 seconds; what takes longer than this is given up before.
const PATIENCE: Duration = Duration::from_secs(25);

type Api = State<Arc<CustomersApi>>;

pub(crate) fn router(api: Arc<CustomersApi>) -> Router {
    Router::new()
        .route("/v1/customers/{id}", get(one_customer))
        .route("/v1/customers/batch-get", post(many_customers))
        .route("/v1/customers", get(list_customers))
        .route("/v1/connections", get(connections))
        .route("/v1/staff", get(list_staff))
        .route("/v1/lead-sources", get(list_lead_sources))
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
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<List>, Problem> {
    let tenant = api.readers.tenant_of(&headers).await?;
    let ListQuery { connection, limit, cursor } = ListQuery::read(query)?;
    let cursor = match cursor {
        None => None,
        Some(text) => Some(read_cursor(&text).ok_or_else(ListQuery::bad_cursor)?),
    };
    let key = api.connection(tenant, connection).await?;
    let (customers, next) = api.shadow.list(&key, cursor, limit, api.clock.now() + PATIENCE).await?;
    let cursor = next.map(|(shard, source_id)| write_cursor(shard, &source_id));
    Ok(Json(List { customers, more: cursor.is_some(), cursor }))
}

#[derive(Serialize)]
struct StaffList {
    staff: Vec<Record<Staff>>,
    cursor: Option<String>,
    more: bool,
}

async fn list_staff(
    State(api): Api,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<StaffList>, Problem> {
    let tenant = api.readers.tenant_of(&headers).await?;
    let (staff, cursor) = api.cataloged(&api.staff, tenant, query).await?;
    Ok(Json(StaffList { staff, more: cursor.is_some(), cursor }))
}

#[derive(Serialize)]
struct LeadSourceList {
    lead_sources: Vec<Record<LeadSource>>,
    cursor: Option<String>,
    more: bool,
}

async fn list_lead_sources(
    State(api): Api,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<LeadSourceList>, Problem> {
    let tenant = api.readers.tenant_of(&headers).await?;
    let (lead_sources, cursor) = api.cataloged(&api.lead_sources, tenant, query).await?;
    Ok(Json(LeadSourceList { lead_sources, more: cursor.is_some(), cursor }))
}

impl CustomersApi {
    /// A page of what stands in a catalog, and the cursor to go on with; `None` where there is no more.
    async fn cataloged<T: Referred>(
        &self,
        catalog: &Catalog<T>,
        tenant: String,
        query: HashMap<String, String>,
    ) -> Result<(Vec<Record<T>>, Option<String>), Problem> {
        let ListQuery { connection, limit, cursor } = ListQuery::read(query)?;
        if cursor.as_deref().is_some_and(|id| !is_id(id)) {
            return Err(ListQuery::bad_cursor());
        }
        let key = self.connection(tenant, connection).await?;
        let (records, more) = catalog.list(&key, cursor.as_deref(), limit).await?;
        let cursor = records.last().filter(|_| more).map(|record| record.id.clone());
        Ok((records, cursor))
    }

    /// The key of a connection of the tenant.
    async fn connection(&self, tenant: String, connection: String) -> Result<ConnectionKey, Problem> {
        let key = ConnectionKey::new(tenant, connection);
        if self.directory.get(&key).await?.is_none_or(|registration| registration.kind == READER) {
            return Err(Problem::not_found("there is no such connection"));
        }
        Ok(key)
    }
}

async fn connections(State(api): Api, headers: HeaderMap) -> Result<Json<Connections>, Problem> {
    let tenant = api.readers.tenant_of(&headers).await?;
    let connections = api.status.all(Some(&tenant), api.clock.now()).await?;
    Ok(Json(Connections { connections }))
}
