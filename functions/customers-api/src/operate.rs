//! What an operator may do over HTTP, as with the command: redrive and drop failures, pause, resume and resync.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use config::{AssociationAnywhereConfig, Connection, ConnectionKind, READER, all_connections, is_connection_id};
use model::{ConnectionKey, CustomerId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::Registration;

use crate::CustomersApi;
use crate::auth::OperatedTenant;
use crate::problem::Problem;
use crate::routes::{Api, read_body};

/// How many failures one request redrives or drops.
const MOST_FAILURES: usize = 500;
/// How many records are read at once.
const PAGE: usize = 100;

/// Which failures are meant: those of `ids`, or the first [`MOST_FAILURES`] of a connection or of all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failures {
    ids: Option<Vec<String>>,
    #[serde(default)]
    all: bool,
    connection: Option<String>,
}

/// What was done with failures.
#[derive(Serialize)]
pub(crate) struct Done {
    ids: Vec<String>,
    /// Whether there are more of those that were meant.
    more: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resync {
    customer: Option<String>,
    #[serde(default)]
    confirm_deletes: bool,
}

type Path = Result<axum::extract::Path<String>, PathRejection>;

pub(crate) async fn redrive(
    OperatedTenant(tenant): OperatedTenant,
    State(api): Api,
    body: Body,
) -> Result<Json<Done>, Problem> {
    let (chosen, more) = api.chosen(&tenant, read_body(body).await?).await?;
    for (key, id) in &chosen {
        api.failures.request_redrive(key, &id.source_id, api.clock.now()).await?;
    }
    tracing::info!(tenant, failures = chosen.len(), "failures are redriven");
    Ok(done(&chosen, more))
}

pub(crate) async fn drop(
    OperatedTenant(tenant): OperatedTenant,
    State(api): Api,
    body: Body,
) -> Result<Json<Done>, Problem> {
    let (chosen, more) = api.chosen(&tenant, read_body(body).await?).await?;
    for (key, id) in &chosen {
        api.failures.remove(key, &id.source_id).await?;
    }
    tracing::info!(tenant, failures = chosen.len(), "failures were dropped");
    Ok(done(&chosen, more))
}

fn done(chosen: &[(ConnectionKey, CustomerId)], more: bool) -> Json<Done> {
    Json(Done { ids: chosen.iter().map(|(_, id)| id.to_string()).collect(), more })
}

pub(crate) async fn pause(
    OperatedTenant(tenant): OperatedTenant,
    State(api): Api,
    id: Path,
) -> Result<Json<Value>, Problem> {
    let key = api.operated(&tenant, id).await?.key;
    api.states.pause(&key, api.clock.now()).await?;
    tracing::info!(connection = %key, "paused");
    Ok(Json(json!({ "id": key.connection, "paused": true })))
}

pub(crate) async fn resume(
    OperatedTenant(tenant): OperatedTenant,
    State(api): Api,
    id: Path,
) -> Result<Json<Value>, Problem> {
    let key = api.operated(&tenant, id).await?.key;
    api.states.resume(&key).await?;
    tracing::info!(connection = %key, "resumed");
    Ok(Json(json!({ "id": key.connection, "paused": false })))
}

/// Without a body, or with `{}`, everything is synchronised again.
pub(crate) async fn resync(
    OperatedTenant(tenant): OperatedTenant,
    State(api): Api,
    id: Path,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let bytes = read_body(body).await?;
    let bytes = if bytes.is_empty() { b"{}".to_vec() } else { bytes };
    let Resync { customer, confirm_deletes } = serde_json::from_slice(&bytes).map_err(|error| {
        Problem::bad_request(format!(
            "the body must be {{\"customer\":…}}, {{\"confirm_deletes\":true}} or {{}}: {error}"
        ))
    })?;
    let registration = api.operated(&tenant, id).await?;
    let key = &registration.key;
    let now = api.clock.now();
    let kind = ConnectionKind::from_name(&registration.kind);
    let conflict = |detail: &str| Problem::new(StatusCode::CONFLICT, detail);
    match (kind, customer) {
        (Some(ConnectionKind::AssociationAnywhere | ConnectionKind::BusinessCatalyst), None) if confirm_deletes => {
            if api.failures.count_withheld(key).await? == 0 {
                return Err(conflict("no deletion waits"));
            }
            api.states.request_confirm(key, now).await?;
        }
        (_, Some(_)) if confirm_deletes => {
            return Err(Problem::bad_request("`customer` and `confirm_deletes` exclude each other"));
        }
        (Some(ConnectionKind::AssociationAnywhere), Some(customer)) => {
            if customer.trim().is_empty() || customer.len() > MOST_BYTES_OF_AN_ID {
                return Err(Problem::bad_request("`customer` must be the customer's id in the source"));
            }
            api.failures.request_redrive(key, &customer, now).await?;
        }
        (Some(ConnectionKind::AssociationAnywhere), None) => {
            let settings = Connection::<AssociationAnywhereConfig>::from_registration(&registration)?.settings;
            if settings.enqueue_url.is_none() {
                return Err(conflict("the connection has no `enqueue_url`"));
            }
            api.states.request_resync(key, now).await?;
        }
        (Some(ConnectionKind::BusinessCatalyst), Some(_)) => {
            return Err(conflict("Business Catalyst can't be asked for one contact"));
        }
        (Some(ConnectionKind::BusinessCatalyst), None) => api.states.request_resync(key, now).await?,
        _ => return Err(conflict("a connection of this kind can't be synchronised again")),
    }
    tracing::info!(connection = %key, "a resync was asked for");
    Ok((StatusCode::ACCEPTED, Json(json!({ "id": key.connection, "requested": true }))))
}

/// Longer ids are no customer's: with what stands beside them they have no room in a key.
const MOST_BYTES_OF_AN_ID: usize = 900;

impl CustomersApi {
    /// The registration of a connection of the tenant.
    async fn operated(&self, tenant: &str, id: Path) -> Result<Registration, Problem> {
        let not_found = || Problem::not_found("there is no such connection");
        let Ok(axum::extract::Path(id)) = id else { return Err(not_found()) };
        if !is_connection_id(&id) {
            return Err(not_found());
        }
        let found = self.registry.get(&ConnectionKey::new(tenant, id)).await?;
        found.filter(|registration| registration.kind != READER).ok_or_else(not_found)
    }

