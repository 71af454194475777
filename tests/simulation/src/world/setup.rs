//! What a world is made of, and how it is configured.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use config::{Configuration, Deployment};
use invariants::Watch;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use local_aws::{Conflicts, EmbeddedDynamoDb, Habits, LocalSecrets, LocalSqs, TEMPLATE, Template};
use serde_json::{Value, json};
use simulators::association_anywhere::{AaSettings, AaSimulator, urls};
use simulators::business_catalyst::{self, BcSettings, BcSimulator, endpoint};
use store::{Clock, CredentialDigest, Random, TableNames, Tables};
use tokio::task::JoinSet;

use super::destinations::Destinations;
use super::follower::Follower;
use super::tables::TABLES;
use super::{CONNECTOR, HOSTS, IMPORTER, QUEUE_NUMBERS, READERS, Ticks, World, ZONE};
use crate::audit::{Audit, ErasedIds};
use crate::event::{self, CROWD, CROWD_FIRST, CUSTOMERS, FIRST, FLOOD, POLLED, PROCESSES};
use crate::met::Met;
use crate::process::{Aws, Process};
use crate::run::Http;
use crate::transport::Sources;
use crate::weather::Weather;

/// How many invocations each process has for the messages of a queue, in a world in which `globex` floods: as few as
/// the template allows.
const PLACES: usize = 2;

/// How a world differs from others from the beginning.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Whether changes are sent on: that costs time.
    pub has_destinations: bool,
    /// When it begins.
    pub begins_at: &'static str,
    /// Whether there are more customers than may be deleted at once.
    pub has_crowd: bool,
    /// Whether `globex` has many customers, and few places to fetch them in.
    pub has_floods: bool,
    /// Whether the readers of all tenants follow the feed while everything goes wrong.
    pub all_follow: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            has_destinations: false,
            begins_at: "2026-01-01T00:00:00Z",
            has_crowd: false,
            has_floods: false,
            all_follow: false,
        }
    }
}

impl Setting {
    /// That of a seed: some have destinations, and in some the clocks of Sydney are put back or forward soon.
    pub fn of(seed: u64) -> Self {
        let begins_at = match seed % 16 {
            4 => "2026-04-04T15:52:00Z",
            14 => "2026-10-03T15:55:00Z",
            _ => Self::default().begins_at,
        };
        Self {
            has_destinations: event::has_destinations(seed),
            begins_at,
            has_crowd: event::has_crowd(seed),
            has_floods: event::has_floods(seed),
            all_follow: true,
        }
    }

    /// How many more customers a polled connection has than usual, with ids from [`CROWD_FIRST`] on.
    fn crowd(self, connection: usize) -> u64 {
        match connection {
            1 if self.has_floods => FLOOD,
            0 | 2 if self.has_crowd => CROWD,
            _ => 0,
        }
    }

    /// The ids that customers of a polled connection can have.
    pub(super) fn ids(self, connection: usize) -> impl Iterator<Item = u64> {
        (FIRST..FIRST + CUSTOMERS + 2).chain(CROWD_FIRST..CROWD_FIRST + self.crowd(connection))
    }
}

/// What the functions stand on.
async fn aws(seed: u64, setting: Setting, clock: &Clock, watch: &Watch, sources: Sources, http: &Http) -> Aws {
    let mut template = Template::parse(TEMPLATE).unwrap();
    if setting.has_floods {
        for trigger in template.functions.iter_mut().flat_map(|function| &mut function.queues) {
            trigger.concurrency = trigger.concurrency.min(PLACES);
        }
    }
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
    let weather = Weather::new(seed, clock.clone(), watch.clone());
    Aws { template, database, queues, secrets: LocalSecrets::default(), sources, weather, http: http.clone() }
}

/// The two queues, with all their customers.
fn queues_of(seed: u64) -> [AaSimulator; 2] {
    let settings = |seed| AaSettings { customers: CUSTOMERS, first_id: FIRST, seed, ..AaSettings::default() };
    let aa = [AaSimulator::new(settings(seed)), AaSimulator::new(settings(seed ^ 1))];
    for source in &aa {
        source.rebuild_queue(QUEUE_NUMBERS);
        source.enqueue_all();
        source.set_habits(|habits| {
            habits.refuses_empty_purges = true;
            // What no client can see is not asked of ours: see `model::judge_queue`.
            habits.keeps_unseen = true;
            habits.notes_purged = true;
        });
    }
    aa
}

