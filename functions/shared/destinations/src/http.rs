//! One request to a destination, and its answer.
//!
//! **Where it may go.** An address is checked where it is used: a name is looked up by [`Guard`], and the connection
//! goes to the very address that was checked, so that a name whose address changes in between gains nothing. No
//! redirect is followed, and no proxy of the environment asked: both could lead elsewhere.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use config::host_address;
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use model::is_public;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use sources::Transport;
use sources::exchange::{self, LazyClient};
use store::Clock;

use crate::{FOR_LONG, LONGEST_REQUEST, NO_ACCIDENT, Trouble, before};

/// How much of an answer is read: some receivers of lists tell of every row.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// How much of an answer a failure record keeps.
const KEPT_BYTES: usize = 4 * 1024;

/// HTTP to destinations.
#[derive(Clone, Debug)]
pub struct DestinationHttp {
    /// To public addresses alone.
    public: LazyClient,
    /// To any address.
    any: LazyClient,
    /// What takes the place of the network.
    transport: Option<Arc<dyn Transport>>,
    clock: Clock,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    /// The beginning of its body: up to [`MOST_BYTES`].
    pub(crate) body: Vec<u8>,
}

/// The names of this machine's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// A resolver that knows public addresses alone.
struct Guard(Arc<dyn Resolve>);

/// A name, or an address, is of no public network.
#[derive(Debug)]
struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("its address is in a private network: that needs `allow_private_addresses = true`")
    }
}

impl Error for NotPublic {}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let resolving = self.0.resolve(name);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = resolving.await?.filter(|address| is_public(address.ip())).collect();
            if addresses.is_empty() {
                return Err(Box::new(NotPublic) as Box<dyn Error + Send + Sync>);
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl DestinationHttp {
    /// A client whose time-outs run on `clock`.
    pub fn new(clock: Clock) -> Self {
        Self::resolving(Arc::new(SystemResolver), clock)
    }

    /// The same, with names from another resolver.
    pub fn resolving(resolver: Arc<dyn Resolve>, clock: Clock) -> Self {
        let client = |resolver: Arc<dyn Resolve>| LazyClient::new(|client| client.no_proxy().dns_resolver(resolver));
        let public = client(Arc::new(Guard(resolver.clone())));
        Self { public, any: client(resolver), transport: None, clock }
    }

    /// The same, as in another process, with a transport in the place of the network.
    #[must_use]
    pub fn through(&self, transport: Arc<dyn Transport>, clock: Clock) -> Self {
        Self { transport: Some(transport), clock, ..self.clone() }
    }

    async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: String,
        allows_private: bool,
        patience: Duration,
    ) -> Result<Answer, Trouble> {
        let (client, url) = self.client_for(url, allows_private)?;
        self.within(patience, client.post(url).headers(headers).body(body)).await
    }

    /// Asks for the head of what is at an address, with nothing in the request: by HTTP's own rules it changes nothing.
    pub(crate) async fn head(&self, url: &str, allows_private: bool, patience: Duration) -> Result<Answer, Trouble> {
        let (client, url) = self.client_for(url, allows_private)?;
        self.within(patience, client.head(url)).await
    }

    /// The client for an address, if anything may be sent there.
    fn client_for(&self, url: &str, allows_private: bool) -> Result<(&Client, Url), Trouble> {
        let url = Url::parse(url).map_err(|_| Trouble::new("its address is no URL"))?;
        // An address is looked up by no resolver.
        if !allows_private && host_address(&url).is_some_and(|address| !is_public(address)) {
            return Err(Trouble::new(NotPublic.to_string()).of_all());
        }
        Ok((if allows_private { &self.any } else { &self.public }, url))
    }

    async fn within(&self, patience: Duration, request: RequestBuilder) -> Result<Answer, Trouble> {
        let until = self.clock.now() + patience;
        tokio::select! {
            biased;
            answer = self.exchange(request) => answer,
            () = self.clock.sleep_until(until) => {
                Err(Trouble::new(format!("it did not answer within {} s", patience.as_secs())).of_content())
            }
        }
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Answer, Trouble> {
        let response = match &self.transport {
            Some(transport) => {
                let request = request.build().map_err(|error| Trouble::new(describe(&error)))?;
                transport.send(request).await.map_err(Trouble::new)?
            }
            None => exchange::send(request).await.map_err(|error| {
                let trouble = Trouble::new(describe(&error));
                if error.is_connect() { trouble.of_all() } else { trouble.of_content() }
            })?,
        };
        let (status, retry_after) = (response.status(), exchange::retry_after(response.headers(), self.clock.now()));
        let mut body = Vec::new();
        let mut parts = response.bytes_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| Trouble::new("its answer broke off").of_content())?;
            body.extend_from_slice(&part);
            if body.len() >= MOST_BYTES {
                body.truncate(MOST_BYTES);
                break;
            }
        }
        Ok(Answer { status, retry_after, body })
    }
}

