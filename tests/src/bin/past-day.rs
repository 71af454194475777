//! Gives the data of a run on this machine a past, before the run begins: the history of a day, and failures.
//!
//! `past-day DIRECTORY TENANT [ID | to:DESTINATION | ID=FAILURES]…`

#![allow(clippy::unwrap_used, reason = "a tool of the developers, that may panic")]

use std::path::Path;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use local_aws::{EmbeddedDynamoDb, TEMPLATE, Template};
use model::ConnectionKey;
use store::{Clock, Failure, Random, TableNames, Tables};

const HOUR: Duration = Duration::from_secs(3_600);
/// Customers that are written in an hour of a working day, from midnight.
const BUSY: [u64; 24] = [2, 1, 1, 0, 1, 3, 6, 14, 31, 44, 52, 47, 29, 38, 50, 46, 41, 27, 16, 11, 9, 6, 4, 3];
const REASONS: [&str; 3] = [
    "the answer has no custId",
    "it answered with HTTP 422 Unprocessable Entity",
    "the document is deeper than 64 elements",
];

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, tenant, systems @ ..] = &arguments[..] else {
        panic!("past-day DIRECTORY TENANT [ID | to:DESTINATION | ID=FAILURES]…");
    };
    std::fs::create_dir_all(directory).unwrap();
    let database = EmbeddedDynamoDb::open(&Path::new(directory).join("dynamodb.sqlite")).unwrap();
    for table in &Template::parse(TEMPLATE).unwrap().tables {
        database.create_table(table).await.unwrap();
    }
    let names = TableNames {
        control: "ControlTable".to_owned(),
        shadow: "ShadowTable".to_owned(),
        imports: "ImportTable".to_owned(),
        feed: "FeedTable".to_owned(),
    };
    let clock = Clock::system();
    let now = clock.now();
    let tables = Tables::new(database.client(), &names, clock, Random::from_entropy());
    for (number, system) in (0..).zip(systems) {
        match system.split_once('=') {
            Some((id, failures)) => {
                fail(&tables, &ConnectionKey::new(tenant, id), failures.parse().unwrap(), now).await
            }
            None => remember(&tables, tenant, system, number, now).await,
        }
    }
}

/// Notes the totals of every hour of the day before `now`.
async fn remember(tables: &Tables, tenant: &str, system: &str, number: u64, now: Timestamp) {
    let (is_destination, id) = match system.strip_prefix("to:") {
        Some(id) => (true, id),
        None => (false, system),
    };
    let key = ConnectionKey::new(tenant, id);
    let [mut done, mut others, mut failed] = [0; 3];
    for back in (0..=24_u32).rev() {
        let at = now - HOUR * back;
        let totals = if is_destination { vec![done, failed, others] } else { vec![done, others, 0, 0, failed] };
        tables.histories.note(&key, at, &totals).await.unwrap();
        let hour = usize::try_from(at.as_second().div_euclid(3_600).rem_euclid(24)).unwrap();
        done += BUSY[hour] * (10 + number % 7) / 16;
        others += (BUSY[hour] + number) % 9;
        failed += u64::from((at.as_second().div_euclid(3_600).unsigned_abs() + number).is_multiple_of(9));
    }
}

async fn fail(tables: &Tables, key: &ConnectionKey, count: usize, now: Timestamp) {
    let failures = (0..count).map(|number| {
        let failure = Failure {
            source_id: format!("{}", 100_001 + number),
            reason: REASONS[number % REASONS.len()].to_owned(),
            raw: format!("<customer><custId>{}</custId></customer>", 100_001 + number),
            failed_at: now - Duration::from_secs(60 * (number as u64 % 600)),
        };
        async move { tables.failures.put(key, &failure).await.unwrap() }
    });
    stream::iter(failures).buffer_unordered(16).collect::<()>().await;
}
