//! The HTTP side: paths and parameters.

use axum::{
    Router,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::Method,
    response::{IntoResponse, Response},
    routing::get,
};

use super::{
    procedures::{self, Call},
    requests,
    types::{AaSimulator, Procedure},
    urls::{DETAILS_PATH, ENQUEUE_PATH, PURGE_PATH, QUEUE_PATH, QUEUE_WITH_REASONS_PATH},
};
use crate::server::plain_status;

pub(super) fn router() -> Router<AaSimulator> {
    Router::new().route("/{environment}/{procedure}", get(call_procedure).post(call_procedure))
}

async fn call_procedure(
    State(simulator): State<AaSimulator>,
    Path((_environment, path_name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    method: Method,
    body: Bytes,
) -> Response {
    let Some(call) = call_by_path_name(&path_name) else {
        return plain_status(404).into_response();
    };
    let form = if method == Method::POST { body } else { Bytes::from(query.unwrap_or_default()) };
    // The database looks procedures up by name and parameters: without its parameter a procedure does not exist.
    let Some(document) = requests::document_parameter(&form) else {
        return plain_status(404).into_response();
    };
    procedures::answer(&simulator, call, &document).await
}

/// Package and procedure are case-insensitive.
fn call_by_path_name(path_name: &str) -> Option<Call> {
    let path_name = path_name.to_ascii_uppercase();
    let procedure = match path_name.as_str() {
        QUEUE_PATH | QUEUE_WITH_REASONS_PATH => Procedure::Queue,
        DETAILS_PATH => Procedure::Details,
        PURGE_PATH => Procedure::Purge,
        ENQUEUE_PATH => Procedure::Enqueue,
        _ => return None,
    };
    Some(Call { procedure, with_reasons: path_name == QUEUE_WITH_REASONS_PATH })
}
