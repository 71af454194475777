//! Customers: one, some by their ids, those with an e-mail address, and lists.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use api::{is_as_sent, read_cursor, write_cursor};
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{Extensions, HeaderMap};
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use model::{ConnectionKey, Customer, CustomerId, CustomerView};
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use store::{EmailIndex, Found, Shadow};
use utoipa::{IntoParams, ToSchema};

use crate::CustomersApi;
use crate::answer::{Rows, answer, note_read};
use crate::auth::Tenant;
use crate::cursor::{read_position, write_position};
use crate::etag::tagged;
use crate::freshness::FreshAsOf;
use crate::problem::Problem;
use crate::request::{Api, Limit, NoParameters, PATIENCE, Parameters, bad_cursor, bad_cursor_in_body, read_json};

/// How many ids one request may name.
const MOST_IDS: usize = 500;
/// How far the feed overlaps a listing that it follows. A listing goes by an index, which a customer enters some
/// milliseconds after it is stored: one that the feed tells of already may not be in it yet.
const OVERLAP: Duration = Duration::from_secs(60);
/// Bytes of a customer's id: a sort key of DynamoDB is no longer.
const LONGEST_ID: usize = 1_024;
/// What stands in a path before a customer's id.
const CUSTOMER: &str = "/v1/customers/";

/// One record, deleted or not.
#[utoipa::path(
    get,
    path = "/v1/customers/{*id}",
    operation_id = "getCustomer",
    tag = "customers",
    params(
        (
            "id" = String, Path, pattern = "^[a-z0-9-]{1,40}~[A-Za-z0-9._-]+$",
            description = "The customer's id. What API Gateway could turn into another id in a path is refused: ask for \
                an id with other characters by `GET /v1/customers?id=`.",
        ),
        ("If-None-Match" = Option<String>, Header, nullable = false, description = "The `ETag` of a record that you have."),
    ),
    security(("bearer" = ["read"])),
    responses(
        (
            status = 200,
            description = "The record.",
            body = CustomerView,
            headers(
                ("ETag" = String, description = "The tag of this record."),
                (
                    "Fresh-As-Of" = String,
                    description = "How fresh it is: `aa=2026-11-22T03:05:00.000Z`; not there if it never was in sync."
                ),
            ),
        ),
        (status = 304, description = "You have this record already, by its `ETag`."),
        (status = 404, description = "The tenant has no such customer."),
    ),
)]
pub(crate) async fn by_path(
    Tenant(tenant): Tenant,
    State(api): Api,
    parameters: Result<Parameters<NoParameters>, Problem>,
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
    // Only now: what follows a `?` of an id looks like parameters.
    parameters?;
    let id = id.parse().map_err(|error| Problem::bad_request(format!("the id in the path: {error}")))?;
    api.customer(&tenant, "GET /v1/customers/{id}", id, &headers).await
}

/// Which customers are wanted: one by `id`, those with the address `email`, or those of a `connection`.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CustomersParameters {
    /// The record with this id, whatever characters it holds. Stands alone.
    id: Option<CustomerId>,
    /// The customers of all connections with this address, in any case, without deleted ones.
    #[param(pattern = "[^ \\t\\r\\n]")]
    email: Option<String>,
    /// The customers of this connection, without deleted ones.
    connection: Option<String>,
    /// The `cursor` of the page before; without one, the first page.
    cursor: Option<String>,
    /// How many rows a page may have; 100 if it is not given.
    #[param(inline, value_type = Option<Limit>)]
    limit: Option<Limit>,
}

/// Some customers. A page has `limit` rows, or fewer, if more would make the answer too large.
#[derive(Serialize, ToSchema)]
struct CustomerPage {
    #[schema(value_type = Vec<CustomerView<'_>>)]
    customers: Rows,
    /// What to ask with for the next page; null after the last one.
    #[schema(required)]
    cursor: Option<String>,
    /// Whether there are more.
    more: bool,
    /// With `connection`, and the same on each page: where to follow the feed from once the listing has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    changes_cursor: Option<String>,
    fresh_as_of: FreshAsOf,
}

/// A record, or customers.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it says what one of the routes answers")]
enum CustomerOrPage<'a> {
    Customer(Box<CustomerView<'a>>),
    Page(CustomerPage),
}

