//! How a function reaches AWS. All that it needs is in its environment, so nothing is looked for: neither a profile,
//! nor a file of certificates, nor the service that tells machines who they are.

use std::sync::OnceLock;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, SharedAsyncSleep, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_types::SdkConfig;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use crate::environment::{Environment, EnvironmentError, timeouts};

/// The configuration of every client of AWS: Lambda's own variables, those that choose FIPS and dual-stack endpoints,
/// and `AWS_ENDPOINT_URL` if an emulator plays AWS.
///
/// # Errors
/// If one of Lambda's variables is missing.
pub(crate) fn config(environment: &Environment) -> Result<SdkConfig, EnvironmentError> {
    // They are good for as long as this process lives: Lambda starts another one with others.
    let credentials = Credentials::new(
        environment.required("AWS_ACCESS_KEY_ID")?,
        environment.required("AWS_SECRET_ACCESS_KEY")?,
        environment.optional("AWS_SESSION_TOKEN").map(str::to_owned),
        None,
        "environment",
    );
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(environment.required("AWS_REGION")?.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .timeout_config(timeouts())
        .retry_config(RetryConfig::standard())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .http_client(Https::default());
    let endpoint = environment.optional("AWS_ENDPOINT_URL").filter(|url| !url.is_empty());
    config.set_endpoint_url(endpoint.map(str::to_owned));
    config.set_use_fips(environment.optional("AWS_USE_FIPS_ENDPOINT").map(|value| value == "true"));
    config.set_use_dual_stack(environment.optional("AWS_USE_DUALSTACK_ENDPOINT").map(|value| value == "true"));
    Ok(config.build())
}

/// HTTPS with the roots that Mozilla trusts, as this release knows them. All clients share it; it is made when one of
/// them is first used.
#[derive(Debug, Default)]
struct Https(OnceLock<SharedHttpClient>);

impl HttpClient for Https {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        self.0.get_or_init(https).http_connector(settings, components)
    }
}

fn https() -> SharedHttpClient {
    let mut pem = String::new();
    for root in TLS_SERVER_ROOT_CERTS {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        BASE64_STANDARD.encode_string(root, &mut pem);
        pem.push_str("\n-----END CERTIFICATE-----\n");
    }
    https_with(TrustStore::empty().with_pem_certificate(pem))
}

/// HTTPS to AWS with these roots, through the proxy that the environment names, if it names one (`HTTPS_PROXY`).
pub fn https_with(roots: TrustStore) -> SharedHttpClient {
    // Building it can't fail: roots are checked when they are used.
    let tls = TlsContext::builder().with_trust_store(roots).build().unwrap_or_default();
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = ConnectorBuilder::default()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls.clone())
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}
