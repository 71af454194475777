//! Which record an address or a name finds: a model without a store, and the same question to the product.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use axum::http::StatusCode;
use futures::poll;
use tests::AssociationAnywhereFixture;

use crate::sender::{Answer, fetch, lead_source, push, staff};

/// What is pushed, and matched by its address or its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Staff,
    LeadSource,
}

impl Kind {
    fn resource(self) -> &'static str {
        match self {
            Self::Staff => "staff",
            Self::LeadSource => "leadsource",
        }
    }

    /// The element that says what it is matched by.
    fn element(self) -> &'static str {
        match self {
            Self::Staff => "email",
            Self::LeadSource => "name",
        }
    }
}

/// A part of a world with recordIDs, addresses and names of its own.
pub struct Ground<'a> {
    pub world: &'a AssociationAnywhereFixture,
    pub kind: Kind,
    pub name: String,
}

impl Ground<'_> {
    pub fn record(&self, record: u8) -> String {
        format!("{}-r{record}", self.name)
    }

    /// An address, or a name; the empty one is none.
    pub fn address(&self, address: u8) -> String {
        match address {
            0 => String::new(),
            _ => format!("{}-{address}@club.example", self.name),
        }
    }

    /// Pushes that a record has an address now.
    pub async fn push(&self, record: u8, address: u8) -> Answer {
        let (id, address) = (self.record(record), self.address(address));
        let document = match self.kind {
            Kind::Staff => staff(&id, &format!("S{record}"), &address),
            Kind::LeadSource => lead_source(&id, &address),
        };
        push(self.world, self.kind.resource(), document).await
    }

    /// Our id of what is found by a reference, and its address.
    pub async fn found(&self, reference: &str) -> Option<(String, String)> {
        let answer = fetch(self.world, self.kind.resource(), &format!("&uuid={reference}")).await;
        if answer.status == StatusCode::NOT_FOUND {
            return None;
        }
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let text = |element: &str| {
            let (_, rest) = answer.text.split_once(&format!("<{element}>"))?;
            Some(rest.split_once('<')?.0.to_owned())
        };
        Some((text("uuid").unwrap(), text(self.kind.element()).unwrap_or_default()))
    }
}

/// Which record has which address, as the senders see it: a record is named by the first of its recordIDs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// Which record a recordID stands for.
    is: BTreeMap<u8, u8>,
    /// Which address a record has; 0 is none.
    has: BTreeMap<u8, u8>,
    /// The records that have an address, the one that has had it longest first.
    holders: BTreeMap<u8, Vec<u8>>,
}

impl Model {
    /// What becomes of a push.
    pub fn push(&mut self, record: u8, address: u8) {
        let matched = self.found(address);
        let who = *self.is.entry(record).or_insert(matched.unwrap_or(record));
        let before = self.has.insert(who, address).unwrap_or(0);
        if before == address {
            return;
        }
        if let Some(holders) = self.holders.get_mut(&before) {
            holders.retain(|holder| *holder != who);
        }
        if address != 0 {
            self.holders.entry(address).or_default().push(who);
        }
    }

    /// The record that an address leads to.
    pub fn found(&self, address: u8) -> Option<u8> {
        self.holders.get(&address)?.first().copied()
    }

    /// The record that a recordID stands for.
    pub fn is(&self, record: u8) -> Option<u8> {
        self.is.get(&record).copied()
    }

    /// How the product differs from this; `None` if it does not.
    pub fn difference(&self, ground: &Ground<'_>, seen: &Seen) -> Option<String> {
        let mut ids: BTreeMap<u8, &str> = BTreeMap::new();
        for (record, who) in &self.is {
            let Some(Some((id, address))) = seen.records.get(record) else {
                return Some(format!("record {record} is not there"));
            };
            if *ids.entry(*who).or_insert(id) != id {
                return Some(format!("record {record} is not {who}"));
            }
            if *address != ground.address(self.has[who]) {
                return Some(format!("record {record} has {address}"));
            }
        }
        if ids.values().collect::<BTreeSet<_>>().len() != ids.len() {
            return Some("two records are one".to_owned());
        }
        for (address, found) in &seen.addresses {
            let expected = self.found(*address);
            if found.as_deref() != expected.and_then(|who| ids.get(&who).copied()) {
                let found = ids.iter().find(|(_, id)| found.as_deref() == Some(**id)).map(|(who, _)| who);
                return Some(format!("address {address} leads to {found:?} and not to {expected:?}"));
            }
        }
        None
    }
}

/// What the product says.
pub struct Seen {
    /// What each recordID leads to: our id, and the address.
    records: BTreeMap<u8, Option<(String, String)>>,
    /// The record that each address leads to.
    addresses: BTreeMap<u8, Option<String>>,
}

impl Seen {
    /// Of the recordIDs that any of these models has, and of so many addresses.
    pub async fn of(ground: &Ground<'_>, models: &[Model], addresses: u8) -> Self {
        let mut seen = Self { records: BTreeMap::new(), addresses: BTreeMap::new() };
        for record in models.iter().flat_map(|model| model.is.keys()).collect::<BTreeSet<_>>() {
            seen.records.insert(*record, ground.found(&ground.record(*record)).await);
        }
        for address in 1..=addresses {
            seen.addresses.insert(address, ground.found(&ground.address(address)).await.map(|(id, _)| id));
        }
        seen
    }
}

/// Those of the models that are what the product has; there must be one.
pub async fn those_that_hold(ground: &Ground<'_>, models: &[Model], addresses: u8, what: &str) -> Vec<Model> {
    let seen = Seen::of(ground, models, addresses).await;
    let (mut hold, mut differences) = (Vec::new(), Vec::new());
    for model in models {
        match model.difference(ground, &seen) {
            None => hold.push(model.clone()),
            Some(difference) => differences.push(difference),
        }
    }
    assert!(!hold.is_empty(), "{what}: {differences:?}");
    hold
}

/// The record that is found gives the address up, one after the other, until none has it: each time the next is found.
pub async fn assert_all_follow(ground: &Ground<'_>, mut models: Vec<Model>, addresses: u8, what: &str) {
    for address in 1..=addresses {
        while let Some(who) = models[0].found(address) {
            let elsewhere = 100 + who + 10 * address;
            ground.push(who, elsewhere).await.uuid();
            models.iter_mut().for_each(|model| model.push(who, elsewhere));
            let what = format!("{what}, then {who} gives up {address}");
            models = those_that_hold(ground, &models, addresses, &what).await;
        }
    }
}

/// Drives a push until it has asked the store so often, lets something happen, and drives it to its end. Also whether
/// it was still under way then.
pub async fn paused_after<T>(
    world: &AssociationAnywhereFixture,
    requests: i64,
    push: impl Future<Output = Answer>,
    meanwhile: impl Future<Output = T>,
) -> (Answer, T, bool) {
    world.store_budget.set(i64::MAX);
    let mut push = pin!(push);
    let mut ended = None;
    while ended.is_none() && i64::MAX - world.store_budget.left() < requests {
        match poll!(push.as_mut()) {
            Poll::Ready(answer) => ended = Some(answer),
            Poll::Pending => tokio::task::yield_now().await,
        }
    }
    let happened = meanwhile.await;
    match ended {
        Some(answer) => (answer, happened, false),
        None => (push.await, happened, true),
    }
}
