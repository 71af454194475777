use std::error::Error as _;
use std::io;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use store::{Clock, SecretError, StoreError};
use thiserror::Error;
use tokio_util::io::{StreamReader, SyncIoBridge};

/// How long a vendor may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a vendor may be silent, before its answer and within it.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(25);

/// Why a vendor was not asked, or did not answer as it should. No text in it holds a secret or anybody's data.
#[derive(Debug, Error)]
pub enum Trouble {
    /// Nothing was sent: the breaker is open, or the pace leaves no slot before the deadline.
    #[error("{message}")]
    NotNow {
        /// When it makes sense to ask again.
        until: Timestamp,
        /// Why not now.
        message: String,
    },
    /// It failed in a way that may pass by itself: the breaker is open.
    #[error("{message}")]
    Passing {
        /// When it makes sense to ask again.
        until: Timestamp,
        /// What failed.
        message: String,
    },
    /// The vendor answered, and the answer can't be used.
    #[error("{message}")]
    Unusable {
        /// What is wrong with it.
        message: String,
    },
    /// Reading the answer panicked: a defect of ours, which one document may bring out.
    #[error("reading the vendor's answer panicked")]
    Panicked,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The credentials can't be read.
    #[error("credentials: {0}")]
    Secret(#[from] SecretError),
}

/// A request that did not bring a usable answer, before the breaker was told.
#[derive(Debug)]
pub(crate) enum Failed {
    Passing { message: String, retry_after: Option<Duration> },
    Unusable(String),
    Panicked,
}

/// HTTP to the vendors: one client, one pool of connections.
#[derive(Clone, Debug)]
pub struct VendorHttp {
    client: Client,
    clock: Clock,
}

/// The body of an answer as it comes in, to be read on a thread that may wait.
pub(crate) type Body = Box<dyn io::Read + Send>;

impl VendorHttp {
    /// A client whose time-outs run on `clock`.
    ///
    /// # Errors
    /// Where TLS can't be set up.
    pub fn new(clock: Clock) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // The documents hold credentials: they go where the configuration says, and nowhere else.
            .redirect(Policy::none())
            .user_agent(concat!("customer-sync/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, clock })
    }

    /// Posts one form field, and has `read` read the body of the answer while it comes in.
    pub(crate) async fn post_form<T, E>(
        &self,
        url: &str,
        field: &str,
        document: &str,
        read: impl FnOnce(Body) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, Failed>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let response = self.send(self.client.post(url).form(&[(field, document)])).await?;
        self.read(self.accepted(response)?, read).await
    }

    /// Posts a SOAP envelope, and has `read` read the answer's while it comes in: a fault comes with HTTP 500, and
    /// `read` is told.
    pub(crate) async fn post_soap<T, E>(
        &self,
        url: &str,
        headers: HeaderMap,
        envelope: String,
        read: impl FnOnce(Body, StatusCode) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, Failed>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let response = self.send(self.client.post(url).headers(headers).body(envelope)).await?;
        let status = response.status();
        let response = if status == StatusCode::INTERNAL_SERVER_ERROR { response } else { self.accepted(response)? };
        self.read(response, move |body| read(body, status)).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failed> {
        tokio::select! {
            response = request.send() => response.map_err(|error| passing(&error)),
            () = self.clock.sleep(SILENCE_TIMEOUT) => Err(Failed::Passing { message: silence(), retry_after: None }),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        response: Response,
        read: impl FnOnce(Body) -> T + Send + 'static,
    ) -> Result<T, Failed> {
        let body = self.body(response);
        tokio::task::spawn_blocking(move || read(body)).await.map_err(|_| Failed::Panicked)
    }

    fn accepted(&self, response: Response) -> Result<Response, Failed> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let message = format!("the vendor answered with HTTP {status}");
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT
        {
            let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = retry_after.and_then(|text| self.retry_after(text.trim()));
            return Err(Failed::Passing { message, retry_after });
        }
        Err(Failed::Unusable(message))
    }

    /// `Retry-After` is a number of seconds or an HTTP date.
    fn retry_after(&self, text: &str) -> Option<Duration> {
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Duration::try_from(date.duration_since(self.clock.now())).ok()
    }

    fn body(&self, response: Response) -> Body {
        let clock = self.clock.clone();
        let parts =
            response.bytes_stream().then(|part| async { part.map_err(|error| io::Error::other(describe(&error))) });
        let parts = futures::stream::unfold((Box::pin(parts), clock), |(mut parts, clock)| async {
            let part = tokio::select! {
                part = parts.next() => part?,
                () = clock.sleep(SILENCE_TIMEOUT) => Err(io::Error::new(io::ErrorKind::TimedOut, silence())),
            };
            Some((part, (parts, clock)))
        });
        Box::new(SyncIoBridge::new(StreamReader::new(Box::pin(parts))))
    }
}

fn silence() -> String {
    format!("the vendor was silent for {} s", SILENCE_TIMEOUT.as_secs())
}

fn passing(error: &reqwest::Error) -> Failed {
    Failed::Passing { message: describe(error), retry_after: None }
}

/// What went wrong on the way, without the URL: the connection is known, and a URL may hold more than a host.
fn describe(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "the vendor did not answer in time"
    } else if error.is_connect() {
        "the vendor could not be reached"
    } else {
        "the connection to the vendor broke"
    };
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    if error.source().is_some() { format!("{what}: {deepest}") } else { what.to_owned() }
}
