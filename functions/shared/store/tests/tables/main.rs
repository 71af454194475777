//! What each part of the store promises by itself, on an embedded DynamoDB with the tables of `template.yaml`.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod failures;
mod ledger;
mod limiter;
mod shadow;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use local_aws::{EmbeddedDynamoDb, TEMPLATE, Template};
use model::ConnectionKey;
use store::{Clock, Random, TableNames, Tables};

/// The tables, and the store's clock.
struct Database {
    tables: Tables,
    clock: Clock,
    connection: ConnectionKey,
}

impl Database {
    async fn new() -> Self {
        let database = EmbeddedDynamoDb::in_memory().unwrap();
        for table in &Template::parse(TEMPLATE).unwrap().tables {
            database.create_table(table).await.unwrap();
        }
        let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
        let names = TableNames {
            control: "ControlTable".to_owned(),
            shadow: "ShadowTable".to_owned(),
            imports: "ImportTable".to_owned(),
        };
        let tables = Tables::new(database.client(), names, clock.clone(), Random::from_seed(1));
        Self { tables, clock, connection: ConnectionKey::new("acme", "aa") }
    }

    /// The time in so many seconds.
    fn in_seconds(&self, seconds: u64) -> Timestamp {
        self.clock.now() + Duration::from_secs(seconds)
    }
}

fn ids<const N: usize>(ids: [&str; N]) -> BTreeSet<String> {
    ids.map(str::to_owned).into()
}
