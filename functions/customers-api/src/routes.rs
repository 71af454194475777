use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::accept::takes_json;
use crate::freshness::FRESH_AS_OF;
use crate::problem::Problem;
use crate::{CustomersApi, changes, connections, customers, failures, imports, page, reference_data, whereabouts};

/// How long a browser need not ask again whether it may ask.
const PREFLIGHT: Duration = Duration::from_secs(3_600);

/// What the API offers, as OpenAPI 3.1: made by `cargo run -p tests --bin openapi` from [`crate::openapi()`].
const DOCUMENT: &str = include_str!("../openapi.json");

/// The routes that the document describes, in its order.
fn routes() -> Router<Arc<CustomersApi>> {
    Router::new()
        .route("/v1/customers/{*id}", get(customers::by_path))
        .route("/v1/customers/batch-get", post(customers::batch_get))
        .route("/v1/customers", get(customers::by_query))
        .route("/v1/customers/search", post(customers::search_by_body))
        .route("/v1/customers/where", post(whereabouts::whereabouts))
        .route("/v1/changes", get(changes::changes))
        .route("/v1/connections", get(connections::list))
        .route("/v1/connections/{id}/pause", post(connections::pause))
        .route("/v1/connections/{id}/resume", post(connections::resume))
        .route("/v1/connections/{id}/resync", post(connections::resync))
        .route("/v1/failures/list", post(failures::list))
        .route("/v1/failures/raw-document", post(failures::raw_document))
        .route("/v1/failures/redrive", post(failures::redrive))
        .route("/v1/failures/drop", post(failures::drop))
        .route("/v1/imports", get(imports::list))
        .route("/v1/imports/{id}/undo", post(imports::undo))
        .route("/v1/staff", get(reference_data::staff))
        .route("/v1/lead-sources", get(reference_data::lead_sources))
        .route("/openapi.json", get(document))
}

/// The handler of all routes. Pages of the `origins` may ask for them from a browser.
pub(crate) fn router(api: Arc<CustomersApi>, origins: Option<AllowOrigin>) -> Router {
    let router = routes()
        .route_layer(from_fn(takes_json))
        .route("/", get(page::page))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this route does not know that method")
        })
        .fallback(async || Problem::not_found("there is no such route"))
        .layer(map_response(never_cached))
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
async fn never_cached(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What this API offers, as OpenAPI 3.1.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "getOpenApi",
    tag = "description",
    responses((status = 200, description = "This document.", body = Object)),
)]
pub(crate) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}
