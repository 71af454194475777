//! Pushes, reads and imports at rising rates against a local run: `cargo build --release && cargo run --release -p
//! tests --bin load`. With `-- --minutes 30` the three go on side by side at moderate rates instead, and memory is
//! watched.
//!
//! Requests are sent at the times that a rate says, whether earlier ones were answered or not: so a wait shows as
//! latency. A rate is past the bend if one request in a hundred takes longer than [`BEND`], or is refused. At the end
//! everything that was acknowledged is read back.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool of the developers, that may panic")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::{JoinError, JoinSet};

/// How long each rate is kept.
const STEP: Duration = Duration::from_secs(5);
/// An answer that takes longer shows that the rate is too high.
const BEND: Duration = Duration::from_millis(500);
/// More requests than that are not under way at once: a client has only so many sockets.
const MOST_AT_ONCE: usize = 400;
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
const RATES: [u64; 10] = [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600];
/// How many people and codes there are.
const PEOPLE: u64 = 2_000;
/// Rows of an import.
const ROWS: u64 = 20;

const CONNECTIONS: &str = "
[[connection]]
id = 'intouch'
tenant = 'acme'
kind = 'connector'
client_id = 'c-1'
club_ids = ['k-1']
providers = ['P']
credentials = 'file:connector.json'

[[connection]]
id = 'imports'
tenant = 'acme'
kind = 'batch-import'
account_id = 'widgets'
credentials = 'file:importer.json'
campaigns = ['1']

[[reader]]
tenant = 'acme'
token = 'file:reader.json'
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Push,
    Read,
    Import,
}

/// A local run, which ends with this.
struct Run {
    child: Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Run {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write =
            |name: &str, content: Value| std::fs::write(directory.path().join(name), content.to_string()).unwrap();
        write("connector.json", json!({ "username": "intouch", "password": "a-password" }));
        write("importer.json", json!({ "users": [{ "user_id": "john", "user_password": "another-password" }] }));
        write("reader.json", json!({ "token": "a-token-of-a-reader" }));
        std::fs::write(directory.path().join("connections.toml"), CONNECTIONS).unwrap();
        let program = std::env::current_exe().unwrap().with_file_name("customer-sync");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(&program)
            .args(["local", "--connections", "connections.toml", "--data", "data", "--port", &port.to_string()])
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; build it first: cargo build --release", program.display()));
        let run = Self { child, address: format!("http://127.0.0.1:{port}"), _directory: directory };
        let client = simulators::http_client().build().unwrap();
        while client.get(format!("{}/v1/connections", run.address)).send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        run
    }

    /// Resident memory in MiB, on Linux.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(Path::new("/proc").join(self.child.id().to_string()).join("status"));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
    }
}

/// What was acknowledged, by record; a person with its id.
#[derive(Default)]
struct Acknowledged {
    people: BTreeMap<u64, (String, Answered)>,
    codes: BTreeMap<u64, Answered>,
}

/// The requests for one record that were acknowledged.
#[derive(Clone, Default)]
struct Answered {
    /// When each was answered, by its number.
    at: BTreeMap<u64, Instant>,
    /// When the last of them was sent.
    last_sent: Option<Instant>,
}

impl Answered {
    fn note(&mut self, number: u64, sent: Instant) {
        self.at.insert(number, Instant::now());
        self.last_sent = self.last_sent.max(Some(sent));
    }

    /// Whether the record may have this number: requests that are under way together may overtake each other, and one
    /// that was not acknowledged may have been carried out. One that was answered before another was sent is replaced.
    fn allow(&self, number: u64) -> bool {
        self.at.get(&number).copied().is_none_or(|answered| Some(answered) >= self.last_sent)
    }
}

struct Load {
    client: Client,
    address: String,
    next: AtomicU64,
    acknowledged: Mutex<Acknowledged>,
}

/// How long a request took from when it was due, and how it was refused.
type Sent = (Duration, Result<(), String>);

/// What became of the requests of one rate.
#[derive(Default)]
struct Tally {
    latencies: Vec<Duration>,
    refused: BTreeMap<String, u64>,
}

impl Tally {
    fn percentile(&self, percent: usize) -> Duration {
        let index = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).copied().unwrap_or(PATIENCE)
    }

    fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }
}

