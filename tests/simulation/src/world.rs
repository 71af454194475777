//! Two tenants with four kinds of sources, and all that happens to them.

mod checks;
mod destinations;
mod erasures;
mod follower;
mod senders;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::{Configuration, Deployment};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use local_aws::{Conflicts, EmbeddedDynamoDb, Habits, LocalSecrets, LocalSqs, TEMPLATE, Template};
use model::ConnectionKey;
use serde_json::{Value, json};
use simulators::association_anywhere::{AaSettings, AaSimulator, Procedure, urls};
use simulators::business_catalyst::{self, Action, BcSettings, BcSimulator, Operation, endpoint};
use store::{Clock, CredentialDigest, Random, TableNames, Tables};

use crate::event::{CUSTOMERS, FIRST, POLLED, PROCESSES, What};
use crate::process::{Aws, Process};
use crate::pushes::Sent;
use crate::run::Http;
use crate::transport::Sources;
use crate::watch::Watch;
use crate::weather::Weather;
use crate::world::destinations::Destinations;
use crate::world::follower::Follower;
use crate::world::tables::{Item, TABLES};

pub use destinations::DestinationFault;

/// When every world begins.
const BEGINNING: &str = "2026-01-01T00:00:00Z";
/// The tenants with the tokens of their readers.
const READERS: [(&str, &str); 2] = [("acme", "token-of-acme"), ("globex", "token-of-globex")];
const CONNECTOR: (&str, &str) = ("intouch", "a-password");
const IMPORTER: (&str, &str, &str) = ("john", "another-password", "widgets");
/// After how many events the reader of the feed looks at it.
const FOLLOWS_EVERY: u64 = 8;
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
    aa: [AaSimulator; 2],
    bc: BcSimulator,
    bc_clock: Arc<AtomicI64>,
    /// The contacts that a listing can't hold.
    bc_poisoned: BTreeSet<u64>,
    /// Whether its clock was ever behind: then a change may have a date that was listed already.
    bc_was_behind: bool,
    processes: Vec<Process>,
    offsets: [i64; PROCESSES],
    starts: u64,
    tables: Tables,
    seed: u64,
    sent: Arc<Mutex<Sent>>,
    follower: Follower,
    events: u64,
    rebuilds: u64,
    bulk_size: u64,
    passwords: [u64; 3],
    next_tick: Timestamp,
    ticks: Ticks,
    /// What comes later, by its time.
    later: Vec<(Timestamp, Later)>,
    /// What happened, for people.
    pub trace: Option<Vec<String>>,
    destinations: Option<Destinations>,
    /// Who was erased, by connection and id, and the address that it had.
    erased: BTreeMap<(usize, u64), Option<String>>,
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
    BcClock,
    Resume(usize),
    Secret(usize),
}

