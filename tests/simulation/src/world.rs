//! Two tenants with four kinds of sources, and all that happens to them.

mod checks;
mod destinations;
mod erasures;
mod events;
mod follower;
mod operator;
mod senders;
mod setup;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use invariants::Watch;
use jiff::Timestamp;
use model::ConnectionKey;
use simulators::association_anywhere::{AaSimulator, Procedure};
use simulators::business_catalyst::{BcSimulator, Operation};
use store::{Clock, TableNames, Tables, Whom};
use tokio::task::JoinSet;

use crate::audit::ErasedIds;
use crate::event::{CUSTOMERS, FIRST, POLLED, PROCESSES};
use crate::met::Met;
use crate::process::{Aws, Process};
use crate::pushes::{BegunUndo, Sent};
use crate::world::destinations::Destinations;
use crate::world::follower::Follower;
use crate::world::tables::Item;

pub use destinations::DestinationFault;
pub use setup::Setting;

/// A figure of which the greatest counts, and not the sum.
pub const LONGEST_RECOVERY: &str = "seconds the longest recovery took";

/// The tenants with the tokens of their readers.
const READERS: [(&str, &str); 2] = [("acme", "token-of-acme"), ("globex", "token-of-globex")];
const CONNECTOR: (&str, &str) = ("intouch", "a-password");
const IMPORTER: (&str, &str, &str) = ("john", "another-password", "widgets");
/// After how many events the reader of the feed looks at it.
const FOLLOWS_EVERY: u64 = 8;
/// The hosts of the polled connections.
const HOSTS: [&str; 3] = ["aa0.example", "aa1.example", "bc.example"];
/// Where the site is.
const ZONE: &str = "Australia/Sydney";
/// The first number of a queue; one that is built anew begins below.
const QUEUE_NUMBERS: u64 = 9_000_000;