impl Load {
    fn new(run: &Run) -> Arc<Self> {
        let client = simulators::http_client().timeout(PATIENCE).pool_max_idle_per_host(MOST_AT_ONCE).build().unwrap();
        let (next, acknowledged) = (AtomicU64::new(1), Mutex::default());
        Arc::new(Self { client, address: run.address.clone(), next, acknowledged })
    }

    fn push(&self, person: u64, number: u64) -> RequestBuilder {
        let document = format!(
            "<user><providerInfo><identifier>P</identifier><clientID>c-1</clientID><clubID>k-1</clubID>\
             <recordID>r-{person}</recordID></providerInfo><userInfo><firstname>Jo</firstname>\
             <lastname>V{number}</lastname><userStatus>ACTIVE</userStatus><userType>PROSPECT</userType>\
             </userInfo></user>"
        );
        let request = self.client.post(format!("{}/connector/api/2011-11/user", self.address));
        request.basic_auth("intouch", Some("a-password")).header("Content-Type", "application/xml").body(document)
    }

    fn import(&self, number: u64) -> RequestBuilder {
        let rows = (0..ROWS).map(|row| format!("code{}|Jo|V{number}", (number * ROWS + row) % PEOPLE));
        let rows = rows.collect::<Vec<_>>().join("\n");
        let fields = [
            ("user_id", "john"),
            ("user_password", "another-password"),
            ("account_id", "widgets"),
            ("type", "customers_batch"),
            ("delimiter", "pipe"),
            ("overwrite_duplicates", "update"),
            ("campaigns_to_include", "1"),
            ("output", "JSON"),
            ("profiles_header_1", "code"),
            ("profiles_header_2", "first_name"),
            ("profiles_header_3", "last_name"),
            ("Profiles_Data", &rows),
        ];
        self.client.post(format!("{}/api.php", self.address)).form(&fields)
    }

    fn read(&self, id: &str) -> RequestBuilder {
        let request = self.client.get(format!("{}/v1/customers/{id}", self.address));
        request.header("Authorization", "Bearer a-token-of-a-reader")
    }

    /// Sends one request; `Err` says how it was refused.
    async fn send(&self, kind: Kind) -> Result<(), String> {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let person = number % PEOPLE;
        let request = match kind {
            Kind::Push => self.push(person, number),
            Kind::Import => self.import(number),
            Kind::Read => {
                let people = &self.acknowledged.lock().unwrap().people;
                let (_, (id, _)) = people.range(person..).chain(people).next().ok_or("nobody is there yet")?;
                self.read(&format!("intouch~{id}"))
            }
        };
        let sent = Instant::now();
        let answer =
            request.send().await.map_err(|error| if error.is_timeout() { "time-out" } else { "connection" })?;
        let (status, retry_after) = (answer.status(), answer.headers().contains_key("Retry-After"));
        let text = answer.text().await.map_err(|_| "half an answer")?;
        if !status.is_success() {
            return Err(format!("{}{}", status.as_u16(), if retry_after { " with Retry-After" } else { "" }));
        }
        let mut acknowledged = self.acknowledged.lock().unwrap();
        match kind {
            Kind::Read => {}
            Kind::Push => {
                let id = text.split_once("<uuid>").and_then(|(_, rest)| rest.split_once("</uuid>"));
                let (id, _) = id.ok_or("no uuid")?;
                let known = acknowledged.people.entry(person).or_insert_with(|| (id.to_owned(), Answered::default()));
                known.1.note(number, sent);
            }
            Kind::Import => {
                let answer: Value = serde_json::from_str(&text).unwrap_or_default();
                if answer["status"] != "success" {
                    return Err("the dialect's error: send it again".to_owned());
                }
                for row in 0..ROWS {
                    acknowledged.codes.entry((number * ROWS + row) % PEOPLE).or_default().note(number, sent);
                }
            }
        }
        Ok(())
    }

    /// Keeps a rate for a while.
    async fn keep(self: &Arc<Self>, kind: Kind, rate: u64, how_long: Duration) -> Tally {
        let mut tally = Tally::default();
        let mut under_way: JoinSet<Sent> = JoinSet::new();
        let began = Instant::now();
        for number in 0..rate * how_long.as_millis() as u64 / 1_000 {
            let due = began + Duration::from_micros(number * 1_000_000 / rate);
            tokio::time::sleep_until(due.into()).await;
            while under_way.len() >= MOST_AT_ONCE {
                tally.note(under_way.join_next().await);
            }
            let load = self.clone();
            under_way.spawn(async move {
                let answer = load.send(kind).await;
                (due.elapsed(), answer)
            });
            while let Some(done) = under_way.try_join_next() {
                tally.note(Some(done));
            }
        }
        while let Some(done) = under_way.join_next().await {
            tally.note(Some(done));
        }
        tally.latencies.sort();
        tally
    }

