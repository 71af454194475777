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

/// A queue of SQS that messages are sent to. All that stands in one is a hint; the tables know what is to be done.
///
/// Each message has a `MessageGroupId`, which makes the standard queue a *fair* one: if one group has many messages, or
/// slow ones, those of the others come first.
#[derive(Clone, Debug)]
struct Queue {
    client: Client,
    url: String,
    clock: Clock,
    random: Random,
}

/// A message to be sent.
#[derive(Clone, Debug)]
struct Outgoing {
    body: String,
    group: String,
    /// In seconds.
    delay: u32,
}

/// The work queue: which chunk to do next. Its groups are the connections.
#[derive(Clone, Debug)]
pub struct WorkQueue(Queue);

/// The queue of a polling function: which connections to look at.
#[derive(Clone, Debug)]
pub struct PollRequests(Queue);

/// The queue of `push-changes`: which destinations may have changes to get.
#[derive(Clone, Debug)]
pub struct PushRequests(Queue);

/// Asks `push-changes` to look at a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushRequest {
    /// The destination.
    #[serde(with = "key")]
    pub destination: ConnectionKey,
}

/// Asks a polling function to look at connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollRequest {
    /// What for.
    pub purpose: PollPurpose,
    /// At which connections.
    #[serde(with = "keys")]
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
    /// To compare some customers with the source, if their time has come.
    Verify,
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

impl PushRequest {
    /// Reads a message's body.
    ///
    /// # Errors
    /// [`StoreError::Document`] if it is not one of ours.
    pub fn from_message(body: &str) -> Result<Self, StoreError> {
        read_message(body)
    }
}

impl PollRequest {
    /// Reads a message's body.
    ///
    /// # Errors
    /// [`StoreError::Document`] if it is not one of ours.
    pub fn from_message(body: &str) -> Result<Self, StoreError> {
        read_message(body)
    }
}

fn read_message<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, StoreError> {
    serde_json::from_str(body)
        .map_err(|error| StoreError::Document { what: "message".to_owned(), problem: error.to_string() })
}

fn write_message(message: &impl Serialize) -> String {
    // Names and plain words: there is nothing in it that JSON can't say.
    #[allow(clippy::expect_used)]
    serde_json::to_string(message).expect("a message is plain data")
}

impl WorkQueue {
    /// The queue at `url`.
    pub fn new(client: Client, url: impl Into<String>, clock: Clock, random: Random) -> Self {
        Self(Queue { client, url: url.into(), clock, random })
    }

    /// Sends chunks to the workers. A send that fails in part is completed.
    ///
    /// # Errors
    /// If not all were sent before the deadline.
    pub async fn send(&self, chunks: Vec<ChunkKey>, deadline: Timestamp) -> Result<(), StoreError> {
        let message =
            |chunk: &ChunkKey| Outgoing { body: chunk.to_message(), group: chunk.connection.to_string(), delay: 0 };
        self.0.send(chunks.iter().map(message).collect(), deadline).await
    }
}

impl PollRequests {
    /// The queue at `url`.
    pub fn new(client: Client, url: impl Into<String>, clock: Clock, random: Random) -> Self {
        Self(Queue { client, url: url.into(), clock, random })
    }

    /// Sends requests, each with the seconds after which it is to be delivered: up to 900. A send that fails in part is
    /// completed.
    ///
    /// # Errors
    /// If not all were sent before the deadline.
    pub async fn send(&self, requests: Vec<(u32, PollRequest)>, deadline: Timestamp) -> Result<(), StoreError> {
        let message = |(delay, request): &(u32, PollRequest)| Outgoing {
            body: write_message(request),
            // Its fair share is that of its only connection, or of a part of the connections.
            group: request.connections.first().map_or_else(|| "nothing".to_owned(), ConnectionKey::to_string),
            delay: *delay,
        };
        self.0.send(requests.iter().map(message).collect(), deadline).await
    }
}

impl PushRequests {
    /// The queue at `url`.
    pub fn new(client: Client, url: impl Into<String>, clock: Clock, random: Random) -> Self {
        Self(Queue { client, url: url.into(), clock, random })
    }

    /// Sends requests, each with the seconds after which it is to be delivered: up to 900. A send that fails in part is
    /// completed.
    ///
    /// # Errors
    /// If not all were sent before the deadline.
    pub async fn send(&self, requests: Vec<(u32, PushRequest)>, deadline: Timestamp) -> Result<(), StoreError> {
        let message = |(delay, request): &(u32, PushRequest)| Outgoing {
            body: write_message(request),
            group: request.destination.to_string(),
            delay: *delay,
        };
        self.0.send(requests.iter().map(message).collect(), deadline).await
    }
}

impl Queue {
    async fn send(&self, messages: Vec<Outgoing>, deadline: Timestamp) -> Result<(), StoreError> {
        let pages: Vec<Vec<Outgoing>> = messages.chunks(MESSAGES_PER_SEND).map(<[Outgoing]>::to_vec).collect();
        stream::iter(pages)
            .map(|page| self.send_page(page, deadline))
            .buffer_unordered(SENDS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn send_page(&self, messages: Vec<Outgoing>, deadline: Timestamp) -> Result<(), StoreError> {
        let mut left: Vec<(String, Outgoing)> = (0..).map(|number: u32| number.to_string()).zip(messages).collect();
        let mut backoff = Backoff::until(&self.clock, &self.random, deadline);
        loop {
            let entries = left.iter().filter_map(|(id, message)| {
                // Tenant and connection have at most 40 letters, digits and hyphens each: a group may have 128, and a
                // slash.
                let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(&message.body);
                let entry = entry.message_group_id(&message.group);
                let delay = i32::try_from(message.delay).ok().filter(|delay| *delay > 0);
                entry.set_delay_seconds(delay).build().ok()
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

/// A key as `tenant/name`.
mod key {
    use model::ConnectionKey;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(key: &ConnectionKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(key)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ConnectionKey, D::Error> {
        let text = String::deserialize(deserializer)?;
        let key = text.split_once('/').map(|(tenant, name)| ConnectionKey::new(tenant, name));
        key.ok_or_else(|| D::Error::custom("a key is not of the form tenant/name"))
    }
}

/// Connections as `tenant/connection`.
mod keys {
    use model::ConnectionKey;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(keys: &[ConnectionKey], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(keys.iter().map(ConnectionKey::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ConnectionKey>, D::Error> {
        let key = |text: &String| text.split_once('/').map(|(tenant, name)| ConnectionKey::new(tenant, name));
        let texts: Vec<String> = Vec::deserialize(deserializer)?;
        let keys: Option<Vec<_>> = texts.iter().map(key).collect();
        keys.ok_or_else(|| D::Error::custom("a connection is not of the form tenant/connection"))
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
        assert_eq!(write_message(&request), r#"{"purpose":"due","connections":["acme/aa","other/bc"]}"#);
        assert_eq!(PollRequest::from_message(&write_message(&request)).unwrap(), request);
        assert!(PollRequest::from_message(r#"{"purpose":"due","connections":["acme"]}"#).is_err());
    }
}
