use std::fmt;
use std::io::{self, ErrorKind};
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Request, RequestBuilder, Response, StatusCode};
use store::{Clock, SecretError, StoreError};
use thiserror::Error;
use wire::ReadError;

use crate::body::Body;
use crate::coding::Coding;
use crate::exchange::{self, LazyClient};
use crate::feed::Feed;
use crate::seats::Seats;

/// How long a source may send nothing within its answer.
const SILENCE: Duration = Duration::from_secs(25);
/// How many bytes of an answer are gathered before its reader is called: so a token that comes in small pieces is not
/// scanned again for each of them.
const GATHERED_BYTES: usize = 32 * 1024;

/// How long an answer may take. Both count from when the request is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Until its first byte.
    pub(crate) begins_within: Duration,
    /// Until its last byte, however steadily the others come: a source that sends a byte now and then is faulty.
    pub(crate) ends_within: Duration,
}

impl Patience {
    /// For an answer about certain customers.
    pub(crate) const USUAL: Self =
        Self { begins_within: Duration::from_secs(25), ends_within: Duration::from_secs(60) };
    /// For everything that is queued, or is to be. Oracle's gateway sends nothing before the procedure has printed it
    /// all, which takes a while if every customer is in the queue; only the connection itself waits for it.
    pub(crate) const QUEUE: Self =
        Self { begins_within: Duration::from_secs(120), ends_within: Duration::from_secs(180) };
}

/// Why a source was not asked, or did not answer as it should. No text in it holds a secret or personal data.
#[derive(Debug, Error)]
pub enum SourceError {
    /// Nothing was sent: the breaker is open, or the pace leaves no slot before the deadline.
    #[error("{message}")]
    Throttled {
        /// When it makes sense to ask again.
        until: Timestamp,
        /// Why not now.
        message: String,
    },
    /// It failed in a way that may pass by itself: the breaker is open.
    #[error("{message}")]
    Transient {
        /// When it makes sense to ask again.
        until: Timestamp,
        /// What failed.
        message: String,
    },
    /// The source answered, and the answer can't be used.
    #[error("{message}")]
    InvalidResponse {
        /// What is wrong with it.
        message: String,
    },
    /// Reading the answer panicked: a bug, which a single document may trigger.
    #[error("reading the source's answer panicked")]
    Panicked,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The credentials can't be read.
    #[error("credentials: {0}")]
    Secret(#[from] SecretError),
}

/// A request without a usable answer, before the breaker counts it.
#[derive(Debug)]
pub(crate) enum RequestError {
    Transient { message: String, retry_after: Option<Duration> },
    InvalidResponse(String),
    Panicked,
}

/// Carries requests to the sources, in a world where that is not the network.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends a request, and returns the head of the answer, or why there is none.
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, String>>;
}

/// HTTP to the sources: one client, one pool of connections.
///
/// An answer is read as it comes in, a piece at a time, and no thread waits for the next one: a slow source costs a
/// connection and a little memory, for as long as `Patience` says. Dropping a request frees all of that at once.
#[derive(Clone, Debug)]
pub struct SourceHttp {
    client: LazyClient,
    /// What takes the place of the network.
    transport: Option<Arc<dyn Transport>>,
    clock: Clock,
    pub(crate) seats: Seats,
}

impl SourceHttp {
    /// A client whose time-outs run on `clock`.
    pub fn new(clock: Clock) -> Self {
        let client = LazyClient::new(|client| client);
        Self { client, transport: None, clock, seats: Seats::default() }
    }

    /// The same, as in another process, with a transport in the place of the network.
    #[must_use]
    pub fn through(&self, transport: Arc<dyn Transport>, clock: Clock) -> Self {
        Self { client: self.client.clone(), transport: Some(transport), clock, seats: Seats::default() }
    }

    /// Posts one form field, and reads the answer: `open` makes a reader of its body, which is called again as long as
    /// it [is starved](ReadError::is_starved).
    pub(crate) async fn post_form<T, R: FnMut() -> Result<T, ReadError>>(
        &self,
        url: &str,
        field: &str,
        document: &str,
        patience: Patience,
        open: impl FnOnce(Body) -> R,
    ) -> Result<Result<T, ReadError>, RequestError> {
        let sent_at = self.clock.now();
        let response = self.send(self.client.post(url).form(&[(field, document)]), patience).await?;
        self.read(self.accepted(response)?, sent_at + patience.ends_within, open).await
    }

