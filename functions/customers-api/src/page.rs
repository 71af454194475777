//! The status page: one document without anything from elsewhere. It holds no data; the API's routes give it those that
//! the token opens.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

const DOCUMENT: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

static PAGE: LazyLock<String> = LazyLock::new(|| DOCUMENT.replace("{style}", STYLE).replace("{script}", SCRIPT));

/// Only our own script and style run, and they talk to this API alone.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'",
        digest(SCRIPT),
        digest(STYLE)
    )
});

/// `GET /`: needs no token.
pub(crate) async fn page() -> Response {
    let mut headers = HeaderMap::new();
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    (headers, Html(PAGE.as_str())).into_response()
}

fn digest(text: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_one_document_of_less_than_a_hundred_kilobytes() {
        assert!(PAGE.len() < 100_000, "{} bytes", PAGE.len());
        assert!(!PAGE.contains("{style}") && !PAGE.contains("{script}"));
        for text in ["http://", "https://", "//cdn", "src=", "@import", "url("] {
            let found = PAGE.replace("http://www.w3.org/2000/svg", "");
            assert!(!found.contains(text), "{text}");
        }
    }

    #[test]
    fn what_the_policy_allows_is_what_stands_in_the_page() {
        let between = |begin: &str, end: &str| {
            let (_, rest) = PAGE.split_once(begin).unwrap();
            digest(rest.split_once(end).unwrap().0)
        };
        assert!(POLICY.contains(&format!("script-src 'sha256-{}'", between("<script>", "</script>"))));
        assert!(POLICY.contains(&format!("style-src 'sha256-{}'", between("<style>", "</style>"))));
        assert!(!POLICY.contains("unsafe"));
    }

    #[test]
    fn the_script_keeps_nothing_and_writes_no_markup() {
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "localStorage"] {
            assert!(!SCRIPT.contains(forbidden), "{forbidden}");
        }
        for forbidden in ["sessionStorage", "document.cookie", "indexedDB", "eval(", "</script"] {
            assert!(!SCRIPT.contains(forbidden), "{forbidden}");
        }
        assert!(!STYLE.contains("</style"));
    }
}
