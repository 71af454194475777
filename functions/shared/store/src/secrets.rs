use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use jiff::Timestamp;
use model::PlantedFault;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::Clock;

/// Where a secret is stored. The configuration holds only this.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// `env:NAME`: an environment variable.
    Environment(String),
    /// `file:PATH`: a file.
    File(String),
    /// `secretsmanager:NAME`: AWS Secrets Manager.
    SecretsManager(String),
}

/// A secret can't be used. Says which and why, and never its content.
#[derive(Clone, Debug, Error)]
pub enum SecretError {
    /// It can't be read.
    #[error("{reference}: {problem}")]
    Unreadable {
        /// Where it should be stored.
        reference: String,
        /// Why it can't be read.
        problem: String,
    },
    /// It is not a JSON object with the fields that are needed.
    #[error("{reference}: must be a JSON object with {fields}")]
    Malformed {
        /// Where it is stored.
        reference: String,
        /// The fields that are needed.
        fields: &'static str,
    },
}

impl FromStr for SecretRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.to_owned())),
            Some(("secretsmanager", name)) if !name.is_empty() => Ok(Self::SecretsManager(name.to_owned())),
            _ => Err("must be \"env:NAME\", \"file:PATH\" or \"secretsmanager:NAME\""),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(formatter, "env:{name}"),
            Self::File(path) => write!(formatter, "file:{path}"),
            Self::SecretsManager(name) => write!(formatter, "secretsmanager:{name}"),
        }
    }
}

/// How long a secret is used before it is read again. A little less than a minute, so that a caller that asks once a
/// minute always gets the current one.
const FRESH: Duration = Duration::from_secs(55);
/// The same for one in AWS Secrets Manager that a source takes without complaint: each read is paid for.
const FRESH_IN_USE: Duration = Duration::from_secs(15 * 60);
/// How soon a secret that could not be read is retried.
const RETRY: Duration = Duration::from_secs(2);
/// How long the last good text of a secret serves while it can't be read, or is no longer such an object.
const STALE: Duration = Duration::from_secs(3_600);
/// Likewise if its store reports that it does not exist any more: it may be being replaced, or withdrawn.
const GONE: Duration = Duration::from_secs(120);

/// What is known of one secret.
#[derive(Clone, Default)]
struct Known {
    /// The last text that could be read and was such an object, and when it was read.
    good: Option<(Timestamp, SecretString)>,
    /// Why it could not be read since then, and when that was.
    failed: Option<(Timestamp, Failed)>,
    /// Whether a source did not take it since it was read.
    is_doubted: bool,
}

/// A secret could not be read.
#[derive(Clone)]
struct Failed {
    error: SecretError,
    /// Whether its store reports that it does not exist.
    is_gone: bool,
}

impl Known {
    /// The text that serves although the secret can't be read at the moment.
    fn last_good(&self, failed: &Failed, now: Timestamp) -> Option<&SecretString> {
        let serves_for = if failed.is_gone { GONE } else { STALE };
        self.good.as_ref().filter(|(read_at, _)| now < *read_at + serves_for).map(|(_, text)| text)
    }
}

type Cache = HashMap<SecretRef, Known>;

/// Reads secrets, and keeps each for a minute; while one can't be read, its last good text serves for up to an hour, or
/// for two minutes if it does not exist any more. So a secret that is replaced or deleted stops working within two
/// minutes, and one whose store can't be reached within the hour.
#[derive(Clone)]
pub struct Secrets {
    manager: Option<Client>,
    clock: Clock,
    cache: Arc<Mutex<Cache>>,
}

impl Secrets {
    /// Secrets of this machine, and of AWS Secrets Manager if there is a client.
    pub fn new(manager: Option<Client>, clock: Clock) -> Self {
        Self { manager, clock, cache: Arc::default() }
    }

    /// Reads a secret that is a JSON object. `fields` names the fields that `T` needs, for the error.
    ///
    /// # Errors
    /// If it can't be read, or is not such an object, and no text of it is known that still serves.
    pub async fn read<T: DeserializeOwned>(
        &self,
        reference: &SecretRef,
        fields: &'static str,
    ) -> Result<T, SecretError> {
        self.read_within(reference, fields, FRESH).await
    }

