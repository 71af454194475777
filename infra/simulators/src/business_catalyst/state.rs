//! What the simulator remembers: which contacts there are, when each was last changed, and what clients wrote.
//!
//! An invented contact's content is computed at each request, so many of them cost little; only what clients wrote is
//! kept.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::civil::DateTime;

use super::{
    contact::Contact,
    generator::{first_dates, id_in_external_id, ids_in_email, invent},
    requests::ListingRequest,
    settings::{BcSettings, ListingOrder},
    types::{Action, Operation, Poison, RequestCounts},
    view::ContactView,
};
use crate::{news::News, random::choose_some};

/// Whether listings hold a contact, and as what.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Exists,
    /// Listed with `deleted` true.
    Deleted,
    /// In no listing any more; its revision is kept, so that it is created anew with other content.
    Gone,
}

struct Record {
    created: DateTime,
    last_update: DateTime,
    revision: u32,
    presence: Presence,
    written: Option<Box<Written>>,
}

/// What a client wrote, and the revision that this made.
struct Written {
    contact: Contact,
    revision: u32,
}

/// A contact as it stands in a listing.
pub(super) struct Listed {
    pub(super) id: u64,
    pub(super) contact: Contact,
    pub(super) deleted: bool,
    pub(super) created: DateTime,
    pub(super) last_update: DateTime,
    pub(super) poison: Option<Poison>,
}

/// A part of a listing.
pub(super) struct Page {
    pub(super) contacts: Vec<Listed>,
    pub(super) more_records: bool,
}

pub struct State {
    /// With the clock as it was last set.
    pub(super) settings: BcSettings,
    records: BTreeMap<u64, Record>,
    /// Every listed contact by its date.
    by_date: BTreeSet<(DateTime, u64)>,
    random: fastrand::Rng,
    pub(super) poisons: HashMap<u64, Poison>,
    pub(super) refused_external_ids: HashSet<String>,
    /// External ids of contacts that clients wrote.
    pub(super) news: News,
    /// By the place that the page begins at.
    pub(super) page_actions: Vec<(u64, Action)>,
    /// By the count of requests at which they are due.
    pub(super) request_actions: Vec<(u64, Action)>,
    pub(super) counts: RequestCounts,
    pub(super) listings: Vec<ListingRequest>,
}

impl State {
    pub(super) fn new(settings: &BcSettings) -> Self {
        let start = settings.now();
        let records: BTreeMap<u64, Record> = (settings.first_id..)
            .zip(0..settings.contacts)
            .map(|(id, _)| {
                let (created, last_update) = first_dates(settings.seed, id, start);
                (id, Record { created, last_update, revision: 1, presence: Presence::Exists, written: None })
            })
            .collect();
        Self {
            settings: settings.clone(),
            by_date: records.iter().map(|(&id, record)| (record.last_update, id)).collect(),
            records,
            random: fastrand::Rng::with_seed(settings.seed),
            poisons: HashMap::new(),
            refused_external_ids: HashSet::new(),
            news: News::default(),
            page_actions: Vec::new(),
            request_actions: Vec::new(),
            counts: RequestCounts::default(),
            listings: Vec::new(),
        }
    }

    /// Does an edit at the source; returns the ids of the contacts concerned.
    pub(super) fn act(&mut self, action: Action) -> Vec<u64> {
        match action {
            Action::Change(ids) => ids.into_iter().filter(|&id| self.change(id)).collect(),
            Action::ChangeSome(count) => {
                let existing = self.ids(Presence::Exists);
                let chosen = choose_some(&mut self.random, existing, count);
                chosen.into_iter().filter(|&id| self.change(id)).collect()
            }
            Action::Touch(ids) => ids.into_iter().filter(|&id| self.touch(id)).collect(),
            Action::Delete(id) => self.delete(id).then_some(id).into_iter().collect(),
            Action::RemoveSilently(id) => self.remove_silently(id).then_some(id).into_iter().collect(),
            Action::Create(id) => vec![self.create(id)],
        }
    }

    /// Does what was to be done before this page is answered; returns whether there was anything.
    pub(super) fn begin_page(&mut self, record_start: u64) -> bool {
        let count = self.counts.retrieve;
        let at_this_request = self.request_actions.extract_if(.., |(number, _)| *number <= count);
        let at_this_page = self.page_actions.extract_if(.., |(of_page, _)| *of_page == record_start);
        let due: Vec<_> = at_this_request.chain(at_this_page).collect();
        due.into_iter().filter(|(_, action)| !self.act(action.clone()).is_empty()).count() > 0
    }

