mod lines;
mod message;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use jiff::Timestamp;
use lambda::timeouts;
use serde::Deserialize;
use serde_json::{Value, json};
use store::Clock;
use tokio::sync::Notify;

use crate::interference::{Answer, Interference};
use crate::sdk::{InProcess, REGION, steady_retries};
use crate::sqs::lines::Lines;
use crate::sqs::message::Message;
use crate::template::Queue;

/// SQS's bounds for one SendMessageBatch.
const MOST_ENTRIES: usize = 10;
const MOST_BYTES: usize = 1024 * 1024;
/// How long SQS delays a message at most, in seconds.
const MOST_DELAY: u32 = 900;

/// Standard queues of SQS in this process. In memory: the ledger is the truth, so no change is lost with them.
///
/// They are fair, like those of SQS: see `sqs::lines`.
#[derive(Clone, Debug)]
pub struct LocalSqs {
    clock: Clock,
    state: Arc<Mutex<State>>,
    arrived: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    queues: HashMap<String, QueueState>,
    next_id: u64,
    /// How many entries of the next sends fail, for a test of sends that fail in part.
    failing_entries: u32,
    /// What becomes of the next messages of a queue.
    mishaps: HashMap<String, VecDeque<Mishap>>,
    /// How many messages met which mishap, or another trouble.
    met: BTreeMap<&'static str, u64>,
}

/// What becomes of a message, although its sender hears that it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It never arrives.
    Lost,
    /// It arrives twice, the second time so much later.
    Doubled(Duration),
    /// It arrives so much later.
    Late(Duration),
    /// It arrives so much later, and others that were sent after it before it.
    Overtaken(Duration),
}

impl Mishap {
    fn name(self) -> &'static str {
        match self {
            Self::Lost => "message lost",
            Self::Doubled(_) => "message doubled",
            Self::Late(_) => "message late",
            Self::Overtaken(_) => "message overtaken",
        }
    }
}

#[derive(Debug)]
struct QueueState {
    settings: Queue,
    visible: Lines,
    /// Sent, and not to be delivered before a time: by that time, and by id.
    delayed: BTreeMap<(Timestamp, u64), Message>,
    /// By the time at which they become visible again, and by id.
    in_flight: BTreeMap<(Timestamp, u64), Message>,
}

/// A message in the hands of a receiver, until its visibility timeout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// The message's id.
    pub message_id: String,
    /// Its body.
    pub body: String,
    /// How often it was received, this time included.
    pub receives: u32,
    /// The receipt of this delivery, to delete the message with.
    receipt: (Timestamp, u64),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessageBatch {
    queue_url: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: String,
    message_body: String,
    message_group_id: Option<String>,
    #[serde(default)]
    delay_seconds: u32,
}

impl LocalSqs {
    /// The queues of a template.
    pub fn new(queues: &[Queue], clock: Clock) -> Self {
        let queues = queues.iter().map(|queue| {
            let settings = queue.clone();
            let (visible, delayed, in_flight) = Default::default();
            (queue.name.clone(), QueueState { settings, visible, delayed, in_flight })
        });
        let state = State { queues: queues.collect(), ..State::default() };
        Self { clock, state: Arc::new(Mutex::new(state)), arrived: Arc::default() }
    }

    /// A client of them.
    pub fn client(&self) -> aws_sdk_sqs::Client {
        client(self.in_process())
    }

