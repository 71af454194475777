//! The HTTP side: paths, parameters, and an accept loop that takes its connections along when it goes.

use std::{io, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, RawQuery, State},
    http::Method,
    response::{IntoResponse, Response},
    routing::get,
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    AaSimulator, DETAILS_PATH, ENQUEUE_PATH, PURGE_PATH, Procedure, QUEUE_PATH, QUEUE_WITH_REASONS_PATH,
    faults::plain_status,
    procedures::{self, Call, QueueForm},
    requests,
};

/// A request that names every one of a million customers still fits.
const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;

pub(super) fn router(simulator: &AaSimulator) -> Router {
    Router::new()
        .route("/{environment}/{procedure}", get(call_procedure).post(call_procedure))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(simulator.clone())
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
    // The database looks procedures up by name and parameters, so one without its parameter is one that does not exist.
    let Some(document) = requests::document_parameter(&form) else {
        return plain_status(404).into_response();
    };
    procedures::answer(&simulator, call, &document).await
}

/// Package and procedure are case-insensitive.
fn call_by_path_name(path_name: &str) -> Option<Call> {
    let calls = [
        (QUEUE_PATH, Procedure::Queue, QueueForm::Plain),
        (QUEUE_WITH_REASONS_PATH, Procedure::Queue, QueueForm::WithReasons),
        (DETAILS_PATH, Procedure::Details, QueueForm::Plain),
        (PURGE_PATH, Procedure::Purge, QueueForm::Plain),
        (ENQUEUE_PATH, Procedure::Enqueue, QueueForm::Plain),
    ];
    let (_, procedure, queue_form) = calls.into_iter().find(|(name, ..)| name.eq_ignore_ascii_case(path_name))?;
    Some(Call { procedure, queue_form })
}

/// `axum::serve` leaves open connections behind when it is dropped; a story that takes the vendor down needs them gone.
pub(super) async fn serve(router: Router, listener: TcpListener) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Finished connections are forgotten as they end.
            Some(_) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if concerns_one_connection(&error) => continue,
            Err(_) => {
                // Out of file descriptors, as a rule: some will be given back.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Fails where the client has gone already, which its connection will find out.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            // A client that goes away, or a body that is cut on purpose, ends the connection with an error.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
