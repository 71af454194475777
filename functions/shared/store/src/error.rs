use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use thiserror::Error;

/// The error codes of DynamoDB if more is asked of it than it takes at this moment.
const BUSY: [&str; 5] = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    // A transaction holds the item for some milliseconds.
    "TransactionConflictException",
    // The same transaction is being carried out: its first answer was lost.
    "TransactionInProgressException",
];

/// Whether an error's code says that the same request may succeed a moment later.
pub(crate) fn is_busy(code: &str) -> bool {
    BUSY.contains(&code)
}

/// The store did not do what it was asked to.
#[derive(Debug, Error)]
pub enum StoreError {
    /// AWS answered with an error, or not at all.
    #[error("{operation}: {problem}")]
    Aws {
        /// The operation of the service's API.
        operation: &'static str,
        /// The service's error code and, if it can't hold personal data, its message.
        problem: String,
    },
    /// AWS takes no more at this moment, or a transaction holds the item.
    #[error("{operation}: throttled")]
    Throttled {
        /// The operation of the service's API.
        operation: &'static str,
    },
    /// Not everything could be done before the deadline.
    #[error("{operation}: the deadline came first")]
    Deadline {
        /// The operation of the service's API.
        operation: &'static str,
    },
    /// An item is not as customer-sync writes it.
    #[error("item {key}: attribute `{attribute}` is missing or not of its type")]
    Corrupt {
        /// The item's key.
        key: String,
        /// The attribute.
        attribute: &'static str,
    },
    /// A document that can't be read or written as JSON.
    #[error("{what}: {problem}")]
    Document {
        /// Which document.
        what: String,
        /// The place in it, and the reason.
        problem: String,
    },
    /// Another process moved the batch on.
    #[error("batch {number} of {connection} was moved on by another process")]
    MovedOn {
        /// The connection.
        connection: String,
        /// The batch's number.
        number: u64,
    },
}

impl StoreError {
    /// The error that the SDK reports for a failed `operation`.
    pub(crate) fn aws<E, R>(operation: &'static str, error: SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let problem = match &error {
            SdkError::ServiceError(service) => {
                let code = service.err().code().unwrap_or("unknown error");
                if is_busy(code) {
                    return Self::Throttled { operation };
                }
                // A validation message may quote what was sent.
                match service.err().message() {
                    Some(message) if code != "ValidationException" => format!("{code}: {message}"),
                    _ => code.to_owned(),
                }
            }
            SdkError::TimeoutError(_) => "timed out".to_owned(),
            SdkError::DispatchFailure(_) => "the service could not be reached".to_owned(),
            _ => "the request or its answer was not understood".to_owned(),
        };
        Self::Aws { operation, problem }
    }
}