    /// Posts a SOAP envelope, and reads the answer likewise, with its status: a fault comes with HTTP 500.
    pub(crate) async fn post_soap<T, R: FnMut() -> Result<T, ReadError>>(
        &self,
        url: &str,
        headers: HeaderMap,
        envelope: String,
        open: impl FnOnce(Body) -> R,
    ) -> Result<(Result<T, ReadError>, StatusCode), RequestError> {
        let sent_at = self.clock.now();
        let request = self.client.post(url).headers(headers).body(envelope);
        let response = self.send(request, Patience::USUAL).await?;
        let status = response.status();
        let response = if status == StatusCode::INTERNAL_SERVER_ERROR { response } else { self.accepted(response)? };
        Ok((self.read(response, sent_at + Patience::USUAL.ends_within, open).await?, status))
    }

    async fn send(&self, request: RequestBuilder, patience: Patience) -> Result<Response, RequestError> {
        let sent = async {
            if let Some(transport) = &self.transport {
                let request = request.build().map_err(|error| describe(&error))?;
                return transport.send(request).await;
            }
            // Every request to a source may be repeated: none does more the second time.
            exchange::send(request).await.map_err(|error| describe(&error))
        };
        tokio::select! {
            biased;
            response = sent => response.map_err(|message| RequestError::Transient { message, retry_after: None }),
            () = self.clock.sleep(patience.begins_within) => {
                Err(RequestError::Transient { message: silence(patience.begins_within), retry_after: None })
            }
        }
    }

    /// Lets the reader that `open` makes read the body as it comes in, until `deadline`.
    async fn read<T, R: FnMut() -> Result<T, ReadError>>(
        &self,
        response: Response,
        deadline: Timestamp,
        open: impl FnOnce(Body) -> R,
    ) -> Result<Result<T, ReadError>, RequestError> {
        let coding = Coding::of(response.headers()).map_err(RequestError::InvalidResponse)?;
        let feed = Feed::default();
        let body = Body::new(feed.clone(), coding, response.headers());
        let mut read = open(body);
        let mut parts = pin!(response.bytes_stream());
        loop {
            self.gather(&mut parts, &feed, deadline).await;
            loop {
                let length_before = feed.unread();
                feed.allow(coding.step());
                match panic::catch_unwind(AssertUnwindSafe(&mut read)) {
                    Err(_) => return Err(RequestError::Panicked),
                    Ok(Err(error)) if error.is_starved() => {}
                    Ok(result) => return Ok(result),
                }
                // Other tasks get their turn between two pieces.
                tokio::task::yield_now().await;
                // A reader may need more than there is, and leave what there is.
                if (feed.unread() == 0 || feed.unread() == length_before) && !feed.has_ended() {
                    break;
                }
            }
        }
    }

    /// Gathers bytes of a body, until there are enough to read or there are no more.
    async fn gather(
        &self,
        parts: &mut (impl Stream<Item = reqwest::Result<impl Into<Vec<u8>>>> + Unpin),
        feed: &Feed,
        deadline: Timestamp,
    ) {
        let late = || io::Error::new(ErrorKind::TimedOut, "the source's answer did not come to its end in time");
        while feed.unread() < GATHERED_BYTES && !feed.has_ended() {
            tokio::select! {
                // The deadline first: a body that never ends is cut off at it, and not by chance some time after it.
                biased;
                () = self.clock.sleep_until(deadline) => feed.end(Err(late())),
                part = parts.next() => match part {
                    Some(Ok(part)) => feed.push(part.into()),
                    Some(Err(error)) => feed.end(Err(io::Error::other(describe(&error)))),
                    None => feed.end(Ok(())),
                },
                () = self.clock.sleep(SILENCE) => {
                    feed.end(Err(io::Error::new(ErrorKind::TimedOut, silence(SILENCE))));
                }
            }
        }
    }

    fn accepted(&self, response: Response) -> Result<Response, RequestError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let message = format!("the source answered with HTTP {status}");
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT
        {
            let retry_after = exchange::retry_after(response.headers(), self.clock.now());
            return Err(RequestError::Transient { message, retry_after });
        }
        Err(RequestError::InvalidResponse(message))
    }
}

fn silence(how_long: Duration) -> String {
    format!("the source was silent for {} s", how_long.as_secs())
}

fn describe(error: &reqwest::Error) -> String {
    exchange::describe(error, "the source")
}

#[cfg(test)]
mod tests;
