//! Batch imports, as the command has them: listed and undone.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use config::{BatchImportConfig, Connection};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use model::{ConnectionKey, CustomerId, iso_millis};
use operations::imports::{UndoError, UndoProgress, UndoReport};
use serde::{Deserialize, Serialize};
use store::{ImportCounts, ImportRecord};
use utoipa::{IntoParams, ToSchema};

use crate::CustomersApi;
use crate::auth::{OperatedTenant, Tenant};
use crate::problem::Problem;
use crate::request::{Api, Limit, NoParameters, PATIENCE, Parameters, bad_cursor, read_optional_json};

/// How long an undo goes on with one request: the rest of [`PATIENCE`] is for the customers that are under way.
const UNDO_FOR: Duration = Duration::from_secs(12);
/// How many ids of customers an answer names of each kind.
const MOST_NAMED: usize = 100;
/// How many connections are looked at side by side.
const AT_ONCE: usize = 16;
/// Characters of an import's id: none has as many.
const LONGEST_ID: usize = 100;

/// Which part of a connection's imports is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportsParameters {
    /// The connection.
    connection: String,
    /// The `cursor` of the page before; without one, the first page.
    cursor: Option<String>,
    /// How many imports a page may have.
    #[serde(default)]
    #[param(inline)]
    limit: Limit,
}

/// Some imports, the latest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImportPage {
    imports: Vec<ImportStatus>,
    /// What to ask with for the next page; null after the last one.
    #[schema(required)]
    cursor: Option<String>,
    /// Whether there are more.
    more: bool,
}

/// An import, and what became of its rows.
#[derive(Serialize, ToSchema)]
struct ImportStatus {
    /// Its id.
    id: String,
    /// The connection.
    connection: String,
    /// When it began.
    #[schema(format = DateTime)]
    began_at: String,
    /// When it came to its end; null until then, or for ever if it was interrupted.
    #[schema(required, format = DateTime)]
    finished_at: Option<String>,
    /// When an undo of it began.
    #[schema(required, format = DateTime)]
    undo_began_at: Option<String>,
    /// When it was undone.
    #[schema(required, format = DateTime)]
    undone_at: Option<String>,
    /// Whether it can be undone.
    can_be_undone: bool,
    /// How many rows it had: new + updated + ignored + failed.
    rows: u64,
    /// Rows that brought a customer.
    new: u64,
    /// Rows whose customer was there already.
    updated: u64,
    /// Rows that were dropped, because their customer was to stay as it is.
    ignored: u64,
    /// Rows that could not be taken over.
    failed: u64,
}

impl ImportStatus {
    fn of(key: &ConnectionKey, record: ImportRecord) -> Self {
        let ImportCounts { new, updated, ignored, failed } = record.counts;
        Self {
            connection: key.connection.clone(),
            began_at: iso_millis(record.began_at),
            finished_at: record.finished_at.map(iso_millis),
            undo_began_at: record.undo_began_at.map(iso_millis),
            undone_at: record.undone_at.map(iso_millis),
            can_be_undone: record.saves_undo && record.undone_at.is_none(),
            rows: record.counts.rows(),
            new,
            updated,
            ignored,
            failed,
            id: record.id,
        }
    }
}

/// The batch imports of a connection in the last 90 days, the latest first, page by page.
#[utoipa::path(
    get,
    path = "/v1/imports",
    operation_id = "listImports",
    tag = "imports",
    params(ImportsParameters),
    security(("bearer" = ["read"])),
    responses(
        (
            status = 200,
            description = "Imports.",
            body = inline(ImportPage),
            links(
                ("next" = (
                    operation_id = "listImports",
                    parameters(("connection" = "$request.query.connection"), ("cursor" = "$response.body#/cursor")),
                )),
                ("undo" = (operation_id = "undoImport", parameters(("id" = "$response.body#/imports/0/id")))),
            ),
        ),
        (status = 404, description = "The tenant has no such connection."),
    ),
)]
pub(crate) async fn list(
    Tenant(tenant): Tenant,
    State(api): Api,
    Parameters(ImportsParameters { connection, cursor, limit }): Parameters<ImportsParameters>,
) -> Result<Json<ImportPage>, Problem> {
    let after = cursor.as_deref().map(|text| read_place(text).ok_or_else(bad_cursor)).transpose()?;
    let key = api.connection(&tenant, connection).await?.key;
    let (records, more) = api.tables.imports.page(&key, after, limit.get()).await?;
    let place = |last: &ImportRecord| format!("{}.{}", last.began_at.as_millisecond(), last.id);
    let cursor = records.last().map(place).filter(|_| more);
    let imports = records.into_iter().map(|record| ImportStatus::of(&key, record)).collect();
    Ok(Json(ImportPage { imports, more: cursor.is_some(), cursor }))
}

/// The place in a list: when the last import began, and its id.
fn read_place(cursor: &str) -> Option<(Timestamp, &str)> {
    let (began, id) = cursor.split_once('.')?;
    Some((Timestamp::from_millisecond(began.parse().ok()?).ok()?, id)).filter(|_| is_import_id(id))
}

fn is_import_id(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// What stands in the path of an import.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ImportPath {
    /// The import.
    #[param(pattern = "^[A-Za-z0-9-]{1,100}$")]
    id: String,
}

