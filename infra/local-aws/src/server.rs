use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::response::Response;
use futures::StreamExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};
use tower::ServiceExt;

/// What clients may use of this process, authenticated or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How many connections are open at once. One more replaces the connection that has been open longest without a
    /// request.
    pub(crate) connections: usize,
    /// How long the head of a request may take, and how long a connection may be idle.
    pub(crate) head: Duration,
    /// How long the body of a request may take.
    pub(crate) body: Duration,
}

impl Default for Limits {
    /// Half of the descriptors that a process usually has, and times that are long for a client on this machine.
    fn default() -> Self {
        Self { connections: 512, head: Duration::from_secs(5), body: Duration::from_secs(15) }
    }
}

/// How long to wait if a connection can't be accepted, such as for lack of descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// How many bytes of an unread body are read and dropped: API Gateway takes no larger request.
const MOST_UNREAD: usize = 10 * 1024 * 1024;

/// Serves HTTP until it is dropped.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: Limits) -> io::Result<()> {
    let mut tasks = JoinSet::new();
    let mut open: VecDeque<Connection> = VecDeque::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                sleep(PAUSE).await;
                continue;
            }
        };
        while tasks.try_join_next().is_some() {}
        open.retain(|connection| !connection.task.is_finished());
        if open.len() >= limits.connections && !make_room(&mut open) {
            // All of them are being answered: the new connection is closed rather than kept waiting.
            continue;
        }
        let is_asking = Arc::new(AtomicBool::new(false));
        let task = tasks.spawn(serve_one(stream, router.clone(), limits, is_asking.clone()));
        open.push_back(Connection { is_asking, task });
    }
}

/// An open connection, and whether one of its requests is being answered.
struct Connection {
    is_asking: Arc<AtomicBool>,
    task: AbortHandle,
}

/// Closes the connection that has been open longest without a request; `false` if there is none.
fn make_room(open: &mut VecDeque<Connection>) -> bool {
    let idle = open.iter().position(|connection| !connection.is_asking.load(Ordering::Relaxed));
    let Some(closed) = idle.and_then(|position| open.remove(position)) else { return false };
    closed.task.abort();
    true
}

async fn serve_one(stream: TcpStream, router: Router, limits: Limits, is_asking: Arc<AtomicBool>) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (router, is_asking) = (router.clone(), is_asking.clone());
        async move {
            is_asking.store(true, Ordering::Relaxed);
            let until = Instant::now() + limits.body;
            let answer = router.oneshot(request.map(|body| in_time(Body::new(body), until))).await;
            is_asking.store(false, Ordering::Relaxed);
            Ok::<Response, Infallible>(answer.unwrap_or_else(|never| match never {}))
        }
    });
    let mut connection = http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(limits.head);
    // A client that hangs up or takes too long gets no more than the end of the connection.
    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
}

/// A body that ends with an error if it is not whole in time.
fn in_time(body: Body, until: Instant) -> Body {
    let unread = Unread { parts: Some(body.into_data_stream()), until };
    let parts = futures::stream::unfold(unread, move |mut unread| async move {
        match timeout_at(until, unread.parts.as_mut()?.next()).await {
            Ok(Some(part)) => Some((part.map_err(io::Error::other), unread)),
            Ok(None) => {
                drop(unread.parts.take());
                None
            }
            Err(_) => {
                drop(unread.parts.take());
                Some((Err(io::ErrorKind::TimedOut.into()), unread))
            }
        }
    });
    Body::from_stream(parts)
}

/// The rest of a body. What a function leaves unread is read and dropped, up to [`MOST_UNREAD`]: otherwise a client
/// that is still sending would see a broken connection instead of the answer.
struct Unread {
    parts: Option<BodyDataStream>,
    until: Instant,
}

impl Drop for Unread {
    fn drop(&mut self) {
        let until = self.until;
        if let (Some(mut parts), Ok(runtime)) = (self.parts.take(), Handle::try_current()) {
            runtime.spawn(async move {
                let mut room = MOST_UNREAD;
                while let Ok(Some(Ok(part))) = timeout_at(until, parts.next()).await
                    && room > part.len()
                {
                    room -= part.len();
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;

    use super::*;

    /// A server with few places and short times, and its address.
    async fn server(connections: usize) -> (std::net::SocketAddr, JoinHandle<io::Result<()>>) {
        let short = Duration::from_millis(50);
        server_with(Limits { connections, head: short, body: short }).await
    }

    async fn server_with(limits: Limits) -> (std::net::SocketAddr, JoinHandle<io::Result<()>>) {
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/", post(async |body: axum::body::Bytes| body.len().to_string()))
            .route("/refused", post(async || axum::http::StatusCode::UNAUTHORIZED));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (address, tokio::spawn(serve(listener, router, limits)))
    }

    /// Sends a request; returns all that is answered until the connection ends.
    async fn ask(address: std::net::SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // It may end with a reset: the bytes before that count.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn half_sent_requests_are_given_up_and_cost_nobody_their_place() {
        let (address, serving) = server(2).await;
        let mut held = Vec::new();
        for _ in 0..5 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX: ").await.unwrap();
            held.push(stream);
        }
        let answer = ask(address, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
        for mut stream in held {
            let mut answer = Vec::new();
            // It ends with a reset, or with an answer that reports a time-out.
            let _ = stream.read_to_end(&mut answer).await;
            assert!(!answer.starts_with(b"HTTP/1.1 200"));
        }
        serving.abort();
    }

    #[tokio::test]
    async fn whoever_is_refused_while_still_sending_sees_the_answer() {
        let (address, serving) = server_with(Limits::default()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = "POST /refused HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 8000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..80 {
            stream.write_all(&[b'x'; 100_000]).await.unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
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
