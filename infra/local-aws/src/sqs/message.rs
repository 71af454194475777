//! One message.

use jiff::Timestamp;

/// A message as a queue keeps it.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: u64,
    /// The message group. A message without one is a group of its own.
    pub(super) group: Option<String>,
    pub(super) body: String,
    pub(super) sent_at: Timestamp,
    pub(super) receives: u32,
}
