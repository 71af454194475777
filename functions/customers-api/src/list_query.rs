use std::collections::HashMap;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;

use crate::problem::Problem;

const DEFAULT_LIMIT: usize = 100;
const LARGEST_LIMIT: usize = 500;

/// What a request for a list asks for.
#[derive(Debug)]
pub(crate) struct ListQuery {
    /// The connection that is listed.
    pub(crate) connection: String,
    /// How many rows at most.
    pub(crate) limit: usize,
    /// Where the page begins, as the page before said.
    pub(crate) cursor: Option<String>,
}

impl ListQuery {
    /// Reads the parameters of a request.
    pub(crate) fn read(parameters: Result<Query<HashMap<String, String>>, QueryRejection>) -> Result<Self, Problem> {
        let Query(mut parameters) =
            parameters.map_err(|_| Problem::bad_request("the query parameters can't be read"))?;
        let connection = parameters
            .remove("connection")
            .ok_or_else(|| Problem::bad_request("the query parameter `connection` is missing"))?;
        let limit = match parameters.remove("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => text.parse().ok().filter(|limit| (1..=LARGEST_LIMIT).contains(limit)).ok_or_else(|| {
                Problem::bad_request(format!(
                    "the query parameter `limit` must be a whole number from 1 to {LARGEST_LIMIT}"
                ))
            })?,
        };
        let cursor = parameters.remove("cursor");
        match parameters.keys().min() {
            None => Ok(Self { connection, limit, cursor }),
            Some(unknown) => Err(Problem::bad_request(format!("the query parameter `{unknown}` is not known"))),
        }
    }

    pub(crate) fn bad_cursor() -> Problem {
        Problem::bad_request("the query parameter `cursor` is not one that this API gave out")
    }
}