impl World {
    /// A world in which everything is configured, and nothing was synced yet.
    pub async fn new(seed: u64, has_destinations: bool, http: &Http) -> Self {
        let clock = Clock::of_runtime(BEGINNING.parse().unwrap());
        let mut template = Template::parse(TEMPLATE).unwrap();
        for function in template.functions.iter_mut().filter(|function| function.binary == "poll-contacts") {
            function.environment.insert("MOST_PAGES".to_owned(), "12".to_owned());
        }
        for function in &mut template.functions {
            // It changes nothing, and every seed would run otherwise: stories tell of it.
            function.environment.entry("DRIFT_SAMPLE".to_owned()).and_modify(|sample| "0".clone_into(sample));
        }
        let database = EmbeddedDynamoDb::in_memory().unwrap();
        for table in &template.tables {
            database.create_table(table).await.unwrap();
        }
        let conflicts = Some(Conflicts { seed, one_in: 6 });
        database.behave(Habits { clock: clock.clone(), throttles: true, conflicts });
        let queues = LocalSqs::new(&template.queues, clock.clone());
        let existing = POLLED.iter().flat_map(|(tenant, connection)| {
            (FIRST..FIRST + CUSTOMERS).map(move |id| format!("{tenant}/{connection}~{id}"))
        });
        let watch = Watch::new(existing);
        let weather = Weather::new(seed, clock.clone(), watch.clone());
        let settings = |seed| AaSettings { customers: CUSTOMERS, first_id: FIRST, seed, ..AaSettings::default() };
        let aa = [AaSimulator::new(settings(seed)), AaSimulator::new(settings(seed ^ 1))];
        for source in &aa {
            source.rebuild_queue(QUEUE_NUMBERS);
            source.enqueue_all();
            source.set_habits(|habits| habits.refuses_empty_purges = true);
            // What no client can see is not asked of ours: see `model::judge_queue`.
            source.set_habits(|habits| habits.keeps_unseen = true);
        }
        let bc_clock = Arc::new(AtomicI64::new(0));
        let bc = BcSimulator::new(BcSettings {
            contacts: CUSTOMERS,
            first_id: FIRST,
            seed,
            page_size: 5,
            time_zone: TimeZone::get("Australia/Sydney").unwrap(),
            clock: business_catalyst::Clock::Following(Arc::new({
                let (clock, offset) = (clock.clone(), bc_clock.clone());
                move || clock.now() + SignedDuration::from_secs(offset.load(Ordering::SeqCst))
            })),
            ..BcSettings::default()
        });
        let destinations = has_destinations.then(|| Destinations::new(seed, &clock));
        let mut hosts = vec![
            ("aa0.example".to_owned(), aa[0].router()),
            ("aa1.example".to_owned(), aa[1].router()),
            ("bc.example".to_owned(), bc.router()),
        ];
        hosts.extend(destinations.iter().flat_map(Destinations::routers));
        let sources = Sources::new(hosts);
        let secrets = LocalSecrets::default();
        let names = TableNames {
            control: TABLES[0].to_owned(),
            shadow: TABLES[1].to_owned(),
            imports: TABLES[2].to_owned(),
            feed: TABLES[3].to_owned(),
        };
        let tables = Tables::new(database.exempt_client(), names, clock.clone(), Random::from_seed(seed ^ 2));
        let aws = Aws { template, database, queues, secrets, sources, weather, http: http.clone() };
        let now = clock.now();
        let mut world = Self {
            aws,
            clock,
            watch,
            aa,
            bc,
            bc_clock,
            bc_poisoned: BTreeSet::new(),
            bc_was_behind: false,
            processes: Vec::new(),
            offsets: [0; PROCESSES],
            starts: 0,
            tables,
            seed,
            sent: Arc::default(),
            follower: Follower::default(),
            events: 0,
            rebuilds: 0,
            bulk_size: 5,
            passwords: [0; 3],
            next_tick: now,
            ticks: Ticks::Usual,
            later: Vec::new(),
            trace: None,
            destinations,
            erased: BTreeMap::new(),
            saved: Vec::new(),
        };
        for connection in 0..POLLED.len() {
            world.write_secret(connection);
        }
        let put = |name: &str, content: Value| world.aws.secrets.put(name, &content.to_string());
        put("intouch", json!({ "username": CONNECTOR.0, "password": CONNECTOR.1 }));
        put("importer", json!({ "users": [{ "user_id": IMPORTER.0, "user_password": IMPORTER.1 }] }));
        for (tenant, token) in READERS {
            put(&format!("reader-{tenant}"), json!({ "token": token }));
        }
        for (name, content) in Destinations::secrets() {
            put(name, content);
        }
        world.apply().await;
        for number in 0..PROCESSES {
            let process = world.start(number);
            world.processes.push(process);
        }
        world
    }

    fn start(&mut self, number: usize) -> Process {
        self.starts += 1;
        let clock = self.clock.off_by(SignedDuration::from_millis(self.offsets[number]));
        Process::start(&self.aws, clock, self.seed ^ (self.starts << 32))
    }

    fn write_secret(&self, connection: usize) {
        let (username, password) = match connection {
            2 => (BcSettings::default().username, BcSettings::default().password),
            _ => (AaSettings::default().username, AaSettings::default().password),
        };
        let is_wrong = self.passwords[connection] > 0;
        let password = if is_wrong { "not the password".to_owned() } else { password };
        let content = json!({ "username": username, "password": password });
        self.aws.secrets.put(&format!("source-{connection}"), &content.to_string());
    }