    /// Reads everything back; the records that are older than what was acknowledged.
    async fn lost(&self) -> Vec<String> {
        let wanted: Vec<(String, Answered)> = {
            let acknowledged = self.acknowledged.lock().unwrap();
            let people = acknowledged.people.values().map(|(id, answered)| (format!("intouch~{id}"), answered.clone()));
            let codes =
                acknowledged.codes.iter().map(|(code, answered)| (format!("imports~code{code}"), answered.clone()));
            people.chain(codes).collect()
        };
        let checks = futures::stream::iter(wanted).map(|(id, answered)| async move {
            let answer = self.read(&id).send().await.unwrap().text().await.unwrap();
            let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
            let last = answer["name"]["last"].as_str().unwrap_or_default();
            let stored = last.trim_start_matches('V').parse::<u64>().ok();
            let is_lost = !stored.is_some_and(|stored| answered.allow(stored));
            is_lost.then(|| format!("{id}: acknowledged {:?}, stored {last:?}", answered.at.keys().last()))
        });
        checks.buffer_unordered(32).filter_map(std::future::ready).collect().await
    }
}

impl Tally {
    fn note(&mut self, done: Option<Result<Sent, JoinError>>) {
        let Some(Ok((latency, answer))) = done else { return };
        match answer {
            Ok(()) => self.latencies.push(latency),
            Err(why) => *self.refused.entry(why).or_default() += 1,
        }
    }
}

async fn rise(run: &Run) -> bool {
    println!("| kind | a second | p50 | p99 | answered | refused | memory |");
    println!("|---|---|---|---|---|---|---|");
    let mut lost = 0;
    for kind in [Kind::Push, Kind::Read, Kind::Import] {
        let load = Load::new(run);
        if kind == Kind::Read {
            load.keep(Kind::Push, 200, STEP).await;
        }
        let mut past_the_bend = 0;
        for rate in RATES {
            // Imports of one account come one after the other.
            let rate = if kind == Kind::Import { rate / 10 } else { rate };
            let tally = load.keep(kind, rate, STEP).await;
            let (p50, p99) = (tally.percentile(50), tally.percentile(99));
            let (answered, refused) = (tally.latencies.len(), &tally.refused);
            println!("| {kind:?} | {rate} | {p50:.1?} | {p99:.1?} | {answered} | {refused:?} | {} MiB |", run.memory());
            past_the_bend += u32::from(p99 > BEND || tally.refusals() * 100 > answered as u64);
            if past_the_bend == 2 {
                break;
            }
        }
        for problem in load.lost().await {
            lost += 1;
            println!("lost: {problem}");
        }
    }
    println!("{lost} of what was acknowledged are lost");
    lost == 0
}

async fn soak(run: &Run, minutes: u64) -> bool {
    let load = Load::new(run);
    let mut memory = Vec::new();
    let minute = Duration::from_secs(60);
    for number in 1..=minutes {
        let (pushes, reads, imports) = tokio::join!(
            load.keep(Kind::Push, 100, minute),
            load.keep(Kind::Read, 200, minute),
            load.keep(Kind::Import, 1, minute)
        );
        memory.push(run.memory());
        let refused = pushes.refusals() + reads.refusals() + imports.refusals();
        let (push, read) = (pushes.percentile(99), reads.percentile(99));
        println!(
            "minute {number}: {} MiB, p99 of pushes {push:.1?}, of reads {read:.1?}, {refused} refused",
            run.memory()
        );
    }
    let third = memory.len().div_ceil(3);
    let mean = |part: &[u64]| part.iter().sum::<u64>() as f64 / part.len().max(1) as f64;
    let (middle, last) = (mean(&memory[third.min(memory.len() - 1)..]), mean(&memory[memory.len() - third..]));
    let lost = load.lost().await;
    println!("memory: {middle:.0} MiB after the first third, {last:.0} MiB in the last; {} lost", lost.len());
    last <= middle * 1.1 && lost.is_empty()
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let run = Run::start().await;
    let is_well = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => rise(&run).await,
        ["--minutes", minutes] => soak(&run, minutes.parse().expect("a number of minutes")).await,
        _ => panic!("load [--minutes N]"),
    };
    if is_well { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
