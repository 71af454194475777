//! Invariant 1 for listings: no record is passed over because others move, whatever the list's order, the size of its
//! pages and what happens between any two of them.
//!
//! A source's list and a shadow in memory; requests and decisions are the product's own [`Listing`].

#![allow(clippy::unwrap_used, reason = "a property that fails may panic")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::{ContentHash, ListedPage, ListedRecord, Listing, ListingScope, ListingState};
use proptest::prelude::*;

const BEGAN: i64 = 1_700_000_000;
/// A listing that needs more pages than this hangs.
const MOST_PAGES: u32 = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Date,
    /// By date, but for one that is listed an hour late, as by a clock that is put back.
    NearlyDate,
    Id,
    NewestFirst,
}

#[derive(Clone, Debug)]
enum Event {
    /// So many contacts from this one on are edited.
    Edit(usize, usize),
    /// They are removed without notice.
    Remove(usize, usize),
    /// One is deleted: it is listed as such.
    Delete(usize),
    Create(usize),
    /// The page is not answered.
    Fault,
}

#[derive(Clone, Debug)]
struct History {
    contacts: usize,
    page_size: usize,
    /// How many contacts share a date at the start.
    alike: usize,
    order: Order,
    /// One of so many pages holds fewer than it could.
    short_every: usize,
    /// The source ends every list after so many.
    cap: Option<usize>,
    overlap: i64,
    /// What happens before which request.
    events: Vec<(usize, Event)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Contact {
    date: i64,
    revision: u32,
    deleted: bool,
}

struct Source {
    history: History,
    contacts: BTreeMap<usize, Contact>,
    now: i64,
    requests: usize,
    next_id: usize,
    is_quiet: bool,
}

impl Source {
    fn new(history: &History) -> Self {
        let alike = history.alike;
        let contact = |id: usize| {
            // Spread over the ids, so that the orders differ.
            let group = i64::try_from((id * 7_919) % history.contacts / alike).unwrap();
            Contact { date: BEGAN - 50_000_000 + group * 1_000, revision: 1, deleted: false }
        };
        Self {
            contacts: (0..history.contacts).map(|id| (id, contact(id))).collect(),
            now: BEGAN,
            requests: 0,
            next_id: history.contacts,
            is_quiet: false,
            history: history.clone(),
        }
    }

    fn act(&mut self, event: &Event) {
        let now = self.now;
        let ids: Vec<usize> = self.contacts.keys().copied().collect();
        let some = |first: usize, count: usize| {
            ids.iter().copied().cycle().skip(first % ids.len().max(1)).take(count.min(ids.len())).collect::<Vec<_>>()
        };
        match *event {
            Event::Edit(first, count) => {
                for id in some(first, count) {
                    let contact = self.contacts.get_mut(&id).unwrap();
                    contact.date = now;
                    contact.revision += 1;
                }
            }
            Event::Remove(first, count) => {
                for id in some(first, count) {
                    self.contacts.remove(&id);
                }
            }
            Event::Delete(first) => {
                for id in some(first, 1) {
                    let contact = self.contacts.get_mut(&id).unwrap();
                    *contact = Contact { date: now, revision: contact.revision + 1, deleted: true };
                }
            }
            Event::Create(count) => {
                for id in self.next_id..self.next_id + count {
                    self.contacts.insert(id, Contact { date: now, revision: 1, deleted: false });
                }
                self.next_id += count;
            }
            Event::Fault => {}
        }
    }

    /// Whether a list by dates shows that it is in this order, by many dates, and in no other.
    fn shows_its_order(&self) -> bool {
        let mut list: Vec<(i64, usize)> = self.contacts.iter().map(|(id, contact)| (contact.date, *id)).collect();
        list.sort_unstable();
        let dates: BTreeSet<i64> = list.iter().map(|(date, _)| *date).collect();
        let ids: Vec<usize> = list.into_iter().map(|(_, id)| id).collect();
        let texts: Vec<String> = ids.iter().map(usize::to_string).collect();
        dates.len() >= 8 && !ids.is_sorted() && !texts.is_sorted()
    }