    /// A client, whose calls meet an interference.
    pub fn client_through(&self, interference: Arc<dyn Interference>) -> aws_sdk_sqs::Client {
        let client = client(self.in_process().through("SQS", interference));
        let config = client.config().to_builder().timeout_config(timeouts()).retry_config(steady_retries());
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    fn in_process(&self) -> InProcess {
        let queues = self.clone();
        InProcess::new(move |operation, body| std::future::ready(queues.answer(&operation, &body)))
    }

    /// Receives up to `most` messages that are visible now; none is not an error.
    pub fn receive(&self, queue: &str, most: usize) -> Vec<ReceivedMessage> {
        let now = self.clock.now();
        let mut state = self.lock();
        let Some(queue) = state.queues.get_mut(queue) else { return Vec::new() };
        let dead = queue.come_back(now);
        let mut received = Vec::new();
        while received.len() < most
            && let Some(mut message) = queue.visible.take()
        {
            message.receives += 1;
            let receipt = (now + queue.settings.visibility_timeout, message.id);
            received.push(ReceivedMessage {
                message_id: message.id.to_string(),
                body: message.body.clone(),
                receives: message.receives,
                receipt,
            });
            queue.in_flight.insert(receipt, message);
        }
        if let Some((dead_letter_queue, _)) = queue.settings.dead_letter.clone()
            && let Some(dead_letter_queue) = state.queues.get_mut(&dead_letter_queue)
        {
            for message in dead {
                dead_letter_queue.visible.add(message);
            }
        }
        received
    }

    /// Deletes a message, if this delivery of it is still the latest.
    pub fn delete(&self, queue: &str, message: &ReceivedMessage) {
        if let Some(queue) = self.lock().queues.get_mut(queue)
            && let Some(message) = queue.in_flight.remove(&message.receipt)
        {
            queue.visible.done(&message);
        }
    }

    /// How many messages a queue holds: visible, delayed or in flight.
    pub fn depth(&self, queue: &str) -> usize {
        self.lock()
            .queues
            .get(queue)
            .map_or(0, |queue| queue.visible.len() + queue.delayed.len() + queue.in_flight.len())
    }

    /// Drops every message of a queue, as an operator might.
    pub fn purge(&self, queue: &str) {
        if let Some(queue) = self.lock().queues.get_mut(queue) {
            queue.visible = Lines::default();
            queue.delayed.clear();
            queue.in_flight.clear();
        }
    }

    /// Delivers every message that a queue holds once more: SQS delivers at least once.
    pub fn repeat(&self, queue: &str) {
        let mut state = self.lock();
        let State { queues, next_id, .. } = &mut *state;
        let Some(queue) = queues.get_mut(queue) else { return };
        let held = queue.visible.iter().chain(queue.delayed.values()).chain(queue.in_flight.values());
        let mut held: Vec<Message> = held.cloned().collect();
        held.sort_by_key(|message| message.id);
        for message in held {
            *next_id += 1;
            queue.visible.add(Message { id: *next_id, receives: 0, ..message });
        }
        drop(state);
        self.arrived.notify_waiters();
    }

    /// Holds every message that is visible in a queue back for a while.
    pub fn hold_back(&self, queue: &str, how_long: Duration) {
        let until = self.clock.now() + how_long;
        if let Some(queue) = self.lock().queues.get_mut(queue) {
            while let Some(message) = queue.visible.take() {
                queue.visible.done(&message);
                queue.delayed.insert((until, message.id), message);
            }
        }
    }

    /// The next messages that are sent to a queue meet these, one each, after those that others were to meet.
    pub fn meet(&self, queue: &str, mishaps: impl IntoIterator<Item = Mishap>) {
        self.lock().mishaps.entry(queue.to_owned()).or_default().extend(mishaps);
    }

    /// From now on no message meets anything.
    pub fn forget_mishaps(&self) {
        self.lock().mishaps.clear();
    }

    /// How many messages have met what so far.
    pub fn met(&self) -> BTreeMap<&'static str, u64> {
        self.lock().met.clone()
    }

    /// Makes the next `count` entries of sends fail, as SQS does under load.
    pub fn fail_entries(&self, count: u32) {
        self.lock().failing_entries = count;
    }

