//! Logging in at AWS as people do: by a profile, single sign-on, `aws login`, a process, or variables.

use std::error::Error;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::SharedCredentialsProvider;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// How long a profile's process, or a sign-on, may take: a person may have to answer it.
const LOGIN_TIME: Duration = Duration::from_secs(120);
/// How long AWS is waited for, with all attempts and the login before them.
const OPERATION_TIME: Duration = Duration::from_secs(180);

/// Who asks AWS, and in which region; what is not given comes from the environment and the profile, as for other tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// The profile in `~/.aws/config` or `~/.aws/credentials`. It comes before credentials in variables.
    pub profile: Option<String>,
    /// The region. It comes before `AWS_REGION` and the profile's.
    pub region: Option<String>,
}

impl Login {
    /// The options that say so, with a blank before each.
    pub(crate) fn flags(&self) -> String {
        let options = [("profile", &self.profile), ("region", &self.region)];
        options.into_iter().filter_map(|(name, value)| Some(format!(" --{name} {}", value.as_ref()?))).collect()
    }

    /// What the clients of AWS need. Nothing is asked yet: who can't log in finds out with the first request.
    ///
    /// # Errors
    /// A text, if no region is named anywhere.
    pub(crate) async fn config(&self) -> Result<SdkConfig, String> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(LOGIN_TIME)
            .operation_timeout(OPERATION_TIME)
            .build();
        let cache = IdentityCache::lazy().load_timeout(LOGIN_TIME).build();
        let https = https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(https.clone())
            .timeout_config(timeouts)
            .identity_cache(cache);
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let config = loader.load().await;
        let Some(region) = config.region() else {
            return Err("no region: set AWS_REGION or give --region".to_owned());
        };
        let Some(profile) = &self.profile else { return Ok(config) };
        // The SDK would prefer the credentials of variables, and act for somebody else than the one that is named.
        let provider = ProfileFileCredentialsProvider::builder()
            .configure(&ProviderConfig::without_region().with_region(Some(region.clone())).with_http_client(https))
            .profile_name(profile)
            .build();
        Ok(config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build())
    }
}

/// HTTPS with the roots that this machine trusts, because a company may have its own, and through the proxy that the
/// environment names, if it names one (`HTTPS_PROXY`).
fn https() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = ConnectorBuilder::default()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}

/// Why AWS could not be asked, and what to do if nobody is logged in.
pub(crate) fn unasked(error: &(dyn Error + 'static)) -> String {
    let causes = causes(error);
    let advice = "; log in, as by `aws sso login` or `aws login`, or give another --profile";
    let advice = if causes.contains("credential") { advice } else { "" };
    format!("could not be asked: {causes}{advice}")
}

/// The texts of an error and of what caused it, each once, the outermost first.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string().trim().replace('\n', " ");
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn an_error_is_told_with_its_causes_each_once() {
        let error =
            anyhow!("the token has expired").context("no credentials: the token has expired").context("sign-on");
        assert_eq!(causes(error.as_ref()), "sign-on: no credentials: the token has expired");
    }
}