    /// As [`read`](Self::read), of a secret that a source is shown: one in AWS Secrets Manager is kept for a quarter of
    /// an hour, unless it is [doubted](Self::doubt).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_for_source<T: DeserializeOwned>(
        &self,
        reference: &SecretRef,
        fields: &'static str,
    ) -> Result<T, SecretError> {
        let is_doubted = self.cache().get(reference).is_some_and(|known| known.is_doubted);
        let costs = matches!(reference, SecretRef::SecretsManager(_));
        self.read_within(reference, fields, if costs && !is_doubted { FRESH_IN_USE } else { FRESH }).await
    }

    /// A source did not take what a secret holds: it may have been replaced, and is read again after a minute.
    pub fn doubt(&self, reference: &SecretRef) {
        if let Some(known) = self.cache().get_mut(reference) {
            known.is_doubted = true;
        }
    }

    async fn read_within<T: DeserializeOwned>(
        &self,
        reference: &SecretRef,
        fields: &'static str,
        fresh: Duration,
    ) -> Result<T, SecretError> {
        // The parser's own error could quote the secret.
        let parse = |text: &SecretString| {
            serde_json::from_str::<T>(text.expose_secret())
                .map_err(|_| SecretError::Malformed { reference: reference.to_string(), fields })
        };
        let now = self.clock.now();
        let known = self.cache().get(reference).cloned().unwrap_or_default();
        if let Some((read_at, text)) = &known.good
            && (now < *read_at + fresh || PlantedFault::KeepsCredentials.is_planted())
        {
            return parse(text);
        }
        if let Some((failed_at, failed)) = &known.failed
            && now < *failed_at + RETRY
        {
            return known.last_good(failed, now).map_or_else(|| Err(failed.error.clone()), parse);
        }
        let read = self.fetch(reference).await.and_then(|text| match parse(&text) {
            Ok(value) => Ok((value, text)),
            // It may be half written.
            Err(error) => Err(Failed { error, is_gone: false }),
        });
        match read {
            Ok((value, text)) => {
                self.cache().insert(reference.clone(), Known { good: Some((now, text)), ..Known::default() });
                Ok(value)
            }
            Err(failed) => {
                self.cache().entry(reference.clone()).or_default().failed = Some((now, failed.clone()));
                let Some(text) = known.last_good(&failed, now) else { return Err(failed.error) };
                tracing::warn!(error = %failed.error, "a secret can't be read: the last good one goes on to serve");
                parse(text)
            }
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self, reference: &SecretRef) -> Result<SecretString, Failed> {
        let failed = |problem: String, is_gone: bool| Failed {
            error: SecretError::Unreadable { reference: reference.to_string(), problem },
            is_gone,
        };
        match reference {
            SecretRef::Environment(name) => std::env::var(name)
                .map(SecretString::from)
                .map_err(|_| failed("the environment variable is not set".to_owned(), true)),
            SecretRef::File(path) => std::fs::read_to_string(path).map(SecretString::from).map_err(|error| {
                let is_gone = error.kind() == std::io::ErrorKind::NotFound;
                failed(format!("the file can't be read: {}", error.kind()), is_gone)
            }),
            SecretRef::SecretsManager(name) => {
                let Some(manager) = &self.manager else {
                    return Err(failed("AWS Secrets Manager is used in a deployed stack only".to_owned(), true));
                };
                let answer = manager.get_secret_value().secret_id(name).send().await.map_err(|error| {
                    let service = error.as_service_error();
                    // The second is the answer for a secret that is scheduled for deletion.
                    let is_gone = service.is_some_and(|error| {
                        error.is_resource_not_found_exception() || error.is_invalid_request_exception()
                    });
                    let code = service.and_then(ProvideErrorMetadata::code);
                    failed(code.unwrap_or("AWS Secrets Manager could not be reached").to_owned(), is_gone)
                })?;
                let text = answer.secret_string.ok_or_else(|| failed("it is binary, not text".to_owned(), false))?;
                Ok(SecretString::from(text))
            }
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secrets")
    }
}

#[cfg(test)]
mod tests;
