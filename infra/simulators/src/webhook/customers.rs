//! What the receiver remembers, and what an event makes of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::{
    events::{Event, EventKind},
    signatures,
    types::{RequestCounts, Seen},
};
use crate::news::News;

/// What is known of a customer.
struct Known {
    kind: EventKind,
    /// Of the event that arrived last.
    data: Value,
    /// Of all events.
    highest_revision: u64,
}

impl Known {
    fn exists(&self) -> bool {
        self.kind != EventKind::Deleted
    }
}

pub struct State {
    /// `None` verifies nothing.
    pub(super) key: Option<Vec<u8>>,
    /// With the HTTP status that their events are answered with.
    pub(super) refused: HashMap<String, u16>,
    known: BTreeMap<String, Known>,
    applied: HashSet<String>,
    pub(super) events: Vec<Seen>,
    pub(super) news: News,
    pub(super) counts: RequestCounts,
    pub(super) last_request: Option<(Vec<(String, String)>, String)>,
    /// Whether it works on an event that it takes its time over.
    pub(super) is_at_work: bool,
}

impl State {
    pub(super) fn new(secret: &str) -> Self {
        Self {
            key: signatures::key(secret),
            refused: HashMap::new(),
            known: BTreeMap::new(),
            applied: HashSet::new(),
            events: Vec::new(),
            news: News::default(),
            counts: RequestCounts::default(),
            last_request: None,
            is_at_work: false,
        }
    }

    pub(super) fn was_applied(&self, webhook_id: &str) -> bool {
        self.applied.contains(webhook_id)
    }

    /// What arrives last counts, whatever its revision.
    pub(super) fn apply(&mut self, webhook_id: &str, event: Event) {
        let Event { kind, subject, revision, data } = event;
        let highest_before = self.known.get(&subject).map_or(0, |known| known.highest_revision);
        if revision < highest_before {
            self.counts.out_of_order += 1;
        }
        self.counts.accepted += 1;
        self.applied.insert(webhook_id.to_owned());
        self.news.add(&subject);
        let known = Known { kind, data, highest_revision: highest_before.max(revision) };
        self.known.insert(subject.clone(), known);
        self.events.push(Seen { webhook_id: webhook_id.to_owned(), subject, kind, revision });
    }

    pub(super) fn customer(&self, id: &str) -> Option<&Value> {
        let data = &self.known.get(id).filter(|known| known.exists())?.data;
        data.get("customer").filter(|customer| customer.is_object())
    }

    pub(super) fn exists(&self, id: &str) -> bool {
        self.known.get(id).is_some_and(Known::exists)
    }

    pub(super) fn data(&self, id: &str) -> Option<&Value> {
        self.known.get(id).map(|known| &known.data)
    }

    pub(super) fn ids(&self) -> Vec<String> {
        let existing = self.known.iter().filter(|(_, known)| known.exists());
        existing.map(|(id, _)| id.clone()).collect()
    }
}
