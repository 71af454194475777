//! Records, their versions, and the lists of them.

use std::collections::BTreeSet;

use model::{Content, Customer, Name, Outcome, Status, Version};
use store::{Change, IncomingChange, Shadow};

use crate::Database;

/// News of the customer `1` with this name.
fn named(name: &str, version: Version) -> IncomingChange {
    let content = Content { name: Name { display: Some(name.to_owned()), ..Name::default() }, ..Content::default() };
    IncomingChange { source_id: "1".to_owned(), version, news: Change::Present(Box::new(content)) }
}

fn gone(version: Version) -> IncomingChange {
    IncomingChange { source_id: "1".to_owned(), version, news: Change::Gone }
}

async fn upsert(shadow: &Shadow, database: &Database, change: IncomingChange) -> Outcome {
    let merged = shadow.upsert(&database.connection, vec![change], database.in_seconds(60)).await.unwrap();
    merged.outcomes.into_iter().next().unwrap().1.unwrap()
}

async fn stored(shadow: &Shadow, database: &Database) -> Customer {
    shadow.get(&database.connection, "1").await.unwrap().unwrap()
}

#[tokio::test]
async fn older_news_never_overwrite_and_never_delete() {
    let database = Database::new().await;
    let shadow = &database.tables.shadow;
    let (older, newer) = (Version::of_batch(2, 1), Version::of_batch(3, 1));
    assert_eq!(upsert(shadow, &database, named("new", newer.clone())).await, Outcome::Written);
    assert_eq!(upsert(shadow, &database, named("old", older.clone())).await, Outcome::Stale);
    assert_eq!(upsert(shadow, &database, named("new", older.clone())).await, Outcome::Unchanged);
    assert_eq!(upsert(shadow, &database, gone(older)).await, Outcome::Stale);
    let customer = stored(shadow, &database).await;
    assert_eq!((customer.content.name.display.as_deref(), customer.version), (Some("new"), newer));
}

#[tokio::test]
async fn writers_that_race_for_a_record_leave_the_newest() {
    let database = Database::new().await;
    let shadow = &database.tables.shadow;
    let writers = (1..=8_u64).map(|batch| {
        let change = named(&batch.to_string(), Version::of_batch(batch, 1));
        shadow.upsert(&database.connection, vec![change], database.in_seconds(60))
    });
    for merged in futures::future::join_all(writers).await {
        merged.unwrap().outcomes.remove(0).1.unwrap();
    }
    assert_eq!(stored(shadow, &database).await.content.name.display.as_deref(), Some("8"));
}

#[tokio::test]
async fn a_tombstone_keeps_the_id_and_the_revisions_and_nothing_of_the_person() {
    let database = Database::new().await;
    let shadow = &database.tables.shadow;
    upsert(shadow, &database, named("Ann", Version::of_batch(1, 1))).await;
    let living = stored(shadow, &database).await;
    assert_eq!(upsert(shadow, &database, gone(Version::of_batch(2, 1))).await, Outcome::Tombstoned);
    let deleted = stored(shadow, &database).await;
    assert_eq!((deleted.revision, deleted.first_seen_at), (2, living.first_seen_at));
    let nothing = Content { status: Status::Deleted, kind: living.content.kind, ..Content::default() };
    assert_eq!(deleted.content, nothing);
    assert_eq!(shadow.existing(&database.connection).await.unwrap(), [""; 0]);
    assert_eq!(upsert(shadow, &database, named("Ann", Version::of_batch(3, 1))).await, Outcome::Written);
    assert_eq!(stored(shadow, &database).await.revision, 3);
}

/// Invariant 3: a record whose version lies ahead, as after the ledger was lost, is reported and not overwritten.
#[tokio::test]
async fn a_record_of_a_later_batch_is_told() {
    let database = Database::new().await;
    let shadow = &database.tables.shadow;
    upsert(shadow, &database, named("later", Version::of_batch(9, 1))).await;
    let change = named("now", Version::of_batch(5, 1));
    let merged = shadow.upsert(&database.connection, vec![change], database.in_seconds(60)).await.unwrap();
    assert_eq!(merged.overtaken_by, Some(9));
}

#[tokio::test]
async fn those_who_exist_are_found_by_connection_whatever_their_ids() {
    let database = Database::new().await;
    let shadow = &database.tables.shadow;
    let written: BTreeSet<String> = (1..=130).map(|id| format!("id/{id}~é")).collect();
    let changes = written.iter().map(|source_id| IncomingChange {
        source_id: source_id.clone(),
        version: Version::of_batch(1, 1),
        news: Change::Present(Box::default()),
    });
    let merged = shadow.upsert(&database.connection, changes.collect(), database.in_seconds(60)).await.unwrap();
    assert!(merged.outcomes.iter().all(|(_, outcome)| matches!(outcome, Ok(Outcome::Written))));
    let existing = shadow.existing(&database.connection).await.unwrap();
    assert_eq!(existing.into_iter().collect::<BTreeSet<_>>(), written);
    assert_eq!(shadow.count_existing(&database.connection).await.unwrap(), 130);
    let other = model::ConnectionKey::new("acme", "a");
    assert_eq!(shadow.existing(&other).await.unwrap(), [""; 0], "its name begins alike");
}