    fn change(&mut self, id: u64) -> bool {
        match self.records.get_mut(&id) {
            Some(record) if record.presence == Presence::Exists => record.revision += 1,
            _ => return false,
        }
        self.date(id);
        true
    }

    fn touch(&mut self, id: u64) -> bool {
        let listed = self.records.get(&id).is_some_and(|record| record.presence != Presence::Gone);
        if listed {
            self.date(id);
        }
        listed
    }

    pub(super) fn delete(&mut self, id: u64) -> bool {
        match self.records.get_mut(&id) {
            Some(record) if record.presence == Presence::Exists => record.presence = Presence::Deleted,
            _ => return false,
        }
        self.date(id);
        true
    }

    fn remove_silently(&mut self, id: u64) -> bool {
        let Some(record) = self.records.get_mut(&id) else { return false };
        record.presence = Presence::Gone;
        self.by_date.remove(&(record.last_update, id))
    }

    /// With content that it never had before, whether it exists or not. Without an id it is the next free one.
    pub(super) fn create(&mut self, id: Option<u64>) -> u64 {
        let id = id.unwrap_or_else(|| self.next_id());
        match self.records.get_mut(&id) {
            Some(record) => {
                if record.presence != Presence::Exists {
                    record.written = None;
                    record.created = self.settings.now();
                }
                record.revision += 1;
                record.presence = Presence::Exists;
                self.date(id);
            }
            None => self.insert(id, None),
        }
        id
    }

    fn insert(&mut self, id: u64, written: Option<Box<Written>>) {
        let now = self.settings.date_of_change();
        let record = Record { created: now, last_update: now, revision: 1, presence: Presence::Exists, written };
        self.records.insert(id, record);
        self.by_date.insert((now, id));
    }

    /// What a client wrote becomes a new contact, or a new revision of this one.
    pub(super) fn write(&mut self, id: Option<u64>, contact: Contact) -> u64 {
        if !contact.external_id.is_empty() {
            self.news.add(&contact.external_id);
        }
        if let Some(id) = id
            && let Some(record) = self.records.get_mut(&id)
        {
            record.revision += 1;
            record.written = Some(Box::new(Written { contact, revision: record.revision }));
            self.date(id);
            return id;
        }
        let id = self.next_id();
        self.insert(id, Some(Box::new(Written { contact, revision: 1 })));
        id
    }

    /// Dates a contact's last change.
    fn date(&mut self, id: u64) {
        let now = self.settings.date_of_change();
        if let Some(record) = self.records.get_mut(&id) {
            self.by_date.remove(&(record.last_update, id));
            record.last_update = now;
            self.by_date.insert((now, id));
        }
    }

    fn next_id(&self) -> u64 {
        self.records.last_key_value().map_or(self.settings.first_id, |(&id, _)| id + 1)
    }

    /// The contact with this external id: the one with the least id if there are several. Deleted ones do not count.
    pub(super) fn id_by_external_id(&self, external_id: &str) -> Option<u64> {
        let existing = self.ids_with_external_id(external_id).filter(|&id| self.existing(id).is_some());
        existing.min()
    }

    /// The same, or else the last deleted one.
    pub(super) fn view_by_external_id(&self, external_id: &str) -> Option<ContactView> {
        let id = self.id_by_external_id(external_id).or_else(|| {
            let is_deleted = |id: &u64| self.records.get(id).is_some_and(|record| record.presence == Presence::Deleted);
            self.ids_with_external_id(external_id).filter(is_deleted).max_by_key(|&id| (self.last_update(id), id))
        })?;
        let record = self.records.get(&id)?;
        Some(ContactView::new(id, self.content(id, record), record.presence == Presence::Deleted))
    }

    /// Whether they exist or not. No revision changes an external id, so contents need not be made.
    fn ids_with_external_id(&self, external_id: &str) -> impl Iterator<Item = u64> {
        let is_written = move |written: &Written| written.contact.external_id == external_id;
        let written = self.records.iter().filter(move |(_, record)| record.written.as_deref().is_some_and(is_written));
        let invented = id_in_external_id(external_id).filter(|&id| self.is_invented_with(id, external_id));
        written.map(|(&id, _)| id).chain(invented)
    }

