//! An accept loop that closes its connections when it is dropped.

use std::{io, time::Duration};

use axum::Router;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{net::TcpListener, task::JoinSet};

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
