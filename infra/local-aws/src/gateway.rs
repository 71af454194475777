use std::time::Duration;

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use axum::{Json, Router};
use serde_json::json;
use tower::ServiceExt;

use crate::template::Function;

/// The routes of all functions, as API Gateway serves them: any other route is not found.
pub(crate) fn router(functions: &[(Function, Router)]) -> Router {
    let mut router = Router::new();
    for (function, handler) in functions {
        for route in &function.routes {
            let (handler, timeout) = (handler.clone(), function.timeout);
            let method = Method::from_bytes(route.method.as_bytes()).ok();
            let Some(method) = method.and_then(|method| MethodFilter::try_from(method).ok()) else { continue };
            router = router.route(&route.path, on(method, move |request| invoke(handler.clone(), timeout, request)));
        }
    }
    router.method_not_allowed_fallback(not_found).fallback(not_found)
}

async fn invoke(handler: Router, timeout: Duration, mut request: Request) -> Response {
    // Path parameters of this router must not reach the function: its own router extracts them again.
    request.extensions_mut().clear();
    match tokio::time::timeout(timeout, handler.oneshot(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "message": "Service Unavailable" }))).into_response(),
    }
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "message": "Not Found" }))).into_response()
}