    /// An operator applies the configuration file.
    async fn apply(&self) {
        let mut file = String::new();
        for (number, (tenant, id)) in POLLED.iter().enumerate().take(2) {
            let urls = urls(&format!("https://aa{number}.example"));
            file += &format!(
                "[[connection]]\nid = '{id}'\ntenant = '{tenant}'\nkind = 'association-anywhere'\nqueue_url = '{}'\n\
                 details_url = '{}'\npurge_url = '{}'\nenqueue_url = '{}'\n\
                 credentials = 'secretsmanager:source-{number}'\nmax_requests_per_second = 20\npoll_seconds = 8\n\
                 bulk_size = {}\nmost_deletes_percent = 100\n",
                urls.queue, urls.details, urls.purge, urls.enqueue, self.bulk_size
            );
        }
        let site = BcSettings::default().site_id;
        let endpoint = endpoint("https://bc.example");
        file += &format!(
            "[[connection]]\nid = 'bc'\ntenant = 'acme'\nkind = 'business-catalyst'\nendpoint = '{endpoint}'\n\
             site_id = {site}\ncredentials = 'secretsmanager:source-2'\ntime_zone = 'Australia/Sydney'\n\
             max_requests_per_second = 20\npoll_seconds = 15\nmost_deletes_percent = 100\n\
             overlap_seconds = 20\n\
             [[connection]]\nid = 'intouch'\ntenant = 'acme'\nkind = 'connector'\nclient_id = 'c-1'\n\
             club_ids = ['k-1']\nproviders = ['P']\ncredentials = 'secretsmanager:intouch'\n\
             [[connection]]\nid = 'imports'\ntenant = 'acme'\nkind = 'batch-import'\naccount_id = '{}'\n\
             credentials = 'secretsmanager:importer'\ncampaigns = ['1']\n",
            IMPORTER.2
        );
        if self.destinations.is_some() {
            file += &Destinations::file();
        }
        for (tenant, _) in READERS {
            file += &format!("[[reader]]\ntenant = '{tenant}'\ntoken = 'secretsmanager:reader-{tenant}'\n");
        }
        let mut configuration = Configuration::parse(&file, Deployment::Stack).unwrap();
        // The other reader was applied by the release before.
        configuration.readers[0].token_sha256 = Some(CredentialDigest::of(READERS[0].1.as_bytes()));
        for registration in configuration.to_registrations() {
            self.tables.registry().put(&registration).await.unwrap();
        }
    }

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

    async fn take_later(&mut self, what: Later) {
        self.note(format_args!("later: {what:?}"));
        match what {
            Later::NoCap(aa) => self.aa[aa].set_habits(|habits| habits.answers_at_most = None),
            Later::BcClock => self.bc_clock.store(0, Ordering::SeqCst),
            Later::Resume(connection) => self.tables.states().resume(&key(connection)).await.unwrap(),
            Later::Secret(connection) => {
                self.passwords[connection] = 0;
                self.write_secret(connection);
            }
        }
    }

    fn in_seconds(&mut self, seconds: u64, what: Later) {
        self.later.push((self.clock.now() + Duration::from_secs(seconds), what));
    }