/// A world.
pub struct World {
    /// What the functions stand on.
    pub aws: Aws,
    /// The time.
    pub clock: Clock,
    /// What was written to the shadow.
    pub watch: Watch,
    began: Timestamp,
    aa: [AaSimulator; 2],
    bc: BcSimulator,
    bc_clock: Arc<AtomicI64>,
    /// The contacts that a listing can't hold.
    bc_poisoned: BTreeSet<u64>,
    /// Whether its clock was ever behind, or its zone wrong: then a change may have a date that was listed already.
    bc_needs_resync: bool,
    /// The zone that the file names.
    zone: &'static str,
    processes: Vec<Process>,
    offsets: [i64; PROCESSES],
    starts: u64,
    tables: Tables,
    seed: u64,
    sent: Arc<Mutex<Sent>>,
    followers: [Follower; 2],
    events: u64,
    rebuilds: u64,
    bulk_size: u64,
    met: Met,
    passwords: [u64; 3],
    next_tick: Timestamp,
    ticks: Ticks,
    /// What comes later, by its time.
    later: Vec<(Timestamp, Later)>,
    /// What happened, for people.
    pub trace: Option<Vec<String>>,
    destinations: Option<Destinations>,
    setting: Setting,
    /// The tables as the operator reaches them, whose clock may be wrong.
    operator: Tables,
    operator_clock: Clock,
    names: TableNames,
    /// Erasures that an operator has begun, and may not have finished.
    erasing: Vec<(&'static str, Whom)>,
    /// Imports whose undo an operator has begun, and may not have finished.
    undoing: Vec<BegunUndo>,
    /// What operators do beside everything else.
    acting: JoinSet<()>,
    /// Whether everybody who was erased is to be erased again.
    erases_again: bool,
    /// Who was erased, by connection and id, and the address that it had.
    erased: BTreeMap<(usize, u64), Option<String>>,
    erased_ids: ErasedIds,
    /// How long the recovery took, in seconds.
    recovered_in: u64,
    /// The items of every table, as they were once saved.
    saved: Vec<(&'static str, Vec<Item>)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Ticks {
    Usual,
    Missed,
    Doubled,
}

#[derive(Clone, Debug)]
enum Later {
    NoCap(usize),
    NoZeros(usize),
    Answers(usize),
    UsualPages,
    NoBcCap,
    RightZone,
    BcClock,
    Resume(usize),
    Secret(usize),
}

impl World {
    /// Lets time pass until `time`, with ticks, and with processes that begin again.
    pub async fn pass_until(&mut self, time: Timestamp) {
        while self.clock.now() < time {
            let next = self.later.iter().map(|(at, _)| *at).min().unwrap_or(time).min(self.next_tick).min(time);
            let second = self.clock.now() + Duration::from_secs(1);
            self.clock.sleep_until(next.min(second).max(self.clock.now() + Duration::from_millis(1))).await;
            let now = self.clock.now();
            for number in 0..PROCESSES {
                if self.processes[number].is_dead() {
                    let process = self.start(number);
                    self.processes[number] = process;
                }
            }
            if now >= self.next_tick {
                self.next_tick = now + Duration::from_secs(60);
                let times = match std::mem::replace(&mut self.ticks, Ticks::Usual) {
                    Ticks::Usual => 1,
                    Ticks::Missed => 0,
                    Ticks::Doubled => 2,
                };
                for number in 0..times {
                    self.processes[(self.starts as usize + number) % PROCESSES].tick();
                }
            }
            let (due, later) = std::mem::take(&mut self.later).into_iter().partition(|(at, _)| *at <= now);
            self.later = later;
            for (_, what) in due {
                self.take_later(what).await;
            }
        }
    }

    /// The trouble ends, and what an operator can mend is mended.
    pub async fn mend(&mut self) {
        self.note(format_args!("the trouble ends"));
        self.aws.weather.clear();
        self.aws.queues.fail_entries(0);
        self.aws.queues.forget_mishaps();
        self.aws.sources.clear();
        self.offsets = [0; PROCESSES];
        self.ticks = Ticks::Usual;
        let later = std::mem::take(&mut self.later);
        for (_, what) in later {
            self.take_later(what).await;
        }
        self.mend_operator().await;
        for connection in 0..POLLED.len() {
            // One that was paused when the tables were saved is paused again.
            self.tables.states.resume(&key(connection)).await.unwrap();
        }
        for aa in &self.aa {
            for procedure in Procedure::ALL {
                aa.fault(procedure, None);
            }
            aa.set_habits(|habits| habits.answers_at_most = None);
            for id in FIRST..FIRST + CUSTOMERS + 2 {
                aa.heal(id);
            }
        }
        for connection in 0..self.aa.len() {
            self.have_somebody(connection);
        }
        self.mend_destinations().await;
        self.bc.fault(Operation::Retrieve, None);
        self.bc.forget_actions();
        for id in std::mem::take(&mut self.bc_poisoned) {
            self.heal_contact(id);
        }
    }

    /// What was done, in numbers.
    pub fn figures(&self) -> BTreeMap<&'static str, u64> {
        let (writes, tombstones) = self.watch.writes();
        let acknowledged = lock(&self.sent).acknowledged;
        [
            ("calls", self.aws.weather.calls()),
            ("records written", writes),
            ("tombstones", tombstones),
            ("pushes and imports acknowledged", acknowledged),
            ("processes started", self.starts),
            ("changes heard", self.followers.iter().map(Follower::changes).sum()),
            (LONGEST_RECOVERY, self.recovered_in),
        ]
        .into()
    }

    /// What happened, by name.
    pub fn met(&self) -> BTreeMap<String, u64> {
        let mut met = self.met.all();
        let mut add = |prefix: &str, more: BTreeMap<String, u64>| {
            for (name, count) in more {
                *met.entry(format!("{prefix}{name}")).or_default() += count;
            }
        };
        add("", self.aws.weather.met());
        add("", self.aws.sources.met());
        add("", self.aws.queues.met().into_iter().map(|(name, count)| (name.to_owned(), count)).collect());
        add("", self.aws.weather.fired().into_iter().map(|(trouble, count)| (format!("{trouble:?}"), count)).collect());
        for aa in &self.aa {
            add("aa ", aa.met());
        }
        add("bc ", self.bc.met());
        for (name, more) in self.destinations.iter().flat_map(Destinations::met) {
            add(name, more);
        }
        met
    }

    /// Notes what calls have met, for people.
    pub fn note_weather(&mut self) {
        if let Some(trace) = &mut self.trace {
            trace.extend(self.aws.weather.take_notes());
        }
    }

    /// Notes what happens, for people.
    pub fn note(&mut self, what: std::fmt::Arguments<'_>) {
        let now = self.clock.now();
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{} {what}", model::iso_millis(now)));
        }
    }
}

fn key(connection: usize) -> ConnectionKey {
    let (tenant, id) = POLLED[connection];
    ConnectionKey::new(tenant, id)
}

fn lock(sent: &Mutex<Sent>) -> MutexGuard<'_, Sent> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}
