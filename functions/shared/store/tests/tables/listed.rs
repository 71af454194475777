//! The contacts of a listing, beside their chunks: what they cost, and that they are never lost or left.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use model::{
    Address, Batch, BatchEvent, ChunkPlan, Content, Email, ListedChange, ListedCustomer, Listing, Name, OutcomeCounts,
    Phone, Version,
};
use store::{ChunkKey, Ledger, Settlement, StoreError};

use crate::Database;

const CITIES: [(&str, &str); 6] = [
    ("Springfield", "IL"),
    ("Saint Paul", "MN"),
    ("Albuquerque", "NM"),
    ("Portland", "OR"),
    ("Baton Rouge", "LA"),
    ("Greensboro", "NC"),
];
const FIRST: [&str; 8] = ["Ada", "Daniel", "Małgorzata", "Grace", "Juan", "Wei", "Fatima", "Oluwaseun"];
const LAST: [&str; 7] = ["Miller", "Nguyen", "Kowalska", "García", "Johnson", "Okonkwo", "Sørensen"];

/// A contact as a site lists it, of 600 to 700 bytes.
pub(crate) fn contact(id: u32) -> ListedCustomer {
    let pick = |seed: u32, count: usize| (id.wrapping_mul(2_654_435_761).rotate_left(seed) >> 7) as usize % count;
    let (first, last) = (FIRST[pick(1, FIRST.len())], LAST[pick(5, LAST.len())]);
    let (city, region) = CITIES[pick(9, CITIES.len())];
    let some = |value: &str| Some(value.to_owned());
    let address = format!("{}.{}{id}@example.org", first.to_lowercase(), last.to_lowercase());
    let phone = |kind: &str, seed| Phone {
        number: format!("+1 555 {:03} {:04}", pick(seed, 1_000), pick(seed + 3, 10_000)),
        kind: some(kind),
        primary: kind == "home",
    };
    let content = Content {
        external_id: Some(format!("EXT-{}", pick(13, 1_000_000))),
        name: Name {
            display: Some(format!("{first} {last}")),
            first: some(first),
            last: some(last),
            ..Name::default()
        },
        emails: vec![Email { address, kind: some("email1"), primary: true, bad: false }],
        phones: vec![phone("home", 3), phone("cell", 11)],
        addresses: vec![Address {
            lines: vec![format!("{} {last} Street", pick(17, 9_000))],
            city: some(city),
            region: some(region),
            postal_code: Some(format!("{:05}", pick(21, 100_000))),
            country: some("US"),
            kind: some("home"),
            primary: true,
        }],
        birth_date: Some(format!("19{:02}-{:02}-{:02}", pick(2, 90), 1 + pick(4, 12), 1 + pick(6, 28))),
        ..Content::default()
    };
    let news = ListedChange::Present(Box::new(content));
    ListedCustomer { source_id: (1_000 + id).to_string(), version: Version::of_batch(1, 1), news }
}

/// A batch that is being listed, whose pages have a hundred contacts each.
async fn listing(database: &Database, pages: u32) -> (Ledger, Batch) {
    let (ledger, connection) = (&database.tables.ledger, &database.connection);
    let batch = Batch::listed(None, Listing::of_everything(), database.clock.now());
    ledger.begin(connection, None, &batch).await.unwrap();
    for number in 0..pages {
        write_page(database, ledger, &batch, number, 0..100).await.unwrap();
    }
    (ledger.clone(), batch)
}

async fn write_page(
    database: &Database,
    ledger: &Ledger,
    batch: &Batch,
    number: u32,
    contacts: std::ops::Range<u32>,
) -> Result<(), StoreError> {
    let listed = contacts.map(|id| contact(number * 100 + id)).collect();
    let plan = ChunkPlan { number, listed, ..ChunkPlan::default() };
    ledger.write_page(&database.connection, batch, &[plan], database.clock.now()).await
}