/// How an import is to be undone.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UndoWanted {
    /// Whether nothing is to be changed: the answer says what would be.
    #[serde(default)]
    dry_run: bool,
}

/// What an undo did, with what was done of it before; or what it would do.
#[derive(Serialize, ToSchema)]
pub(crate) struct Undone {
    /// The import.
    import: String,
    /// Whether nothing was changed.
    dry_run: bool,
    /// Whether nothing is left.
    finished: bool,
    /// How many customers are left: the same request goes on with them.
    left: usize,
    /// Customers that are again as they were before.
    restored: NamedCustomers,
    /// Customers that the import brought and that are deleted.
    removed: NamedCustomers,
    /// Customers that were back already.
    already_back: NamedCustomers,
    /// Customers that have changed since, and stay as they are.
    changed_since: NamedCustomers,
    /// Customers whose card number belongs to another by now, and that stay as they are.
    card_taken: NamedCustomers,
}

/// Some customers.
#[derive(Serialize, ToSchema)]
struct NamedCustomers {
    /// How many there are.
    count: usize,
    /// The ids of the first 100.
    ids: Vec<CustomerId>,
}

impl Undone {
    fn of(key: &ConnectionKey, import: String, dry_run: bool, progress: &UndoProgress) -> Self {
        let named = |source_ids: &[String]| NamedCustomers {
            count: source_ids.len(),
            ids: source_ids
                .iter()
                .take(MOST_NAMED)
                .map(|source_id| CustomerId { connection: key.connection.clone(), source_id: source_id.clone() })
                .collect(),
        };
        let UndoProgress { report: UndoReport { restored, removed, already_back, changed_since, card_taken }, left } =
            progress;
        Self {
            import,
            dry_run,
            finished: *left == 0,
            left: *left,
            restored: named(restored),
            removed: named(removed),
            already_back: named(already_back),
            changed_since: named(changed_since),
            card_taken: named(card_taken),
        }
    }
}

/// Restores the customers that an import changed, unless they have changed since.
///
/// With `dry_run`, says what that would do. An undo that takes longer than one request may is answered 202: the same
/// request goes on with what is left.
#[utoipa::path(
    post,
    path = "/v1/imports/{id}/undo",
    operation_id = "undoImport",
    tag = "imports",
    params(ImportPath),
    request_body = inline(Option<UndoWanted>),
    security(("bearer" = ["operate"])),
    responses(
        (status = 200, description = "It is undone; or what an undo would do.", body = inline(Undone)),
        (status = 202, description = "Some of it is undone: send the request again.", body = inline(Undone)),
        (status = 404, description = "The tenant has no such import."),
        (
            status = 409,
            description = "It was imported without an undo state, or another import or undo of the connection is under \
                way: try again.",
        ),
    ),
)]
pub(crate) async fn undo(
    OperatedTenant(tenant): OperatedTenant,
    State(api): Api,
    _: Parameters<NoParameters>,
    path: Result<Path<ImportPath>, PathRejection>,
    body: Body,
) -> Result<(StatusCode, Json<Undone>), Problem> {
    let UndoWanted { dry_run } = read_optional_json(body, "{\"dry_run\":…} or {}").await?.unwrap_or_default();
    let now = api.tables.clock.now();
    let deadline = now + PATIENCE;
    let import = path.map(|Path(ImportPath { id })| id).map_err(|_| not_found())?;
    let (key, record) = api.import(&tenant, &import, deadline).await?;
    let progress = match dry_run {
        true => api.undo.preview(&key, &record, deadline).await.map(|report| UndoProgress { report, left: 0 }),
        false => api.undo.carry_on(&key, &record, now + UNDO_FOR, deadline).await,
    };
    let progress = progress.map_err(|error| match error {
        UndoError::Store(error) => error.into(),
        UndoError::NotSaved | UndoError::Busy => Problem::new(StatusCode::CONFLICT, error.to_string()),
        UndoError::Customer(error) => {
            tracing::error!(connection = %key, %error, "an import can't be undone");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "a customer can't be restored now: send the request again")
        }
    })?;
    tracing::info!(connection = %key, import, dry_run, left = progress.left, "an undo was asked for");
    let status = if progress.left == 0 { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(Undone::of(&key, import, dry_run, &progress))))
}

fn not_found() -> Problem {
    Problem::not_found("there is no such import")
}

impl CustomersApi {
    /// The import of a tenant with this id, and the connection that it came by.
    async fn import(
        &self,
        tenant: &str,
        import: &str,
        deadline: Timestamp,
    ) -> Result<(ConnectionKey, ImportRecord), Problem> {
        if !is_import_id(import) {
            return Err(not_found());
        }
        let accounts = Connection::<BatchImportConfig>::all(&self.tables.registry).await?;
        let keys = accounts.into_iter().map(|account| account.key).filter(|key| key.tenant == tenant);
        let found = keys.map(|key| async move {
            let record = self.tables.imports.find(&key, import, deadline).await?;
            Ok::<_, Problem>(record.map(|record| (key, record)))
        });
        let found: Vec<_> = stream::iter(found).buffered(AT_ONCE).try_collect().await?;
        found.into_iter().flatten().next().ok_or_else(not_found)
    }
}
