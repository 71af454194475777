//! The change feed, with several who append and several who read.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{ChangeAction, CustomerId, FeedChange, FeedPosition, LANES};
use store::{ChangeFeed, FeedError, FeedPage};

use crate::Database;

/// How many changes are read at once.
const LIMIT: usize = 500;

fn change(customer: u64, revision: u64) -> FeedChange {
    let id = CustomerId { connection: "aa".to_owned(), source_id: customer.to_string() };
    let action = if revision == 1 { ChangeAction::Added } else { ChangeAction::Updated };
    FeedChange { id, action, revision }
}

/// Follows a feed, and notes which revisions it heard of each customer.
struct Follower {
    feed: ChangeFeed,
    position: FeedPosition,
    heard: BTreeMap<String, Vec<u64>>,
}

impl Follower {
    fn new(feed: ChangeFeed) -> Self {
        Self { feed, position: FeedPosition::default(), heard: BTreeMap::new() }
    }

    /// Reads the next page; `false` if there was none.
    async fn step(&mut self) -> bool {
        let page = self.feed.read("acme", &self.position, LIMIT, |_| true).await.unwrap();
        for placed in &page.changes {
            let revision = placed.change.revision;
            self.heard.entry(placed.change.id.source_id.clone()).or_default().push(revision);
        }
        self.position = page.position;
        page.more || !page.changes.is_empty()
    }

    fn count(&self) -> usize {
        self.heard.values().map(Vec::len).sum()
    }
}

async fn everybody_hears_everything(writers: u64, batches: u64, batch: u64, readers: usize) {
    let database = Database::new().await;
    let deadline = database.clock.now() + Duration::from_secs(3_600);
    let total = usize::try_from(writers * batches * batch).unwrap();
    let writing = (0..writers).map(|writer| {
        let feed = &database.tables.feed;
        async move {
            for number in 0..batches {
                // Each writer has customers of its own, as a shard of a stream has.
                let changes: Vec<FeedChange> =
                    (0..batch).map(|place| change(writer * 1_000_000 + place, number + 1)).collect();
                feed.append("acme", &changes, deadline).await.unwrap();
            }
        }
    });
    let reading = (0..readers).map(|_| {
        let mut follower = Follower::new(database.tables.feed.clone());
        async move {
            while follower.count() < total {
                if !follower.step().await {
                    tokio::task::yield_now().await;
                }
            }
            follower
        }
    });
    let (_, followers) = tokio::join!(futures::future::join_all(writing), futures::future::join_all(reading));
    for mut follower in followers {
        assert!(!follower.step().await, "there is no more");
        assert_eq!(follower.heard.len() as u64, writers * batch);
        for (customer, revisions) in follower.heard {
            assert_eq!(revisions, (1..=batches).collect::<Vec<_>>(), "each once and in order: {customer}");
        }
    }
}

/// Invariant 10.
#[tokio::test]
async fn ten_who_append_and_five_who_read_at_the_same_time_lose_nothing_and_keep_each_customers_order() {
    // A hundred thousand changes.
    everybody_hears_everything(10, 20, 500, 5).await;
}