fn key(database: &Database, batch: &Batch, chunk: u32) -> ChunkKey {
    ChunkKey { connection: database.connection.clone(), batch: batch.number, chunk }
}

fn all_unchanged(database: &Database, unchanged: u64) -> Settlement {
    Settlement {
        counts: OutcomeCounts { unchanged, ..OutcomeCounts::default() },
        fetch: BTreeSet::new(),
        delete: BTreeSet::new(),
        retry_at: database.clock.now(),
        unverified: false,
    }
}

/// How many bytes an item has by DynamoDB's count: names and values.
fn size(item: &HashMap<String, AttributeValue>) -> usize {
    let value = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(set) => set.iter().map(String::len).sum(),
        AttributeValue::Bool(_) => 1,
        other => panic!("{other:?}"),
    };
    item.iter().map(|(name, attribute)| name.len() + value(attribute)).sum()
}

/// Write units of items that are each written so many times.
fn write_units(items: &[(String, String, HashMap<String, AttributeValue>)], times: usize) -> usize {
    items.iter().map(|(.., item)| size(item).div_ceil(1024) * times).sum()
}

#[tokio::test]
async fn a_million_unchanged_contacts_cost_at_most_forty_cents() {
    let database = Database::new().await;
    let (ledger, batch) = listing(&database, 1).await;
    let json: usize = (0..100).map(|id| serde_json::to_string(&contact(id)).unwrap().len()).sum();
    assert!((60_000..75_000).contains(&json), "as the simulated site's: {json}");
    let contacts = database.entries("listed/").await;
    let listed_bytes = size(&contacts[0].2);
    assert!(listed_bytes < 11_000, "{listed_bytes}");
    let leased = ledger.lease(key(&database, &batch, 0), "one", database.in_seconds(60)).await.unwrap().unwrap();
    let chunk = database.entries("chunk/").await;
    assert!(ledger.settle(&leased, &all_unchanged(&database, 100), database.in_seconds(60)).await.unwrap());
    // The contacts are put and deleted. The chunk is put, leased, and deleted in a transaction, which counts double, as
    // what is counted in it does. The batch takes the page in.
    let counted = database.entries("batch").await.iter().map(|(.., item)| size(item).div_ceil(1024)).max().unwrap();
    let writes = write_units(&contacts, 2) + write_units(&chunk, 4) + 2 * counted + 2;
    // The contacts once, and what a worker and the poller read of small items: see `listed.rs`.
    let reads = 100 + listed_bytes.div_ceil(4096) + 7;
    let dollars = (writes as f64 * 0.625 + reads as f64 * 0.125) / 100.0;
    assert!(dollars <= 0.40, "{writes} write units and {reads} read units: {dollars} $");
}

#[tokio::test]
async fn contacts_are_spread_over_keys_that_begin_with_the_tenant() {
    let database = Database::new().await;
    listing(&database, 33).await;
    let contacts = database.entries("listed/").await;
    let mut by_key: HashMap<&str, usize> = HashMap::new();
    for (partition, _, item) in &contacts {
        assert!(partition.starts_with("acme/aa#"));
        *by_key.entry(partition).or_default() += size(item).div_ceil(1024);
    }
    assert_eq!((contacts.len(), by_key.len()), (33, 16));
    // Ten pages a second are put and deleted: of this key's share, and of the connection's own key.
    let of_one = by_key.values().max().unwrap();
    assert!(of_one * 2 * 10 / 33 <= 500, "{of_one} of 33 pages");
    assert!(write_units(&database.entries("chunk/").await, 8) * 10 / 33 <= 500);
}

