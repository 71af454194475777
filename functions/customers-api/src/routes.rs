use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{from_fn, map_response};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accept::takes_json;
use crate::freshness::FRESH_AS_OF;
use crate::problem::Problem;
use crate::{
    CustomersApi, changes, connections, customers, failures, imports, openapi, page, reference_data, whereabouts,
};

/// How long a browser need not ask again whether it may ask.
const PREFLIGHT: Duration = Duration::from_secs(3_600);

/// The routes, with what they say of themselves.
fn routes() -> OpenApiRouter<Arc<CustomersApi>> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(customers::by_path))
        .routes(routes!(customers::batch_get))
        .routes(routes!(customers::by_query))
        .routes(routes!(customers::search_by_body))
        .routes(routes!(whereabouts::whereabouts))
        .routes(routes!(changes::changes))
        .routes(routes!(connections::list))
        .routes(routes!(connections::pause))
        .routes(routes!(connections::resume))
        .routes(routes!(connections::resync))
        .routes(routes!(failures::list))
        .routes(routes!(failures::raw_document))
        .routes(routes!(failures::redrive))
        .routes(routes!(failures::drop))
        .routes(routes!(imports::list))
        .routes(routes!(imports::undo))
        .routes(routes!(reference_data::staff))
        .routes(routes!(reference_data::lead_sources))
        .routes(routes!(document))
}

/// What the routes say of themselves, as OpenAPI 3.1, with these examples.
pub(crate) fn described(examples: &Value) -> OpenApi {
    openapi::completed(routes().into_openapi(), examples)
}

/// The handler of all routes. Pages of the `origins` may ask for them from a browser.
pub(crate) fn router(api: Arc<CustomersApi>, origins: Option<AllowOrigin>) -> Router {
    let (router, _) = routes().split_for_parts();
    let router = router
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
async fn document() -> Result<Json<OpenApi>, Problem> {
    Ok(Json(described(&serde_json::from_str(openapi::EXAMPLES)?)))
}
