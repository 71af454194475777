//! A queue answer with a million customers, as at the start of a large association's synchronisation. Slow:
//! `cargo test -p tests --features slow --test million`.
#![cfg(feature = "slow")]

use std::time::Duration;

use simulators::association_anywhere::AaSettings;
use tests::{AssociationAnywhereFixture, WORK_QUEUE};

#[tokio::test]
async fn a_million_customers_in_one_queue_answer_become_one_batch_in_bounded_pieces() {
    let world =
        AssociationAnywhereFixture::with(AaSettings { customers: 1_000_000, ..AaSettings::default() }, "").await;
    world.poll().await;
    assert_eq!(world.status().await.batch.map(|batch| (batch.customers, batch.left)), Some((1_000_000, 1_000_000)));
    // They are told a few at a time, and more as they are settled.
    let mut done = 0;
    for _ in 0..10 {
        let messages = world.receive_all();
        assert!(messages.len() <= 20 && messages.iter().all(|message| message.body.len() < 200));
        world.deliver(&messages).await;
        done += messages.len() as u64 * 100;
        world.clock.advance(Duration::from_secs(1));
        world.poll().await;
    }
    assert!(done >= 10_000, "{done} customers in ten looks");
    assert_eq!(world.status().await.counts.fetched, done);
    assert!(world.source.purges().is_empty());
    // Messages that are lost are sent again.
    assert_eq!(world.queues.depth(WORK_QUEUE), 20);
    world.queues.purge(WORK_QUEUE);
    world.clock.advance(Duration::from_secs(61));
    world.poll().await;
    assert_eq!(world.queues.depth(WORK_QUEUE), 20);
    world.work().await;
    assert_eq!(world.status().await.counts.fetched, done + 2_000);
}
