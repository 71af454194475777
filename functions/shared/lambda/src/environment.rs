use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use store::{Clock, Random, Secrets, TableNames, Tables};
use thiserror::Error;

use destinations::DestinationHttp;
use sources::SourceHttp;

use crate::Metrics;

/// A function's environment variables: the process's under Lambda, the template's on one machine.
#[derive(Clone, Debug, Default)]
pub struct Environment(HashMap<String, String>);

/// A variable that the function can't start without.
#[derive(Debug, Error)]
#[error("the environment variable {0} is not set, or not to a number where it must be one")]
pub struct EnvironmentError(&'static str);

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        // Not `vars`: it panics if any variable of the process is not Unicode.
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// These variables.
    pub fn of(variables: HashMap<String, String>) -> Self {
        Self(variables)
    }

    /// The value of a variable.
    ///
    /// # Errors
    /// If it is not set.
    pub fn required(&self, name: &'static str) -> Result<&str, EnvironmentError> {
        self.optional(name).ok_or(EnvironmentError(name))
    }

    /// The value of a variable that is a number.
    ///
    /// # Errors
    /// If it is not set, or to something else.
    pub fn number<N: FromStr>(&self, name: &'static str) -> Result<N, EnvironmentError> {
        self.required(name)?.parse().map_err(|_| EnvironmentError(name))
    }

    /// The value of a variable, if it is set.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// How long AWS may take to accept a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long AWS is waited for. DynamoDB, SQS and Secrets Manager answer within milliseconds, a page or a batch of 16 MB
/// within a second. An answer that takes longer is not coming, because its connection is dead, and by default the SDK
/// would wait for ever. An operation with all its attempts ends before a poller's lease does.
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(Duration::from_secs(4))
        .operation_timeout(Duration::from_secs(12))
        .build()
}

/// The clients and the other ways out of the process: everything that a test or a run on one machine replaces.
#[derive(Clone, Debug)]
pub struct Clients {
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// Where secrets are read.
    pub secrets: Secrets,
    /// HTTP to the sources.
    pub http: SourceHttp,
    /// HTTP to the destinations.
    pub destinations: DestinationHttp,
    /// The time.
    pub clock: Clock,
    /// Random numbers.
    pub random: Random,
    /// Where metrics go.
    pub metrics: Metrics,
}

impl Clients {
    /// The tables that the environment names: `CONTROL_TABLE`, `SHADOW_TABLE`, `IMPORT_TABLE`,
    /// `FEED_TABLE`.
    ///
    /// # Errors
    /// If a variable is missing.
    pub fn tables(&self, environment: &Environment) -> Result<Tables, EnvironmentError> {
        let names = TableNames {
            control: environment.required("CONTROL_TABLE")?.to_owned(),
            shadow: environment.required("SHADOW_TABLE")?.to_owned(),
            imports: environment.required("IMPORT_TABLE")?.to_owned(),
            feed: environment.required("FEED_TABLE")?.to_owned(),
        };
        Ok(Tables::new(self.dynamodb.clone(), &names, self.clock.clone(), self.random.clone()))
    }

    /// Clients of AWS, as `config` says. Nothing is asked and no connection made before a client is used.
    pub fn of_config(config: &SdkConfig, environment: &Environment) -> Self {
        let clock = Clock::system();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            sqs: aws_sdk_sqs::Client::new(config),
            secrets: Secrets::new(Some(aws_sdk_secretsmanager::Client::new(config)), clock.clone()),
            http: SourceHttp::new(clock.clone()),
            destinations: DestinationHttp::new(clock.clone()),
            clock,
            random: Random::from_entropy(),
            metrics: Metrics::from_environment(environment),
        }
    }
}