    fn is_invented_with(&self, id: u64, external_id: &str) -> bool {
        let record = self.records.get(&id).filter(|record| record.written.is_none());
        record.is_some_and(|record| self.content(id, record).external_id == external_id)
    }

    /// The contact with this primary e-mail address, in any case of letters; likewise.
    pub(super) fn id_by_email(&self, address: &str) -> Option<u64> {
        self.first_with(ids_in_email(address), |contact| {
            contact.email().is_some_and(|email| email.eq_ignore_ascii_case(address))
        })
    }

    /// Looks through what clients wrote, and through these of the invented contacts: the others cannot be it.
    fn first_with(&self, invented: impl IntoIterator<Item = u64>, is_it: impl Fn(&Contact) -> bool) -> Option<u64> {
        let written = self.records.iter().filter(|(_, record)| record.written.is_some()).map(|(&id, _)| id);
        written.chain(invented).filter(|&id| self.contact(id).is_some_and(|contact| is_it(&contact))).min()
    }

    /// The content of a contact that exists.
    pub(super) fn contact(&self, id: u64) -> Option<Contact> {
        self.existing(id).map(|record| self.content(id, record))
    }

    fn content(&self, id: u64, record: &Record) -> Contact {
        match &record.written {
            Some(written) => {
                let mut contact = written.contact.clone();
                contact.revise(record.revision - written.revision + 1);
                contact
            }
            None => invent(self.settings.seed, id, record.revision),
        }
    }

    fn existing(&self, id: u64) -> Option<&Record> {
        self.records.get(&id).filter(|record| record.presence == Presence::Exists)
    }

    pub(super) fn revision(&self, id: u64) -> Option<u32> {
        self.existing(id).map(|record| record.revision)
    }

    /// Of a contact that is listed, deleted or not.
    pub(super) fn last_update(&self, id: u64) -> Option<DateTime> {
        self.records.get(&id).filter(|record| record.presence != Presence::Gone).map(|record| record.last_update)
    }

    pub(super) fn ids(&self, presence: Presence) -> Vec<u64> {
        self.records.iter().filter(|(_, record)| record.presence == presence).map(|(&id, _)| id).collect()
    }

    /// The contacts changed at this time or later, from this place of the listing on.
    pub(super) fn page(&self, since: DateTime, record_start: usize) -> Page {
        let listed = self.ids_since(since).take(self.settings.cap.unwrap_or(usize::MAX));
        let mut ids: Vec<u64> = listed.skip(record_start).take(self.settings.page_size + 1).collect();
        let more_records = ids.len() > self.settings.page_size;
        ids.truncate(self.settings.page_size);
        Page { contacts: ids.into_iter().filter_map(|id| self.listed(id)).collect(), more_records }
    }

    /// The same, but after its end the listing goes on with contacts that were never created.
    pub(super) fn page_without_end(&self, since: DateTime, record_start: usize) -> Page {
        let mut contacts = self.page(since, record_start).contacts;
        let total = self.ids_since(since).count();
        let now = self.settings.now();
        for place in record_start + contacts.len()..record_start + self.settings.page_size {
            let id = self.next_id() + (place - total) as u64;
            let contact = invent(self.settings.seed, id, 1);
            contacts.push(Listed { id, contact, deleted: false, created: now, last_update: now, poison: None });
        }
        Page { contacts, more_records: true }
    }

    fn ids_since(&self, since: DateTime) -> Box<dyn Iterator<Item = u64> + '_> {
        match self.settings.order {
            ListingOrder::LastUpdateDate => Box::new(self.by_date.range((since, 0)..).map(|&(_, id)| id)),
            ListingOrder::EntityId => Box::new(
                self.records
                    .iter()
                    .filter(move |(_, record)| record.presence != Presence::Gone && record.last_update >= since)
                    .map(|(&id, _)| id),
            ),
        }
    }

    fn listed(&self, id: u64) -> Option<Listed> {
        let record = self.records.get(&id)?;
        Some(Listed {
            id,
            contact: self.content(id, record),
            deleted: record.presence == Presence::Deleted,
            created: record.created,
            last_update: record.last_update,
            poison: self.poisons.get(&id).copied(),
        })
    }

    pub(super) fn count_request(&mut self, operation: Operation) {
        match operation {
            Operation::Retrieve => self.counts.retrieve += 1,
            Operation::UpdateInsert => self.counts.update_insert += 1,
        }
    }
}
