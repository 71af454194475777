//! Puts that wait together, and the records of a stream, on a durable database.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::FutureExt;
use jiff::Timestamp;
use lambda::TableChange;
use tempfile::TempDir;

use super::*;
use crate::TEMPLATE;
use crate::template::Template;

const SHADOW: &str = "ShadowTable";

struct World {
    database: EmbeddedDynamoDb,
    client: aws_sdk_dynamodb::Client,
    directory: TempDir,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

async fn open(directory: TempDir) -> World {
    let database = EmbeddedDynamoDb::open(&directory.path().join("dynamodb.sqlite")).unwrap();
    for table in &Template::parse(TEMPLATE).unwrap().tables {
        database.create_table(table).await.unwrap();
    }
    World { client: database.client(), database, directory }
}

async fn world() -> World {
    open(tempfile::tempdir().unwrap()).await
}

fn item(id: &str, revision: u64) -> HashMap<String, AttributeValue> {
    let text = |value: &str| AttributeValue::S(value.to_owned());
    [("id", text(id)), ("listing", text("t/aa/00")), ("revision", AttributeValue::N(revision.to_string()))]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

impl World {
    /// Puts items that nobody has, all of them in one group; the codes of the errors.
    async fn put_new(&self, ids: &[&str]) -> Vec<Option<String>> {
        let puts = ids.iter().map(|id| {
            let put = self.client.put_item().table_name(SHADOW).set_item(Some(item(id, 1)));
            put.condition_expression("attribute_not_exists(id)").send()
        });
        let mut puts = Box::pin(futures::future::join_all(puts));
        {
            // The thread waits for this, so that all of them wait for the thread.
            let _held = self.database.observer.lock().unwrap();
            assert!((&mut puts).now_or_never().is_none());
        }
        let answers = puts.await;
        answers.into_iter().map(|answer| answer.err().map(|error| error.code().unwrap_or("?").to_owned())).collect()
    }

    /// The records of all shards, at most so many at once, each of which is taken.
    async fn take(&self, most: usize) -> Vec<TableChange> {
        let mut taken = Vec::new();
        for shard in EmbeddedDynamoDb::shards_of(SHADOW) {
            while let Some(batch) = self.database.stream_batch(&shard, most, at(0), at(60)).await {
                assert!(batch.changes.len() <= most);
                taken.extend(batch.changes.clone());
                self.database.stream_batch_ended(batch, true).await;
            }
        }
        assert_eq!(self.database.stream_records(), 0);
        taken
    }

    /// How many entries the journals have.
    async fn entries(&self) -> u64 {
        let (_, answer) = self.database.ask("Scan", &serde_json::json!({ "TableName": streams::JOURNALS })).await;
        serde_json::from_str::<serde_json::Value>(&answer).unwrap()["Count"].as_u64().unwrap()
    }
}

fn ids(changes: &[TableChange]) -> Vec<&str> {
    let mut ids: Vec<&str> = changes.iter().map(|change| change.key.text("id").unwrap()).collect();
    ids.sort_unstable();
    ids
}

const FORTY: [&str; 40] = [
    "t/aa~10", "t/aa~11", "t/aa~12", "t/aa~13", "t/aa~14", "t/aa~15", "t/aa~16", "t/aa~17", "t/aa~18", "t/aa~19",
    "t/aa~20", "t/aa~21", "t/aa~22", "t/aa~23", "t/aa~24", "t/aa~25", "t/aa~26", "t/aa~27", "t/aa~28", "t/aa~29",
    "t/aa~30", "t/aa~31", "t/aa~32", "t/aa~33", "t/aa~34", "t/aa~35", "t/aa~36", "t/aa~37", "t/aa~38", "t/aa~39",
    "t/aa~40", "t/aa~41", "t/aa~42", "t/aa~43", "t/aa~44", "t/aa~45", "t/aa~46", "t/aa~47", "t/aa~48", "t/aa~49",
];

#[tokio::test]
async fn puts_that_wait_together_share_an_entry_of_the_journal_and_each_has_its_record() {
    let world = world().await;
    assert_eq!(world.put_new(&FORTY).await, vec![None; FORTY.len()]);
    // The thread had one of them before the others came.
    assert!(world.entries().await <= 4, "{}", world.entries().await);
    assert_eq!(world.database.stream_records(), FORTY.len());
    let taken = world.take(100).await;
    assert_eq!(ids(&taken), FORTY);
    assert!(taken.iter().all(|change| change.before.is_none() && change.now.is_some()));
    assert_eq!(world.entries().await, 0);
}

#[tokio::test]
async fn a_put_whose_condition_does_not_hold_costs_those_beside_it_nothing() {
    let world = world().await;
    assert_eq!(world.put_new(&["t/aa~12"]).await, [None]);
    let refused: Vec<bool> = world.put_new(&FORTY).await.into_iter().map(|error| error.is_some()).collect();
    let expected: Vec<bool> = FORTY.iter().map(|id| *id == "t/aa~12").collect();
    assert_eq!(refused, expected);
    // Twice the same: one of them comes first.
    let twice = world.put_new(&["t/aa~1", "t/aa~2", "t/aa~1", "t/aa~3"]).await;
    assert_eq!(twice.iter().flatten().collect::<Vec<_>>(), ["ConditionalCheckFailedException"]);
    let taken = world.take(100).await;
    assert_eq!(taken.len(), FORTY.len() + 3);
}

#[tokio::test]
async fn the_records_of_an_entry_come_in_pieces_each_of_them_once() {
    let world = world().await;
    world.put_new(&FORTY).await;
    assert_eq!(ids(&world.take(3).await), FORTY);
    assert_eq!(world.entries().await, 0);
}

#[tokio::test]
async fn records_that_were_not_taken_come_again_in_halves() {
    let world = world().await;
    world.put_new(&FORTY).await;
    let shard = EmbeddedDynamoDb::shards_of(SHADOW).next().unwrap();
    let batch = world.database.stream_batch(&shard, 10, at(0), at(60)).await.unwrap();
    let first = batch.changes.clone();
    world.database.stream_batch_ended(batch, false).await;
    let again = world.database.stream_batch(&shard, 10, at(0), at(60)).await.unwrap();
    assert_eq!(again.changes, first[..5]);
    world.database.stream_batch_ended(again, true).await;
    let rest = world.take(10).await;
    assert_eq!(rest.len(), FORTY.len() - 5);
}

/// Invariant 11: of the release before too, which wrote an entry for each record.
#[tokio::test]
async fn what_a_run_has_left_comes_with_the_next() {
    let mut world = world().await;
    world.put_new(&FORTY[..20]).await;
    let shard = EmbeddedDynamoDb::shards_of(SHADOW).next().unwrap();
    let text = serde_json::json!({ "Keys": { "id": { "S": "t/aa~1" } }, "NewImage": { "id": { "S": "t/aa~1" } } });
    let entry = serde_json::json!({ "TableName": streams::JOURNALS, "Item": {
        "journal": { "S": shard },
        "entry": { "S": "00001795919935123456-1f3a/0" },
        "text": { "S": text.to_string() },
        "parts": { "N": "1" },
    } });
    assert_eq!(world.database.ask("PutItem", &entry).await.0, 200);
    // Two are taken when the run ends, the second of them out of an entry.
    let batch = world.database.stream_batch(&shard, 2, at(0), at(60)).await.unwrap();
    let mut heard: BTreeSet<String> = ids(&batch.changes).into_iter().map(str::to_owned).collect();
    world.database.stream_batch_ended(batch, true).await;
    let World { directory, .. } = world;
    world = open(directory).await;
    heard.extend(ids(&world.take(7).await).into_iter().map(str::to_owned));
    let all = FORTY[..20].iter().chain(&["t/aa~1"]).map(|id| (*id).to_owned()).collect();
    assert_eq!(heard, all);
    assert_eq!(world.entries().await, 0);
}

#[tokio::test]
async fn a_shard_is_worked_on_by_one_until_its_time_is_over() {
    let world = world().await;
    world.put_new(&FORTY).await;
    let shard = EmbeddedDynamoDb::shards_of(SHADOW).next().unwrap();
    let held = world.database.stream_batch(&shard, 100, at(0), at(60)).await.unwrap();
    assert!(world.database.stream_batch(&shard, 100, at(59), at(120)).await.is_none());
    // Its process has died.
    let next = world.database.stream_batch(&shard, 100, at(60), at(120)).await.unwrap();
    assert_eq!(next.changes, held.changes);
}
