use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::ContentHash;

/// Adds the tag of what an answer holds, or answers that the caller has that already.
pub(crate) fn tagged(request: &HeaderMap, content: &str, response: Response) -> Response {
    let hash = ContentHash::of(content);
    let digits: String = hash.as_bytes().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    // Weak: what is compressed on its way is the same, and so is what is as fresh as another time.
    let tag = format!("W/\"{digits}\"");
    let mut response = match is_known(request, &digits) {
        true => {
            let (parts, _) = response.into_parts();
            let mut known = StatusCode::NOT_MODIFIED.into_response();
            *known.headers_mut() = parts.headers;
            known.headers_mut().remove(header::CONTENT_TYPE);
            known.headers_mut().remove(header::CONTENT_LENGTH);
            known
        }
        false => response,
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Whether `If-None-Match` names this tag.
fn is_known(request: &HeaderMap, digits: &str) -> bool {
    let fields = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|field| field.to_str().ok());
    fields
        .flat_map(|field| field.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"') == digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(known: &[&str]) -> (StatusCode, Option<HeaderValue>) {
        let mut request = HeaderMap::new();
        for tag in known {
            request.append(header::IF_NONE_MATCH, tag.parse().unwrap());
        }
        let response = tagged(&request, "content", "content".into_response());
        (response.status(), response.headers().get(header::CONTENT_TYPE).cloned())
    }

    #[test]
    fn who_has_the_content_already_is_told_so() {
        let tagged = tagged(&HeaderMap::new(), "content", "content".into_response());
        let tag = tagged.headers()[header::ETAG].to_str().unwrap();
        assert!(tag.starts_with("W/\"") && tag.ends_with('"') && tag.len() == 28, "{tag}");
        let strong = tag.trim_start_matches("W/");
        for known in [&[tag][..], &[strong], &["*"], &[&format!("\"other\", {tag}")], &["\"other\"", tag]] {
            assert_eq!(status(known), (StatusCode::NOT_MODIFIED, None), "{known:?}");
        }
        for known in [&[][..], &["\"other\""], &["W/\"\""]] {
            assert_eq!(status(known).0, StatusCode::OK, "{known:?}");
        }
    }
}