    /// One request; `None` if it is not answered.
    fn page(&mut self, from: i64, start: u64) -> Option<(Vec<(usize, Contact)>, bool)> {
        let request = self.requests;
        self.requests += 1;
        let mut is_answered = true;
        if !self.is_quiet {
            let events: Vec<Event> =
                self.history.events.iter().filter(|(at, _)| *at == request).map(|(_, event)| event.clone()).collect();
            for event in &events {
                self.act(event);
                // No more of one date than the list holds: the others could not be asked for.
                self.now += i64::from(self.history.cap.is_some());
                is_answered &= !matches!(event, Event::Fault);
            }
        }
        self.now += i64::from(request.is_multiple_of(3));
        if !is_answered {
            return None;
        }
        let mut list: Vec<(usize, Contact)> = self
            .contacts
            .iter()
            .filter(|(_, contact)| contact.date >= from)
            .map(|(id, contact)| (*id, *contact))
            .collect();
        match self.history.order {
            Order::Date => list.sort_by_key(|(id, contact)| (contact.date, *id)),
            Order::NearlyDate => {
                list.sort_by_key(|(id, contact)| (contact.date, *id));
                if let [.., first, second, _, _] = list.as_mut_slice() {
                    std::mem::swap(first, second);
                }
            }
            Order::Id => {}
            Order::NewestFirst => list.sort_by_key(|(id, contact)| (-contact.date, *id)),
        }
        list.truncate(self.history.cap.unwrap_or(usize::MAX));
        let size = match self.history.page_size {
            size if request % self.history.short_every == 1 => size.div_ceil(3),
            size => size,
        };
        let start = usize::try_from(start).unwrap();
        let more = list.len() > start + size;
        Some((list.into_iter().skip(start).take(size).collect(), more))
    }
}

fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn local(second: i64) -> DateTime {
    TimeZone::UTC.to_datetime(instant(second))
}

fn told((id, contact): (usize, Contact)) -> ListedRecord {
    ListedRecord {
        source_id: id.to_string(),
        date: Some(local(contact.date)),
        updated: Some(instant(contact.date)),
        content: ContentHash::of(&format!("{id} {contact:?}")),
    }
}

#[derive(Default)]
struct Shadow {
    customers: BTreeMap<usize, Contact>,
    cursor: Option<Timestamp>,
    broken: Option<&'static str>,
}

impl Shadow {
    /// One batch, as the poller makes it.
    fn poll(&mut self, source: &mut Source, everything: bool) {
        let began = instant(source.now);
        let overlap = SignedDuration::from_secs(source.history.overlap);
        let mut listing = if everything { Listing::of_everything() } else { Listing::of_changes_since(self.cursor) };
        let cursor = listing.since.map_or(0, |since| (since - overlap).as_second());
        let mut seen = [Vec::new(), Vec::new()];
        let mut was_cut = false;
        let mut pages = 0;
        loop {
            pages += 1;
            assert!(pages < MOST_PAGES, "it never ends: {:?}", source.history);
            let question = listing.reading.question();
            let from =
                question.from.map_or(cursor, |from| from.to_zoned(TimeZone::UTC).unwrap().timestamp().as_second());
            let Some((contacts, more)) = source.page(from, question.start) else { continue };
            let records: Vec<ListedRecord> = contacts.iter().copied().map(told).collect();
            seen[usize::from(listing.scope == ListingScope::Confirming)].extend(contacts.iter().map(|(id, _)| *id));
            for (contact, told) in contacts.iter().zip(&records) {
                if listing.reading.is_new_to(told) {
                    self.customers.insert(contact.0, contact.1);
                }
            }
            let newest = records.iter().filter_map(|told| told.updated).max();
            let page = ListedPage { records: &records, more, settled_before: began - overlap };
            let (next, course) = listing.after_page(page, ContentHash::of(&format!("{records:?}")), newest);
            listing = next;
            match course {
                ListingState::Continues => {}
                ListingState::Ended if listing.scope == ListingScope::Full => {
                    was_cut |= listing.reading.was_cut();
                    listing = listing.confirming();
                }
                ListingState::Ended => break,
                ListingState::Broken(why) => {
                    self.broken = Some(why);
                    return;
                }
            }
        }
        self.broken = None;
        let is_proven = !was_cut && !listing.reading.was_cut() && listing.reading.is_end_proven();
        if listing.scope == ListingScope::Confirming && is_proven {
            self.customers.retain(|id, _| seen.iter().any(|seen| seen.contains(id)));
        }
        self.cursor = listing.cursor_after(self.cursor, began);
    }

