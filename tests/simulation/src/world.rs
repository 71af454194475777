//! Two tenants with four kinds of sources, and all that happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use config::{Configuration, Deployment};
use futures::FutureExt;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use local_aws::{Conflicts, EmbeddedDynamoDb, Habits, LocalSecrets, LocalSqs, TEMPLATE, Template};
use model::ConnectionKey;
use operations::imports::Undo;
use operations::status::{ConnectionStatus, StatusReader};
use serde_json::{Value, json};
use simulators::association_anywhere::{AaSettings, AaSimulator, Procedure, urls};
use simulators::business_catalyst::{self, Action, BcSettings, BcSimulator, Operation, endpoint};
use sources::SourceHttp;
use store::{Clock, Random, TableNames, Tables};
use tower::ServiceExt;

use crate::event::{CUSTOMERS, FIRST, POLLED, PROCESSES, PUSHED, What};
use crate::invariants;
use crate::process::{Aws, Process};
use crate::pushes::{DoneImport, Sent};
use crate::transport::Sources;
use crate::watch::Watch;
use crate::weather::Weather;

/// When every world begins.
const BEGINNING: &str = "2026-01-01T00:00:00Z";
/// The tenants with the tokens of their readers.
const READERS: [(&str, &str); 2] = [("acme", "token-of-acme"), ("globex", "token-of-globex")];
const CONNECTOR: (&str, &str) = ("intouch", "a-password");
const IMPORTER: (&str, &str, &str) = ("john", "another-password", "widgets");
/// How often a sender sends a request that is not acknowledged.
const ATTEMPTS: u32 = 6;
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
    rebuilds: u64,
    bulk_size: u64,
    passwords: [u64; 3],
    next_tick: Timestamp,
    ticks: Ticks,
    /// What comes later, by its time.
    later: Vec<(Timestamp, Later)>,
    /// What happened, for people.
    pub trace: Option<Vec<String>>,
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
    pub async fn new(seed: u64, http: &SourceHttp) -> Self {
        let clock = Clock::of_runtime(BEGINNING.parse().unwrap());
        let mut template = Template::parse(TEMPLATE).unwrap();
        for function in template.functions.iter_mut().filter(|function| function.binary == "poll-contacts") {
            function.environment.insert("MOST_PAGES".to_owned(), "12".to_owned());
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
            source.refuse_empty_purges();
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
        let sources = Sources::new([
            ("aa0.example".to_owned(), aa[0].router()),
            ("aa1.example".to_owned(), aa[1].router()),
            ("bc.example".to_owned(), bc.router()),
        ]);
        let secrets = LocalSecrets::default();
        let names = TableNames {
            control: "ControlTable".to_owned(),
            shadow: "ShadowTable".to_owned(),
            imports: "ImportTable".to_owned(),
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
            rebuilds: 0,
            bulk_size: 5,
            passwords: [0; 3],
            next_tick: now,
            ticks: Ticks::Usual,
            later: Vec::new(),
            trace: None,
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
                 credentials = 'secretsmanager:source-{number}'\nmax_requests_per_second = 20\npoll_seconds = 5\n\
                 bulk_size = {}\nmost_deletes_percent = 100\n",
                urls.queue, urls.details, urls.purge, urls.enqueue, self.bulk_size
            );
        }
        let site = BcSettings::default().site_id;
        let endpoint = endpoint("https://bc.example");
        file += &format!(
            "[[connection]]\nid = 'bc'\ntenant = 'acme'\nkind = 'business-catalyst'\nendpoint = '{endpoint}'\n\
             site_id = {site}\ncredentials = 'secretsmanager:source-2'\ntime_zone = 'Australia/Sydney'\n\
             max_requests_per_second = 20\npoll_seconds = 10\nmost_deletes_percent = 100\n\
             [[connection]]\nid = 'intouch'\ntenant = 'acme'\nkind = 'connector'\nclient_id = 'c-1'\n\
             club_ids = ['k-1']\nproviders = ['P']\ncredentials = 'secretsmanager:intouch'\n\
             [[connection]]\nid = 'imports'\ntenant = 'acme'\nkind = 'batch-import'\naccount_id = '{}'\n\
             credentials = 'secretsmanager:importer'\ncampaigns = ['1']\n",
            IMPORTER.2
        );
        for (tenant, _) in READERS {
            file += &format!("[[reader]]\ntenant = '{tenant}'\ntoken = 'secretsmanager:reader-{tenant}'\n");
        }
        let configuration = Configuration::parse(&file, Deployment::Stack);
        for registration in configuration.unwrap().to_registrations() {
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
            Later::NoCap(aa) => self.aa[aa].answer_at_most(None),
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
                self.aa[aa].answer_at_most(Some(most));
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

    async fn lose_ledger(&self, connection: usize) {
        let (tenant, id) = POLLED[connection];
        let key = [("connection", format!("{tenant}/{id}")), ("entry", "batch".to_owned())];
        let key = key.map(|(name, value)| (name.to_owned(), AttributeValue::S(value)));
        let delete = self.aws.database.exempt_client().delete_item().table_name("ControlTable");
        delete.set_key(Some(key.into())).send().await.unwrap();
    }

    async fn redrive(&self, connection: usize) {
        let (failures, now) = (self.tables.failures(), self.clock.now());
        for failure in failures.all(&key(connection)).await.unwrap() {
            failures.request_redrive(&key(connection), &failure.source_id, now).await.unwrap();
        }
    }

    /// A Connector pushes a new state of a person until it is acknowledged or the Connector gives up.
    fn push(&self, person: u64, twice: bool) {
        let Some(value) = self.begin_sending("person", [person].into()) else { return };
        let document = format!(
            "<user><providerInfo><identifier>P</identifier><clientID>c-1</clientID><clubID>k-1</clubID>\
             <recordID>r-{person}</recordID></providerInfo><userInfo><firstname>Jo</firstname>\
             <lastname>V{value}</lastname><userStatus>ACTIVE</userStatus><userType>PROSPECT</userType></userInfo></user>"
        );
        let authorization = BASE64_STANDARD.encode(format!("{}:{}", CONNECTOR.0, CONNECTOR.1));
        let request = move || {
            Request::post("/connector/api/2011-11/user")
                .header("Authorization", format!("Basic {authorization}"))
                .header("Content-Type", "application/xml")
                .body(Body::from(document.clone()))
                .unwrap()
        };
        let (sent, clock) = (self.sent.clone(), self.clock.clone());
        let senders: Vec<_> = (0..if twice { 2 } else { 1 }).map(|_| self.sender(request.clone())).collect();
        tokio::spawn(async move {
            let answers = futures::future::join_all(senders).await;
            let mut sent = lock(&sent);
            sent.under_way.remove(&("person", person));
            for text in answers.iter().flatten() {
                let uuid = text.split_once("<uuid>").and_then(|(_, rest)| rest.split_once("</uuid>"));
                let Some((uuid, _)) = uuid else {
                    sent.violations.push(format!("{}: person {person}: {text}", clock.now()));
                    continue;
                };
                if *sent.ids.entry(person).or_insert_with(|| uuid.to_owned()) != uuid {
                    sent.violations.push(format!("{}: person {person} has two ids", clock.now()));
                }
            }
            // One that was sent twice, and acknowledged once, may still be written by the other.
            if answers.iter().all(Option::is_some) {
                sent.acknowledged += 1;
                sent.people.entry(person).or_default().acknowledged(value);
            }
        });
    }

    /// An importer sends rows until they are acknowledged or it gives up.
    fn import(&self, first: u64, rows: u64, is_whole: bool) {
        let codes: BTreeSet<u64> = (first..first + rows).map(|code| code % PUSHED).collect();
        let before = lock(&self.sent).rows.clone();
        let before = codes.iter().map(|code| (*code, before.get(code).cloned().unwrap_or_default())).collect();
        let Some(value) = self.begin_sending("row", codes.clone()) else { return };
        let data: Vec<String> = codes.iter().map(|code| format!("code{code}|Jo|V{value}")).collect();
        let fields = [
            ("user_id", IMPORTER.0),
            ("user_password", IMPORTER.1),
            ("account_id", IMPORTER.2),
            ("type", "customers_batch"),
            ("delimiter", "pipe"),
            ("overwrite_duplicates", if is_whole { "yes" } else { "update" }),
            ("campaigns_to_include", "1"),
            ("output", "JSON"),
            ("profiles_header_1", "code"),
            ("profiles_header_2", "first_name"),
            ("profiles_header_3", "last_name"),
            ("Profiles_Data", &data.join("%0A")),
        ];
        let form = fields.map(|(name, value)| format!("{name}={}", value.replace('|', "%7C"))).join("&");
        let request = move || {
            Request::post("/api.php")
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(Body::from(form.clone()))
                .unwrap()
        };
        let (sent, clock, sender) = (self.sent.clone(), self.clock.clone(), self.sender(request));
        tokio::spawn(async move {
            let answer = sender.await;
            let mut sent = lock(&sent);
            for code in &codes {
                sent.under_way.remove(&("row", *code));
            }
            let Some(text) = answer else { return };
            let answer: Value = serde_json::from_str(&text).unwrap_or_default();
            let count = |part: &str, name: &str| answer["batch"][part][name].as_u64().unwrap_or(0);
            let taken = count("customers", "new") + count("customers", "updated");
            if taken != codes.len() as u64 {
                sent.violations.push(format!("{}: {} rows: {text}", clock.now(), codes.len()));
                return;
            }
            sent.acknowledged += 1;
            for code in codes {
                sent.rows.entry(code).or_default().acknowledged(value);
            }
            let id = answer["batch"]["import"]["id"].as_str().unwrap_or_default().to_owned();
            sent.imports.push(DoneImport { id, value, before });
        });
    }

    /// The value to send for these, unless one of them is being sent.
    fn begin_sending(&self, what: &'static str, ids: BTreeSet<u64>) -> Option<u64> {
        let mut sent = lock(&self.sent);
        if ids.iter().any(|id| sent.under_way.contains(&(what, *id))) {
            return None;
        }
        sent.next += 1;
        let value = sent.next;
        for id in ids {
            sent.under_way.insert((what, id));
            let records = if what == "person" { &mut sent.people } else { &mut sent.rows };
            records.entry(id).or_default().sent(value);
        }
        Some(value)
    }

    /// Sends a request until it is acknowledged, to one process after the other; `None` if it never is.
    fn sender(
        &self,
        request: impl Fn() -> Request<Body> + Send + 'static,
    ) -> impl Future<Output = Option<String>> + Send + 'static {
        let gateways: Vec<Router> = self.processes.iter().map(Process::gateway).collect();
        let clock = self.clock.clone();
        let first = self.starts as usize;
        let death: Vec<_> = self.processes.iter().map(Process::death).collect();
        async move {
            for attempt in 0..ATTEMPTS {
                let number = (first + attempt as usize) % gateways.len();
                let answering = gateways[number].clone().oneshot(request());
                let answer = tokio::select! {
                    biased;
                    () = death[number].clone().told() => None,
                    answer = std::panic::AssertUnwindSafe(answering).catch_unwind() => answer.ok(),
                    () = clock.sleep(Duration::from_secs(35)) => None,
                };
                if let Some(Ok(response)) = answer {
                    let status = response.status();
                    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
                    let text = String::from_utf8_lossy(&body).into_owned();
                    let is_to_be_repeated = status.is_server_error()
                        || status.as_u16() == 429
                        || text.contains("send the request again")
                        || text.contains("status=\"error\"")
                        || (text.contains("\"status\"") && text.contains("\"error\""));
                    if !is_to_be_repeated {
                        return Some(text);
                    }
                }
                clock.sleep(Duration::from_secs(1 << attempt)).await;
            }
            None
        }
    }

    /// An operator undoes one of the latest imports, if none is under way.
    async fn undo(&mut self, which: usize) {
        let import = {
            let mut sent = lock(&self.sent);
            if sent.under_way.iter().any(|(what, _)| *what == "row") || sent.imports.is_empty() {
                return;
            }
            let index = sent.imports.len().saturating_sub(which + 1);
            sent.imports.remove(index)
        };
        let connection = ConnectionKey::new("acme", "imports");
        let deadline = self.clock.now() + Duration::from_secs(60);
        let record = self.tables.imports().find(&connection, &import.id, deadline).await.unwrap().unwrap();
        let undo = Undo::new(&self.tables, self.clock.clone(), Random::from_seed(self.seed ^ self.starts));
        let report = undo.carry_out(&connection, &record, deadline).await;
        self.note(format_args!("undone: {report:?}"));
        lock(&self.sent).undone(&import, report.is_ok());
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
        for aa in &self.aa {
            for procedure in Procedure::ALL {
                aa.fault(procedure, None);
            }
            aa.answer_at_most(None);
            for id in FIRST..FIRST + CUSTOMERS + 2 {
                aa.heal(id);
            }
        }
        self.bc.fault(Operation::Retrieve, None);
        for id in std::mem::take(&mut self.bc_poisoned) {
            self.heal_contact(id);
        }
    }

    /// Lets time pass until everything is fresh.
    ///
    /// # Errors
    /// What is not, after [`invariants::RECOVERY`].
    pub async fn recover(&mut self) -> Result<(), String> {
        let mended_at = self.clock.now();
        for connection in 0..POLLED.len() {
            self.redrive(connection).await;
        }
        if self.bc_was_behind {
            self.tables.states().request_resync(&key(2), mended_at).await.unwrap();
        }
        let until = mended_at + invariants::RECOVERY;
        let mut redriven_at = mended_at;
        loop {
            let Err(problem) = self.is_recovered(mended_at).await else { break };
            if self.clock.now() >= until {
                return Err(problem);
            }
            if self.clock.now() >= redriven_at + Duration::from_secs(120) {
                redriven_at = self.clock.now();
                for connection in 0..POLLED.len() {
                    self.redrive(connection).await;
                }
            }
            self.pass_until(self.clock.now() + Duration::from_secs(5)).await;
        }
        Ok(())
    }

    async fn is_recovered(&self, since: Timestamp) -> Result<(), String> {
        for status in self.polled_statuses().await {
            invariants::is_fresh(&status, since)?;
            let failures = self.tables.failures().all(&ConnectionKey::new(&status.tenant, &status.id)).await.unwrap();
            if let Some(failure) = failures.iter().find(|failure| is_id(&failure.source_id)) {
                return Err(format!("{}/{} has a failure: {failure:?}", status.tenant, status.id));
            }
        }
        if let Some(aa) = self.aa.iter().find(|aa| aa.queue_len() > 0) {
            return Err(format!("a queue holds {:?}", aa.queue()));
        }
        if !lock(&self.sent).under_way.is_empty() {
            return Err("something is being sent".to_owned());
        }
        Ok(())
    }

    async fn polled_statuses(&self) -> Vec<ConnectionStatus> {
        let statuses = StatusReader::new(&self.tables).all(None, self.clock.now()).await.unwrap();
        statuses.into_iter().filter(|status| !status.kind.is_push()).collect()
    }

    /// Everybody sends once more; whom nobody heard, although nothing goes wrong any more.
    pub async fn hear_everybody(&mut self) -> Vec<String> {
        let before = lock(&self.sent).acknowledged;
        for id in 0..PUSHED {
            self.push(id, false);
        }
        self.import(0, PUSHED, true);
        self.pass_until(self.clock.now() + Duration::from_secs(60)).await;
        let heard = lock(&self.sent).acknowledged - before;
        if heard == PUSHED + 1 { Vec::new() } else { vec![format!("{heard} of {} senders are heard", PUSHED + 1)] }
    }

    /// Everything that does not hold, once everything is fresh.
    pub async fn violations(&self) -> Vec<String> {
        let mut violations = self.watch.violations();
        violations.extend(lock(&self.sent).violations.clone());
        let mut check = |about: String, holds: invariants::Holds| {
            if let Err(problem) = holds {
                violations.push(format!("{about}: {problem}"));
            }
        };
        let shadow = self.tables.shadow();
        for (connection, (tenant, name)) in POLLED.iter().enumerate() {
            for id in FIRST..FIRST + CUSTOMERS + 2 {
                let stored = shadow.get(&key(connection), &id.to_string()).await.unwrap();
                let (display, email) = match connection {
                    2 => (self.bc.display_name(id), self.bc.email(id)),
                    aa => (self.aa[aa].display_name(id), self.aa[aa].email(id)),
                };
                let holds = invariants::is_what_the_source_says(stored.as_ref(), display.as_deref(), email.as_deref());
                check(format!("{tenant}/{name}~{id}"), holds);
            }
        }
        for status in self.polled_statuses().await {
            check("counts".to_owned(), invariants::counts_add_up(&status));
        }
        let deadline = self.clock.now() + Duration::from_secs(60);
        let sent = lock(&self.sent).clone();
        for (connection, records, prefix) in [("intouch", &sent.people, "r-"), ("imports", &sent.rows, "code")] {
            let connection = ConnectionKey::new("acme", connection);
            let (stored, _) = shadow.list(&connection, None, 1_000, deadline).await.unwrap();
            for (id, possible) in records {
                let name = format!("{prefix}{id}");
                let is_it = |customer: &&model::Customer| {
                    customer.source_id == name || customer.content.external_id.as_deref() == Some(&name)
                };
                let found: Vec<_> = stored.iter().filter(is_it).collect();
                check(name.clone(), if found.len() > 1 { Err("it is there twice".to_owned()) } else { Ok(()) });
                let value = found.first().and_then(|customer| customer.content.name.last.as_ref());
                let value = value.and_then(|last| last.strip_prefix('V')?.parse().ok());
                check(name, possible.check(value));
            }
        }
        for (tenant, token) in READERS {
            let tenants = self.tenants_seen_with(token).await;
            check("reading".to_owned(), invariants::is_of_tenant(&tenants, tenant));
            check(
                "reading".to_owned(),
                if tenants.is_empty() { Err(format!("{tenant} sees nothing")) } else { Ok(()) },
            );
        }
        violations
    }

    /// The tenants of all customers that a token opens.
    async fn tenants_seen_with(&self, token: &str) -> BTreeSet<String> {
        let mut tenants = BTreeSet::new();
        for (_, connection) in POLLED {
            let request = Request::get(format!("/v1/customers?connection={connection}"))
                .header("Authorization", format!("Bearer {token}"))
                .body(Body::empty())
                .unwrap();
            let answer = self.processes[0].gateway().oneshot(request).await.unwrap();
            let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
            let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
            let customers = answer["customers"].as_array().cloned().unwrap_or_default();
            tenants.extend(customers.iter().filter_map(|customer| Some(customer["tenant"].as_str()?.to_owned())));
        }
        tenants
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

/// Whether it is an id of a customer that can be there.
fn is_id(text: &str) -> bool {
    text.parse().is_ok_and(|id: u64| (FIRST..FIRST + CUSTOMERS + 2).contains(&id))
}

fn key(connection: usize) -> ConnectionKey {
    let (tenant, id) = POLLED[connection];
    ConnectionKey::new(tenant, id)
}

fn lock(sent: &Mutex<Sent>) -> MutexGuard<'_, Sent> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}
