use std::future::Future;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use futures::FutureExt;
use futures::future::join_all;

/// Works on the messages of one SQS event side by side, and reports those that failed, so that SQS keeps just them.
///
/// A panic costs its own message, not the others.
pub async fn each_message<F, E>(event: SqsEvent, work: impl Fn(String) -> F) -> SqsBatchResponse
where
    F: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let outcomes = event.records.into_iter().map(|record| {
        let future = AssertUnwindSafe(work(record.body.unwrap_or_default())).catch_unwind();
        async move {
            let message_id = record.message_id.unwrap_or_default();
            match future.await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => {
                    tracing::warn!(message_id, %error, "a message failed and will be delivered again");
                    Some(message_id)
                }
                // The panic's own text may quote the data that caused it.
                Err(_) => {
                    tracing::error!(message_id, "a message caused a panic");
                    Some(message_id)
                }
            }
        }
    });
    let failed = join_all(outcomes).await.into_iter().flatten().map(|message_id| {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = message_id;
        failure
    });
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failed.collect();
    response
}
