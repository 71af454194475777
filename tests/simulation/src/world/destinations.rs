//! The systems that changes are sent to, and what must hold of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use jiff::Timestamp;
use model::{ConnectionKey, Customer};
use operations::status::{Condition, DestinationStatus, StatusReader};
use serde_json::{Value, json};
use simulators::business_catalyst::{self, BcSettings, BcSimulator, Operation, endpoint};
use simulators::loyalty::{self, LoyaltySettings, LoyaltySimulator};
use simulators::webhook::{self, WebhookReceiver, WebhookSettings};
use store::Clock;

use super::World;
use crate::event::{DESTINATIONS, What};

/// The connections of a tenant, whose customers each of its destinations gets.
const FROM: [(&str, &[&str]); 2] = [("acme", &["aa", "bc", "intouch", "imports"]), ("globex", &["members"])];

/// The systems that changes are sent to, in the order of [`DESTINATIONS`].
pub(super) struct Destinations {
    site: BcSimulator,
    loyalty: LoyaltySimulator,
    hooks: [WebhookReceiver; 2],
    /// Who is refused, by the number of the destination.
    refused: BTreeSet<(usize, String)>,
}

/// What goes wrong with the next requests to a destination.
#[derive(Clone, Copy, Debug)]
pub enum DestinationFault {
    /// A server's error.
    Down,
    /// It wants to be left alone.
    Busy,
    /// It carries the request out, and its answer breaks off.
    CutBody,
    /// It carries the request out, and answers a minute later.
    Slow,
    /// It does not take our credentials.
    Credentials,
    /// It says that it is gone for good.
    Gone,
}

impl DestinationFault {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Down, Self::Busy, Self::CutBody, Self::Slow, Self::Credentials, Self::Gone];
}

const MINUTE: Duration = Duration::from_secs(60);

impl Destinations {
    /// Systems that know nobody.
    pub(super) fn new(seed: u64, clock: &Clock) -> Self {
        let following = || {
            let clock = clock.clone();
            Arc::new(move || clock.now())
        };
        let site = BcSettings {
            contacts: 0,
            seed,
            clock: business_catalyst::Clock::Following(following()),
            ..BcSettings::default()
        };
        let hook = || WebhookReceiver::new(WebhookSettings { clock: following(), ..WebhookSettings::default() });
        Self {
            site: BcSimulator::new(site),
            loyalty: LoyaltySimulator::new(LoyaltySettings::default()),
            hooks: [hook(), hook()],
            refused: BTreeSet::new(),
        }
    }

    /// By host.
    pub(super) fn routers(&self) -> Vec<(String, Router)> {
        vec![
            ("site.example".to_owned(), self.site.router()),
            ("loyalty.example".to_owned(), self.loyalty.router()),
            ("hook.example".to_owned(), self.hooks[0].router()),
            ("hook2.example".to_owned(), self.hooks[1].router()),
        ]
    }

    /// What the file says of them.
    pub(super) fn file() -> String {
        let campaigns = LoyaltySettings::default().campaigns;
        let kinds = [
            format!(
                "kind = 'business-catalyst'\nendpoint = '{}'\nsite_id = {}\n",
                endpoint("https://site.example"),
                BcSettings::default().site_id
            ),
            format!(
                "kind = 'customers-batch'\nurl = '{}'\ncampaigns = {campaigns:?}\n",
                loyalty::endpoint("https://loyalty.example")
            ),
            format!("kind = 'webhook'\nurl = '{}'\n", webhook::endpoint("https://hook.example")),
            format!("kind = 'webhook'\nurl = '{}'\n", webhook::endpoint("https://hook2.example")),
        ];
        let mut file = String::new();
        for ((tenant, id), kind) in DESTINATIONS.iter().zip(kinds) {
            let from = from(tenant);
            file += &format!(
                "[[destination]]\nid = '{id}'\ntenant = '{tenant}'\nfrom = {from:?}\n\
                 credentials = 'secretsmanager:{id}'\n{kind}"
            );
        }
        file
    }

