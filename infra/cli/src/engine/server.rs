use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures::StreamExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tower::ServiceExt;

/// What one who connects may take of this process, whether or not they may come in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How many connections are open at once; more wait until one is closed.
    pub(crate) connections: usize,
    /// How long the head of a request may take, and how long a connection may be idle.
    pub(crate) head: Duration,
    /// How long the body of a request may take.
    pub(crate) body: Duration,
}

impl Default for Limits {
    /// Half of the descriptors that a process usually has, and times that are long for whoever is on this machine.
    fn default() -> Self {
        Self { connections: 512, head: Duration::from_secs(5), body: Duration::from_secs(15) }
    }
}

/// How long to wait where a connection can't be taken, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves HTTP until it is dropped.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: Limits) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                sleep(PAUSE).await;
                continue;
            }
        };
        let router = router.clone();
        connections.spawn(async move {
            // Whoever hangs up, or takes too long, has had their answer: the end of the connection.
            let _ = serve_one(stream, router, limits).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_one(stream: TcpStream, router: Router, limits: Limits) -> Result<(), hyper::Error> {
    let service = router.map_request(move |request: hyper::Request<Incoming>| {
        let until = Instant::now() + limits.body;
        request.map(|body| in_time(Body::new(body), until))
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .await
}

/// A body that ends with an error where it is not whole in time.
fn in_time(body: Body, until: Instant) -> Body {
    let parts = futures::stream::unfold(Some(body.into_data_stream()), move |parts| async move {
        let mut parts = parts?;
        match timeout_at(until, parts.next()).await {
            Ok(Some(part)) => Some((part.map_err(io::Error::other), Some(parts))),
            Ok(None) => None,
            Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    });
    Body::from_stream(parts)
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;

    use super::*;

    /// A server with few places and short times, and its address.
    async fn server(connections: usize) -> (std::net::SocketAddr, JoinHandle<io::Result<()>>) {
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/", post(async |body: axum::body::Bytes| body.len().to_string()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let short = Duration::from_millis(50);
        let limits = Limits { connections, head: short, body: short };
        (address, tokio::spawn(serve(listener, router, limits)))
    }

    /// What is answered to this, until the connection ends.
    async fn ask(address: std::net::SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // It may end with a reset: what was sent before counts.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn half_sent_requests_are_given_up_and_whoever_comes_after_them_is_served() {
        let (address, serving) = server(2).await;
        let mut held = Vec::new();
        for _ in 0..5 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX: ").await.unwrap();
            held.push(stream);
        }
        let answer = ask(address, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
        serving.abort();
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let (address, serving) = server(1).await;
        let answer = ask(address, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        let whole = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nwhole";
        assert!(ask(address, whole).await.ends_with("5"));
        serving.abort();
    }
}
