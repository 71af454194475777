use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_yaml_ng::Value;

/// A text, a number or a boolean, which CloudFormation accepts for one another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalar<T>(pub(super) T);

impl<'de, T: FromStr> Deserialize<'de> for Scalar<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Tagged(tagged) => {
                return Err(D::Error::custom(format!("{} is not supported on one machine", tagged.tag)));
            }
            _ => return Err(D::Error::custom("must be a text, a number, true or false")),
        };
        // Every text parses as text, so a failure means that a number was expected.
        text.parse().map(Self).map_err(|_| D::Error::custom(format!("must be a whole number from 0 to {}", u32::MAX)))
    }
}
