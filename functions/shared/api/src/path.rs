//! Paths as API Gateway delivers them: decoded, as if they were not.

use lambda_http::RequestExt;
use lambda_http::http::Extensions;

/// Whether a value is what stood in the path behind `prefix`.
///
/// API Gateway decodes the path, and what reads it then takes `#` and `?` for the ends of the path, and decodes it once
/// more: so a value may have become another. Without API Gateway there is no such path, and the value is as it was
/// sent.
pub fn is_as_sent(extensions: &Extensions, prefix: &str, value: &str) -> bool {
    match extensions.raw_http_path() {
        "" => true,
        path => path.split_once(prefix).is_some_and(|(_, sent)| sent == value),
    }
}
