use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use store::{StoreError, UpsertError};
use uuid::Builder;
use wire::connector::{self as documents, PushError, Reason};

use crate::ConnectorApi;

/// Why a request is not carried out. The message names elements and parameters, and never repeats their values.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    reason: Reason,
    message: String,
    /// What the log says beyond the message: the caller can only try again.
    cause: Option<String>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, reason: Reason, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into(), cause: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Reason::Validation, message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Reason::Validation, message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, Reason::Validation, "there is no such record")
    }

    /// The sender is to keep the record and push it again.
    pub(crate) fn paused() -> Self {
        let message = "the connection is paused: nothing is lost if the request is sent again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Reason::Database, message)
    }

    fn store_failed(cause: &dyn std::error::Error) -> Self {
        let message = "the store failed: nothing is lost if the request is sent again";
        Self { cause: Some(cause.to_string()), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, Reason::Database, message) }
    }

    pub(crate) fn unauthorized() -> Self {
        let message = "the request needs `Authorization: Basic` or `Authorization: Bearer` with valid credentials";
        Self::new(StatusCode::UNAUTHORIZED, Reason::Validation, message)
    }

    /// The same answer for everything that these credentials do not open, whether it exists or not.
    pub(crate) fn forbidden() -> Self {
        let message = "the credentials are not for this provider, client and club";
        Self::new(StatusCode::FORBIDDEN, Reason::Validation, message)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::store_failed(&error)
    }
}

impl From<UpsertError> for ApiError {
    fn from(error: UpsertError) -> Self {
        match error {
            UpsertError::TooLarge { .. } => Self::too_large(error.to_string()),
            UpsertError::Unreadable { .. } | UpsertError::Store(_) => Self::store_failed(&error),
        }
    }
}

/// For an invalid document of a sender that may push.
impl From<PushError> for ApiError {
    fn from(error: PushError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl ConnectorApi {
    /// What became of a request, in the source's dialect.
    pub(crate) fn answer(&self, outcome: Result<String, ApiError>) -> Response {
        let (status, document) = match outcome {
            Ok(document) => (StatusCode::OK, document),
            Err(ApiError { status, reason, message, cause }) => {
                let error_uuid = Builder::from_random_bytes(self.tables.random.bytes()).into_uuid().to_string();
                tracing::warn!(error_uuid, status = status.as_u16(), cause, "refused a request: {message}");
                (status, documents::error(reason, &error_uuid, &message))
            }
        };
        let mut response = (status, document).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml; charset=utf-8"));
        // Answers hold personal data: no cache keeps them, and no browser takes them for a page.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if status == StatusCode::UNAUTHORIZED {
            let challenges = HeaderValue::from_static("Basic realm=\"connector\", charset=\"UTF-8\", Bearer");
            headers.insert(header::WWW_AUTHENTICATE, challenges);
        }
        response
    }
}
