//! What each part of the store promises by itself, on an embedded DynamoDB with the tables of `template.yaml`.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod counts;
mod deliveries;
mod failures;
mod feed;
mod histories;
mod ledger;
mod limiter;
mod listed;
mod release_before;
mod shadow;
mod throttling;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use local_aws::{EmbeddedDynamoDb, TEMPLATE, Template};
use model::ConnectionKey;
use store::{Clock, Random, TableNames, Tables};

/// The tables, and the store's clock.
struct Database {
    embedded: EmbeddedDynamoDb,
    tables: Tables,
    clock: Clock,
    connection: ConnectionKey,
}

fn names() -> TableNames {
    TableNames {
        control: "ControlTable".to_owned(),
        shadow: "ShadowTable".to_owned(),
        imports: "ImportTable".to_owned(),
        feed: "FeedTable".to_owned(),
    }
}

impl Database {
    async fn new() -> Self {
        let embedded = EmbeddedDynamoDb::in_memory().unwrap();
        for table in &Template::parse(TEMPLATE).unwrap().tables {
            embedded.create_table(table).await.unwrap();
        }
        let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
        let tables = Tables::new(embedded.client(), &names(), clock.clone(), Random::from_seed(1));
        Self { embedded, tables, clock, connection: ConnectionKey::new("acme", "aa") }
    }

    /// The tables, as a process with another clock has them.
    fn tables_by(&self, clock: Clock) -> Tables {
        Tables::new(self.embedded.client(), &names(), clock, Random::from_seed(2))
    }

    /// Every item of the feed table.
    async fn feed_items(&self) -> Vec<HashMap<String, AttributeValue>> {
        self.embedded.client().scan().table_name("FeedTable").send().await.unwrap().items.unwrap()
    }

    /// Every item of the control table.
    async fn items(&self) -> Vec<HashMap<String, AttributeValue>> {
        self.embedded.client().scan().table_name("ControlTable").send().await.unwrap().items.unwrap()
    }

    /// The items of the control table whose sort key begins so, with both keys in front.
    async fn entries(&self, prefix: &str) -> Vec<(String, String, HashMap<String, AttributeValue>)> {
        let text = |item: &HashMap<String, AttributeValue>, name: &str| item[name].as_s().unwrap().clone();
        let items = self.items().await.into_iter();
        let mut entries: Vec<_> = items.map(|item| (text(&item, "connection"), text(&item, "entry"), item)).collect();
        entries.retain(|(_, entry, _)| entry.starts_with(prefix));
        entries.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
        entries
    }

    /// The time in so many seconds.
    fn in_seconds(&self, seconds: u64) -> Timestamp {
        self.clock.now() + Duration::from_secs(seconds)
    }
}

fn ids<const N: usize>(ids: [&str; N]) -> BTreeSet<String> {
    ids.map(str::to_owned).into()
}
