//! What really happened in a world, by name. An event counts when it changes something, and trouble when something
//! meets it: what was only planned proves nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What happened so far, and how often.
#[derive(Clone, Debug, Default)]
pub struct Met(Arc<Mutex<BTreeMap<String, u64>>>);

impl Met {
    /// Something happened.
    pub fn happened(&self, name: impl Into<String>) {
        *self.lock().entry(name.into()).or_default() += 1;
    }

    /// All that happened.
    pub fn all(&self) -> BTreeMap<String, u64> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What must happen now and then: a run of many seeds in which one of these never does proves less than it seems to.
pub const REQUIRED: &[&str] = &[];
