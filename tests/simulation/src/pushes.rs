//! What Connectors and importers sent, and what must therefore be stored.

use std::collections::{BTreeMap, BTreeSet};

/// What one record may be: one of these, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// An import that was acknowledged.
#[derive(Clone, Debug)]
pub struct DoneImport {
    /// Its id.
    pub id: String,
    /// The value that it gave its rows.
    pub value: u64,
    /// What the rows may have been before it.
    pub before: BTreeMap<u64, Possible>,
    /// The form that was sent.
    pub form: String,
}

/// An undo that goes on beside everything else.
#[derive(Clone, Debug)]
pub struct BegunUndo {
    /// Of this import.
    pub import: DoneImport,
    /// The rows that had the import's value for certain: what they may be until the undo is done.
    meanwhile: BTreeMap<u64, Possible>,
}

impl Sent {
    /// Begins to undo one of the latest imports; `None` if there is no such.
    pub fn begin_undo(&mut self, which: usize) -> Option<BegunUndo> {
        let import = self.imports.remove(self.imports.len().checked_sub(which + 1)?);
        let is_certain = |code: &u64| {
            let value = BTreeSet::from([import.value]);
            let now = self.rows.get(code).is_some_and(|now| now.values == value && !now.may_lack);
            now && !self.under_way.contains(&("row", *code))
        };
        let certain: Vec<u64> = import.before.keys().copied().filter(is_certain).collect();
        self.undoing.push(import.clone());
        self.may_be_undone();
        let meanwhile = certain.into_iter().map(|code| (code, self.rows.entry(code).or_default().clone())).collect();
        Some(BegunUndo { import, meanwhile })
    }

    /// Until the end an undo that was begun may find a row as its import left it: other undos bring such a state back.
    fn may_be_undone(&mut self) {
        for _ in 0..self.undoing.len() {
            for import in &self.undoing {
                for (code, before) in &import.before {
                    let now = self.rows.entry(*code).or_default();
                    if now.values.contains(&import.value) {
                        now.values.extend(&before.values);
                        now.may_lack |= before.may_lack || !before.was_sent;
                    }
                }
            }
        }
    }

    /// Whether an undo of this import was begun.
    pub fn is_undoing(&self, id: &str) -> bool {
        self.undoing.iter().any(|import| import.id == id)
    }

    /// It is done: rows that nobody has sent since it began are as they were before the import.
    pub fn end_undo(&mut self, undo: &BegunUndo) {
        for (code, meanwhile) in &undo.meanwhile {
            if self.rows.get(code) == Some(meanwhile) && !self.under_way.contains(&("row", *code)) {
                self.rows.insert(*code, undo.import.before[code].clone());
            }
        }
        self.may_be_undone();
    }

    /// The tables were restored: a record is what it was at some time.
    pub fn restored(&mut self) {
        for possible in self.people.values_mut().chain(self.rows.values_mut()) {
            possible.values.extend(0..=self.next);
            // It may have been undone.
            possible.may_lack = true;
        }
        self.imports.clear();
    }

    /// An import was sent once more and acknowledged: its values are written again, and its undo goes back to what
    /// others wrote meanwhile.
    pub fn imported_again(&mut self, id: &str) {
        let Some(index) = self.imports.iter().position(|import| import.id == id) else { return };
        let mut import = self.imports.remove(index);
        for (code, before) in &mut import.before {
            let now = self.rows.entry(*code).or_default();
            if now.values.iter().any(|value| *value != import.value) || now.may_lack {
                before.values.extend(&now.values);
                before.may_lack |= now.may_lack || !before.was_sent;
                before.was_sent = true;
            }
            now.acknowledged(import.value);
        }
        self.imports.push(import);
    }

    /// An import was undone, as it is said; its rows that nothing else has changed since are as they were before.
    pub fn undone(&mut self, import: &DoneImport, is_certain: bool) {
        for (code, before) in &import.before {
            let now = self.rows.entry(*code).or_default();
            if !now.values.contains(&import.value) {
                continue;
            }
            if is_certain && now.values.len() == 1 && !now.may_lack {
                *now = before.clone();
            } else {
                now.values.extend(&before.values);
                now.may_lack |= before.may_lack || !before.was_sent;
            }
        }
        self.may_be_undone();
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
    /// The imports that were acknowledged and not undone, the latest last.
    pub imports: Vec<DoneImport>,
    /// Imports whose undo was begun beside everything else.
    undoing: Vec<DoneImport>,
    /// How many requests were acknowledged.
    pub acknowledged: u64,
}
