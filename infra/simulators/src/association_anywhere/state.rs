//! What the simulator remembers: which customers exist in which revision, and the queue.
//!
//! A customer's content is worked out from the seed, its id and its revision whenever it is asked for, so a million
//! customers cost a few dozen bytes each, and as much again while they are queued.

use std::collections::{BTreeMap, HashMap};

use super::{
    customers::Identity,
    settings::AaSettings,
    types::{Habits, Poison, Procedure, Purged, RequestCounts},
};
use crate::random::choose_some;

/// Why a customer is queued.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Insert,
    Update,
    Delete,
}

/// One customer, or an id that is only queued.
#[derive(Clone, Copy, Debug, Default)]
struct CustomerState {
    /// Under which it was last queued. The entry may be gone by now.
    queue_number: u64,
    /// Counts on over a deletion, so that what is created anew differs from all that was before.
    revision: u32,
    exists: bool,
}

/// One entry of the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    pub(super) id: u64,
    pub(super) action: Action,
}

pub struct State {
    /// Every id that was ever created or queued.
    customers: BTreeMap<u64, CustomerState>,
    queue: BTreeMap<u64, Queued>,
    last_queue_number: u64,
    random: fastrand::Rng,
    pub(super) poisons: HashMap<u64, Poison>,
    /// Who has the e-mail address of another customer, and in which of its revisions.
    shared_emails: HashMap<u64, (u64, u32)>,
    pub(super) counts: RequestCounts,
    pub(super) purges: Vec<u64>,
    pub(super) purged: Vec<Purged>,
    pub(super) last_details_ids: Vec<String>,
    pub(super) habits: Habits,
    /// Entries of the queue that are no ids, by their numbers.
    texts: BTreeMap<u64, String>,
    /// How often the queue was built anew, and how often it had been when it was last shown.
    rebuilds: u64,
    shown_after: u64,
}

impl State {
    pub(super) fn new(settings: &AaSettings) -> Self {
        let at_the_start = CustomerState { revision: 1, exists: true, ..CustomerState::default() };
        let mut state = Self {
            customers: (settings.first_id..).zip(0..settings.customers).map(|(id, _)| (id, at_the_start)).collect(),
            queue: BTreeMap::new(),
            last_queue_number: 0,
            random: fastrand::Rng::with_seed(settings.seed),
            poisons: HashMap::new(),
            shared_emails: HashMap::new(),
            counts: RequestCounts::default(),
            purges: Vec::new(),
            purged: Vec::new(),
            last_details_ids: Vec::new(),
            habits: Habits::default(),
            texts: BTreeMap::new(),
            rebuilds: 0,
            shown_after: 0,
        };
        if settings.all_queued {
            state.enqueue_all();
        }
        state
    }

    pub(super) fn revision(&self, id: u64) -> Option<u32> {
        self.customers.get(&id).filter(|customer| customer.exists).map(|customer| customer.revision)
    }

    pub(super) fn existing_ids(&self) -> Vec<u64> {
        self.customers.iter().filter(|(_, customer)| customer.exists).map(|(&id, _)| id).collect()
    }

    /// A customer as it is now; `None` if it does not exist.
    pub(super) fn identity(&self, seed: u64, id: u64) -> Option<Identity> {
        let email_of = self.shared_emails.get(&id).copied();
        Some(Identity::new(seed, id, self.revision(id)?).with_email_of(email_of))
    }

    pub(super) fn share_email(&mut self, id: u64, other: u64) {
        let its = self.owner_of_email(other);
        self.shared_emails.extend(its.map(|its| (id, its)));
    }

    /// Both must exist; otherwise nothing happens.
    pub(super) fn swap_emails(&mut self, one: u64, other: u64) -> bool {
        if one == other || self.revision(one).is_none() || self.revision(other).is_none() {
            return false;
        }
        let (Some(of_one), Some(of_other)) = (self.owner_of_email(one), self.owner_of_email(other)) else {
            return false;
        };
        self.shared_emails.extend([(one, of_other), (other, of_one)]);
        self.change(one);
        self.change(other);
        true
    }

    /// Whose address a customer has, and in which revision.
    fn owner_of_email(&self, id: u64) -> Option<(u64, u32)> {
        self.shared_emails.get(&id).copied().or_else(|| Some((id, self.revision(id)?)))
    }

    pub(super) fn change(&mut self, id: u64) {
        self.change_unqueued(id);
        self.enqueue(id, Action::Update);
    }

