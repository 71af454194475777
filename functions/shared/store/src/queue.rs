use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use model::ConnectionKey;
use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;
use crate::{ChunkKey, Clock, Random, StoreError};

/// SQS's limit for one SendMessageBatch. Our messages have about a hundred bytes, far below its limit of 1 MiB.
const MESSAGES_PER_SEND: usize = 10;
/// How many of those are under way at once.
const SENDS_AT_ONCE: usize = 8;

/// The work queue on SQS: which chunk to do next. Only a hint; the ledger knows what is to be done.
///
/// Each message names its connection as `MessageGroupId`, which makes the standard queue a *fair* one: if one
/// connection has many messages, or slow ones, those of the others come first.
#[derive(Clone, Debug)]
pub struct WorkQueue {
    client: Client,
    url: String,
    clock: Clock,
    random: Random,
}

/// The body of a message.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChunkMessage {
    tenant: String,
    connection: String,
    batch: u64,
    chunk: u32,
}

impl ChunkKey {
    /// The body of the message that sends this chunk to a worker.
    pub fn to_message(&self) -> String {
        let message = ChunkMessage {
            tenant: self.connection.tenant.clone(),
            connection: self.connection.connection.clone(),
            batch: self.batch,
            chunk: self.chunk,
        };
        // Plain fields only: there is nothing in it that JSON can't say.
        #[allow(clippy::expect_used)]
        serde_json::to_string(&message).expect("a chunk message is plain data")
    }

    /// Reads a message's body.
    ///
    /// # Errors
    /// [`StoreError::Document`] if it is not one of ours.
    pub fn from_message(body: &str) -> Result<Self, StoreError> {
        let message: ChunkMessage = serde_json::from_str(body)
            .map_err(|error| StoreError::Document { what: "message".to_owned(), problem: error.to_string() })?;
        Ok(Self {
            connection: ConnectionKey::new(message.tenant, message.connection),
            batch: message.batch,
            chunk: message.chunk,
        })
    }
}

impl WorkQueue {
    /// The queue at `url`.
    pub fn new(client: Client, url: impl Into<String>, clock: Clock, random: Random) -> Self {
        Self { client, url: url.into(), clock, random }
    }

    /// Sends chunks to the workers. A send that fails in part is completed.
    ///
    /// # Errors
    /// If not all were sent before the deadline.
    pub async fn send(&self, chunks: Vec<ChunkKey>, deadline: Timestamp) -> Result<(), StoreError> {
        let pages: Vec<Vec<ChunkKey>> = chunks.chunks(MESSAGES_PER_SEND).map(<[ChunkKey]>::to_vec).collect();
        stream::iter(pages)
            .map(|page| self.send_page(page, deadline))
            .buffer_unordered(SENDS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn send_page(&self, chunks: Vec<ChunkKey>, deadline: Timestamp) -> Result<(), StoreError> {
        let mut left: Vec<(String, ChunkKey)> = (0..).map(|number: u32| number.to_string()).zip(chunks).collect();
        let mut backoff = Backoff::until(&self.clock, &self.random, deadline);
        loop {
            let entries = left.iter().filter_map(|(id, chunk)| {
                // Tenant and connection have at most 40 letters, digits and hyphens each: a group may have 128, and a
                // slash.
                let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(chunk.to_message());
                entry.message_group_id(chunk.connection.to_string()).build().ok()
            });
            let answer = self
                .client
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries.collect()))
                .send()
                .await
                .map_err(|error| StoreError::aws("SendMessageBatch", error))?;
            left.retain(|(id, _)| !answer.successful().iter().any(|sent| sent.id() == id));
            if left.is_empty() {
                return Ok(());
            }
            if !backoff.wait().await {
                return Err(StoreError::Deadline { operation: "SendMessageBatch" });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_which_chunk_and_nothing_else() {
        let key = ChunkKey { connection: ConnectionKey::new("acme", "aa"), batch: 7, chunk: 42 };
        assert_eq!(key.to_message(), r#"{"tenant":"acme","connection":"aa","batch":7,"chunk":42}"#);
        assert_eq!(ChunkKey::from_message(&key.to_message()).unwrap(), key);
    }

    #[test]
    fn a_message_that_is_not_ours_is_an_error() {
        for body in ["", "{}", r#"{"tenant":"acme","connection":"aa","batch":-7,"chunk":42}"#] {
            assert!(ChunkKey::from_message(body).is_err(), "{body}");
        }
    }
}
