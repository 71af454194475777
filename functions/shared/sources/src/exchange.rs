//! What requests to sources, to destinations and to AWS have in common.

use std::error::Error;
use std::fmt;
use std::iter;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// How long another system may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection waits for its next request. Apache closes one after 5 seconds: a request that meets the end
/// would be lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// A client of other systems, which is built when something is first sent: most processes never ask some of them.
/// Clones share it.
#[derive(Clone)]
pub struct LazyClient(Arc<LazyLock<Client, Build>>);

type Build = Box<dyn FnOnce() -> Client + Send>;

impl LazyClient {
    /// A client with what `configure` adds.
    pub fn new(configure: impl FnOnce(ClientBuilder) -> ClientBuilder + Send + 'static) -> Self {
        #[expect(clippy::expect_used, reason = "of what can fail, nothing is configured: TLS comes ready, headers too")]
        let build = || configure(builder()).build().expect("a client without a TLS backend of its own");
        Self(Arc::new(LazyLock::new(Box::new(build))))
    }
}

impl Deref for LazyClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.0
    }
}

impl fmt::Debug for LazyClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LazyClient").finish_non_exhaustive()
    }
}

/// All clients share it.
static TLS: LazyLock<ClientConfig> = LazyLock::new(tls);

fn builder() -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(TLS.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        // The documents hold credentials: they are sent to the configured address, and to no other.
        .redirect(Policy::none())
        .user_agent(concat!("customer-sync/", env!("CARGO_PKG_VERSION")))
        .default_headers(HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]))
}

/// TLS with the roots that Mozilla trusts, as this release knows them, and with those of the file that `SSL_CERT_FILE`
/// names, if it names one: a company may have its own.
fn tls() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(TLS_SERVER_ROOT_CERTS.iter().cloned());
    if let Some(file) = std::env::var_os("SSL_CERT_FILE") {
        match CertificateDer::pem_file_iter(file) {
            Ok(own) => drop(roots.add_parsable_certificates(own.filter_map(Result::ok))),
            Err(error) => tracing::warn!(%error, "the roots that SSL_CERT_FILE names can't be read"),
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    #[expect(clippy::expect_used, reason = "the versions are those that this provider is made for")]
    let config = config.with_safe_default_protocol_versions().expect("TLS 1.2 and 1.3");
    config.with_root_certificates(roots).with_no_client_auth()
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
