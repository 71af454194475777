//! What Connectors and importers sent, and what must therefore be stored.

use std::collections::{BTreeMap, BTreeSet};

/// What one record may be: one of these, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Possible {
    /// The values of which one must be stored.
    pub values: BTreeSet<u64>,
    /// Whether there may be no record.
    pub may_lack: bool,
    /// Whether anything was ever sent for it.
    pub was_sent: bool,
}

impl Possible {
    /// A value was sent, and the sender does not know what became of it.
    pub fn sent(&mut self, value: u64) {
        self.may_lack |= !self.was_sent;
        self.was_sent = true;
        self.values.insert(value);
    }

    /// A value was acknowledged, and nothing else was under way.
    pub fn acknowledged(&mut self, value: u64) {
        *self = Self { values: BTreeSet::from([value]), may_lack: false, was_sent: true };
    }

    /// Whether a stored value is right; `None` for no record.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, stored: Option<u64>) -> Result<(), String> {
        let is_right = stored.map_or(self.may_lack || !self.was_sent, |value| self.values.contains(&value));
        if is_right { Ok(()) } else { Err(format!("stored is {stored:?}, and possible are {self:?}")) }
    }
}

/// What was sent, by the sender's own ids.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// The people of the Connector.
    pub people: BTreeMap<u64, Possible>,
    /// The rows of imports.
    pub rows: BTreeMap<u64, Possible>,
    /// Which of them are being sent at this moment.
    pub under_way: BTreeSet<(&'static str, u64)>,
    /// The ids that people got: each is one record for ever.
    pub ids: BTreeMap<u64, String>,
    /// The value that is sent next.
    pub next: u64,
    /// What senders heard that can't be.
    pub violations: Vec<String>,
    /// How many requests were acknowledged.
    pub acknowledged: u64,
}
