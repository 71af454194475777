//! Connections: how they stand, and what an operator may do with them, as with the command: pause, resume, resync.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use config::{DESTINATION, READER, Scope, is_connection_id};
use model::ConnectionKey;
use operations::resync::{ResyncError, ResyncWhat};
use operations::status::Connections;
use serde::{Deserialize, Serialize};
use store::Registration;
use utoipa::{IntoParams, ToSchema};

use crate::CustomersApi;
use crate::auth::{Caller, OperatedTenant};
use crate::problem::Problem;
use crate::request::{Api, NoParameters, Parameters, read_optional_json};

/// What is wanted beside how they stand now.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConnectionsParameters {
    /// Whether the counts at the beginning of each hour of the last day are wanted too: `history`.
    #[serde(default)]
    history: bool,
}

/// The connections and the destinations of the token's tenant.
#[derive(Serialize, ToSchema)]
pub(crate) struct TenantStatus {
    /// The tenant.
    tenant: String,
    /// What the token may do: `read`, or `operate`, which may also read.
    #[schema(value_type = String, pattern = "^(read|operate)$")]
    scope: Scope,
    #[serde(flatten)]
    all: Connections,
}

/// How the connections and the destinations stand.
#[utoipa::path(
    get,
    path = "/v1/connections",
    operation_id = "listConnections",
    tag = "connections",
    params(ConnectionsParameters),
    security(("bearer" = ["read"])),
    responses((
        status = 200,
        description = "The connections and the destinations, by id.",
        body = inline(TenantStatus),
        links(
            ("customers" = (
                operation_id = "findCustomers",
                parameters(("connection" = "$response.body#/connections/0/id")),
            )),
            ("pause" = (operation_id = "pauseConnection", parameters(("id" = "$response.body#/connections/0/id")))),
            ("resume" = (operation_id = "resumeConnection", parameters(("id" = "$response.body#/connections/0/id")))),
            ("resync" = (operation_id = "resyncConnection", parameters(("id" = "$response.body#/connections/0/id")))),
        ),
    )),
)]
pub(crate) async fn list(
    Caller { tenant, scope }: Caller,
    State(api): Api,
    Parameters(parameters): Parameters<ConnectionsParameters>,
) -> Result<Json<TenantStatus>, Problem> {
    let now = api.tables.clock.now();
    let connections = api.status.all(Some(&tenant), now).await?;
    let destinations = api.status.destinations(Some(&tenant), now).await?;
    let mut all = Connections { connections, destinations };
    if parameters.history {
        api.status.add_histories(&mut all, now).await?;
    }
    Ok(Json(TenantStatus { tenant, scope, all }))
}

/// What is to be synchronised again; without anything, every customer.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Resync {
    /// One customer, by its id in the source, or for a destination by its public id; not with `confirm_deletes`.
    #[schema(pattern = r"\S", max_length = 900)]
    customer: Option<String>,
    /// Whether deletions are carried out that wait for a person.
    #[serde(default)]
    confirm_deletes: bool,
}

/// A connection or destination that is paused, or goes on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Paused {
    /// The connection or destination.
    id: String,
    /// Whether it is paused now.
    paused: bool,
}

/// A connection, or destination, that was asked for something.
#[derive(Serialize, ToSchema)]
pub(crate) struct Requested {
    /// The connection or destination.
    id: String,
    /// Always true.
    requested: bool,
}

/// What stands in the path of a connection or a destination.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ConnectionPath {
    /// The connection or destination.
    #[param(pattern = "^[a-z0-9-]{1,40}$")]
    id: String,
}

/// Stops a connection: its source is not asked, and what it pushes is refused, until it is resumed. Or a destination:
/// it is sent nothing.
#[utoipa::path(
    post,
    path = "/v1/connections/{id}/pause",
    operation_id = "pauseConnection",
    tag = "connections",
    params(ConnectionPath),
    security(("bearer" = ["operate"])),
    responses(
        (status = 200, description = "It is paused.", body = inline(Paused)),
        (status = 404, description = "The tenant has no such connection or destination."),
    ),
)]
pub(crate) async fn pause(
    OperatedTenant(tenant): OperatedTenant,
    State(api): Api,
    _: Parameters<NoParameters>,
    path: Result<Path<ConnectionPath>, PathRejection>,
) -> Result<Json<Paused>, Problem> {
    let key = api.system(&tenant, id_in(path)?).await?.key;
    api.tables.states.pause(&key, api.tables.clock.now()).await?;
    tracing::info!(connection = %key, "paused");
    Ok(Json(Paused { id: key.connection, paused: true }))
}

