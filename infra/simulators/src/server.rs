//! What simulators answer with, and an accept loop that closes its connections when it is dropped.

use std::{io, time::Duration};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{net::TcpListener, task::JoinSet};

/// A request that names every one of a million customers still fits.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;

/// A document to answer with.
pub(crate) struct Document {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) text: String,
}

impl Document {
    /// One that comes with HTTP 200.
    pub(crate) fn ok(content_type: &'static str, text: impl Into<String>) -> Self {
        Self { status: StatusCode::OK, content_type, text: text.into() }
    }
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, self.content_type)], self.text).into_response()
    }
}

/// A status with a short plain text.
pub(crate) fn plain_status(status: u16) -> (StatusCode, String) {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, format!("{status}\n"))
}

/// The media type of a request, in lower case and without its parameters; empty if there is none.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// `axum::serve` leaves open connections behind when it is dropped; a story that takes the source down needs them gone.
pub(crate) async fn serve(router: Router, listener: TcpListener) -> io::Result<()> {
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
        // Fails if the client has gone already; serving the connection then ends too.
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
