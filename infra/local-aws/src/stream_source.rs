use std::sync::Arc;
use std::time::Duration;

use lambda::StreamHandler;
use store::Clock;

use crate::dynamodb::{EmbeddedDynamoDb, StreamBatch};
use crate::invocation::invoke;
use crate::template::StreamTrigger;

/// How long to wait before records that could not be taken are delivered again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An event source mapping on one shard of a stream: invokes the function with records in their order, one batch at a
/// time. A batch that fails is delivered again, in halves, until it is taken.
pub(crate) struct StreamSource {
    pub(crate) trigger: StreamTrigger,
    pub(crate) journal: String,
    pub(crate) database: EmbeddedDynamoDb,
    pub(crate) clock: Clock,
    pub(crate) timeout: Duration,
    pub(crate) handler: Arc<dyn StreamHandler>,
}

impl StreamSource {
    /// Runs until it is dropped, and its invocation with it.
    pub(crate) async fn run(self) {
        loop {
            let arrival = self.database.stream_arrival();
            let now = self.clock.now();
            let deadline = now + self.timeout;
            match self.database.stream_batch(&self.journal, self.trigger.batch_size, now, deadline).await {
                Some(batch) => {
                    let is_done = self.invoke(&batch, deadline).await;
                    self.database.stream_batch_ended(batch, is_done).await;
                    if !is_done {
                        self.clock.sleep(RETRY_AFTER).await;
                    }
                }
                None => {
                    tokio::select! {
                        biased;
                        () = arrival => self.clock.sleep(self.trigger.window).await,
                        // Another process had the shard, and died; or it has written.
                        () = self.clock.sleep(self.database.stream_look_every().unwrap_or(self.timeout)) => {}
                    }
                }
            }
        }
    }

    /// Whether the records were taken.
    async fn invoke(&self, batch: &StreamBatch, deadline: jiff::Timestamp) -> bool {
        let changes = batch.changes.len();
        match invoke(self.handler.take(&batch.changes, deadline), &self.clock, deadline).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => tracing::warn!(changes, %error, "changes were not taken and will be delivered again"),
            Err(how) => tracing::error!(changes, "an invocation {how}"),
        }
        false
    }
}
