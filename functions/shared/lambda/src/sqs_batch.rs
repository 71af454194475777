use std::future::Future;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use futures::FutureExt;
use futures::future::join_all;
use tracing::Instrument;

/// Works on the messages of one SQS event side by side, and reports those that failed, so that SQS keeps just them.
///
/// A panic costs its own message, not the others.
pub(crate) async fn process_batch<F, E>(event: SqsEvent, work: impl Fn(String) -> F) -> SqsBatchResponse
where
    F: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let outcomes = event.records.into_iter().map(|record| {
        let message_id = record.message_id.unwrap_or_default();
        let span = tracing::error_span!("message", correlation_id = message_id);
        let future = AssertUnwindSafe(work(record.body.unwrap_or_default()).instrument(span)).catch_unwind();
        async move {
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

#[cfg(test)]
mod tests {
    use aws_lambda_events::event::sqs::SqsMessage;

    use super::*;

    /// Invariant 4: one message costs one message.
    #[tokio::test]
    async fn a_message_that_fails_or_causes_a_panic_costs_none_of_the_others() {
        let mut event = SqsEvent::default();
        event.records = ["good", "bad", "panic", "good"]
            .iter()
            .enumerate()
            .map(|(number, body)| {
                let mut record = SqsMessage::default();
                (record.message_id, record.body) = (Some(number.to_string()), Some((*body).to_owned()));
                record
            })
            .collect();
        let work = |body: String| async move {
            match body.as_str() {
                "good" => Ok(()),
                "bad" => Err("it can't be read"),
                _ => panic!("a defect"),
            }
        };
        let response = process_batch(event, work).await;
        let failed: Vec<_> = response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
        assert_eq!(failed, ["1", "2"]);
    }
}
