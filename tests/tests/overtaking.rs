//! Live changes overtake a backfill: while a large batch is worked on, what the source tells meanwhile comes first.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use simulators::association_anywhere::{AaSettings, Fault, Procedure};
use tests::{AssociationAnywhereFixture, QUEUE_POLLS, WORK_QUEUE};

const CUSTOMERS: u64 = 12_000;
const FIRST: u64 = 1_001;

/// A world in which four chunks of twelve customers are done in a second: all of them take more than four minutes.
struct Backfill {
    world: AssociationAnywhereFixture,
    next_plan: Timestamp,
}

impl Backfill {
    async fn begun() -> Self {
        let settings = AaSettings { customers: CUSTOMERS, ..AaSettings::default() };
        let world = AssociationAnywhereFixture::with(settings, "bulk_size = 12").await;
        let mut backfill = Self { next_plan: world.now(), world };
        backfill.run_for(20).await;
        assert!(backfill.world.status().await.batch.is_some_and(|batch| batch.left > CUSTOMERS / 2));
        backfill
    }

    async fn run_for(&mut self, seconds: u64) {
        for _ in 0..seconds {
            // The waits of pollers take time, too.
            if self.next_plan <= self.world.now() {
                self.next_plan = self.world.now() + Duration::from_secs(60);
                self.world.engine.tick().await;
            }
            self.world.work_on(QUEUE_POLLS).await;
            self.world.deliver(&self.world.queues.receive(WORK_QUEUE, 4)).await;
            self.world.work_on(QUEUE_POLLS).await;
            self.world.clock.advance(Duration::from_secs(1));
        }
    }

    /// Whether the shadow has a customer as the source has it now.
    async fn is_fresh(&self, id: u64) -> bool {
        let stored = self.world.customer(id).await;
        stored.is_some_and(|customer| customer.content.name.display == self.world.source.display_name(id))
    }
}

#[tokio::test]
async fn a_change_of_anybody_arrives_within_90_seconds_although_all_customers_wait() {
    let mut backfill = Backfill::begun().await;
    let mut waiting: BTreeMap<u64, Timestamp> = BTreeMap::new();
    let mut took = Vec::new();
    for second in 0..260 {
        if second < 180 && second % 3 == 0 {
            // Those that were fetched, those that wait, and those that are new.
            let (source, id) = (&backfill.world.source, FIRST + (second * 7_919) % (CUSTOMERS + 1_000));
            if source.display_name(id).is_some() {
                source.change([id])
            } else {
                source.create(id)
            }
            waiting.insert(id, backfill.world.now());
        }
        backfill.run_for(1).await;
        let mut arrived = Vec::new();
        for (id, told_at) in &waiting {
            if backfill.is_fresh(*id).await {
                arrived.push(*id);
                took.push(backfill.world.now().duration_since(*told_at).as_secs());
            }
        }
        waiting.retain(|id, _| !arrived.contains(id));
        let is_open = backfill.world.status().await.batch.is_some();
        assert!(second > 200 || is_open && backfill.world.source.purges().is_empty(), "acknowledged before its time");
    }
    assert!(waiting.is_empty(), "not yet there: {waiting:?}");
    took.sort_unstable();
    assert!(took.len() == 60 && took[59] <= 90, "{took:?}");
    println!("seconds until a change arrived: {took:?}");
    backfill.run_for(240).await;
    let status = backfill.world.status().await;
    assert!(status.batch.is_none() && backfill.world.source.queue_len() == 0, "{status:?}");
    // Every customer that was told while the batch was open was told to it once more, and to the next one.
    assert!(backfill.world.source.purges().len() == 2, "{:?}", backfill.world.source.purges());
}

/// Invariant 9: nothing depends on a look, so a queue that fails at it holds up no worker, and is not asked the more.
#[tokio::test]
async fn a_queue_that_fails_at_a_look_holds_up_no_worker() {
    let mut backfill = Backfill::begun().await;
    let began = backfill.world.now();
    let left = async |world: &AssociationAnywhereFixture| world.status().await.batch.unwrap().left;
    let (before, asked) = (left(&backfill.world).await, backfill.world.source.requests().queue);
    backfill.world.source.fault(Procedure::Queue, Some(Fault::RetryAfter { status: 503, seconds: 300 }));
    backfill.run_for(100).await;
    let (after, asked) = (left(&backfill.world).await, backfill.world.source.requests().queue - asked);
    assert!(before - after >= 90 * 48, "{} customers in 100 rounds", before - after);
    let seconds = backfill.world.now().duration_since(began).as_secs().unsigned_abs();
    assert!(asked > 0 && asked <= seconds.div_ceil(25), "asked {asked} times in {seconds} seconds");
}
