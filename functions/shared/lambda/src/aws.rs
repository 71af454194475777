//! How a function reaches AWS. All that it needs is in its environment, so nothing is looked for: neither a profile,
//! nor the machine's certificates, nor the service that tells machines who they are.

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::{ReconnectMode, RetryConfig};
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, SharedAsyncSleep, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_types::SdkConfig;

use crate::environment::{Environment, EnvironmentError, timeouts};
use crate::https::Https;

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
        // After a 5xx the SDK would give up the connection, and log an error: `https` can't tell which one it was.
        .retry_config(RetryConfig::standard().with_reconnect_mode(ReconnectMode::ReuseAllConnections))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .http_client(Https::default());
    let endpoint = environment.optional("AWS_ENDPOINT_URL").filter(|url| !url.is_empty());
    config.set_endpoint_url(endpoint.map(str::to_owned));
    config.set_use_fips(environment.optional("AWS_USE_FIPS_ENDPOINT").map(|value| value == "true"));
    config.set_use_dual_stack(environment.optional("AWS_USE_DUALSTACK_ENDPOINT").map(|value| value == "true"));
    Ok(config.build())
}
