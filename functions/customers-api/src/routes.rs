use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use api::{is_as_sent, read_cursor, write_cursor};
use axum::body::{Body, to_bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{Extensions, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use config::{READER, is_connection_id};
use model::{ConnectionKey, Customer, CustomerId, Record, ReferenceData, is_id};
use operations::status::Connections;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{ReferenceTable, Shadow};

use crate::CustomersApi;
use crate::answer::Rows;
use crate::auth::Tenant;
use crate::list_query::ListQuery;
use crate::problem::Problem;

/// How many ids one request may name.
const MOST_IDS: usize = 500;
/// API Gateway gives up after 30 seconds; what takes longer than this is given up before.
const PATIENCE: Duration = Duration::from_secs(25);

/// Bytes of a body: far more than [`MOST_IDS`] ids have.
const LARGEST_BODY: usize = 1_000_000;

/// What stands in a path before a customer's id.
const CUSTOMER: &str = "/v1/customers/";

type Api = State<Arc<CustomersApi>>;
type Parameters = Result<Query<HashMap<String, String>>, QueryRejection>;

pub(crate) fn router(api: Arc<CustomersApi>) -> Router {
    Router::new()
        // An id may hold slashes.
        .route(&format!("{CUSTOMER}{{*id}}"), get(customer_by_path))
        .route("/v1/customers/batch-get", post(many_customers))
        .route("/v1/customers", get(customers_by_query))
        .route("/v1/connections", get(connections))
        .route("/v1/staff", get(list_staff))
        .route("/v1/lead-sources", get(list_lead_sources))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this route does not know that method")
        })
        .fallback(async || Problem::not_found("there is no such route"))
        .layer(map_response(nobody_keeps))
        .with_state(api)
}

/// Answers hold personal data: no cache keeps them, and no browser takes them for anything else.
async fn nobody_keeps(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn customer_by_path(
    Tenant(tenant): Tenant,
    State(api): Api,
    id: Result<Path<String>, PathRejection>,
    extensions: Extensions,
) -> Result<Json<Customer>, Problem> {
    let Path(id) = id.map_err(|rejection| Problem::bad_request(format!("the id in the path: {rejection}")))?;
    if !is_as_sent(&extensions, CUSTOMER, &id) {
        return Err(Problem::bad_request(
            "the id in the path holds a character that is lost on its way: ask for it by `GET /v1/customers?id=…`",
        ));
    }
    let id = id.parse().map_err(|error| Problem::bad_request(format!("the id in the path: {error}")))?;
    api.customer(&tenant, "GET /v1/customers/{id}", id).await
}

/// One customer by its id, or a page of a connection's.
async fn customers_by_query(tenant: Tenant, State(api): Api, query: Parameters) -> Result<Response, Problem> {
    match query {
        Ok(Query(parameters)) if parameters.contains_key("id") => {
            let [(_, id)] = &parameters.into_iter().collect::<Vec<_>>()[..] else {
                return Err(Problem::bad_request("the query parameter `id` stands alone"));
            };
            let id = id.parse().map_err(|error| Problem::bad_request(format!("`id`: {error}")))?;
            api.customer(&tenant.0, "GET /v1/customers?id=", id).await.map(IntoResponse::into_response)
        }
        query => list_customers(tenant, api, query).await,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchGet {
    ids: Vec<String>,
}

impl BatchGet {
    /// The ids that a body names, each once, in its order.
    async fn read(body: Body) -> Result<Vec<CustomerId>, Problem> {
        let body = to_bytes(body, LARGEST_BODY).await.map_err(|_| {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body has more than {LARGEST_BODY} bytes, or could not be read to its end"),
            )
        })?;
        let request: Self = serde_json::from_slice(&body)
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
        Ok(wanted)
    }
}

async fn many_customers(Tenant(tenant): Tenant, State(api): Api, body: Body) -> Result<Response, Problem> {
    let wanted = BatchGet::read(body).await?;
    let names: Vec<String> = wanted.iter().map(CustomerId::to_string).collect();
    let deadline = api.clock.now() + PATIENCE;
    let mut rows = Rows::beside(names.iter().map(String::as_str));
    let mut missing = Vec::new();
    let mut at = 0;
    'reading: while at < wanted.len() {
        let slice = &wanted[at..at + rows.to_read(wanted.len() - at)];
        let keys = slice.iter().map(|id| (ConnectionKey::new(&tenant, &id.connection), id.source_id.clone()));
        let found = api.shadow.get_many(keys, deadline).await?;
        let mut by_id: HashMap<CustomerId, Customer> =
            found.into_iter().map(|customer| (customer.id(), customer)).collect();
        for id in slice {
            match by_id.remove(id) {
                Some(customer) if rows.take(&customer)? => {}
                Some(_) => break 'reading,
                None => missing.push(&names[at]),
            }
            at += 1;
        }
    }
    note_read(&tenant, "POST /v1/customers/batch-get", rows.count());
    let mut others = vec![("missing", json!(missing))];
    if at < wanted.len() {
        others.push(("unanswered", json!(names[at..])));
    }
    Ok(rows.into_answer("customers", &others))
}

async fn list_customers(
    Tenant(tenant): Tenant,
    api: Arc<CustomersApi>,
    query: Parameters,
) -> Result<Response, Problem> {
    let ListQuery { connection, limit, cursor } = ListQuery::read(query)?;
    let mut cursor = cursor.map(|text| read_cursor(&text).ok_or_else(ListQuery::bad_cursor)).transpose()?;
    let key = api.connection(&tenant, connection).await?;
    let deadline = api.clock.now() + PATIENCE;
    let mut rows = Rows::default();
    'reading: loop {
        let wanted = rows.to_read(limit - rows.count());
        let (customers, next) = api.shadow.list(&key, cursor.take(), wanted, deadline).await?;
        let mut last = None;
        for customer in &customers {
            if !rows.take(customer)? {
                cursor = last;
                break 'reading;
            }
            last = Some(Shadow::place_of(&customer.source_id));
        }
        cursor = next;
        if cursor.is_none() || rows.count() >= limit {
            break;
        }
    }
    note_read(&tenant, "GET /v1/customers", rows.count());
    let cursor = cursor.map(|(shard, source_id)| write_cursor(shard, &source_id));
    Ok(rows.into_answer("customers", &[("cursor", json!(cursor)), ("more", json!(cursor.is_some()))]))
}

