use std::marker::PhantomData;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use model::{ConnectionKey, PlantedFault};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;
use crate::{ChunkKey, Clock, Random, StoreError};

/// SQS's limit for one SendMessageBatch. Our messages have about a hundred bytes, far below its limit of 1 MiB.
const MESSAGES_PER_SEND: usize = 10;
/// How many of those are under way at once.
const SENDS_AT_ONCE: usize = 8;

/// A queue of SQS that messages are sent to. All that stands in one is a hint; the tables know what is to be done.
///
/// Each message has a `MessageGroupId`, which makes the standard queue a *fair* one: if one group has many messages, or
/// slow ones, those of the others come first.
#[derive(Clone, Debug)]
pub struct Queue<M> {
    client: Client,
    url: String,
    clock: Clock,
    random: Random,
    of: PhantomData<fn(M)>,
}

/// The work queue: which chunk to do next.
pub type WorkQueue = Queue<ChunkKey>;
/// The queue of a polling function: which connections to look at.
pub type PollRequests = Queue<PollRequest>;
/// The queue of `push-changes`: which destinations may have changes to get.
pub type PushRequests = Queue<PushRequest>;

/// What stands in a queue, as JSON.
pub trait Message: Serialize + DeserializeOwned + Send + Sync {
    /// The group that has its fair share of the queue.
    fn group(&self) -> String;

    /// The body of the message.
    fn to_message(&self) -> String {
        // Names, numbers and plain words: there is nothing in it that JSON can't say.
        #[allow(clippy::expect_used)]
        serde_json::to_string(self).expect("a message is plain data")
    }

    /// Reads a message's body.
    ///
    /// # Errors
    /// [`StoreError::Document`] if it is not one of ours.
    fn from_message(body: &str) -> Result<Self, StoreError> {
        serde_json::from_str(body)
            .map_err(|error| StoreError::Document { what: "message".to_owned(), problem: error.to_string() })
    }
}

impl Message for ChunkKey {
    fn group(&self) -> String {
        self.connection.to_string()
    }
}

impl Message for PushRequest {
    fn group(&self) -> String {
        self.destination.to_string()
    }
}

impl Message for PollRequest {
    /// Its fair share is that of its only connection, or of a part of the connections.
    fn group(&self) -> String {
        self.connections.first().map_or_else(|| "nothing".to_owned(), ConnectionKey::to_string)
    }
}

/// Asks `push-changes` to look at a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushRequest {
    /// The destination.
    pub destination: ConnectionKey,
}

/// Asks a polling function to look at connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollRequest {
    /// What for.
    pub purpose: PollPurpose,
    /// At which connections.
    pub connections: Vec<ConnectionKey>,
}

/// What a polling function is to look at a connection for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PollPurpose {
    /// To do what is due: ask the source if its time has come, and look after an open batch.
    Due,
    /// To do all that can be done at this moment, whenever the source was asked last.
    Now,
    /// To look after an open batch, and nothing else. A look for this purpose opens no batch, so no chain of messages
    /// leads back to itself: Lambda would stop it.
    Batch,
    /// To look at the source beside the poller: to compare some customers with it, or to hear what it tells while a
    /// batch is open, if the time has come. `verify` in messages, as in those of the release before.
    #[serde(rename = "verify")]
    Look,
}

/// A chunk as a message says it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChunkMessage {
    tenant: String,
    connection: String,
    batch: u64,
    chunk: u32,
}

impl From<ChunkKey> for ChunkMessage {
    fn from(ChunkKey { connection: ConnectionKey { tenant, connection }, batch, chunk }: ChunkKey) -> Self {
        Self { tenant, connection, batch, chunk }
    }
}

impl From<ChunkMessage> for ChunkKey {
    fn from(ChunkMessage { tenant, connection, batch, chunk }: ChunkMessage) -> Self {
        Self { connection: ConnectionKey { tenant, connection }, batch, chunk }
    }
}

impl<M: Message> Queue<M> {
    /// The queue at `url`.
    pub fn new(client: Client, url: impl Into<String>, clock: Clock, random: Random) -> Self {
        Self { client, url: url.into(), clock, random, of: PhantomData }
    }

    /// Sends messages, each with the seconds after which it is to be delivered: up to 900. A send that fails in part is
    /// completed.
    ///
    /// # Errors
    /// If not all were sent before the deadline.
    pub async fn send(&self, messages: Vec<(u32, M)>, deadline: Timestamp) -> Result<(), StoreError> {
        let mut entries: Vec<SendMessageBatchRequestEntry> = Vec::with_capacity(messages.len());
        for (number, (delay, message)) in messages.iter().enumerate() {
            // Two names of at most 40 letters, digits and hyphens, and a slash: a group may have 128.
            let entry = SendMessageBatchRequestEntry::builder()
                .id((number % MESSAGES_PER_SEND).to_string())
                .message_body(message.to_message())
                .set_message_group_id((!PlantedFault::IgnoresTurns.is_planted()).then(|| message.group()));
            let delay = i32::try_from(*delay).ok().filter(|delay| *delay > 0);
            entries.extend(entry.set_delay_seconds(delay).build().ok());
        }
        let pages: Vec<_> = entries.chunks(MESSAGES_PER_SEND).map(<[_]>::to_vec).collect();
        stream::iter(pages)
            .map(|page| self.send_page(page, deadline))
            .buffer_unordered(SENDS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn send_page(
        &self,
        mut left: Vec<SendMessageBatchRequestEntry>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let mut backoff = Backoff::until(&self.clock, &self.random, deadline);
        loop {
            let send = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(left.clone()));
            let answer = send.send().await.map_err(|error| StoreError::aws("SendMessageBatch", error))?;
            left.retain(|entry| !answer.successful().iter().any(|sent| sent.id() == entry.id()));
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

    #[test]
    fn a_poll_request_names_its_purpose_and_its_connections() {
        let connections = vec![ConnectionKey::new("acme", "aa"), ConnectionKey::new("other", "bc")];
        let request = PollRequest { purpose: PollPurpose::Due, connections };
        assert_eq!(request.to_message(), r#"{"purpose":"due","connections":["acme/aa","other/bc"]}"#);
        assert_eq!(PollRequest::from_message(&request.to_message()).unwrap(), request);
        assert!(PollRequest::from_message(r#"{"purpose":"due","connections":["acme"]}"#).is_err());
    }
}
