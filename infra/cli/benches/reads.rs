//! Measures how long a local run takes to answer a reader, over HTTP on one connection, one request after the other.
//! The kinds of requests take turns, so that whatever else the machine does concerns all of them.
//!
//! `cargo bench -p customer-sync --bench reads -- [CUSTOMERS]`, 10,000 by default.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on has failed")]

use std::fs;
use std::time::{Duration, Instant};

use customer_sync::commands::{LocalOptions, LocalRun};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::support::{secret, source};

mod support;

/// How often each request is sent.
const ROUNDS: u64 = 1_000;
/// The first id of a simulated source.
const FIRST: u64 = 1_001;
const TOKEN: &str = "a-token-of-the-benchmark";

/// Makes the request of a round.
type Question = fn(&Reader, u64) -> (Method, String, Value);

/// What is asked, again and again, each time for others.
const QUESTIONS: [(&str, Question); 9] = [
    ("single read", |reader, round| (Method::GET, format!("/v1/customers/aa~{}", reader.id(round)), Value::Null)),
    ("batch-get of 100", |reader, round| reader.batch(round, 100)),
    ("batch-get of 500", |reader, round| reader.batch(round, 500)),
    ("search by e-mail address", |reader, round| {
        let email = &reader.emails[usize::try_from(round).unwrap() % reader.emails.len()];
        (Method::GET, format!("/v1/customers?email={email}"), Value::Null)
    }),
    ("page of a list, 100", |_, _| (Method::GET, "/v1/customers?connection=aa".to_owned(), Value::Null)),
    ("page of the feed, 100", |_, _| (Method::GET, "/v1/changes".to_owned(), Value::Null)),
    ("end of the feed", |reader, _| (Method::GET, format!("/v1/changes?cursor={}", reader.end), Value::Null)),
    ("an id of another tenant", |reader, round| {
        (Method::GET, format!("/v1/customers/bb~{}", reader.id(round)), Value::Null)
    }),
    ("an id that nobody has", |reader, round| {
        (Method::GET, format!("/v1/customers/zz~{}", reader.id(round)), Value::Null)
    }),
];

struct Reader {
    client: Client,
    base: String,
    customers: u64,
    emails: Vec<String>,
    /// The cursor behind the last change.
    end: String,
}

impl Reader {
    /// The id of one of the customers, spread over all of them.
    fn id(&self, round: u64) -> u64 {
        FIRST + round * 7_919 % self.customers
    }

    fn batch(&self, round: u64, size: u64) -> (Method, String, Value) {
        let ids: Vec<String> = (0..size).map(|place| format!("aa~{}", self.id(round * size + place))).collect();
        (Method::POST, "/v1/customers/batch-get".to_owned(), json!({ "ids": ids }))
    }

    /// The answer, and how long it took.
    async fn ask(&self, method: Method, path: &str, body: &Value) -> (Value, Duration) {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(TOKEN);
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let began = Instant::now();
        let text = request.send().await.unwrap().text().await.unwrap();
        let took = began.elapsed();
        (serde_json::from_str(&text).unwrap(), took)
    }

    /// Waits until the feed has a change of every customer, and returns the cursor behind them.
    async fn end_of_feed(&self) -> String {
        let (mut heard, mut cursor) = (0, String::new());
        loop {
            let (page, _) = self.ask(Method::GET, &format!("/v1/changes?limit=500{cursor}"), &Value::Null).await;
            heard += page["changes"].as_array().unwrap().len() as u64;
            let next = page["cursor"].as_str().unwrap();
            if heard >= self.customers {
                return next.to_owned();
            }
            cursor = format!("&wait=5&cursor={next}");
        }
    }
}

#[tokio::main]
async fn main() {
    let customers = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(10_000);
    let directory = tempfile::tempdir().unwrap();
    let (simulator, ours) = source(directory.path(), "aa", "bench", customers).await;
    let (_other, theirs) = source(directory.path(), "bb", "other", customers).await;
    let token = secret(directory.path(), "reader.json", &json!({ "token": TOKEN }));
    let connections = directory.path().join("connections.toml");
    fs::write(&connections, format!("{ours}{theirs}[[reader]]\ntenant = 'bench'\ntoken = '{token}'\n")).unwrap();
    let emails = (FIRST..FIRST + customers).filter_map(|id| simulator.email(id)).collect();

    let options =
        LocalOptions { connections: Some(connections), data: directory.path().join("data"), port: 0, once: true };
    let run = LocalRun::start(&options).await.unwrap();
    assert!(run.until_in_sync().await.unwrap(), "the run did not get in sync");
    let run = LocalRun::start(&options).await.unwrap();
    let base = format!("http://{}", run.address());
    let running = tokio::spawn(run.run());
    let mut reader =
        Reader { client: simulators::http_client().build().unwrap(), base, customers, emails, end: String::new() };
    reader.end = reader.end_of_feed().await;

    let mut taken: Vec<Vec<Duration>> = QUESTIONS.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS {
        for ((_, question), taken) in QUESTIONS.iter().zip(&mut taken) {
            // What a large answer leaves behind is cleared away with the next request: that one does not count.
            reader.ask(Method::GET, "/v1/customers/nobody~1", &Value::Null).await;
            let (method, path, body) = question(&reader, round);
            taken.push(reader.ask(method, &path, &body).await.1);
        }
    }
    println!("{customers} customers, {ROUNDS} requests of each kind{:>27} {:>9}", "p50", "p99");
    let mut medians = Vec::new();
    for ((what, _), taken) in QUESTIONS.iter().zip(&mut taken) {
        taken.sort_unstable();
        let at = |part: f64| taken[(taken.len() as f64 * part) as usize].as_secs_f64() * 1_000.0;
        println!("{what:<60} {:>6.2} ms {:>6.2} ms", at(0.5), at(0.99));
        medians.push(at(0.5));
    }
    println!("{:<60} {:>6.1}", "100 single reads / batch-get of 100", 100.0 * medians[0] / medians[1]);
    println!("{:<60} {:>6.2}", "another tenant's id / nobody's id", medians[7] / medians[8]);
    running.abort();
}
