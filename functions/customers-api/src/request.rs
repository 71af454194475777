//! What a request says: its query, its body.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::CustomersApi;
use crate::problem::Problem;

/// API Gateway gives up after 30 seconds; what takes longer than this is given up before.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);
/// Bytes of a body: far more than 500 ids have.
const LARGEST_BODY: usize = 1_000_000;

/// What a route works with.
pub(crate) type Api = State<Arc<CustomersApi>>;

/// The parameters of a query: those that `T` has, each once. Any other is an error.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => {
                let text = error.body_text();
                let why = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                Err(Problem::bad_request(format!("the query parameters: {why}")))
            }
            Err(_) => Err(Problem::bad_request("the query parameters can't be read")),
        }
    }
}

/// No parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

/// How many rows an answer may have.
pub(crate) type Limit = WholeNumber<1, 500, 100>;

/// A whole number of a query, from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct WholeNumber<const LEAST: u16, const MOST: u16, const DEFAULT: u16>(u16);

impl<const LEAST: u16, const MOST: u16, const DEFAULT: u16> WholeNumber<LEAST, MOST, DEFAULT> {
    /// The number.
    pub(crate) fn get(self) -> usize {
        self.0.into()
    }
}

impl<const LEAST: u16, const MOST: u16, const DEFAULT: u16> Default for WholeNumber<LEAST, MOST, DEFAULT> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<const LEAST: u16, const MOST: u16, const DEFAULT: u16> TryFrom<String> for WholeNumber<LEAST, MOST, DEFAULT> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // `parse` takes a sign.
        let number = text.parse().ok().filter(|number| (LEAST..=MOST).contains(number) && !text.starts_with('+'));
        number.map(Self).ok_or_else(|| format!("must be a whole number from {LEAST} to {MOST}"))
    }
}

impl<const LEAST: u16, const MOST: u16, const DEFAULT: u16> PartialSchema for WholeNumber<LEAST, MOST, DEFAULT> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(LEAST))
            .maximum(Some(MOST))
            .default(Some(json!(DEFAULT)))
            .into()
    }
}

impl<const LEAST: u16, const MOST: u16, const DEFAULT: u16> ToSchema for WholeNumber<LEAST, MOST, DEFAULT> {}

/// For a cursor that is not one of ours.
pub(crate) fn bad_cursor() -> Problem {
    Problem::bad_request("the query parameter `cursor` is not one that this API gave out")
}

/// The same of a body.
pub(crate) fn bad_cursor_in_body() -> Problem {
    Problem::bad_request("`cursor` is not one that this API gave out")
}

/// A body as a JSON object of this `form`; none if it is empty, or `null`.
pub(crate) async fn read_optional_json<T: DeserializeOwned>(body: Body, form: &str) -> Result<Option<T>, Problem> {
    let body = read_body(body).await?;
    if matches!(body.trim_ascii(), b"" | b"null") { Ok(None) } else { parse_json(&body, form).map(Some) }
}

/// A body as a JSON object of this `form`.
pub(crate) async fn read_json<T: DeserializeOwned>(body: Body, form: &str) -> Result<T, Problem> {
    parse_json(&read_body(body).await?, form)
}

async fn read_body(body: Body) -> Result<Bytes, Problem> {
    to_bytes(body, LARGEST_BODY).await.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {LARGEST_BODY} bytes, or could not be read to its end"),
        )
    })
}

fn parse_json<T: DeserializeOwned>(body: &[u8], form: &str) -> Result<T, Problem> {
    let bad = |error: &dyn Display| Problem::bad_request(format!("the body must be {form}: {error}"));
    // To serde, a list of values is an object too.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(bad(&"it is no object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| bad(&error))?;
    json.end().map_err(|error| bad(&error))?;
    Ok(read)
}
