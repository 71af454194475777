//! What holds of addresses and names whatever is pushed, how often, in which order, and wherever it dies.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use tests::AssociationAnywhereFixture;
use tokio::runtime::Builder;

use crate::model::{Ground, Kind, Model, assert_all_follow, paused_after, those_that_hold};
use crate::sender::{customer, push, referring};

const ADDRESSES: u8 = 3;
/// Members of staff, or lead sources, and recordIDs beyond those.
const RECORDS: u8 = 5;

#[derive(Clone, Debug)]
enum Event {
    /// A record is pushed with an address, so often.
    Push { record: u8, address: u8, times: u8 },
    /// The store takes so many requests of a push; it is sent again when so many other events have come, unless the
    /// record is pushed otherwise before.
    Dies { record: u8, address: u8, requests: i64, again_after: usize },
    /// A prospect names the record with an address.
    Prospect { address: u8 },
}

fn event() -> impl Strategy<Value = Event> {
    let push = || (1..=RECORDS, 1..=ADDRESSES);
    prop_oneof![
        4 => (push(), 1..3_u8).prop_map(|((record, address), times)| Event::Push { record, address, times }),
        3 => (push(), 0..12_i64, 0..3_usize).prop_map(|((record, address), requests, again_after)| Event::Dies {
            record,
            address,
            requests,
            again_after
        }),
        2 => (1..=ADDRESSES).prop_map(|address| Event::Prospect { address }),
    ]
}

/// What has happened until now, and what must have come of it.
#[derive(Default)]
struct History {
    model: Model,
    /// What is still to be sent again, and after how many other events.
    unanswered: BTreeMap<u8, (u8, usize)>,
    /// Records that died before they were made, each with the address that it said. A push with that address under
    /// another recordID then is that record: as if it had been made, and its answer lost.
    unmade: BTreeSet<(u8, u8)>,
    prospects: Vec<Prospect>,
}

/// A prospect, and what it named; the records that this has led to since.
struct Prospect {
    id: String,
    address: u8,
    candidates: BTreeSet<u8>,
}

impl History {
    fn note(&mut self) {
        for prospect in &mut self.prospects {
            prospect.candidates.extend(self.model.found(prospect.address));
        }
    }

    async fn push(&mut self, ground: &Ground<'_>, record: u8, address: u8, times: u8) {
        self.unanswered.remove(&record);
        for _ in 0..times {
            ground.push(record, address).await.uuid();
        }
        self.make_up_for_the_unmade(ground, record, address).await;
        self.model.push(record, address);
        self.note();
    }

    async fn make_up_for_the_unmade(&mut self, ground: &Ground<'_>, pushed: u8, address: u8) {
        for (record, said) in self.unmade.clone() {
            if record != pushed && said == address && self.model.is(record).is_none() {
                let stored = ground.found(&ground.record(record)).await;
                if stored.is_some_and(|(_, stored)| stored == ground.address(address)) {
                    self.model.push(record, address);
                    self.note();
                }
            }
        }
    }

    async fn happen(&mut self, ground: &Ground<'_>, event: &Event) {
        match *event {
            Event::Push { record, address, times } => self.push(ground, record, address, times).await,
            Event::Dies { record, address, requests, again_after } => {
                self.unanswered.remove(&record);
                ground.world.store_budget.set(requests);
                let answer = ground.push(record, address).await;
                ground.world.store_budget.set(i64::MAX);
                // Whether it has reached the record is for the store to say.
                self.make_up_for_the_unmade(ground, record, address).await;
                let stored = ground.found(&ground.record(record)).await;
                if stored.is_some_and(|(_, stored)| stored == ground.address(address)) {
                    self.model.push(record, address);
                    self.note();
                } else if self.model.is(record).is_none() {
                    self.unmade.insert((record, address));
                }
                if answer.status != StatusCode::OK {
                    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
                    self.unanswered.insert(record, (address, again_after));
                }
            }
            Event::Prospect { address } => {
                let name = ground.record(100 + u8::try_from(self.prospects.len()).unwrap());
                let reference = ground.address(address);
                let document = match ground.kind {
                    Kind::Staff => referring(&name, &reference, ""),
                    Kind::LeadSource => referring(&name, "", &reference),
                };
                let id = push(ground.world, "user", document).await.uuid();
                self.prospects.push(Prospect { id, address, candidates: BTreeSet::new() });
                self.note();
            }
        }
    }