#[tokio::test]
async fn a_worker_gets_the_contacts_that_were_listed_and_leaves_none_behind() {
    let database = Database::new().await;
    let (ledger, batch) = listing(&database, 2).await;
    let until = database.in_seconds(60);
    let leased = ledger.lease(key(&database, &batch, 1), "one", until).await.unwrap().unwrap();
    assert_eq!(leased.listed, (100..200).map(contact).collect::<Vec<_>>());
    assert_eq!(database.entries("listed/").await.len(), 2);
    assert!(ledger.settle(&leased, &all_unchanged(&database, 100), until).await.unwrap());
    let left = database.entries("listed/").await;
    assert_eq!(left.iter().map(|(_, entry, _)| entry.ends_with("/00000000")).collect::<Vec<_>>(), [true]);
}

/// A poller that died between two writes, and a worker that died after it settled.
#[tokio::test]
async fn contacts_that_were_left_behind_go_with_the_next_batch_and_those_of_that_batch_stay() {
    let database = Database::new().await;
    let (ledger, batch) = listing(&database, 20).await;
    let connection = &database.connection;
    ledger.advance(connection, &batch, BatchEvent::Abandoned).await.unwrap();
    ledger.clear_chunks(connection, batch.number, database.in_seconds(60)).await.unwrap();
    assert_eq!((database.entries("chunk/").await.len(), database.entries("listed/").await.len()), (0, 20));
    database.clock.advance(Duration::from_secs(5));
    let last = ledger.state(connection).await.unwrap().latest.unwrap();
    let next = Batch::listed(Some(&last), Listing::of_everything(), database.clock.now());
    ledger.begin(connection, Some(&last), &next).await.unwrap();
    assert_eq!(database.entries("listed/").await.len(), 0);
    write_page(&database, &ledger, &next, 0, 0..3).await.unwrap();
    let leased = ledger.lease(key(&database, &next, 0), "one", database.in_seconds(60)).await.unwrap().unwrap();
    assert_eq!(leased.listed.len(), 3);
}

#[tokio::test]
async fn a_poller_that_was_overtaken_does_not_replace_the_contacts_of_the_one_that_asked_later() {
    let database = Database::new().await;
    let (ledger, batch) = listing(&database, 0).await;
    let plan =
        |contacts: std::ops::Range<u32>| ChunkPlan { listed: contacts.map(contact).collect(), ..ChunkPlan::default() };
    let (earlier, later) = (database.clock.now(), database.in_seconds(20));
    ledger.write_page(&database.connection, &batch, &[plan(0..5)], later).await.unwrap();
    let overtaken = ledger.write_page(&database.connection, &batch, &[plan(50..60)], earlier).await;
    assert!(matches!(overtaken, Err(StoreError::MovedOn { .. })));
    let leased = ledger.lease(key(&database, &batch, 0), "one", database.in_seconds(60)).await.unwrap().unwrap();
    assert_eq!(leased.listed, (0..5).map(contact).collect::<Vec<_>>());
}

/// Invariant 1: contacts of another answer could lack some of those that the batch counts on.
#[tokio::test]
async fn a_chunk_whose_contacts_are_gone_or_of_another_answer_gives_its_batch_up() {
    let database = Database::new().await;
    let (ledger, batch) = listing(&database, 2).await;
    let table = database.embedded.client();
    let contacts = database.entries("listed/").await;
    let mut other = contacts[0].2.clone();
    other.insert("page_asked_at".to_owned(), AttributeValue::N("1".to_owned()));
    table.put_item().table_name("ControlTable").set_item(Some(other)).send().await.unwrap();
    let gone = HashMap::from(["connection", "entry"].map(|name| (name.to_owned(), contacts[1].2[name].clone())));
    table.delete_item().table_name("ControlTable").set_key(Some(gone)).send().await.unwrap();
    for chunk in [0, 1] {
        let lease = ledger.lease(key(&database, &batch, chunk), "one", database.in_seconds(60)).await;
        assert!(matches!(lease, Err(StoreError::Corrupt { .. })), "{lease:?}");
    }
    assert!(ledger.give_up(&key(&database, &batch, 0), "one").await.unwrap());
    assert!(!ledger.is_in_progress(&key(&database, &batch, 1)).await.unwrap());
}