impl Answer {
    /// The beginning of its text, for people.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.body[..self.body.len().min(KEPT_BYTES)]).into_owned()
    }

    /// Trouble, unless the status is that of an answer to what was sent.
    pub(crate) fn unless_trouble(self) -> Result<Self, Trouble> {
        let status = self.status;
        let is_of_content = matches!(status.as_u16(), 400 | 413 | 414 | 415 | 422);
        if status.is_success() || is_of_content {
            return Ok(self);
        }
        Err(self.into_trouble())
    }

    /// The status as trouble.
    pub(crate) fn into_trouble(self) -> Trouble {
        let what = if self.status.is_redirection() { ", a redirect, which is not followed" } else { "" };
        let is_to_wait = self.retry_after.is_some();
        let (blames_after, stops_all) = match self.status.as_u16() {
            410 | 425 | 429 => (None, true),
            // It does not know us, whatever is sent.
            401 | 407 => (None, is_to_wait),
            408 => (Some(FOR_LONG), true),
            503 => (Some(FOR_LONG), is_to_wait),
            _ if is_to_wait => (Some(FOR_LONG), true),
            // A guard before the destination may dislike what is sent, and answer with any status.
            _ => (Some(NO_ACCIDENT), false),
        };
        Trouble {
            retry_after: self.retry_after,
            blames_after,
            stops_all,
            ..Trouble::new(format!("it answered with HTTP {}{what}", self.status))
        }
    }
}

/// Requests to one destination.
#[derive(Clone, Debug)]
pub(crate) struct Requests<'a> {
    pub(crate) http: &'a DestinationHttp,
    pub(crate) pace: Pace,
    pub(crate) allows_private: bool,
}

impl Requests<'_> {
    /// Posts a document when the pace allows it.
    pub(crate) async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: String,
        patience: Duration,
    ) -> Result<Answer, Trouble> {
        self.pace.wait().await?;
        self.http.post(url, headers, body, self.allows_private, patience).await
    }
}

/// When the next request may be sent. A destination has one worker at a time, so its pace is kept here; clones share
/// it.
#[derive(Clone, Debug)]
pub struct Pace {
    clock: Clock,
    interval: SignedDuration,
    deadline: Timestamp,
    slots: Arc<Mutex<Slots>>,
}

#[derive(Debug)]
struct Slots {
    /// When the next request may be sent.
    next: Timestamp,
    /// How many were given.
    given: u64,
}

impl Pace {
    pub(crate) fn new(clock: Clock, per_second: f64, deadline: Timestamp) -> Self {
        let interval = SignedDuration::try_from_secs_f64(1.0 / per_second).unwrap_or(SignedDuration::ZERO);
        let slots = Arc::new(Mutex::new(Slots { next: clock.now(), given: 0 }));
        Self { clock, interval, deadline, slots }
    }

    /// How many requests were sent.
    pub fn requests(&self) -> u64 {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).given
    }

    async fn wait(&self) -> Result<(), Trouble> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = slots.next.max(self.clock.now());
            if slot > before(self.deadline, LONGEST_REQUEST) {
                return Err(Trouble::out_of_time());
            }
            *slots = Slots { next: slot + self.interval, given: slots.given + 1 };
            slot
        };
        self.clock.wait_until(slot).await;
        Ok(())
    }
}

impl Trouble {
    fn out_of_time() -> Self {
        Self { is_out_of_time: true, ..Self::new("there is no time left for another request") }
    }
}

fn describe(error: &reqwest::Error) -> String {
    match exchange::causes(error).find_map(|cause| cause.downcast_ref::<NotPublic>()) {
        Some(refused) => refused.to_string(),
        None => exchange::describe(error, "it"),
    }
}

#[cfg(test)]
mod tests;
