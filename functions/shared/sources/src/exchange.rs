//! What requests to sources and to destinations have in common.

use std::error::Error;
use std::iter;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};

/// How long another system may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection waits for its next request. Apache closes one after 5 seconds: a request that meets the end
/// would be lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// A client of other systems.
pub fn client() -> ClientBuilder {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        // The documents hold credentials: they are sent to the configured address, and to no other.
        .redirect(Policy::none())
        .user_agent(concat!("customer-sync/", env!("CARGO_PKG_VERSION")))
        .default_headers(HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]))
}

/// Sends a request that may be repeated; once more, if nothing was heard on a connection that was kept from before.
///
/// # Errors
/// If there is no answer.
pub async fn send(request: RequestBuilder) -> Result<Response, reqwest::Error> {
    let again = request.try_clone();
    match (request.send().await, again) {
        (Err(error), Some(again)) if is_cut_off(&error) => again.send().await,
        (sent, _) => sent,
    }
}

/// Whether a connection ended before any byte of the answer: one that was kept from an earlier request, while the
/// function was frozen, or in the moment in which the other side gave it up.
fn is_cut_off(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message))
}

/// What is behind an error, the deepest last.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(error.source(), |cause| {
        let cause: &'a (dyn Error + 'static) = *cause;
        cause.source()
    })
}

/// The error of the transport without the URL: it is known which system was asked, and a URL may hold more than a host.
/// The system is called `whom`.
pub fn describe(error: &reqwest::Error, whom: &str) -> String {
    let what = if error.is_timeout() {
        format!("{whom} did not answer in time")
    } else if error.is_connect() {
        format!("{whom} could not be reached")
    } else {
        format!("the connection to {whom} broke")
    };
    match causes(error).last() {
        Some(cause) => format!("{what}: {cause}"),
        None => what,
    }
}

/// How long an answer asks to be left alone: `Retry-After` is a number of seconds or an HTTP date.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(date.duration_since(now)).ok()
}