/// One record by its id, the customers with an e-mail address, or a page of those of a connection.
///
/// Exactly one of `id`, `email` and `connection` is given; `cursor` and `limit` not with `id`.
#[utoipa::path(
    get,
    path = "/v1/customers",
    operation_id = "findCustomers",
    tag = "customers",
    params(
        CustomersParameters,
        ("If-None-Match" = Option<String>, Header, nullable = false, description = "With `id`: the `ETag` of a record that you have."),
    ),
    security(("bearer" = ["read"])),
    responses(
        (
            status = 200,
            description = "The record of `id`; or a page of customers: with `email` by id, with `connection` in an order of \
                its own, which stays the same.",
            body = inline(CustomerOrPage),
            headers(
                ("ETag" = String, description = "With `id`: the tag of this record."),
                ("Fresh-As-Of" = String, description = "As `fresh_as_of`."),
            ),
            links(
                ("next" = (
                    operation_id = "findCustomers",
                    parameters(("connection" = "$request.query.connection"), ("cursor" = "$response.body#/cursor")),
                )),
                ("changes" = (
                    operation_id = "readChanges",
                    parameters(("cursor" = "$response.body#/changes_cursor")),
                )),
                ("customer" = (
                    operation_id = "getCustomer",
                    parameters(("id" = "$response.body#/customers/0/id")),
                )),
                ("same" = (
                    operation_id = "findCustomers",
                    parameters(("email" = "$response.body#/customers/0/emails/0/address")),
                )),
            ),
        ),
        (status = 304, description = "With `id`: you have this record already, by its `ETag`."),
        (status = 404, description = "The tenant has no such customer, or no such connection."),
    ),
)]
pub(crate) async fn by_query(
    Tenant(tenant): Tenant,
    State(api): Api,
    Parameters(parameters): Parameters<CustomersParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let CustomersParameters { id, email, connection, cursor, limit } = parameters;
    match (id, email, connection) {
        (Some(id), None, None) if cursor.is_none() && limit.is_none() => {
            api.customer(&tenant, "GET /v1/customers?id=", id, &headers).await
        }
        (Some(_), _, _) => Err(Problem::bad_request("the query parameter `id` stands alone")),
        (None, Some(email), None) => {
            let address = EmailIndex::address(&email)
                .ok_or_else(|| Problem::bad_request("the query parameter `email` is empty"))?;
            let after = cursor.map(|text| read_id(&text).ok_or_else(bad_cursor)).transpose()?;
            let limit = limit.unwrap_or_default().get();
            search(tenant, api, "GET /v1/customers?email=", address, after, limit).await
        }
        (None, None, Some(connection)) => list(tenant, api, connection, cursor, limit.unwrap_or_default().get()).await,
        (None, ..) => {
            Err(Problem::bad_request("exactly one of the query parameters `id`, `email` and `connection` is needed"))
        }
    }
}

/// The customers that are wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BatchGet {
    /// Their ids.
    #[schema(max_items = 500)]
    ids: Vec<CustomerId>,
}

/// The customers of a batch. Each id that was asked for stands in one of the lists.
#[derive(Serialize, ToSchema)]
struct Batch<'a> {
    #[schema(value_type = Vec<CustomerView<'_>>)]
    customers: Rows,
    /// Those that are not there.
    missing: Vec<&'a CustomerId>,
    /// Those whose records are damaged: the log says why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    unreadable: Vec<&'a CustomerId>,
    /// Those that had no room in the answer: ask for them again.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    unanswered: &'a [CustomerId],
    fresh_as_of: FreshAsOf,
}

impl BatchGet {
    /// The ids that a body names, each once, in its order.
    async fn read(body: Body) -> Result<Vec<CustomerId>, Problem> {
        let Self { mut ids } = read_json(body, "{\"ids\":[…]}").await?;
        if ids.len() > MOST_IDS {
            let count = ids.len();
            return Err(Problem::bad_request(format!(
                "`ids` has {count} entries; at most {MOST_IDS} are answered at once"
            )));
        }
        let mut seen = HashSet::new();
        ids.retain(|id| seen.insert(id.clone()));
        Ok(ids)
    }
}

