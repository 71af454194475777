use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::Clock;

/// Where a secret stands. The configuration holds only this.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// `env:NAME`: an environment variable.
    Environment(String),
    /// `file:PATH`: a file.
    File(String),
    /// `secretsmanager:NAME`: AWS Secrets Manager.
    SecretsManager(String),
}

/// A secret can't be used. Says which and why, and never what is in it.
#[derive(Clone, Debug, Error)]
pub enum SecretError {
    /// It can't be read.
    #[error("{reference}: {problem}")]
    Unreadable {
        /// Where it should stand.
        reference: String,
        /// Why it can't be read.
        problem: String,
    },
    /// It is not a JSON object with the fields that are needed.
    #[error("{reference}: must be a JSON object with {fields}")]
    Malformed {
        /// Where it stands.
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

/// How long a secret is used before it is read again: a rotated one is in use everywhere soon after.
const FRESH: Duration = Duration::from_secs(60);

type Cache = HashMap<SecretRef, (Timestamp, SecretString)>;

/// Reads secrets, and keeps each for a minute.
#[derive(Clone)]
pub struct Secrets {
    manager: Option<Client>,
    clock: Clock,
    cache: Arc<Mutex<Cache>>,
}

impl Secrets {
    /// Secrets of this machine, and of AWS Secrets Manager where there is a client.
    pub fn new(manager: Option<Client>, clock: Clock) -> Self {
        Self { manager, clock, cache: Arc::default() }
    }

    /// Reads a secret that is a JSON object. `fields` names the fields that `T` needs, for the error.
    ///
    /// # Errors
    /// Where it can't be read, or is not such an object.
    pub async fn read<T: DeserializeOwned>(
        &self,
        reference: &SecretRef,
        fields: &'static str,
    ) -> Result<T, SecretError> {
        let text = self.text(reference).await?;
        // The parser's own error could quote the secret.
        serde_json::from_str(text.expose_secret())
            .map_err(|_| SecretError::Malformed { reference: reference.to_string(), fields })
    }

    async fn text(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        let now = self.clock.now();
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(reference).cloned();
        if let Some((read_at, text)) = cached
            && now < read_at + FRESH
        {
            return Ok(text);
        }
        let text = self.fetch(reference).await?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(reference.clone(), (now, text.clone()));
        Ok(text)
    }

    async fn fetch(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        let unreadable = |problem: String| SecretError::Unreadable { reference: reference.to_string(), problem };
        match reference {
            SecretRef::Environment(name) => std::env::var(name)
                .map(SecretString::from)
                .map_err(|_| unreadable("the environment variable is not set".to_owned())),
            SecretRef::File(path) => std::fs::read_to_string(path)
                .map(SecretString::from)
                .map_err(|error| unreadable(format!("the file can't be read: {}", error.kind()))),
            SecretRef::SecretsManager(name) => {
                let Some(manager) = &self.manager else {
                    return Err(unreadable("AWS Secrets Manager is used in a deployed stack only".to_owned()));
                };
                let answer = manager.get_secret_value().secret_id(name).send().await.map_err(|error| {
                    use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
                    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
                    unreadable(code.unwrap_or("AWS Secrets Manager could not be reached").to_owned())
                })?;
                let text = answer.secret_string.ok_or_else(|| unreadable("it is binary, not text".to_owned()))?;
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
