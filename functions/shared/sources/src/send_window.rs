//! How many chunks of one connection are under way at once.
//!
//! All connections share the workers. So a connection's chunks are not all sent when its batch is opened: a few are,
//! and more as those are settled. A source that answers well soon has [`MOST`] under way; one that has not answered yet
//! has [`FIRST`] at most, and one that fails [`LEAST`]: they keep no worker from other connections for long, however
//! many they are. If workers need no source, because the chunks hold all data, a window is [`MOST`] wide from the
//! beginning.
//!
//! The window goes from one invocation of the poller to the next with the connection's lease. If it is lost with a
//! poller that dies, the next one begins with an empty window, and at worst sends some chunks again whose messages
//! still wait: then a worker finds them leased or done.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::ChunkState;

/// Chunks under way before any of the batch was settled.
pub const FIRST: usize = 4;
/// Chunks under way if a source fails: one that fails by itself does not hold up the others.
pub const LEAST: usize = 2;
/// Chunks under way if a source answers well.
pub const MOST: usize = 20;
/// When a chunk that no worker has taken is sent again: longer than a message usually waits, and well within a minute.
/// If that message waits, too, the time doubles, so that messages do not pile up if workers are few.
pub const RESEND_AFTER: Duration = Duration::from_secs(20);
/// How often that time is doubled at most.
const MOST_DOUBLINGS: u32 = 4;
/// When to look again while chunks are sent and settled: others wait for their place, or for the end of the batch.
const SOON: Duration = Duration::from_millis(100);

/// The chunks of one connection's batch that were sent to workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SendWindow {
    batch: u64,
    size: usize,
    sent: BTreeMap<u32, Sent>,
    /// How long nothing moved, as the time to the next look: it begins anew with each invocation.
    #[serde(skip)]
    pause: Duration,
    /// Whether chunks that were due found no place at the last look.
    #[serde(skip)]
    is_full: bool,
}

/// When a chunk was last sent to the workers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(i64, i64, u32)", into = "(i64, i64, u32)")]
struct Sent {
    at: Timestamp,
    /// When it was due by the ledger: another time shows that a worker has taken it since.
    due_at: Timestamp,
    /// How often it was sent before while no worker took it.
    before: u32,
}

/// In milliseconds: the ledger knows no smaller unit.
impl From<Sent> for (i64, i64, u32) {
    fn from(sent: Sent) -> Self {
        (sent.at.as_millisecond(), sent.due_at.as_millisecond(), sent.before)
    }
}

impl From<(i64, i64, u32)> for Sent {
    fn from((at, due_at, before): (i64, i64, u32)) -> Self {
        let time = |millis| Timestamp::from_millisecond(millis).unwrap_or_default();
        Self { at: time(at), due_at: time(due_at), before }
    }
}

impl Sent {
    /// Whether its message may still be waiting.
    fn may_wait(&self, due_at: Timestamp, now: Timestamp) -> bool {
        self.due_at == due_at && now < self.at + RESEND_AFTER * 2_u32.pow(self.before.min(MOST_DOUBLINGS))
    }
}

/// The result of a look at the ledger.
#[derive(Debug, PartialEq, Eq)]
pub struct Look {
    /// The chunks to send to workers now, in their order.
    pub send: Vec<u32>,
    /// When to look again.
    pub again_after: Duration,
}

impl SendWindow {
    /// The window as a poller left it; an empty one if there is none that this release can read.
    pub fn from_stored(stored: Option<&str>) -> Self {
        stored.and_then(|stored| serde_json::from_str(stored).ok()).unwrap_or_default()
    }

    /// The window for the next poller; `None` if nothing is in it.
    pub fn to_stored(&self) -> Option<String> {
        serde_json::to_string(self).ok().filter(|_| !self.sent.is_empty())
    }

    /// Whether chunks that were due found no place at the last look.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Compares the ledger with what was sent, opens or narrows the window, and returns what to send. `front` are the
    /// first chunks of the batch that are not done; `first` is how wide the window is for a new batch, and `at_most`
    /// when to look again if nothing moves.
    pub fn look(&mut self, batch: u64, front: &[ChunkState], now: Timestamp, first: usize, at_most: Duration) -> Look {
        if self.batch != batch || self.size == 0 {
            *self = Self { batch, size: first, ..Self::default() };
        }
        if self.pause.is_zero() {
            self.pause = SOON;
        }
        let sent_before = std::mem::take(&mut self.sent);
        let mut failed = 0;
        let mut under_way = 0;
        let mut due = Vec::new();
        for chunk in front {
            let sent = sent_before.get(&chunk.chunk).copied();
            if let Some(sent) = sent.filter(|sent| sent.may_wait(chunk.due_at, now)) {
                self.sent.insert(chunk.chunk, sent);
                under_way += 1;
            } else if chunk.due_at > now {
                // A worker has it, or gave it back for later. A chunk that waits for another customer takes no place:
                // those behind it may bring that customer.
                under_way += usize::from(!chunk.unverified);
                match sent {
                    Some(sent) if chunk.leased => {
                        self.sent.insert(chunk.chunk, sent);
                    }
                    Some(_) => failed += usize::from(has_failed(chunk)),
                    None => {}
                }
            } else {
                let came_back = sent.is_some_and(|sent| sent.due_at != chunk.due_at);
                failed += usize::from(came_back && has_failed(chunk));
                due.push(chunk);
            }
        }
        let settled = sent_before.keys().filter(|sent| !front.iter().any(|chunk| chunk.chunk == **sent)).count();
        if settled > 0 {
            self.size = (self.size + settled).min(MOST);
        } else if failed > 0 {
            self.size = (self.size / 2).max(LEAST);
        }
        // Chunks whose messages may still wait come first: they count as under way, if any do. Then those that were
        // never tried, or chunks that can't be done would come back in front of them for ever.
        let still_sent = |chunk: &ChunkState| sent_before.get(&chunk.chunk).filter(|sent| sent.due_at == chunk.due_at);
        due.sort_by_key(|chunk| (still_sent(chunk).is_none(), chunk.attempts > 0, chunk.due_at));
        let room = self.size.saturating_sub(under_way).min(due.len());
        let (due, later) = due.split_at(room);
        self.is_full = !later.is_empty();
        for chunk in due {
            let before = still_sent(chunk).map_or(0, |sent| sent.before + 1);
            self.sent.insert(chunk.chunk, Sent { at: now, due_at: chunk.due_at, before });
        }
        self.sent.extend(later.iter().filter_map(|chunk| Some((chunk.chunk, *still_sent(chunk)?))));
        let moved = settled > 0 || !due.is_empty();
        self.pause = match moved {
            // The window would run dry: the faster the workers are, the sooner it is filled again.
            true if settled * 2 >= self.size => SOON / 2,
            true => SOON,
            false => (self.pause * 2).min(at_most),
        };
        Look { send: due.iter().map(|chunk| chunk.chunk).collect(), again_after: self.pause.min(at_most) }
    }
}

/// Whether a chunk's last attempt failed, and its source may be to blame. A chunk waits for another customer only if
/// the source answered.
fn has_failed(chunk: &ChunkState) -> bool {
    chunk.attempts > 0 && !chunk.unverified
}

#[cfg(test)]
mod tests;