/// The site, whose clock is off by so many seconds.
fn site(seed: u64, clock: &Clock, offset: &Arc<AtomicI64>, page_size: usize) -> BcSimulator {
    BcSimulator::new(BcSettings {
        contacts: CUSTOMERS,
        first_id: FIRST,
        seed,
        page_size,
        time_zone: TimeZone::get(ZONE).unwrap(),
        clock: business_catalyst::Clock::Following(Arc::new({
            let (clock, offset) = (clock.clone(), offset.clone());
            move || clock.now() + SignedDuration::from_secs(offset.load(Ordering::SeqCst))
        })),
        ..BcSettings::default()
    })
}

impl World {
    /// A world in which everything is configured, and nothing was synced yet.
    pub async fn new(seed: u64, setting: Setting, http: &Http) -> Self {
        let clock = Clock::of_runtime(setting.begins_at.parse().unwrap());
        let aa = queues_of(seed);
        let bc_clock = Arc::new(AtomicI64::new(0));
        let bc = site(seed, &clock, &bc_clock, if setting.has_crowd { 10 } else { 5 });
        for connection in 0..POLLED.len() {
            for id in CROWD_FIRST..CROWD_FIRST + setting.crowd(connection) {
                match aa.get(connection) {
                    Some(queue) => queue.create(id),
                    None => drop(bc.create(Some(id))),
                }
            }
        }
        let destinations = setting.has_destinations.then(|| Destinations::new(seed, &clock));
        let mut hosts = vec![
            (HOSTS[0].to_owned(), aa[0].router()),
            (HOSTS[1].to_owned(), aa[1].router()),
            (HOSTS[2].to_owned(), bc.router()),
        ];
        hosts.extend(destinations.iter().flat_map(Destinations::routers));
        let watch = Watch::new(POLLED.iter().enumerate().flat_map(|(number, (tenant, connection))| {
            let exists = |id: &u64| !(FIRST + CUSTOMERS..CROWD_FIRST).contains(id);
            setting.ids(number).filter(exists).map(move |id| format!("{tenant}/{connection}~{id}"))
        }));
        let aws = aws(seed, setting, &clock, &watch, Sources::new(hosts), http).await;
        let names = TableNames {
            control: TABLES[0].to_owned(),
            shadow: TABLES[1].to_owned(),
            imports: TABLES[2].to_owned(),
            feed: TABLES[3].to_owned(),
        };
        let client = aws.database.exempt_client_through(Arc::new(watch.through(clock.clone())));
        let tables = Tables::new(client, &names, clock.clone(), Random::from_seed(seed ^ 2));
        let erased_ids = ErasedIds::default();
        aws.sources.audit(Audit {
            queues: [(HOSTS[0], aa[0].clone()), (HOSTS[1], aa[1].clone())],
            tables: Tables::new(aws.database.exempt_client(), &names, clock.clone(), Random::from_seed(seed ^ 3)),
            clock: clock.clone(),
            watch: watch.clone(),
            erased: erased_ids.clone(),
        });
        let (operator, operator_clock) = (tables.clone(), clock.clone());
        let mut world = Self {
            aws,
            began: clock.now(),
            next_tick: clock.now(),
            clock,
            watch,
            aa,
            bc,
            bc_clock,
            bc_poisoned: BTreeSet::new(),
            bc_needs_resync: false,
            zone: ZONE,
            processes: Vec::new(),
            offsets: [0; PROCESSES],
            starts: 0,
            tables,
            seed,
            sent: Arc::default(),
            followers: [Follower::of(0), Follower::of(1)],
            events: 0,
            rebuilds: 0,
            // So that the first sync of a crowd is a backfill.
            bulk_size: if setting.has_crowd { 2 } else { 5 },
            met: Met::default(),
            passwords: [0; 3],
            ticks: Ticks::Usual,
            later: Vec::new(),
            trace: None,
            destinations,
            setting,
            operator,
            operator_clock,
            names,
            erasing: Vec::new(),
            undoing: Vec::new(),
            acting: JoinSet::new(),
            erases_again: false,
            erased: BTreeMap::new(),
            erased_ids,
            recovered_in: 0,
            saved: Vec::new(),
        };
        world.write_secrets();
        world.apply().await;
        for number in 0..PROCESSES {
            let process = world.start(number);
            world.processes.push(process);
        }
        world
    }

