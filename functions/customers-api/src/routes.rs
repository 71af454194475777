use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use api::{is_as_sent, read_cursor, write_cursor};
use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use config::{READER, is_connection_id};
use model::{ConnectionKey, Customer, CustomerId, Record, ReferenceData, is_id};
use operations::status::Connections;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{EmailIndex, ReferenceTable, Shadow};
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::CustomersApi;
use crate::answer::{Rows, with_freshness};
use crate::auth::Tenant;
use crate::changes::{changes, read_position, write_position};
use crate::etag::tagged;
use crate::freshness::FRESH_AS_OF;
use crate::operate;
use crate::parameters::{Parameters, bad_cursor};
use crate::problem::Problem;

/// How many ids one request may name.
const MOST_IDS: usize = 500;
/// API Gateway gives up after 30 seconds; what takes longer than this is given up before.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);
/// How long a browser need not ask again whether it may ask.
const PREFLIGHT: Duration = Duration::from_secs(3_600);
/// How far the feed overlaps a listing that it follows. A listing goes by an index, which a customer enters some
/// milliseconds after it is stored: one that the feed tells of already may not be in it yet.
const OVERLAP: Duration = Duration::from_secs(60);
/// How many customers with an address are looked at at once.
const FOUND_AT_ONCE: usize = 100;

/// Bytes of a body: far more than [`MOST_IDS`] ids have.
const LARGEST_BODY: usize = 1_000_000;

/// Bytes of a customer's id: no key is longer.
const LONGEST_ID: usize = 2_048;

/// What stands in a path before a customer's id.
const CUSTOMER: &str = "/v1/customers/";

pub(crate) type Api = State<Arc<CustomersApi>>;

/// The routes. Pages of the `origins` may ask for them from a browser.
pub(crate) fn router(api: Arc<CustomersApi>, origins: Option<AllowOrigin>) -> Router {
    let router = Router::new()
        // An id may hold slashes.
        .route(&format!("{CUSTOMER}{{*id}}"), get(customer_by_path))
        .route("/v1/customers/batch-get", post(many_customers))
        .route("/v1/customers", get(customers_by_query))
        .route("/v1/changes", get(changes))
        .route("/v1/connections", get(connections))
        .route("/v1/connections/{id}/pause", post(operate::pause))
        .route("/v1/connections/{id}/resume", post(operate::resume))
        .route("/v1/connections/{id}/resync", post(operate::resync))
        .route("/v1/failures/redrive", post(operate::redrive))
        .route("/v1/failures/drop", post(operate::drop))
        .route("/v1/staff", get(list_staff))
        .route("/v1/lead-sources", get(list_lead_sources))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this route does not know that method")
        })
        .fallback(async || Problem::not_found("there is no such route"))
        .layer(map_response(nobody_keeps))
        .layer(CompressionLayer::new())
        .with_state(api);
    let Some(origins) = origins else { return router };
    let cors = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_NONE_MATCH])
        .expose_headers([header::ETAG, FRESH_AS_OF])
        .max_age(PREFLIGHT);
    router.layer(cors)
}

/// The origins that a text names, separated by commas; `*` for all. None if it names none.
pub(crate) fn origins(text: &str) -> Option<AllowOrigin> {
    let named = || text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    if named().any(|origin| origin == "*") {
        return Some(AllowOrigin::any());
    }
    // What no header can hold is no origin.
    let origins: Vec<HeaderValue> = named().filter_map(|origin| origin.parse().ok()).collect();
    (!origins.is_empty()).then(|| AllowOrigin::list(origins))
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
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, Problem> {
    let Path(id) = id.map_err(|rejection| Problem::bad_request(format!("the id in the path: {rejection}")))?;
    if !is_as_sent(&extensions, CUSTOMER, &id) {
        return Err(Problem::bad_request(
            "the id in the path holds a character that is lost on its way: ask for it by `GET /v1/customers?id=…`",
        ));
    }
    let id = id.parse().map_err(|error| Problem::bad_request(format!("the id in the path: {error}")))?;
    api.customer(&tenant, "GET /v1/customers/{id}", id, &headers).await
}

/// One customer by its id, those with an address, or a page of a connection's.
async fn customers_by_query(
    Tenant(tenant): Tenant,
    State(api): Api,
    mut parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(id) = parameters.take("id") {
        if parameters.no_others().is_err() {
            return Err(Problem::bad_request("the query parameter `id` stands alone"));
        }
        let id = id.parse().map_err(|error| Problem::bad_request(format!("`id`: {error}")))?;
        return api.customer(&tenant, "GET /v1/customers?id=", id, &headers).await;
    }
    match parameters.take("email") {
        Some(email) => search(tenant, api, email, parameters).await,
        None => list_customers(tenant, api, parameters).await,
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
        let body = read_body(body).await?;
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

/// A whole body.
pub(crate) async fn read_body(body: Body) -> Result<Vec<u8>, Problem> {
    let read = to_bytes(body, LARGEST_BODY).await.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {LARGEST_BODY} bytes, or could not be read to its end"),
        )
    });
    read.map(Into::into)
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
    let connections = wanted.iter().map(|id| id.connection.clone()).collect();
    let fresh = api.freshness.of(&tenant, Some(&connections)).await?;
    Ok(rows.into_answer("customers", &others, &fresh))
}

