//! What a Connector pushed beside customers: staff and lead sources.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::Response;
use model::{LeadSource, LeadSourceView, Record, ReferenceData, Staff, StaffView, is_id};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::CustomersApi;
use crate::answer::{Rows, answer, note_read};
use crate::auth::Tenant;
use crate::freshness::FreshAsOf;
use crate::problem::Problem;
use crate::request::{Api, Limit, Parameters, bad_cursor};

/// Which part of a connection's list is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// The connection whose list it is.
    connection: String,
    /// The `cursor` of the page before; without one, the first page.
    cursor: Option<String>,
    /// How many rows a page may have.
    #[serde(default)]
    #[param(inline)]
    limit: Limit,
}

/// Some staff, by id.
#[derive(Serialize, ToSchema)]
struct StaffPage {
    #[schema(value_type = Vec<StaffView<'_>>)]
    staff: Rows,
    #[serde(flatten)]
    end: PageEnd,
}

/// Some lead sources, by id.
#[derive(Serialize, ToSchema)]
struct LeadSourcePage {
    #[schema(value_type = Vec<LeadSourceView<'_>>)]
    lead_sources: Rows,
    #[serde(flatten)]
    end: PageEnd,
}

/// What follows the rows of a page.
#[derive(Serialize, ToSchema)]
struct PageEnd {
    /// What to ask with for the next page; null after the last one.
    #[schema(required)]
    cursor: Option<String>,
    /// Whether there are more.
    more: bool,
    fresh_as_of: FreshAsOf,
}

/// The staff that a Connector pushed, page by page.
#[utoipa::path(
    get,
    path = "/v1/staff",
    operation_id = "listStaff",
    tag = "reference data",
    params(ListParameters),
    security(("bearer" = ["read"])),
    responses(
        (
            status = 200,
            description = "Staff.",
            body = inline(StaffPage),
            headers(("Fresh-As-Of" = String, description = "As `fresh_as_of`.")),
            links(("next" = (
                operation_id = "listStaff",
                parameters(("connection" = "$request.query.connection"), ("cursor" = "$response.body#/cursor")),
            ))),
        ),
        (status = 404, description = "The tenant has no such connection."),
    ),
)]
pub(crate) async fn staff(
    Tenant(tenant): Tenant,
    State(api): Api,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Response, Problem> {
    let (staff, end) = api.page_of::<Staff>(&tenant, "GET /v1/staff", parameters).await?;
    let page = StaffPage { staff, end };
    answer(&page, &page.end.fresh_as_of)
}

/// The lead sources that a Connector pushed, page by page.
#[utoipa::path(
    get,
    path = "/v1/lead-sources",
    operation_id = "listLeadSources",
    tag = "reference data",
    params(ListParameters),
    security(("bearer" = ["read"])),
    responses(
        (
            status = 200,
            description = "Lead sources.",
            body = inline(LeadSourcePage),
            headers(("Fresh-As-Of" = String, description = "As `fresh_as_of`.")),
            links(("next" = (
                operation_id = "listLeadSources",
                parameters(("connection" = "$request.query.connection"), ("cursor" = "$response.body#/cursor")),
            ))),
        ),
        (status = 404, description = "The tenant has no such connection."),
    ),
)]
pub(crate) async fn lead_sources(
    Tenant(tenant): Tenant,
    State(api): Api,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Response, Problem> {
    let (lead_sources, end) = api.page_of::<LeadSource>(&tenant, "GET /v1/lead-sources", parameters).await?;
    let page = LeadSourcePage { lead_sources, end };
    answer(&page, &page.end.fresh_as_of)
}

impl CustomersApi {
    /// A page of a table.
    async fn page_of<T: ReferenceData>(
        &self,
        tenant: &str,
        route: &'static str,
        parameters: ListParameters,
    ) -> Result<(Rows, PageEnd), Problem>
    where
        Record<T>: Serialize,
    {
        let ListParameters { connection, mut cursor, limit } = parameters;
        if cursor.as_deref().is_some_and(|id| !is_id(id)) {
            return Err(bad_cursor());
        }
        let key = self.connection(tenant, connection).await?.key;
        let fresh_as_of = self.freshness.of(tenant, Some(&BTreeSet::from([key.connection.clone()]))).await?;
        let mut rows = Rows::default();
        let more = 'reading: loop {
            let wanted = rows.to_read(limit.get() - rows.count());
            let (records, more) = self.tables.reference::<T>().list(&key, cursor.as_deref(), wanted).await?;
            for record in &records {
                if !rows.take(record)? {
                    break 'reading true;
                }
                cursor = Some(record.id.clone());
            }
            if !more || rows.count() >= limit.get() {
                break more;
            }
        };
        note_read(tenant, route, rows.count());
        Ok((rows, PageEnd { cursor: cursor.filter(|_| more), more, fresh_as_of }))
    }
}
