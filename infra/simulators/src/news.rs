//! What was written at a simulator since somebody last asked.

use std::{collections::HashSet, mem};

/// Ids in the order in which they were first written, each once.
#[derive(Default)]
pub(crate) struct News {
    order: Vec<String>,
    known: HashSet<String>,
}

impl News {
    pub(crate) fn add(&mut self, id: &str) {
        if self.known.insert(id.to_owned()) {
            self.order.push(id.to_owned());
        }
    }

    /// From here on there is no news until something is written again.
    pub(crate) fn take(&mut self) -> Vec<String> {
        self.known.clear();
        mem::take(&mut self.order)
    }
}