/// The customers that have an address, by id, without deleted ones.
async fn search(
    tenant: String,
    api: Arc<CustomersApi>,
    email: String,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let limit = parameters.limit()?;
    let cursor = parameters.take("cursor");
    parameters.no_others()?;
    let Some(address) = EmailIndex::address(&email) else {
        return Err(Problem::bad_request("the query parameter `email` is empty"));
    };
    let mut after = cursor.map(|text| read_id(&text).ok_or_else(bad_cursor)).transpose()?;
    let deadline = api.clock.now() + PATIENCE;
    let mut rows = Rows::default();
    let mut more = true;
    'reading: while more && rows.count() < limit {
        let wanted = rows.to_read(limit - rows.count()).min(FOUND_AT_ONCE);
        let (ids, has_more) = api.email_index.find(&tenant, &address, after.as_ref(), wanted).await?;
        more = has_more;
        let keys = ids.iter().map(|id| (ConnectionKey::new(&tenant, &id.connection), id.source_id.clone()));
        let found = api.shadow.get_many(keys, deadline).await?;
        let found: HashMap<CustomerId, Customer> =
            found.into_iter().map(|customer| (customer.id(), customer)).collect();
        for id in ids {
            // The index may know an address that the customer does not have any more.
            let customer = found.get(&id).filter(|it| EmailIndex::addresses(&it.content).contains(&address));
            if let Some(customer) = customer
                && !rows.take(customer)?
            {
                more = true;
                break 'reading;
            }
            after = Some(id);
        }
    }
    note_read(&tenant, "GET /v1/customers?email=", rows.count());
    let cursor = after.filter(|_| more).map(|id| BASE64_URL_SAFE_NO_PAD.encode(id.to_string()));
    let fresh = api.freshness.of(&tenant, None).await?;
    Ok(rows.into_answer("customers", &[("cursor", json!(cursor)), ("more", json!(more))], &fresh))
}

/// The place in the result of a search.
fn read_id(cursor: &str) -> Option<CustomerId> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    text.parse().ok().filter(|_| text.len() <= LONGEST_ID)
}

async fn list_customers(
    tenant: String,
    api: Arc<CustomersApi>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let connection = parameters.required("connection")?;
    let limit = parameters.limit()?;
    let cursor = parameters.take("cursor");
    parameters.no_others()?;
    // The cursor of a page says where the feed stood when the listing began. Those of the release before do not.
    let (mut cursor, began) = match &cursor {
        None => (None, None),
        Some(text) => {
            let (place, began) = text.split_once('.').map_or((text.as_str(), None), |(place, at)| (place, Some(at)));
            let began = began.map(|text| read_position(text, &tenant).ok_or_else(bad_cursor)).transpose()?;
            (Some(read_cursor(place).ok_or_else(bad_cursor)?), began)
        }
    };
    let key = api.connection(&tenant, connection).await?;
    let began = match began {
        Some(position) => position,
        None => api.feed.latest(&tenant, OVERLAP).await?,
    };
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
    let changes_cursor = write_position(&began, &tenant);
    let cursor = cursor.map(|(shard, source_id)| format!("{}.{changes_cursor}", write_cursor(shard, &source_id)));
    let more = cursor.is_some();
    let others = [("cursor", json!(cursor)), ("more", json!(more)), ("changes_cursor", json!(changes_cursor))];
    let fresh = api.freshness.of(&tenant, Some(&BTreeSet::from([key.connection]))).await?;
    Ok(rows.into_answer("customers", &others, &fresh))
}

async fn list_staff(Tenant(tenant): Tenant, State(api): Api, parameters: Parameters) -> Result<Response, Problem> {
    api.list_reference(&api.staff, &tenant, "staff", "GET /v1/staff", parameters).await
}

async fn list_lead_sources(
    Tenant(tenant): Tenant,
    State(api): Api,
    parameters: Parameters,
) -> Result<Response, Problem> {
    api.list_reference(&api.lead_sources, &tenant, "lead_sources", "GET /v1/lead-sources", parameters).await
}

impl CustomersApi {
    /// One record, deleted or not.
    async fn customer(
        &self,
        tenant: &str,
        route: &'static str,
        id: CustomerId,
        headers: &HeaderMap,
    ) -> Result<Response, Problem> {
        let connection = ConnectionKey::new(tenant, id.connection);
        let found = self.shadow.get(&connection, &id.source_id).await?;
        note_read(tenant, route, found.iter().len());
        let customer = found.ok_or_else(|| Problem::not_found("there is no such customer"))?;
        let fresh = self.freshness.of(tenant, Some(&BTreeSet::from([connection.connection]))).await?;
        let body = serde_json::to_string(&customer)?;
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let response = (json, body.clone()).into_response();
        Ok(tagged(headers, &body, with_freshness(response, &fresh)))
    }

    /// A page of a table, under `name`.
    async fn list_reference<T: ReferenceData>(
        &self,
        table: &ReferenceTable<T>,
        tenant: &str,
        name: &str,
        route: &'static str,
        mut parameters: Parameters,
    ) -> Result<Response, Problem>
    where
        Record<T>: Serialize,
    {
        let connection = parameters.required("connection")?;
        let limit = parameters.limit()?;
        let mut cursor = parameters.take("cursor");
        parameters.no_others()?;
        if cursor.as_deref().is_some_and(|id| !is_id(id)) {
            return Err(bad_cursor());
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
        let fresh = self.freshness.of(tenant, Some(&BTreeSet::from([key.connection]))).await?;
        Ok(rows.into_answer(name, &[("cursor", json!(cursor)), ("more", json!(more))], &fresh))
    }

    /// The key of a connection of the tenant.
    pub(crate) async fn connection(&self, tenant: &str, connection: String) -> Result<ConnectionKey, Problem> {
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
pub(crate) fn note_read(tenant: &str, route: &str, records: usize) {
    tracing::info!(tenant, route, records, "personal data were read");
}

async fn connections(Tenant(tenant): Tenant, State(api): Api) -> Result<Json<Connections>, Problem> {
    let connections = api.status.all(Some(&tenant), api.clock.now()).await?;
    Ok(Json(Connections { connections }))
}