    /// Waits until a message arrives after this call, or until it is time to look again anyway.
    pub fn arrival(&self) -> impl Future<Output = ()> + '_ {
        // The future counts arrivals from its creation, not from its first poll.
        let arrived = self.arrived.notified();
        async move {
            tokio::select! {
                biased;
                () = arrived => {}
                () = self.clock.sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    fn answer(&self, operation: &str, body: &[u8]) -> Answer {
        match (operation, serde_json::from_slice(body)) {
            ("SendMessageBatch", Ok(request)) => self.send(request),
            ("SendMessageBatch", Err(error)) => refusal("InvalidParameterValue", &error.to_string()),
            _ => refusal("UnsupportedOperation", &format!("{operation} is not served on one machine")),
        }
    }

    fn send(&self, request: SendMessageBatch) -> Answer {
        let SendMessageBatch { queue_url, entries } = request;
        let distinct: HashSet<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
        if entries.is_empty() {
            return refusal("EmptyBatchRequest", "there are no entries");
        }
        if entries.len() > MOST_ENTRIES {
            return refusal("TooManyEntriesInBatchRequest", "there are more than 10 entries");
        }
        if distinct.len() < entries.len() {
            return refusal("BatchEntryIdsNotDistinct", "two entries have the same id");
        }
        if entries.iter().filter_map(|entry| entry.message_group_id.as_deref()).any(|group| !is_group_id(group)) {
            return refusal("InvalidParameterValue", "a MessageGroupId has 1 to 128 letters, digits and punctuation");
        }
        if entries.iter().any(|entry| entry.delay_seconds > MOST_DELAY) {
            return refusal("InvalidParameterValue", "DelaySeconds is at most 900");
        }
        if entries.iter().map(|entry| entry.message_body.len()).sum::<usize>() > MOST_BYTES {
            return refusal("BatchRequestTooLong", "the entries have more than 1 MiB");
        }
        let now = self.clock.now();
        let mut state = self.lock();
        let State { queues, next_id, failing_entries, mishaps, met } = &mut *state;
        let Some(queue) = queues.get_mut(&queue_url) else {
            return refusal("NonExistentQueue", "there is no such queue");
        };
        let mut successful = Vec::new();
        let mut failed = Vec::new();
        for Entry { id, message_body, message_group_id, delay_seconds } in entries {
            if *failing_entries > 0 {
                *failing_entries -= 1;
                *met.entry("message refused").or_default() += 1;
                failed.push(json!({ "Id": id, "Code": "InternalError", "SenderFault": false }));
                continue;
            }
            *next_id += 1;
            successful.push(json!({ "Id": id, "MessageId": next_id.to_string(), "MD5OfMessageBody": "" }));
            let group = message_group_id;
            let message = Message { id: *next_id, group, body: message_body, sent_at: now, receives: 0 };
            let mishap = mishaps.get_mut(&queue_url).and_then(VecDeque::pop_front);
            if let Some(mishap) = mishap {
                *met.entry(mishap.name()).or_default() += 1;
            }
            let visible_at = now + Duration::from_secs(delay_seconds.into());
            match mishap {
                Some(Mishap::Lost) => {}
                Some(Mishap::Doubled(later)) => {
                    *next_id += 1;
                    queue.send(Message { id: *next_id, ..message.clone() }, visible_at + later, now);
                    queue.send(message, visible_at, now);
                }
                Some(Mishap::Late(later) | Mishap::Overtaken(later)) => queue.send(message, visible_at + later, now),
                None => queue.send(message, visible_at, now),
            }
        }
        drop(state);
        self.arrived.notify_waiters();
        (200, json!({ "Successful": successful, "Failed": failed }).to_string())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn send(&mut self, message: Message, visible_at: Timestamp, now: Timestamp) {
        if visible_at <= now {
            self.visible.add(message);
        } else {
            self.delayed.insert((visible_at, message.id), message);
        }
    }

    /// Makes messages visible after their delay, or again after their timeout, and drops those that are too old.
    /// Returns those that were received too often.
    fn come_back(&mut self, now: Timestamp) -> Vec<Message> {
        let later = self.in_flight.split_off(&(now, u64::MAX));
        let back = std::mem::replace(&mut self.in_flight, later).into_values();
        let most_receives = self.settings.dead_letter.as_ref().map_or(u32::MAX, |(_, most)| *most);
        let mut dead = Vec::new();
        let delayed = self.delayed.split_off(&(now, u64::MAX));
        for message in std::mem::replace(&mut self.delayed, delayed).into_values() {
            self.visible.add(message);
        }
        for message in back {
            self.visible.done(&message);
            if message.receives >= most_receives {
                dead.push(message);
            } else {
                self.visible.add(message);
            }
        }
        self.visible.drop_sent_by(now - self.settings.retention);
        dead
    }
}

fn client(in_process: InProcess) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .endpoint_url("http://sqs.local")
        .allow_no_auth()
        // Bodies are in memory: none can stall.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .http_client(in_process)
        .build();
    aws_sdk_sqs::Client::from_conf(config)
}

fn is_group_id(group: &str) -> bool {
    (1..=128).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The SDK knows errors by the codes of the older query protocol. SQS sends those codes in a separate header.
fn refusal(code: &str, message: &str) -> Answer {
    let code = format!("com.amazonaws.sqs#AWS.SimpleQueueService.{code}");
    let body: Value = json!({ "__type": code, "message": message });
    (400, body.to_string())
}

#[cfg(test)]
mod tests;