/// Up to 500 records by their ids, with tombstones.
#[utoipa::path(
    post,
    path = "/v1/customers/batch-get",
    operation_id = "batchGetCustomers",
    tag = "customers",
    request_body = inline(BatchGet),
    security(("bearer" = ["read"])),
    responses((
        status = 200,
        description = "The customers, in the order asked for, each once.",
        body = inline(Batch),
        headers(("Fresh-As-Of" = String, description = "As `fresh_as_of`.")),
        links(
            ("customer" = (operation_id = "getCustomer", parameters(("id" = "$response.body#/customers/0/id")))),
            ("missing" = (operation_id = "findCustomers", parameters(("id" = "$response.body#/missing/0")))),
        ),
    )),
)]
pub(crate) async fn batch_get(
    Tenant(tenant): Tenant,
    State(api): Api,
    _: Parameters<NoParameters>,
    body: Body,
) -> Result<Response, Problem> {
    let wanted = BatchGet::read(body).await?;
    let names: Vec<String> = wanted.iter().map(CustomerId::to_string).collect();
    let connections = wanted.iter().map(|id| id.connection.clone()).collect();
    let fresh_as_of = api.freshness.of(&tenant, Some(&connections)).await?;
    let deadline = api.tables.clock.now() + PATIENCE;
    let mut rows = Rows::beside(names.iter().map(String::as_str));
    let (mut missing, mut unreadable) = (Vec::new(), Vec::new());
    let mut at = 0;
    'reading: while at < wanted.len() {
        let slice = &wanted[at..at + rows.to_read(wanted.len() - at)];
        let Records { mut by_id, unreadable: damaged } = api.records(&tenant, slice, deadline).await?;
        for id in slice {
            match by_id.remove(id) {
                Some(customer) if rows.take(&customer)? => {}
                Some(_) => break 'reading,
                None if damaged.contains(id) => unreadable.push(id),
                None => missing.push(id),
            }
            at += 1;
        }
    }
    note_read(&tenant, "POST /v1/customers/batch-get", rows.count());
    let batch = Batch { customers: rows, missing, unreadable, unanswered: &wanted[at..], fresh_as_of };
    answer(&batch, &batch.fresh_as_of)
}

/// Whose customers are wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    /// The address, in any case.
    #[schema(pattern = "[^ \\t\\r\\n]")]
    email: String,
    /// The `cursor` of the page before; without one, the first page.
    cursor: Option<String>,
}

/// As `GET /v1/customers?email=`, with the address in the body: no log of addresses and no browser keeps that.
#[utoipa::path(
    post,
    path = "/v1/customers/search",
    operation_id = "searchCustomers",
    tag = "customers",
    request_body = inline(Search),
    security(("bearer" = ["read"])),
    responses((
        status = 200,
        description = "The customers of all connections with this address, by id, without deleted ones; at most 100.",
        body = inline(CustomerPage),
        headers(("Fresh-As-Of" = String, description = "As `fresh_as_of`.")),
        links(("customer" = (operation_id = "getCustomer", parameters(("id" = "$response.body#/customers/0/id"))))),
    )),
)]
pub(crate) async fn search_by_body(
    Tenant(tenant): Tenant,
    State(api): Api,
    _: Parameters<NoParameters>,
    body: Body,
) -> Result<Response, Problem> {
    let Search { email, cursor } = read_json(body, "{\"email\":…}").await?;
    let address = EmailIndex::address(&email).ok_or_else(|| Problem::bad_request("`email` is empty"))?;
    let after = cursor.map(|text| read_id(&text).ok_or_else(bad_cursor_in_body)).transpose()?;
    search(tenant, api, "POST /v1/customers/search", address, after, Limit::default().get()).await
}