    fn write_secrets(&self) {
        for connection in 0..POLLED.len() {
            self.write_secret(connection);
        }
        let put = |name: &str, content: Value| self.aws.secrets.put(name, &content.to_string());
        put("intouch", json!({ "username": CONNECTOR.0, "password": CONNECTOR.1 }));
        put("importer", json!({ "users": [{ "user_id": IMPORTER.0, "user_password": IMPORTER.1 }] }));
        for (tenant, token) in READERS {
            put(&format!("reader-{tenant}"), json!({ "token": token }));
        }
        for (name, content) in Destinations::secrets() {
            put(name, content);
        }
    }

    pub(super) fn start(&mut self, number: usize) -> Process {
        self.starts += 1;
        let clock = self.clock.off_by(SignedDuration::from_millis(self.offsets[number]));
        Process::start(&self.aws, clock, self.seed ^ (self.starts << 32))
    }

    pub(super) fn write_secret(&self, connection: usize) {
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
    pub(super) async fn apply(&self) {
        apply_to(&self.operator, self.file()).await;
    }

    pub(super) fn file(&self) -> String {
        let mut file = String::new();
        let most_deletes = if self.setting.has_crowd { 1 } else { 100 };
        for (number, (tenant, id)) in POLLED.iter().enumerate().take(2) {
            let urls = urls(&format!("https://aa{number}.example"));
            file += &format!(
                "[[connection]]\nid = '{id}'\ntenant = '{tenant}'\nkind = 'association-anywhere'\nqueue_url = '{}'\n\
                 details_url = '{}'\npurge_url = '{}'\nenqueue_url = '{}'\n\
                 credentials = 'secretsmanager:source-{number}'\nmax_requests_per_second = 20\npoll_seconds = 8\n\
                 bulk_size = {}\nmost_deletes_percent = {most_deletes}\n",
                urls.queue, urls.details, urls.purge, urls.enqueue, self.bulk_size
            );
        }
        let site = BcSettings::default().site_id;
        let endpoint = endpoint("https://bc.example");
        file += &format!(
            "[[connection]]\nid = 'bc'\ntenant = 'acme'\nkind = 'business-catalyst'\nendpoint = '{endpoint}'\n\
             site_id = {site}\ncredentials = 'secretsmanager:source-2'\ntime_zone = '{}'\n\
             max_requests_per_second = 20\npoll_seconds = 15\nmost_deletes_percent = {most_deletes}\n\
             overlap_seconds = 20\n\
             [[connection]]\nid = 'intouch'\ntenant = 'acme'\nkind = 'connector'\nclient_id = 'c-1'\n\
             club_ids = ['k-1']\nproviders = ['P']\ncredentials = 'secretsmanager:intouch'\n\
             [[connection]]\nid = 'imports'\ntenant = 'acme'\nkind = 'batch-import'\naccount_id = '{}'\n\
             credentials = 'secretsmanager:importer'\ncampaigns = ['1']\n",
            self.zone, IMPORTER.2
        );
        if self.destinations.is_some() {
            file += &Destinations::file();
        }
        for (tenant, _) in READERS {
            file += &format!("[[reader]]\ntenant = '{tenant}'\ntoken = 'secretsmanager:reader-{tenant}'\n");
        }
        file
    }
}

/// An operator applies this file.
pub(super) async fn apply_to(tables: &Tables, file: String) {
    let mut configuration = Configuration::parse(&file, Deployment::Stack).unwrap();
    // The other reader was applied by the release before.
    configuration.readers[0].token_sha256 = Some(CredentialDigest::of(READERS[0].1.as_bytes()));
    for registration in configuration.to_registrations() {
        // An operator whose machine has trouble applies it again.
        let _ = tables.registry.put(&registration).await;
    }
}
