//! Tables that are lost, saved and restored.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::follower::Follower;
use super::{World, key, lock};
use crate::event::{POLLED, PROCESSES, QUEUES};

/// The control table first, as they are restored.
pub(super) const TABLES: [&str; 4] = ["ControlTable", "ShadowTable", "ImportTable", FEED_TABLE];
const FEED_TABLE: &str = "FeedTable";

pub(super) type Item = HashMap<String, AttributeValue>;

impl World {
    pub(super) async fn lose_ledger(&self, connection: usize) {
        let (tenant, id) = POLLED[connection];
        let key = [("connection", format!("{tenant}/{id}")), ("entry", "batch".to_owned())];
        let key = key.map(|(name, value)| (name.to_owned(), AttributeValue::S(value)));
        let delete = self.aws.database.exempt_client().delete_item().table_name("ControlTable");
        delete.set_key(Some(key.into())).send().await.unwrap();
    }

    pub(super) async fn save_tables(&self) -> Vec<(&'static str, Vec<Item>)> {
        let client = self.aws.database.exempt_client();
        let mut saved = Vec::new();
        for table in TABLES {
            let items = client.scan().table_name(table).into_paginator().items().send();
            saved.push((table, items.collect::<Result<_, _>>().await.unwrap()));
        }
        saved
    }

    /// As the operator's guide says: nothing is polled meanwhile, saved items replace what was written since, and every
    /// source is asked for everything.
    pub(super) async fn restore_tables(&mut self) -> bool {
        if self.saved.is_empty() || !lock(&self.sent).under_way.is_empty() {
            return false;
        }
        for number in 0..PROCESSES {
            self.processes[number] = self.start(number);
        }
        for queue in QUEUES {
            self.aws.queues.purge(queue);
        }
        let client = self.aws.database.exempt_client();
        let control = client.scan().table_name(TABLES[0]).into_paginator().items().send();
        for item in control.collect::<Result<Vec<_>, _>>().await.unwrap().iter().filter(|item| is_of_ledger(item)) {
            let key = ["connection", "entry"].map(|name| (name.to_owned(), item[name].clone()));
            client.delete_item().table_name(TABLES[0]).set_key(Some(key.into())).send().await.unwrap();
        }
        for (table, items) in self.saved.iter().filter(|(table, _)| *table != FEED_TABLE) {
            for item in items.iter().filter(|item| !is_of_ledger(item) && !is_of_erasures(item)) {
                client.put_item().table_name(*table).set_item(Some(item.clone())).send().await.unwrap();
            }
        }
        self.watch.restored();
        for tenant in ["acme", "globex"] {
            let deadline = self.operator_clock.now() + Duration::from_secs(60);
            if self.eraser().erase_again(tenant, deadline).await.is_err() {
                // Another operator is at it: it is done again.
                self.erases_again = true;
            }
        }
        lock(&self.sent).restored();
        self.followers.iter_mut().for_each(Follower::restored);
        for connection in 0..POLLED.len() {
            self.tables.states.request_resync(&key(connection), self.clock.now()).await.unwrap();
        }
        // A restored table has no changes: the destinations are sent everybody as they are now.
        self.resync_destinations().await;
        // A source does not tell again whom it has deleted since: the operator has them asked for.
        for (connection, aa) in self.aa.iter().enumerate() {
            self.setting.ids(connection).filter(|id| aa.display_name(*id).is_none()).for_each(|id| aa.enqueue(id));
        }
        true
    }
}

/// Whether an item is a part of the batch ledger.
fn is_of_ledger(item: &Item) -> bool {
    let entry = item.get("entry").and_then(|entry| entry.as_s().ok());
    let parts = ["batch", "chunk/", "queued", "listed/", "seen/"];
    entry.is_some_and(|entry| parts.iter().any(|part| entry.starts_with(part)))
}

/// Whether it belongs to the list of who was erased, which a restore leaves as it is.
fn is_of_erasures(item: &Item) -> bool {
    let connection = item.get("connection").and_then(|connection| connection.as_s().ok());
    connection.is_some_and(|connection| connection.ends_with("/!erased"))
}
