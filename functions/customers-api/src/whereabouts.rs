//! Where a customer is, on its way here and on to destinations.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use config::ConnectionKind;
use model::CustomerId;
use operations::resync::MOST_BYTES_OF_AN_ID;
use operations::whereabouts::Whereabouts;
use serde::Deserialize;
use store::Registration;
use utoipa::ToSchema;

use crate::answer::note_read;
use crate::auth::Tenant;
use crate::problem::Problem;
use crate::request::{Api, NoParameters, PATIENCE, Parameters, read_json};

/// Which customer is meant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Its id.
    id: CustomerId,
}

/// Everything that is known of one customer but its content: how it comes here, and how it goes on to destinations.
#[utoipa::path(
    post,
    path = "/v1/customers/where",
    operation_id = "findWhereabouts",
    tag = "customers",
    request_body = inline(Wanted),
    security(("bearer" = ["read"])),
    responses(
        (status = 200, description = "Where it is; also if there is nothing of it.", body = Whereabouts),
        (status = 404, description = "The tenant has no such connection."),
    ),
)]
pub(crate) async fn whereabouts(
    Tenant(tenant): Tenant,
    State(api): Api,
    _: Parameters<NoParameters>,
    body: Body,
) -> Result<Json<Whereabouts>, Problem> {
    let Wanted { id } = read_json(body, "{\"id\":…}").await?;
    let Registration { key, kind, .. } = api.connection(&tenant, id.connection).await?;
    let known = ConnectionKind::from_name(&kind).filter(|_| id.source_id.len() <= MOST_BYTES_OF_AN_ID);
    let kind = known.ok_or_else(|| Problem::not_found("there is no such customer"))?;
    let found = api.finder.find(&key, kind, &id.source_id, api.tables.clock.now() + PATIENCE).await?;
    note_read(&tenant, "POST /v1/customers/where", found.record.iter().len());
    Ok(Json(found))
}
