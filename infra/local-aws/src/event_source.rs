use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use lambda::{QueueHandler, handle_messages};
use store::Clock;
use tokio::task::JoinSet;

use crate::invocation::invoke;
use crate::sqs::{LocalSqs, ReceivedMessage};
use crate::template::QueueTrigger;

/// An event source mapping: receives messages, invokes the function, deletes the messages that succeeded. As many
/// invocations at a time as the template says; when one ends, the next begins.
pub(crate) struct EventSource {
    pub(crate) trigger: QueueTrigger,
    pub(crate) queues: LocalSqs,
    pub(crate) clock: Clock,
    pub(crate) timeout: Duration,
    pub(crate) handler: Arc<dyn QueueHandler>,
}

impl EventSource {
    /// Runs until it is dropped, and its invocations with it.
    pub(crate) async fn run(self) {
        let source = Arc::new(self);
        let mut invocations = JoinSet::new();
        loop {
            // Receives only if there is a free place: messages wait in the queue, in its fair order.
            while invocations.len() >= source.trigger.concurrency {
                invocations.join_next().await;
            }
            let messages = source.receive().await;
            let source = source.clone();
            invocations.spawn(async move { source.work_on(&messages).await });
            while invocations.try_join_next().is_some() {}
        }
    }

    async fn work_on(&self, messages: &[ReceivedMessage]) {
        let failed = self.invoke(messages).await;
        // A message that failed becomes visible again after its visibility timeout.
        for message in messages.iter().filter(|message| !failed.contains(&message.message_id)) {
            self.queues.delete(&self.trigger.queue, message);
        }
    }

    /// Receives a batch: the messages that are there, and those that arrive during the batching window.
    async fn receive(&self) -> Vec<ReceivedMessage> {
        let mut messages = Vec::new();
        let mut until = None;
        loop {
            let arrival = self.queues.arrival();
            messages.extend(self.queues.receive(&self.trigger.queue, self.trigger.batch_size - messages.len()));
            let now = self.clock.now();
            if messages.len() >= self.trigger.batch_size {
                return messages;
            }
            if !messages.is_empty() && now >= *until.get_or_insert(now + self.trigger.window) {
                return messages;
            }
            tokio::select! {
                biased;
                () = arrival => {}
                () = self.clock.sleep_until(until.unwrap_or(jiff::Timestamp::MAX)), if until.is_some() => {}
            }
        }
    }

    /// Returns the ids of the messages that failed.
    async fn invoke(&self, messages: &[ReceivedMessage]) -> HashSet<String> {
        let deadline = self.clock.now() + self.timeout;
        let invocation = handle_messages(&*self.handler, sqs_event(messages), deadline);
        let response = match invoke(invocation, &self.clock, deadline).await {
            Ok(response) => response,
            Err(how) => {
                tracing::error!(messages = messages.len(), "an invocation {how}");
                return messages.iter().map(|message| message.message_id.clone()).collect();
            }
        };
        if !self.trigger.reports_failures {
            return HashSet::new();
        }
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }
}

/// The event that Lambda makes of messages.
pub(crate) fn sqs_event(messages: &[ReceivedMessage]) -> SqsEvent {
    let mut event = SqsEvent::default();
    event.records = messages
        .iter()
        .map(|message| {
            let mut record = SqsMessage::default();
            record.message_id = Some(message.message_id.clone());
            record.body = Some(message.body.clone());
            record
        })
        .collect();
    event
}
