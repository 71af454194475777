use reqwest::ClientBuilder;
use rustls::crypto::ring;

/// A client of a system, over TLS if its address says so, with the roots that this machine trusts.
pub fn http_client() -> ClientBuilder {
    // It fails if another client has installed it already.
    let _ = ring::default_provider().install_default();
    reqwest::Client::builder()
}
