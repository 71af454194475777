use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A customer's public id, `<connection>~<source id>`: unique within a tenant. In JSON it is that text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CustomerId {
    /// The connection that the customer came through.
    pub connection: String,
    /// The id in the system that it came from.
    pub source_id: String,
}

/// A text that is not a [`CustomerId`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a customer id has the form <connection>~<source id>")]
pub struct CustomerIdError;

impl fmt::Display for CustomerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}~{}", self.connection, self.source_id)
    }
}

/// Splits at the first `~`: a connection id cannot hold one, a source id may.
impl FromStr for CustomerId {
    type Err = CustomerIdError;

    fn from_str(text: &str) -> Result<Self, CustomerIdError> {
        match text.split_once('~') {
            Some((connection, source_id)) if !connection.is_empty() && !source_id.is_empty() => {
                Ok(Self { connection: connection.to_owned(), source_id: source_id.to_owned() })
            }
            _ => Err(CustomerIdError),
        }
    }
}

impl TryFrom<String> for CustomerId {
    type Error = CustomerIdError;

    fn try_from(text: String) -> Result<Self, CustomerIdError> {
        text.parse()
    }
}

impl From<CustomerId> for String {
    fn from(id: CustomerId) -> Self {
        id.to_string()
    }
}

impl PartialSchema for CustomerId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("`<connection>~<source id>`: unique within a tenant."))
            .pattern(Some(r"^[^~]+~[\s\S]+$"))
            .into()
    }
}

impl ToSchema for CustomerId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_splits_at_the_first_tilde_only() {
        let id: CustomerId = "aa~10~01".parse().unwrap();
        assert_eq!((id.connection.as_str(), id.source_id.as_str()), ("aa", "10~01"));
        assert_eq!(id.to_string(), "aa~10~01");
    }

    #[test]
    fn half_an_id_is_refused() {
        for text in ["", "aa", "aa~", "~1001"] {
            assert_eq!(text.parse::<CustomerId>(), Err(CustomerIdError), "{text:?}");
        }
    }
}