/// Goes on with a paused connection or destination.
#[utoipa::path(
    post,
    path = "/v1/connections/{id}/resume",
    operation_id = "resumeConnection",
    tag = "connections",
    params(ConnectionPath),
    security(("bearer" = ["operate"])),
    responses(
        (status = 200, description = "It is not paused.", body = inline(Paused)),
        (status = 404, description = "The tenant has no such connection or destination."),
    ),
)]
pub(crate) async fn resume(
    OperatedTenant(tenant): OperatedTenant,
    State(api): Api,
    _: Parameters<NoParameters>,
    path: Result<Path<ConnectionPath>, PathRejection>,
) -> Result<Json<Paused>, Problem> {
    let key = api.system(&tenant, id_in(path)?).await?.key;
    api.tables.states.resume(&key).await?;
    tracing::info!(connection = %key, "resumed");
    Ok(Json(Paused { id: key.connection, paused: false }))
}

/// Synchronises everything or one customer again, or carries out withheld deletions.
///
/// Without a body, or with `{}`, everything: Association Anywhere puts every customer into its queue, which needs an
/// `enqueue_url`; the contacts of Business Catalyst are listed from the beginning. With `customer`, which Business
/// Catalyst can't do, that one. With `confirm_deletes`, the deletions that wait at this moment: what is withheld later
/// waits for another request. A destination is sent everybody, or that one customer, again.
#[utoipa::path(
    post,
    path = "/v1/connections/{id}/resync",
    operation_id = "resyncConnection",
    tag = "connections",
    params(ConnectionPath),
    request_body = inline(Option<Resync>),
    security(("bearer" = ["operate"])),
    responses(
        (status = 202, description = "The next poll does it.", body = inline(Requested)),
        (status = 404, description = "The tenant has no such connection or destination."),
        (status = 409, description = "The connection's kind or its settings do not allow it, or no deletion waits."),
    ),
)]
pub(crate) async fn resync(
    OperatedTenant(tenant): OperatedTenant,
    State(api): Api,
    _: Parameters<NoParameters>,
    path: Result<Path<ConnectionPath>, PathRejection>,
    body: Body,
) -> Result<(StatusCode, Json<Requested>), Problem> {
    let form = "{\"customer\":…}, {\"confirm_deletes\":true} or {}";
    let Resync { customer, confirm_deletes } = read_optional_json(body, form).await?.unwrap_or_default();
    let what = match (customer, confirm_deletes) {
        (Some(_), true) => {
            return Err(Problem::bad_request("`customer` and `confirm_deletes` exclude each other"));
        }
        (None, true) => ResyncWhat::WithheldDeletes,
        (Some(customer), false) => ResyncWhat::Customer(customer),
        (None, false) => ResyncWhat::Everyone,
    };
    let registration = api.system(&tenant, id_in(path)?).await?;
    match api.resyncs.request(&registration, &what, api.tables.clock.now()).await {
        Ok(_) => {}
        Err(ResyncError::Store(error)) => return Err(error.into()),
        Err(
            error @ (ResyncError::BadCustomer
            | ResyncError::BadPublicId
            | ResyncError::NotFrom(_)
            | ResyncError::NoSuchCustomer),
        ) => {
            return Err(Problem::bad_request(format!("`customer`: {error}")));
        }
        Err(error) => return Err(Problem::new(StatusCode::CONFLICT, error.to_string())),
    }
    tracing::info!(connection = %registration.key, "a resync was asked for");
    Ok((StatusCode::ACCEPTED, Json(Requested { id: registration.key.connection, requested: true })))
}

/// The id in a path; no connection has one that can't be decoded.
fn id_in(path: Result<Path<ConnectionPath>, PathRejection>) -> Result<String, Problem> {
    path.map(|Path(ConnectionPath { id })| id).map_err(|_| not_found())
}

fn not_found() -> Problem {
    Problem::not_found("there is no such connection")
}

impl CustomersApi {
    /// The registration of a connection of the tenant.
    pub(crate) async fn connection(&self, tenant: &str, id: String) -> Result<Registration, Problem> {
        let found = self.registered(tenant, id).await?;
        found.filter(|found| found.kind != DESTINATION).ok_or_else(not_found)
    }

    /// The registration of a connection or a destination of the tenant.
    pub(crate) async fn system(&self, tenant: &str, id: String) -> Result<Registration, Problem> {
        self.registered(tenant, id).await?.ok_or_else(not_found)
    }

    async fn registered(&self, tenant: &str, id: String) -> Result<Option<Registration>, Problem> {
        // What can't be a connection's id is not asked for: the store would refuse a longer key.
        if !is_connection_id(&id) {
            return Ok(None);
        }
        let found = self.tables.registry.get(&ConnectionKey::new(tenant, id)).await?;
        Ok(found.filter(|registration| registration.kind != READER))
    }
}