/// The customers that have an address, by id, without deleted ones.
async fn search(
    tenant: String,
    api: Arc<CustomersApi>,
    route: &'static str,
    address: String,
    mut after: Option<CustomerId>,
    limit: usize,
) -> Result<Response, Problem> {
    let fresh_as_of = api.freshness.of(&tenant, None).await?;
    let deadline = api.tables.clock.now() + PATIENCE;
    let mut rows = Rows::default();
    let mut more = true;
    'reading: while more && rows.count() < limit {
        let wanted = rows.to_read(limit - rows.count());
        let (ids, has_more) = api.tables.email_index.find(&tenant, &address, after.as_ref(), wanted).await?;
        more = has_more;
        let found = api.records(&tenant, &ids, deadline).await?.by_id;
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
    note_read(&tenant, route, rows.count());
    let cursor = after.filter(|_| more).map(|id| BASE64_URL_SAFE_NO_PAD.encode(id.to_string()));
    let page = CustomerPage { customers: rows, cursor, more, changes_cursor: None, fresh_as_of };
    answer(&page, &page.fresh_as_of)
}

/// The place in the result of a search.
fn read_id(cursor: &str) -> Option<CustomerId> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    text.parse().ok().filter(|_| text.len() <= LONGEST_ID)
}

async fn list(
    tenant: String,
    api: Arc<CustomersApi>,
    connection: String,
    cursor: Option<String>,
    limit: usize,
) -> Result<Response, Problem> {
    // The cursor of a page says where the feed stood when the listing began. Those of the release before do not.
    let (mut cursor, began) = match &cursor {
        None => (None, None),
        Some(text) => {
            let (place, began) = text.split_once('.').map_or((text.as_str(), None), |(place, at)| (place, Some(at)));
            let began = began.map(|text| read_position(text, &tenant).ok_or_else(bad_cursor)).transpose()?;
            (Some(read_cursor(place).ok_or_else(bad_cursor)?), began)
        }
    };
    let key = api.connection(&tenant, connection).await?.key;
    let began = match began {
        Some(position) => position,
        None => api.tables.feed.latest(&tenant, OVERLAP).await?,
    };
    let fresh_as_of = api.freshness.of(&tenant, Some(&BTreeSet::from([key.connection.clone()]))).await?;
    let deadline = api.tables.clock.now() + PATIENCE;
    let mut rows = Rows::default();
    'reading: loop {
        let wanted = rows.to_read(limit - rows.count());
        let (customers, next) = api.tables.shadow.list(&key, cursor.clone(), wanted, deadline).await?;
        for customer in &customers {
            if !rows.take(customer)? {
                break 'reading;
            }
            cursor = Some(Shadow::place_of(&customer.source_id));
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
    let page = CustomerPage { customers: rows, cursor, more, changes_cursor: Some(changes_cursor), fresh_as_of };
    answer(&page, &page.fresh_as_of)
}

/// Records that were asked for.
pub(crate) struct Records {
    /// Those that are there.
    pub(crate) by_id: HashMap<CustomerId, Customer>,
    /// Those that are there, and can't be read.
    pub(crate) unreadable: HashSet<CustomerId>,
}

impl CustomersApi {
    /// What there is of some records, deleted or not.
    pub(crate) async fn records(
        &self,
        tenant: &str,
        ids: impl IntoIterator<Item = &CustomerId>,
        deadline: Timestamp,
    ) -> Result<Records, Problem> {
        let keys = ids.into_iter().map(|id| (ConnectionKey::new(tenant, &id.connection), id.source_id.clone()));
        let Found { customers, unreadable } = self.tables.shadow.find_many(keys, deadline).await?;
        let by_id = customers.into_iter().map(|customer| (customer.id(), customer)).collect();
        Ok(Records { by_id, unreadable: unreadable.into_iter().collect() })
    }

    /// One record, deleted or not.
    async fn customer(
        &self,
        tenant: &str,
        route: &'static str,
        id: CustomerId,
        headers: &HeaderMap,
    ) -> Result<Response, Problem> {
        let connection = ConnectionKey::new(tenant, id.connection);
        let fresh = self.freshness.of(tenant, Some(&BTreeSet::from([connection.connection.clone()]))).await?;
        let found = self.tables.shadow.get(&connection, &id.source_id).await?;
        note_read(tenant, route, found.iter().len());
        let customer = found.ok_or_else(|| Problem::not_found("there is no such customer"))?;
        let record = to_raw_value(&customer)?;
        Ok(tagged(headers, record.get(), answer(&record, &fresh)?))
    }
}
