use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Which connection of which tenant: the first part of every key in the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ConnectionKey {
    /// The tenant's id: `a-z 0-9 -`, at most 40 characters.
    pub tenant: String,
    /// The connection's id: `a-z 0-9 -`, at most 40 characters, unique in a deployment.
    pub connection: String,
}

impl ConnectionKey {
    /// A key from its two parts, which the configuration has checked.
    pub fn new(tenant: impl Into<String>, connection: impl Into<String>) -> Self {
        Self { tenant: tenant.into(), connection: connection.into() }
    }
}

/// `tenant/connection`: neither part can hold a slash.
impl fmt::Display for ConnectionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.tenant, self.connection)
    }
}

/// A text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a key is not of the form tenant/connection")]
pub struct ConnectionKeyError;

impl FromStr for ConnectionKey {
    type Err = ConnectionKeyError;

    fn from_str(text: &str) -> Result<Self, ConnectionKeyError> {
        let (tenant, connection) = text.split_once('/').ok_or(ConnectionKeyError)?;
        Ok(Self::new(tenant, connection))
    }
}

impl From<ConnectionKey> for String {
    fn from(key: ConnectionKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for ConnectionKey {
    type Error = ConnectionKeyError;

    fn try_from(text: String) -> Result<Self, ConnectionKeyError> {
        text.parse()
    }
}