    /// The secrets of them, by name.
    pub(super) fn secrets() -> [(&'static str, Value); 4] {
        let (site, loyalty) = (BcSettings::default(), LoyaltySettings::default());
        let hook = json!({ "secret": WebhookSettings::default().secret });
        let access = json!({
            "user_id": loyalty.user_id, "user_password": loyalty.user_password, "account_id": loyalty.account_id
        });
        [
            ("site", json!({ "username": site.username, "password": site.password })),
            ("loyalty", access),
            ("hook", hook.clone()),
            ("hook2", hook),
        ]
    }

    /// What requests have met at each of them.
    pub(super) fn met(&self) -> [(&'static str, BTreeMap<String, u64>); 4] {
        let Self { site, loyalty, hooks, .. } = self;
        [("site ", site.met()), ("loyalty ", loyalty.met()), ("hook ", hooks[0].met()), ("hook ", hooks[1].met())]
    }

    fn meet(&self, destination: usize, fault: DestinationFault, times: u32) {
        use DestinationFault::{Busy, Credentials, CutBody, Down, Gone, Slow};
        match destination {
            0 => {
                use business_catalyst::Fault;
                let fault = match fault {
                    Down | Gone => Fault::Status(503),
                    Busy => Fault::RetryAfter { status: 429, seconds: 7 },
                    CutBody => Fault::CutBody,
                    Slow => Fault::Delay(MINUTE),
                    Credentials => Fault::WrongCredentials,
                };
                self.site.fault_times(Operation::UpdateInsert, fault, times);
            }
            1 => {
                use loyalty::Fault;
                let fault = match fault {
                    Down | Gone => Fault::Status(500),
                    Busy => Fault::RetryAfter { status: 503, seconds: 7 },
                    CutBody => Fault::CutBody,
                    Slow => Fault::Delay(MINUTE),
                    Credentials => Fault::WrongCredentials,
                };
                self.loyalty.fault_times(fault, times);
            }
            hook => {
                use webhook::Fault;
                let fault = match fault {
                    Down | Credentials => Fault::Status(502),
                    Busy => Fault::RetryAfter { status: 429, seconds: 7 },
                    CutBody => Fault::CutBody,
                    Slow => Fault::Delay(MINUTE),
                    Gone => Fault::Status(410),
                };
                self.hooks[hook - 2].fault_times(fault, times);
            }
        }
    }

    fn refuse(&mut self, destination: usize, id: &str) {
        self.refused.insert((destination, id.to_owned()));
        match destination {
            0 => self.site.refuse_external_id(id),
            1 => self.loyalty.poison(id, loyalty::Poison::RowDropped),
            hook => self.hooks[hook - 2].refuse(id, 422),
        }
    }

    fn accept(&self, destination: usize, id: &str) {
        match destination {
            0 => self.site.accept_external_id(id),
            1 => self.loyalty.heal(id),
            hook => self.hooks[hook - 2].accept(id),
        }
    }
}

impl World {
    /// Lets something happen to a destination. In a world without them nothing does.
    pub(super) async fn take_at_destination(&mut self, what: &What) -> bool {
        let now = self.operator_clock.now();
        let Some(destinations) = &mut self.destinations else { return false };
        let states = &self.operator.states;
        match what {
            What::DestinationMeets(destination, fault, times) => destinations.meet(*destination, *fault, *times),
            What::DestinationRefuses(destination, id) => {
                let connection = from(DESTINATIONS[*destination].0)[0];
                destinations.refuse(*destination, &format!("{connection}~{id}"));
            }
            What::DestinationPaused(destination) => {
                let key = key(*destination);
                match states.state(&key).await.unwrap().paused_at {
                    Some(_) => states.resume(&key).await.unwrap(),
                    None => states.pause(&key, now).await.unwrap(),
                }
            }
            What::DestinationResync(destination) => states.request_resync(&key(*destination), now).await.unwrap(),
            What::DestinationRedrive(destination) => return self.redrive_of(&key(*destination)).await,
            _ => return false,
        }
        true
    }

    /// Every destination takes everything again, and an operator has those go on that are paused.
    pub(super) async fn mend_destinations(&mut self) {
        let Some(destinations) = &mut self.destinations else { return };
        destinations.site.fault(Operation::UpdateInsert, None);
        destinations.loyalty.fault(None);
        destinations.hooks.iter().for_each(|hook| hook.fault(None));
        for (destination, id) in std::mem::take(&mut destinations.refused) {
            destinations.accept(destination, &id);
        }
        for destination in 0..DESTINATIONS.len() {
            self.tables.states.resume(&key(destination)).await.unwrap();
        }
    }

    /// What an operator does after the tables were restored.
    pub(super) async fn resync_destinations(&self) {
        if self.destinations.is_some() {
            for destination in 0..DESTINATIONS.len() {
                self.tables.states.request_resync(&key(destination), self.clock.now()).await.unwrap();
            }
        }
    }

    /// What an operator does now and then while everything recovers.
    pub(super) async fn redrive_destinations(&self) {
        if self.destinations.is_some() {
            for destination in 0..DESTINATIONS.len() {
                self.redrive_of(&key(destination)).await;
                // One may have said that it is gone in an answer that was still under way.
                self.tables.states.resume(&key(destination)).await.unwrap();
            }
        }
    }

    async fn destination_statuses(&self) -> Vec<DestinationStatus> {
        StatusReader::new(&self.tables).destinations(None, self.clock.now()).await.unwrap()
    }

    /// Whether every destination has what had changed by `since`.
    pub(super) async fn have_destinations_recovered(&self, since: Timestamp) -> Result<(), String> {
        for status in self.destination_statuses().await {
            let fresh_as_of: Option<Timestamp> = status.fresh_as_of.as_deref().and_then(|at| at.parse().ok());
            let is_fresh = status.condition == Condition::InSync && fresh_as_of.is_some_and(|at| at >= since);
            if !is_fresh || status.waiting > 0 || status.failures > 0 {
                return Err(format!("a destination is not in sync: {status:?}"));
            }
        }
        Ok(())
    }

    /// What does not hold of the destinations, once everything is fresh: each has what the shadow has, and nobody else.
    pub(super) async fn violations_at_destinations(&self) -> Vec<String> {
        let Some(destinations) = &self.destinations else { return Vec::new() };
        let mut violations = Vec::new();
        let mut check = |is_so: bool, problem: String| {
            if !is_so {
                violations.push(problem);
            }
        };
        let living = [self.living("acme").await, self.living("globex").await];
        for (hook, living) in destinations.hooks.iter().zip(&living) {
            for (id, customer) in living {
                let there = hook.customer(id);
                let expected = serde_json::to_value(customer).unwrap();
                let revision = |record: &Value| record["revision"].as_u64();
                let revisions = (there.as_ref().and_then(revision), revision(&expected));
                check(
                    there.as_ref() == Some(&expected),
                    format!("{id} at a hook, and stored: revisions {revisions:?}"),
                );
            }
            let others: Vec<String> = hook.ids().into_iter().filter(|id| !living.contains_key(id)).collect();
            check(others.is_empty(), format!("a hook has {others:?} too"));
        }
        for (id, customer) in &living[0] {
            let content = &customer.content;
            let name = content.name.display.clone().unwrap_or_default();
            let email = content.emails.iter().find(|email| email.primary).or(content.emails.first());
            let contact = destinations.site.contact_by_external_id(id);
            let at_site = contact.as_ref().filter(|contact| !contact.deleted).map(|contact| contact.full_name.clone());
            check(at_site.as_ref() == Some(&name), format!("{id} at the site: {contact:?}, stored {name}"));
            let row = destinations.loyalty.customer(id);
            let at_loyalty = row.as_ref().and_then(|row| row.get("email"));
            let is_there = row.is_some() && at_loyalty == email.map(|email| &email.address);
            check(is_there, format!("{id} at the loyalty service: {row:?}, stored {email:?}"));
        }
        for id in destinations.site.contact_ids() {
            let external_id = destinations.site.external_id(id).unwrap_or_default();
            check(living[0].contains_key(&external_id), format!("the site has {external_id} too"));
        }
        violations
    }

    /// The customers of a tenant that are not deleted, by public id.
    async fn living(&self, tenant: &str) -> BTreeMap<String, Customer> {
        let deadline = self.clock.now() + MINUTE;
        let mut living = BTreeMap::new();
        for connection in from(tenant) {
            let key = ConnectionKey::new(tenant, *connection);
            let (customers, _) = self.tables.shadow.list(&key, None, 1_000, deadline).await.unwrap();
            living.extend(customers.into_iter().map(|customer| (customer.id().to_string(), customer)));
        }
        living
    }
}

fn from(tenant: &str) -> &'static [&'static str] {
    FROM.iter().find(|(name, _)| *name == tenant).map(|(_, from)| *from).unwrap()
}

fn key(destination: usize) -> ConnectionKey {
    let (tenant, id) = DESTINATIONS[destination];
    ConnectionKey::new(tenant, id)
}