    /// Lets something happen.
    pub async fn take(&mut self, what: &What) {
        self.note(format_args!("{what:?}"));
        self.events += 1;
        if self.events.is_multiple_of(FOLLOWS_EVERY) {
            // One that is not answered is asked for again with a later event.
            self.follow().await;
        }
        let now = self.clock.now();
        match what.clone() {
            What::AaChange(aa, id) => {
                if self.aa[aa].display_name(id).is_some() {
                    self.aa[aa].change([id]);
                }
            }
            What::AaDelete(aa, id) => {
                self.is_gone(aa, id);
                self.aa[aa].delete(id);
            }
            What::AaCreate(aa, id) => self.aa[aa].create(id),
            What::AaAllDirty(aa) => self.aa[aa].enqueue_all(),
            What::AaRebuild(aa) => {
                self.rebuilds += 1;
                // A queue that has passed our numbers and holds the same customers can't be told from ours.
                self.aa[aa].rebuild_queue(QUEUE_NUMBERS - self.rebuilds * 100_000);
                for id in FIRST..FIRST + CUSTOMERS + 2 {
                    self.aa[aa].enqueue(id);
                }
            }
            What::AaGarbage(aa, text) => self.aa[aa].enqueue_text(text),
            What::AaPoison(aa, id, poison) => self.aa[aa].poison(id, poison),
            What::AaHeal(aa, id) => {
                self.aa[aa].heal(id);
                self.aa[aa].enqueue(id);
            }
            What::AaFault(aa, procedure, fault, times) => self.aa[aa].fault_times(procedure, fault, times),
            What::AaCap(aa, most, seconds) => {
                self.aa[aa].set_habits(|habits| habits.answers_at_most = Some(most));
                self.in_seconds(seconds, Later::NoCap(aa));
            }
            What::BcChange(id) => {
                if self.bc.display_name(id).is_some() {
                    self.bc.change([id]);
                }
            }
            What::BcTouch(id) => {
                if self.bc.display_name(id).is_some() {
                    self.bc.touch(id);
                }
            }
            What::BcDelete(id) => {
                self.is_gone(2, id);
                if self.bc.display_name(id).is_some() {
                    self.bc.delete(id);
                }
            }
            What::BcCreate(id) => {
                self.bc.create(Some(id));
            }
            What::BcMoves(id, page) => {
                if self.bc.display_name(id).is_some() {
                    self.bc.on_page(page * 5, Action::Change(vec![id]));
                }
            }
            What::BcPoison(id, poison) => {
                self.bc_poisoned.insert(id);
                self.bc.poison(id, poison);
            }
            What::BcHeal(id) => self.heal_contact(id),
            What::BcFault(fault, times) => self.bc.fault_times(Operation::Retrieve, fault, times),
            What::BcClock(offset, seconds) => {
                self.bc_clock.store(offset, Ordering::SeqCst);
                self.bc_was_behind |= offset < 0;
                self.in_seconds(seconds, Later::BcClock);
            }
            What::Push(person, twice) => self.push(person, twice),
            What::Import(first, rows, is_whole) => self.import(first, rows, is_whole),
            What::Undo(which) => self.undo(which).await,
            What::Resync(connection) => {
                self.tables.states().request_resync(&key(connection), now).await.unwrap();
            }
            What::Redrive(connection) => self.redrive(connection).await,
            What::Pause(connection, seconds) => {
                self.tables.states().pause(&key(connection), now).await.unwrap();
                self.in_seconds(seconds, Later::Resume(connection));
            }
            What::Apply(bulk_size) => {
                self.bulk_size = bulk_size;
                self.apply().await;
            }
            What::RotateSecret(connection, seconds) => {
                self.passwords[connection] = 1;
                self.write_secret(connection);
                self.in_seconds(seconds, Later::Secret(connection));
            }
            What::MissTick => self.ticks = Ticks::Missed,
            What::DoubleTick => self.ticks = Ticks::Doubled,
            What::Kill(process) => self.processes[process].kill(),
            What::Meet(trouble, calls) => self.aws.weather.plan(trouble, calls),
            What::Slow(seconds) => self.aws.weather.slow_for(Duration::from_secs(seconds)),
            What::Lost(queue) => self.aws.queues.purge(queue),
            What::Doubled(queue) => self.aws.queues.repeat(queue),
            What::Late(queue, seconds) => self.aws.queues.hold_back(queue, Duration::from_secs(seconds)),
            What::SendsFail(count) => self.aws.queues.fail_entries(count),
            What::ClockOff(process, millis) => self.offsets[process] = millis,
            What::LoseLedger(connection) => self.lose_ledger(connection).await,
            What::SaveTables => self.saved = self.save_tables().await,
            What::RestoreTables => self.restore_tables().await,
            What::ImportAgain(which) => self.import_again(which),
            What::Erase(connection, id) => self.erase(connection, id).await,
            what @ (What::DestinationMeets(..)
            | What::DestinationRefuses(..)
            | What::DestinationPaused(_)
            | What::DestinationResync(_)
            | What::DestinationRedrive(_)) => self.take_at_destination(&what).await,
        }
    }

    fn is_gone(&self, connection: usize, id: u64) {
        let (tenant, connection) = POLLED[connection];
        self.watch.is_gone(&format!("{tenant}/{connection}~{id}"));
    }

    /// A contact that could not be read is listed again when it changes.
    fn heal_contact(&self, id: u64) {
        self.bc.heal(id);
        if self.bc.display_name(id).is_some() {
            self.bc.touch(id);
        }
    }

    async fn redrive(&self, connection: usize) {
        self.redrive_of(&key(connection)).await;
    }

    async fn redrive_of(&self, key: &ConnectionKey) {
        let (failures, now) = (self.tables.failures(), self.clock.now());
        for failure in failures.all(key).await.unwrap() {
            failures.request_redrive(key, &failure.source_id, now).await.unwrap();
        }
    }

    /// The trouble ends, and what an operator can mend is mended.
    pub async fn mend(&mut self) {
        self.note(format_args!("the trouble ends"));
        self.aws.weather.clear();
        self.aws.queues.fail_entries(0);
        self.offsets = [0; PROCESSES];
        self.ticks = Ticks::Usual;
        let later = std::mem::take(&mut self.later);
        for (_, what) in later {
            self.take_later(what).await;
        }
        for connection in 0..POLLED.len() {
            // One that was paused when the tables were saved is paused again.
            self.tables.states().resume(&key(connection)).await.unwrap();
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
        self.mend_destinations().await;
        self.bc.fault(Operation::Retrieve, None);
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
            ("changes heard", self.follower.changes()),
        ]
        .into()
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