    /// The contacts of the source that the shadow lacks or holds in an older state.
    fn missing(&self, source: &Source) -> Vec<usize> {
        let is_here = |(id, contact): &(&usize, &Contact)| self.customers.get(id) == Some(contact);
        source.contacts.iter().filter(|entry| !is_here(entry)).map(|(id, _)| *id).collect()
    }
}

fn event(contacts: usize) -> impl Strategy<Value = Event> {
    let id = 0..contacts + 20;
    prop_oneof![
        6 => id.clone().prop_map(|id| Event::Edit(id, 1)),
        2 => (id.clone(), 2..60_usize).prop_map(|(id, count)| Event::Edit(id, count)),
        3 => id.clone().prop_map(|id| Event::Remove(id, 1)),
        1 => (id.clone(), 2..60_usize).prop_map(|(id, count)| Event::Remove(id, count)),
        2 => id.prop_map(Event::Delete),
        2 => (1..4_usize).prop_map(Event::Create),
        2 => Just(Event::Fault),
    ]
}

fn history() -> impl Strategy<Value = History> {
    let order = prop_oneof![4 => Just(Order::Date), 2 => Just(Order::Id), 1 => Just(Order::NewestFirst)];
    (1..250_usize, 1..=60_usize, order, any::<bool>(), 2..300_i64).prop_flat_map(
        |(contacts, page_size, order, is_capped, overlap)| {
            // If a contact is alone on a page, it is unknown which others came in front of the list meanwhile.
            let page_size = if order == Order::NewestFirst { page_size.max(4) } else { page_size };
            // A list that is cut, and in no order of dates, can't be read: its rest can't be asked for. Nor can
            // contacts of one date that fill a whole list.
            let cap = match is_capped && order == Order::Date {
                true => (80..300_usize).prop_map(Some).boxed(),
                false => Just(None).boxed(),
            };
            let alike = if is_capped { 1..8_usize } else { 1..150_usize };
            let requests = 2 * contacts / page_size + 6;
            let events = prop::collection::vec((0..requests, event(contacts)), 0..20);
            (cap, alike, 2..9_usize, events).prop_map(move |(cap, alike, short_every, events)| History {
                contacts,
                page_size,
                alike,
                order,
                short_every,
                cap,
                overlap,
                events,
            })
        },
    )
}

/// The contacts that are deleted, although the source still has them, by a full listing of a list that is cut.
fn deleted_by_a_cut(history: &History) -> Vec<usize> {
    let mut source = Source::new(history);
    source.is_quiet = true;
    let mut shadow = Shadow { customers: source.contacts.clone(), ..Shadow::default() };
    shadow.poll(&mut source, true);
    shadow.missing(&source)
}

/// A list by ids that is cut where its few dates happen to be in order.
#[test]
fn a_cut_list_that_looks_ordered_by_chance_deletes_nobody() {
    let history = History {
        contacts: 48,
        page_size: 8,
        alike: 24,
        order: Order::Id,
        short_every: 2,
        cap: Some(25),
        overlap: 295,
        events: Vec::new(),
    };
    assert_eq!(deleted_by_a_cut(&history), [] as [usize; 0]);
}

/// A list by ids whose dates are in order up to the place where it is cut.
#[test]
fn a_list_by_ids_that_is_cut_where_its_dates_stop_being_in_order_deletes_nobody() {
    let history = History {
        contacts: 193,
        page_size: 1,
        alike: 1,
        order: Order::Id,
        short_every: 2,
        cap: Some(33),
        overlap: 4,
        events: Vec::new(),
    };
    assert_eq!(deleted_by_a_cut(&history), [] as [usize; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_moves_while_a_list_is_read_everybody_is_in_the_shadow_after_two_more_polls(history in history()) {
        let mut source = Source::new(&history);
        let mut shadow = Shadow::default();
        shadow.poll(&mut source, false);
        source.is_quiet = true;
        for _ in 0..2 {
            source.now += 60;
            shadow.poll(&mut source, false);
        }
        prop_assert_eq!(shadow.broken, None);
        prop_assert_eq!(shadow.missing(&source), [] as [usize; 0]);
    }

    #[test]
    fn a_full_listing_deletes_who_is_gone_and_nobody_else(history in history()) {
        let mut source = Source::new(&history);
        let mut shadow = Shadow::default();
        shadow.poll(&mut source, true);
        for id in shadow.missing(&source) {
            // A contact that is missing now comes with the next listing: it was changed while this one ran.
            prop_assert!(source.contacts[&id].date + history.overlap >= BEGAN || shadow.broken.is_some(), "{}", id);
        }
        source.is_quiet = true;
        source.act(&Event::Remove(history.contacts / 2, 1));
        source.now += 60;
        shadow.poll(&mut source, true);
        prop_assert_eq!(shadow.broken, None);
        prop_assert_eq!(shadow.missing(&source), [] as [usize; 0]);
        if history.cap.is_none() && history.order == Order::Date && source.shows_its_order() {
            prop_assert_eq!(shadow.customers.len(), source.contacts.len());
        }
    }

    /// However few contacts a source lists, and in whatever order: one that still exists is not deleted.
    #[test]
    fn a_list_that_is_cut_deletes_nobody(
        history in history(),
        // No list is cut sooner.
        cap in 20..250_usize,
        order in prop_oneof![Just(Order::Date), Just(Order::NearlyDate), Just(Order::Id), Just(Order::NewestFirst)],
    ) {
        prop_assert_eq!(deleted_by_a_cut(&History { cap: Some(cap), order, ..history }), [] as [usize; 0]);
    }

    /// The state of a listing between two pages is in the store: what is read from there continues the same way.
    #[test]
    fn a_reading_reads_back_as_it_was_stored(history in history()) {
        let mut source = Source::new(&history);
        let mut listing = Listing::of_changes_since(None);
        for _ in 0..20 {
            let question = listing.reading.question();
            let from = question.from.map_or(0, |from| from.to_zoned(TimeZone::UTC).unwrap().timestamp().as_second());
            let Some((contacts, more)) = source.page(from, question.start) else { continue };
            let records: Vec<ListedRecord> = contacts.into_iter().map(told).collect();
            let page = ListedPage { records: &records, more, settled_before: instant(BEGAN) };
            let (next, course) = listing.after_page(page, ContentHash::of(&format!("{records:?}")), None);
            let stored = serde_json::to_string(&next.reading).unwrap();
            prop_assert!(stored.len() < 4_096, "{} bytes", stored.len());
            // Invariant 11: the release before reads it by this name.
            prop_assert!(stored.contains("\"told_of_from\":"), "{}", stored);
            prop_assert_eq!(&serde_json::from_str::<model::ListingProgress>(&stored).unwrap(), &next.reading);
            listing = next;
            if course != ListingState::Continues {
                break;
            }
        }
    }
}