    async fn send_again(&mut self, ground: &Ground<'_>, is_due: impl Fn(usize) -> bool) {
        for (record, (address, after)) in self.unanswered.clone() {
            if is_due(after) {
                self.push(ground, record, address, 1).await;
            } else {
                self.unanswered.insert(record, (address, after - 1));
            }
        }
    }

    /// Each prospect that was completed names the right record.
    async fn assert_prospects(&self, ground: &Ground<'_>) {
        let field = match ground.kind {
            Kind::Staff => "owner_staff_id",
            Kind::LeadSource => "lead_source_id",
        };
        for prospect in &self.prospects {
            let mut candidates = BTreeSet::new();
            for who in &prospect.candidates {
                candidates.insert(ground.found(&ground.record(*who)).await.unwrap().0);
            }
            match &customer(ground.world, &prospect.id).await[field] {
                Value::String(id) => assert!(candidates.contains(id), "{id} never had {}", prospect.address),
                _ => assert_eq!(self.model.found(prospect.address), None, "{} waits", prospect.address),
            }
        }
    }
}

/// Whatever happens, every address leads to the record that has had it longest of those that have it now, and no
/// prospect waits for an address that a record has.
async fn tell(world: &AssociationAnywhereFixture, kind: Kind, name: String, events: &[Event]) {
    let ground = Ground { world, kind, name };
    let mut history = History::default();
    for event in events {
        history.happen(&ground, event).await;
        history.send_again(&ground, |after| after == 0).await;
        those_that_hold(&ground, &[history.model.clone()], ADDRESSES, &format!("after {event:?}")).await;
    }
    history.send_again(&ground, |_| true).await;
    those_that_hold(&ground, &[history.model.clone()], ADDRESSES, "at the end").await;
    history.assert_prospects(&ground).await;
}

/// Two pushes that happen at once end as one after the other, wherever one of them is held up meanwhile.
async fn tell_at_once(
    world: &AssociationAnywhereFixture,
    name: String,
    before: &[(u8, u8)],
    two: [(u8, u8); 2],
    requests: i64,
) {
    let ground = Ground { world, kind: Kind::Staff, name };
    let mut model = Model::default();
    for (record, address) in before {
        ground.push(*record, *address).await.uuid();
        model.push(*record, *address);
    }
    let [one, other] = two;
    let pushes = (ground.push(one.0, one.1), ground.push(other.0, other.1));
    let (first, second, _) = paused_after(world, requests, pushes.0, pushes.1).await;
    let ids = [(first.uuid(), one.0), (second.uuid(), other.0)];
    let mut models = [model.clone(), model];
    for (model, order) in models.iter_mut().zip([[one, other], [other, one]]) {
        order.iter().for_each(|(record, address)| model.push(*record, *address));
    }
    let models = those_that_hold(&ground, &models, ADDRESSES, "at once").await;
    for (id, record) in ids {
        assert_eq!(ground.found(&ground.record(record)).await.unwrap().0, id, "record {record}");
    }
    assert_all_follow(&ground, models, ADDRESSES, "at once").await;
}

/// Runs cases in one world, each on a ground of its own.
fn run<T: std::fmt::Debug>(
    strategy: &impl Strategy<Value = T>,
    tell: impl AsyncFn(&AssociationAnywhereFixture, String, T),
) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(AssociationAnywhereFixture::with_connector(true));
    let number = std::cell::Cell::new(0);
    let config = Config { cases: 64, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let told = TestRunner::new(config).run(strategy, |case| {
        world.store_budget.set(i64::MAX);
        number.set(number.get() + 1);
        runtime.block_on(tell(&world, format!("case-{}", number.get()), case));
        Ok(())
    });
    told.unwrap();
}

#[test]
fn an_address_leads_to_who_has_had_it_longest_whatever_is_pushed_doubled_or_dies() {
    let cases = (prop_oneof![Just(Kind::Staff), Just(Kind::LeadSource)], vec(event(), 1..12));
    run(&cases, async |world: &AssociationAnywhereFixture, name, (kind, events): (Kind, Vec<Event>)| {
        tell(world, kind, name, &events).await
    });
}

#[test]
fn two_pushes_at_once_end_as_one_after_the_other() {
    let push = || (1..=RECORDS, 0..=ADDRESSES);
    let cases = (vec(push(), 0..8), (push(), push()), 0..24_i64);
    run(
        &cases,
        async |world: &AssociationAnywhereFixture, name, (before, (one, other), requests): (Vec<(u8, u8)>, _, i64)| {
            tell_at_once(world, name, &before, [one, other], requests).await;
        },
    );
}