/// An index by time would skip such changes: a reader that has seen noon does not look at the morning again.
#[tokio::test]
async fn what_a_writer_appends_whose_clock_is_behind_is_not_skipped() {
    let database = Database::new().await;
    let deadline = database.clock.now() + Duration::from_secs(3_600);
    let feed = &database.tables.feed;
    let mut follower = Follower::new(feed.clone());
    for (revision, offset) in [(1, 0), (2, -3_600), (3, 7_200), (4, -86_400)] {
        let clock = store::Clock::manual(database.clock.now() + jiff::SignedDuration::from_secs(offset));
        let behind = database.tables_by(clock).feed;
        behind.append("acme", &[change(1, revision)], deadline + Duration::from_secs(86_400)).await.unwrap();
        while follower.step().await {}
        assert_eq!(follower.heard["1"], (1..=revision).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_reader_can_stop_within_a_segment_and_go_on_there() {
    let database = Database::new().await;
    let deadline = database.clock.now() + Duration::from_secs(3_600);
    let feed = &database.tables.feed;
    let changes: Vec<FeedChange> = (0..2_500).map(|customer| change(customer, 1)).collect();
    feed.append("acme", &changes, deadline).await.unwrap();
    for limit in [1_usize, 7, 999, 1_000, 2_500, 5_000] {
        let mut position = feed.oldest("acme").await.unwrap();
        let mut seen = Vec::new();
        loop {
            let page = feed.read("acme", &position, limit, |_| true).await.unwrap();
            assert!(page.changes.len() <= limit);
            seen.extend(page.changes.iter().map(|placed| placed.change.id.source_id.clone()));
            // Where each change stands is where the next page would begin.
            if let Some(last) = page.changes.last() {
                assert_eq!(last.position, page.position);
            }
            position = page.position;
            if !page.more {
                break;
            }
            if limit == 1 && seen.len() > 50 {
                break;
            }
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), if limit == 1 { 51 } else { 2_500 }, "{limit}");
    }
    // What is filtered out is passed over all the same.
    let page =
        feed.read("acme", &FeedPosition::default(), 10, |placed| placed.change.id.source_id == "no").await.unwrap();
    assert_eq!((page.changes.len(), page.more), (0, false));
    assert_ne!(page.position, FeedPosition::default());
}

#[tokio::test]
async fn the_latest_position_overlaps_as_far_as_is_asked() {
    let database = Database::new().await;
    let feed = &database.tables.feed;
    for revision in 1..=100 {
        let deadline = database.clock.now() + Duration::from_secs(60);
        feed.append("acme", &[change(1, revision)], deadline).await.unwrap();
        database.clock.advance(Duration::from_secs(10));
    }
    for overlap in [0, 9, 10, 35, 500, 990, 5_000] {
        let position = feed.latest("acme", Duration::from_secs(overlap)).await.unwrap();
        let FeedPage { changes, .. } = feed.read("acme", &position, 500, |_| true).await.unwrap();
        let least = usize::try_from(overlap / 10).unwrap().min(100);
        // At most twice as many, for it is looked for in growing steps.
        assert!((least..=least * 2 + 2).contains(&changes.len()), "{overlap}: {}", changes.len());
    }
    // Of a feed with nothing in it, what comes next is the first.
    let position = feed.latest("globex", Duration::ZERO).await.unwrap();
    let deadline = database.clock.now() + Duration::from_secs(60);
    feed.append("globex", &[change(1, 1)], deadline).await.unwrap();
    assert_eq!(feed.read("globex", &position, 5, |_| true).await.unwrap().changes.len(), 1);
}

#[tokio::test]
async fn a_lane_of_which_all_is_gone_goes_on_where_no_cursor_fits() {
    let database = Database::new().await;
    let feed = &database.tables.feed;
    let at = |seconds: u64| database.clock.now() + Duration::from_secs(seconds);
    feed.append("acme", &[change(1, 1), change(1, 2)], at(60)).await.unwrap();
    let mut follower = Follower::new(feed.clone());
    while follower.step().await {}
    for item in database.feed_items().await {
        if item.contains_key("tag") {
            let key = ["log", "entry"].map(|name| (name.to_owned(), item[name].clone())).into();
            let client = database.embedded.client();
            client.delete_item().table_name("FeedTable").set_key(Some(key)).send().await.unwrap();
        }
    }
    assert!(!follower.step().await, "nothing new");
    database.clock.advance(Duration::from_secs(100 * 86_400));
    let new = [feed.oldest("acme").await.unwrap(), feed.latest("acme", Duration::from_secs(60)).await.unwrap()];
    feed.append("acme", &[change(1, 3)], at(60)).await.unwrap();
    let read = feed.read("acme", &follower.position, 5, |_| true).await;
    assert!(matches!(read, Err(FeedError::Gone)), "{read:?}");
    for position in new {
        assert_eq!(feed.read("acme", &position, 5, |_| true).await.unwrap().changes.len(), 1, "who begins now");
    }
    let oldest = feed.oldest("acme").await.unwrap();
    assert_eq!(feed.read("acme", &oldest, 5, |_| true).await.unwrap().changes.len(), 1);
    assert_eq!(LANES, 4);
}

/// DynamoDB deletes what has expired within some days, and in any order.
#[tokio::test]
async fn a_feed_of_which_some_is_deleted_already_is_read_from_what_has_not_expired_and_no_number_comes_again() {
    let database = Database::new().await;
    let feed = &database.tables.feed;
    let at = |seconds: u64| database.clock.now() + Duration::from_secs(seconds);
    let mut positions = Vec::new();
    for revision in 1..=4 {
        feed.append("acme", &[change(1, revision)], at(60)).await.unwrap();
        database.clock.advance(Duration::from_secs(86_400));
        positions.push(feed.latest("acme", Duration::ZERO).await.unwrap());
    }
    let delete = async |number: u64| {
        for item in database.feed_items().await {
            if item["entry"].as_s().unwrap().parse() == Ok(number) {
                let key = ["log", "entry"].map(|name| (name.to_owned(), item[name].clone())).into();
                let client = database.embedded.client();
                client.delete_item().table_name("FeedTable").set_key(Some(key)).send().await.unwrap();
            }
        }
    };
    // The first three have expired, and the second is deleted before the first.
    database.clock.advance(Duration::from_secs(88 * 86_400 + 43_200));
    delete(2).await;
    let read = async |position: &FeedPosition| feed.read("acme", position, 9, |_| true).await;
    let revisions = |page: FeedPage| page.changes.iter().map(|placed| placed.change.revision).collect::<Vec<_>>();
    assert_eq!(revisions(read(&feed.oldest("acme").await.unwrap()).await.unwrap()), [4]);
    assert_eq!(
        revisions(read(&feed.latest("acme", Duration::from_secs(99 * 86_400)).await.unwrap()).await.unwrap()),
        [4]
    );
    assert_eq!(revisions(read(&positions[2]).await.unwrap()), [4], "nothing is missing behind this one");

    // All have expired, and the last one is deleted first.
    database.clock.advance(Duration::from_secs(10 * 86_400));
    delete(4).await;
    assert_eq!(revisions(read(&feed.oldest("acme").await.unwrap()).await.unwrap()), [0; 0], "nothing is kept");
    feed.append("acme", &[change(1, 5)], at(60)).await.unwrap();
    for position in &positions {
        assert!(matches!(read(position).await, Err(FeedError::Gone)), "{position:?}");
    }
    assert_eq!(revisions(read(&feed.oldest("acme").await.unwrap()).await.unwrap()), [5]);
}