    /// The failures that a body means, and whether there are more. If one of its ids has no failure record, that is an
    /// error, and nothing is done.
    async fn chosen(&self, tenant: &str, body: Vec<u8>) -> Result<(Vec<(ConnectionKey, CustomerId)>, bool), Problem> {
        let failures: Failures = serde_json::from_slice(&body).map_err(|error| {
            Problem::bad_request(format!("the body must be {{\"ids\":[…]}} or {{\"all\":true}}: {error}"))
        })?;
        let of_tenant = |registration: &Registration| registration.key.tenant == tenant;
        let is_meant = |key: &ConnectionKey| failures.connection.as_ref().is_none_or(|id| *id == key.connection);
        let all = all_connections(&self.registry).await?.into_iter().filter(of_tenant).map(|found| found.key);
        let keys: Vec<ConnectionKey> = all.filter(is_meant).collect();
        if failures.connection.is_some() && keys.is_empty() {
            return Err(Problem::not_found("there is no such connection"));
        }
        match (failures.ids, failures.all) {
            (Some(ids), false) => Ok((self.named(&keys, ids).await?, false)),
            (None, true) => self.first_of(&keys).await,
            _ => Err(Problem::bad_request("the body must have either `ids` or `all`")),
        }
    }

    async fn named(
        &self,
        keys: &[ConnectionKey],
        ids: Vec<String>,
    ) -> Result<Vec<(ConnectionKey, CustomerId)>, Problem> {
        if ids.len() > MOST_FAILURES {
            let count = ids.len();
            return Err(Problem::bad_request(format!("`ids` has {count} entries; at most {MOST_FAILURES} are taken")));
        }
        let mut chosen = Vec::with_capacity(ids.len());
        for (position, text) in ids.into_iter().enumerate() {
            let id: CustomerId =
                text.parse().map_err(|error| Problem::bad_request(format!("`ids[{position}]`: {error}")))?;
            let key = keys.iter().find(|key| key.connection == id.connection);
            let key = key.filter(|_| id.source_id.len() <= MOST_BYTES_OF_AN_ID);
            let is_there = match key {
                Some(key) => self.failures.is_there(key, &id.source_id).await?,
                None => false,
            };
            match key.filter(|_| is_there) {
                Some(key) => chosen.push((key.clone(), id)),
                None => return Err(Problem::not_found(format!("`ids[{position}]`: there is no such failure"))),
            }
        }
        Ok(chosen)
    }

    async fn first_of(&self, keys: &[ConnectionKey]) -> Result<(Vec<(ConnectionKey, CustomerId)>, bool), Problem> {
        let mut chosen = Vec::new();
        for key in keys {
            let mut after = None;
            loop {
                let page = self.failures.page(key, after.as_deref(), PAGE, false).await?;
                for failure in page.failures {
                    if chosen.len() == MOST_FAILURES {
                        return Ok((chosen, true));
                    }
                    let id = CustomerId { connection: key.connection.clone(), source_id: failure.source_id };
                    chosen.push((key.clone(), id));
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok((chosen, false))
    }
}
