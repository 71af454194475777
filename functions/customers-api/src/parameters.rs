use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use crate::problem::Problem;

/// The parameters of a query, each once. A route takes those that it knows; any other is an error.
#[derive(Debug)]
pub(crate) struct Parameters(BTreeMap<String, String>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) else {
            return Err(Problem::bad_request("the query parameters can't be read"));
        };
        let mut parameters = BTreeMap::new();
        for (name, value) in pairs {
            if parameters.contains_key(&name) {
                return Err(Problem::bad_request(format!("the query parameter `{name}` is there twice")));
            }
            parameters.insert(name, value);
        }
        Ok(Self(parameters))
    }
}

impl Parameters {
    /// The value of a parameter, if it is there.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// The value of a parameter that must be there.
    pub(crate) fn required(&mut self, name: &str) -> Result<String, Problem> {
        self.take(name).ok_or_else(|| Problem::bad_request(format!("the query parameter `{name}` is missing")))
    }

    /// The value of a parameter that is a number in `range`.
    pub(crate) fn number(
        &mut self,
        name: &str,
        default: usize,
        range: RangeInclusive<usize>,
    ) -> Result<usize, Problem> {
        let Some(text) = self.take(name) else { return Ok(default) };
        // `parse` takes a sign.
        let number = text.parse().ok().filter(|number| range.contains(number) && !text.starts_with('+'));
        number.ok_or_else(|| {
            let (least, most) = range.into_inner();
            Problem::bad_request(format!("the query parameter `{name}` must be a whole number from {least} to {most}"))
        })
    }

    /// How many rows an answer may have.
    pub(crate) fn limit(&mut self) -> Result<usize, Problem> {
        self.number("limit", 100, 1..=500)
    }

    /// Refuses what was not taken.
    pub(crate) fn no_others(self) -> Result<(), Problem> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(unknown) => Err(Problem::bad_request(format!("the query parameter `{unknown}` is not known"))),
        }
    }
}

/// For a cursor that is not one of ours.
pub(crate) fn bad_cursor() -> Problem {
    Problem::bad_request("the query parameter `cursor` is not one that this API gave out")
}
