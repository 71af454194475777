//! The HTTP API, as API Gateway and Lambda serve it: paths arrive decoded, and no answer has more than 6 MB.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use axum::{Json, Router};
use percent_encoding::percent_decode_str;
use serde_json::json;
use tower::ServiceExt;

use crate::template::{DEFAULT_ROUTE, Function};

/// The bytes of an answer that Lambda takes, as JSON in which the body is a text.
const LARGEST_ANSWER: usize = 6 * 1024 * 1024;
/// The host that the functions see, if a request names none.
const HOST: &str = "localhost";

/// The routes of all functions, as API Gateway serves them: any other is answered by the function with the default
/// route, or not found.
pub(crate) fn router(functions: &[(Function, Router)]) -> Router {
    let mut router = Router::new();
    let mut default = None;
    for (function, handler) in functions {
        for route in &function.routes {
            let (handler, timeout) = (handler.clone(), function.timeout);
            if route.path == DEFAULT_ROUTE {
                default = Some((handler, timeout));
                continue;
            }
            let method = Method::from_bytes(route.method.as_bytes()).ok();
            let Some(method) = method.and_then(|method| MethodFilter::try_from(method).ok()) else { continue };
            router = router.route(&route.path, on(method, move |request| invoke(handler.clone(), timeout, request)));
        }
    }
    let Some((handler, timeout)) = default else {
        return router.method_not_allowed_fallback(not_found).fallback(not_found);
    };
    let invoke = move |request| invoke(handler.clone(), timeout, request);
    router.method_not_allowed_fallback(invoke.clone()).fallback(invoke)
}

async fn invoke(handler: Router, timeout: Duration, mut request: Request) -> Response {
    // Path parameters of this router must not reach the function: its own router extracts them again.
    request.extensions_mut().clear();
    let invocation = async {
        match handler.oneshot(as_delivered(request)).await {
            Ok(response) => as_answered(response).await,
            Err(never) => match never {},
        }
    };
    match tokio::time::timeout(timeout, invocation).await {
        Ok(response) => response,
        Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    }
}

/// The request as a function under Lambda sees it: API Gateway decodes the path, and the function's runtime makes an
/// address of that. The event carries no more than it takes for that.
fn as_delivered(mut request: Request) -> Request {
    // A path that is not UTF-8 once it is decoded stays as it is.
    let Some(path) = decoded(request.uri().path()) else { return request };
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or(HOST);
    let event = json!({
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": request.uri().query().unwrap_or_default(),
        "headers": { "host": host },
        "requestContext": { "http": { "method": request.method().as_str(), "path": path }, "stage": "$default" },
        "isBase64Encoded": false,
    });
    match lambda_http::request::from_str(&event.to_string()) {
        Ok(delivered) => {
            let (parts, _) = delivered.into_parts();
            *request.uri_mut() = parts.uri;
            *request.extensions_mut() = parts.extensions;
        }
        Err(error) => tracing::error!(%error, "a request can't be delivered as API Gateway does"),
    }
    request
}

/// A path without its percent encoding, if that is UTF-8.
fn decoded(path: &str) -> Option<String> {
    percent_decode_str(path).decode_utf8().ok().map(Cow::into_owned)
}

/// The answer as the caller sees it: one that is too large for Lambda is an error.
async fn as_answered(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    };
    let headers: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 6).sum();
    let size = headers + std::str::from_utf8(&body).map_or(body.len().div_ceil(3) * 4, api::bytes_quoted);
    if size > LARGEST_ANSWER {
        tracing::error!(size, "an answer is too large: Function.ResponseSizeTooLarge");
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    }
    Response::from_parts(parts, Body::from(body))
}

async fn not_found() -> Response {
    problem(StatusCode::NOT_FOUND, "Not Found")
}

/// What API Gateway itself answers.
fn problem(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

#[cfg(test)]
mod tests {
    use lambda_http::RequestExt;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_lambda_can_not_hold_is_an_error() {
        for (body, status) in [
            ("x".repeat(LARGEST_ANSWER - 1_000), StatusCode::OK),
            ("x".repeat(LARGEST_ANSWER), StatusCode::INTERNAL_SERVER_ERROR),
            ("\"".repeat(LARGEST_ANSWER / 2 - 1_000), StatusCode::OK),
            ("\"".repeat(LARGEST_ANSWER / 2), StatusCode::INTERNAL_SERVER_ERROR),
        ] {
            assert_eq!(as_answered(body.into_response()).await.status(), status);
        }
        let binary = vec![0xff_u8; LARGEST_ANSWER / 4 * 3 + 1];
        assert_eq!(as_answered(binary.into_response()).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn a_path_is_delivered_decoded_and_its_query_is_not() {
        for (sent, path, raw) in [
            ("/v1/customers/a~1", "/v1/customers/a~1", "/v1/customers/a~1"),
            ("/v1/customers/a~1%2317", "/v1/customers/a~1", "/v1/customers/a~1#17"),
            ("/v1/customers/a~50%2541", "/v1/customers/a~50%41", "/v1/customers/a~50%41"),
            ("/v1/customers/a~b%2Fc", "/v1/customers/a~b/c", "/v1/customers/a~b/c"),
            ("/v1/customers/a~1%FF", "/v1/customers/a~1%FF", ""),
        ] {
            let request = Request::get(format!("{sent}?id=a%23")).header("host", "example.org");
            let delivered = as_delivered(request.body(Body::empty()).unwrap());
            assert_eq!((delivered.uri().path(), delivered.raw_http_path()), (path, raw));
            // A `#` of the path ends the address that is made of it: the query is lost with it.
            let query = (!raw.contains('#')).then_some("id=a%23");
            assert_eq!(delivered.uri().query(), query, "{sent}");
        }
    }
}