async fn list_staff(Tenant(tenant): Tenant, State(api): Api, query: Parameters) -> Result<Response, Problem> {
    api.list_reference(&api.staff, &tenant, "staff", "GET /v1/staff", query).await
}

async fn list_lead_sources(Tenant(tenant): Tenant, State(api): Api, query: Parameters) -> Result<Response, Problem> {
    api.list_reference(&api.lead_sources, &tenant, "lead_sources", "GET /v1/lead-sources", query).await
}

impl CustomersApi {
    /// One record, deleted or not.
    async fn customer(&self, tenant: &str, route: &'static str, id: CustomerId) -> Result<Json<Customer>, Problem> {
        let connection = ConnectionKey::new(tenant, id.connection);
        let found = self.shadow.get(&connection, &id.source_id).await?;
        note_read(tenant, route, found.iter().len());
        found.map(Json).ok_or_else(|| Problem::not_found("there is no such customer"))
    }

    /// A page of a table, under `name`.
    async fn list_reference<T: ReferenceData>(
        &self,
        table: &ReferenceTable<T>,
        tenant: &str,
        name: &str,
        route: &'static str,
        query: Parameters,
    ) -> Result<Response, Problem>
    where
        Record<T>: Serialize,
    {
        let ListQuery { connection, limit, mut cursor } = ListQuery::read(query)?;
        if cursor.as_deref().is_some_and(|id| !is_id(id)) {
            return Err(ListQuery::bad_cursor());
        }
        let key = self.connection(tenant, connection).await?;
        let mut rows = Rows::default();
        let more = 'reading: loop {
            let wanted = rows.to_read(limit - rows.count());
            let (records, more) = table.list(&key, cursor.as_deref(), wanted).await?;
            for record in &records {
                if !rows.take(record)? {
                    break 'reading true;
                }
                cursor = Some(record.id.clone());
            }
            if !more || rows.count() >= limit {
                break more;
            }
        };
        note_read(tenant, route, rows.count());
        let cursor = cursor.filter(|_| more);
        Ok(rows.into_answer(name, &[("cursor", json!(cursor)), ("more", json!(more))]))
    }

    /// The key of a connection of the tenant.
    async fn connection(&self, tenant: &str, connection: String) -> Result<ConnectionKey, Problem> {
        let not_found = || Problem::not_found("there is no such connection");
        // What can't be a connection's id is not asked for: the store would refuse a longer key.
        if !is_connection_id(&connection) {
            return Err(not_found());
        }
        let key = ConnectionKey::new(tenant, connection);
        match self.registry.get(&key).await? {
            Some(registration) if registration.kind != READER => Ok(key),
            _ => Err(not_found()),
        }
    }
}

/// Logs which tenant read how many records, for the people that must answer for it.
fn note_read(tenant: &str, route: &str, records: usize) {
    tracing::info!(tenant, route, records, "personal data were read");
}

async fn connections(Tenant(tenant): Tenant, State(api): Api) -> Result<Json<Connections>, Problem> {
    let connections = api.status.all(Some(&tenant), api.clock.now()).await?;
    Ok(Json(Connections { connections }))
}