    pub(super) fn change_unqueued(&mut self, id: u64) {
        let customer = self.get_or_add(id);
        if customer.exists {
            customer.revision += 1;
        }
    }

    pub(super) fn change_some(&mut self, count: usize) -> Vec<u64> {
        let existing = self.existing_ids();
        let ids = choose_some(&mut self.random, existing, count);
        for &id in &ids {
            self.change(id);
        }
        ids
    }

    pub(super) fn delete(&mut self, id: u64, queued_as: Action) {
        self.delete_unqueued(id);
        self.enqueue(id, queued_as);
    }

    pub(super) fn delete_unqueued(&mut self, id: u64) {
        self.get_or_add(id).exists = false;
    }

    pub(super) fn create(&mut self, id: u64) {
        let customer = self.get_or_add(id);
        let action = if customer.exists { Action::Update } else { Action::Insert };
        customer.exists = true;
        customer.revision += 1;
        self.enqueue(id, action);
    }

    /// A customer that is queued already moves to the new number, so that a purge with an earlier one spares it.
    pub(super) fn enqueue(&mut self, id: u64, action: Action) {
        self.last_queue_number += 1;
        let queue_number = self.last_queue_number;
        let earlier_number = std::mem::replace(&mut self.get_or_add(id).queue_number, queue_number);
        if self.queue.get(&earlier_number).is_some_and(|queued| queued.id == id) {
            self.queue.remove(&earlier_number);
        }
        self.queue.insert(queue_number, Queued { id, action });
    }

    pub(super) fn enqueue_all(&mut self) {
        for id in self.existing_ids() {
            self.enqueue(id, Action::Update);
        }
    }

    /// Queues a text that is no customer's id.
    pub(super) fn enqueue_text(&mut self, text: String) {
        self.last_queue_number += 1;
        self.texts.insert(self.last_queue_number, text);
    }

    /// Empties the queue and numbers on after `last_number`, as when the environment is built anew.
    pub(super) fn rebuild_queue(&mut self, last_number: u64) {
        self.queue.clear();
        self.texts.clear();
        self.last_queue_number = last_number;
        self.rebuilds += 1;
    }

    /// Whether there is anything to take out up to this number.
    pub(super) fn has_up_to(&self, number: u64) -> bool {
        self.queue.range(..=number).next().is_some() || self.texts.range(..=number).next().is_some()
    }

    /// Takes out every entry with this number or an earlier one.
    pub(super) fn purge(&mut self, up_to: u64) {
        self.purges.push(up_to);
        if self.habits.keeps_unseen && self.shown_after < self.rebuilds {
            return;
        }
        self.texts.retain(|number, _| *number > up_to);
        let taken: Vec<Queued> = self.queue.extract_if(..=up_to, |_, _| true).map(|(_, queued)| queued).collect();
        if self.habits.notes_purged {
            let purged = taken.iter().map(|queued| Purged { id: queued.id, revision: self.revision(queued.id) });
            let purged: Vec<Purged> = purged.collect();
            self.purged.extend(purged);
        }
    }

    pub(super) fn queue_len(&self) -> usize {
        self.queue.len() + self.texts.len()
    }

    pub(super) fn queued_texts(&self) -> Vec<String> {
        self.texts.values().cloned().collect()
    }

    pub(super) fn queued_ids(&self) -> Vec<u64> {
        self.queue.values().map(|queued| queued.id).collect()
    }

    /// The queue in order, and its greatest number. An empty queue has one only with [`Habits::numbers_empty_queue`].
    pub(super) fn queue_snapshot(&self) -> (Vec<Queued>, Option<u64>) {
        let last = self.queue.last_key_value().map(|(&number, _)| number);
        let last = last.max(self.texts.last_key_value().map(|(&number, _)| number));
        let last = last.or(self.habits.numbers_empty_queue.then_some(self.last_queue_number));
        (self.queue.values().copied().collect(), last)
    }

    /// The queue is shown to a client as it is now.
    pub(super) fn note_shown(&mut self) {
        self.shown_after = self.rebuilds;
    }

    pub(super) fn count_request(&mut self, procedure: Procedure) {
        match procedure {
            Procedure::Queue => self.counts.queue += 1,
            Procedure::Details => self.counts.details += 1,
            Procedure::Purge => self.counts.purge += 1,
            Procedure::Enqueue => self.counts.enqueue += 1,
        }
    }

    fn get_or_add(&mut self, id: u64) -> &mut CustomerState {
        self.customers.entry(id).or_default()
    }
}
