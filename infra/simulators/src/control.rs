//! The control surface of a simulator, under `/_simulator/`: reading a command, and saying what is wrong with it.

use std::{collections::HashMap, fmt::Display, str::FromStr};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What can be controlled from another process.
pub trait Controlled: Clone + Send + Sync + 'static {
    /// Does what a `POST` of this name asks for. Answers that it is done, if there is nothing else to say.
    fn command(&self, name: &str, parameters: &Parameters) -> Result<Value, BadRequest>;

    /// What a `GET` of this name shows.
    fn look(&self, name: &str, parameters: &Parameters) -> Result<Value, BadRequest>;
}

pub(crate) fn router<C: Controlled>(controlled: C) -> Router {
    Router::new().route("/_simulator/{name}", get(look::<C>).post(command::<C>)).with_state(controlled)
}

async fn command<C: Controlled>(
    State(controlled): State<C>,
    Path(name): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, BadRequest> {
    controlled.command(&name, &parameters).map(Json)
}

async fn look<C: Controlled>(
    State(controlled): State<C>,
    Path(name): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, BadRequest> {
    controlled.look(&name, &parameters).map(Json)
}

pub(crate) fn done() -> Value {
    json!({ "done": true })
}

/// The request makes no sense, and why.
pub type BadRequest = (StatusCode, String);

pub(crate) fn bad_request(message: impl Display) -> BadRequest {
    (StatusCode::BAD_REQUEST, format!("{message}\n"))
}

/// The parameter has an unknown value.
pub(crate) fn not_known(name: &str, value: &str) -> BadRequest {
    bad_request(format_args!("{name}: \"{value}\" is not known"))
}

pub(crate) fn no_command(name: &str) -> BadRequest {
    (StatusCode::NOT_FOUND, format!("there is no command {name}\n"))
}

/// The parameters of a request.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Parameters(HashMap<String, String>);

impl Parameters {
    pub(crate) fn text_if_given(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str, BadRequest> {
        self.text_if_given(name).ok_or_else(|| bad_request(format_args!("the parameter {name} is missing")))
    }

    pub(crate) fn number_if_given<T: FromStr>(&self, name: &str) -> Result<Option<T>, BadRequest> {
        self.text_if_given(name).map(|text| parsed(name, text)).transpose()
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<T, BadRequest> {
        parsed(name, self.text(name)?)
    }

    /// Separated by commas.
    pub(crate) fn numbers(&self, name: &str) -> Result<Vec<u64>, BadRequest> {
        self.text(name)?.split(',').map(|number| parsed(name, number.trim())).collect()
    }

    /// An HTTP status and how long to stay away.
    pub(crate) fn status_and_seconds(&self, name: &str) -> Result<(u16, u32), BadRequest> {
        let Some((status, seconds)) = self.text(name)?.split_once(':') else {
            return Err(bad_request(format_args!("{name}: status:seconds is expected, such as 503:30")));
        };
        Ok((parsed(name, status)?, parsed(name, seconds)?))
    }
}

fn parsed<T: FromStr>(name: &str, text: &str) -> Result<T, BadRequest> {
    text.parse().map_err(|_| bad_request(format_args!("{name}: \"{text}\" is not a number that fits")))
}
