//! Every answer is JSON: who takes none is told so before anything is done.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::problem::Problem;

/// The ranges that answers are in, from the widest on.
const RANGES: [&str; 3] = ["*/*", "application/*", "application/json"];

/// Refuses a request whose `Accept` rules JSON out.
pub(crate) async fn takes_json(request: Request, next: Next) -> Result<Response, Problem> {
    if accepts_json(request.headers()) {
        return Ok(next.run(request).await);
    }
    Err(Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        "answers are `application/json`, which the request's `Accept` rules out",
    ))
}

/// Of the ranges that JSON is in, the narrowest counts (RFC 9110, 12.5.1).
fn accepts_json(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(header::ACCEPT).iter().filter_map(|field| field.to_str().ok());
    let ranges = fields.flat_map(|field| field.split(',')).map(str::trim).filter(|range| !range.is_empty());
    let mut is_given = false;
    let mut narrowest: Option<(usize, bool)> = None;
    for range in ranges {
        is_given = true;
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let Some(width) = RANGES.iter().position(|known| known.eq_ignore_ascii_case(name)) else { continue };
        let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let is_taken = quality.is_none_or(|quality| quality.trim().parse::<f32>().is_ok_and(|quality| quality > 0.0));
        if narrowest.is_none_or(|(known, _)| width >= known) {
            narrowest = Some((width, is_taken));
        }
    }
    !is_given || narrowest.is_some_and(|(_, is_taken)| is_taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(fields: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::ACCEPT, field.parse().unwrap());
        }
        accepts_json(&headers)
    }

    #[test]
    fn json_is_accepted_unless_it_is_ruled_out() {
        for fields in [
            &[][..],
            &[""],
            &["*/*"],
            &["application/json"],
            &["Application/JSON; charset=utf-8"],
            &["text/html, application/*;q=0.1"],
            &["text/html", "application/json"],
            &["*/*;q=0, application/json"],
        ] {
            assert!(accepted(fields), "{fields:?}");
        }
        for fields in [
            &["text/html"][..],
            &["application/xml, text/*"],
            &["application/json;q=0, */*"],
            &["*/*; q=0.000"],
            &["json"],
        ] {
            assert!(!accepted(fields), "{fields:?}");
        }
    }
}
