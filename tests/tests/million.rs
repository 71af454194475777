//! A queue answer with a million customers, as at the start of a large association's synchronisation. Slow:
//! `cargo test -p tests --features slow --test million`.
#![cfg(feature = "slow")]

use std::time::Duration;

use simulators::association_anywhere::AaSettings;
use tests::{WORK_QUEUE, World};

#[tokio::test]
async fn a_million_customers_in_one_queue_answer_become_one_batch_in_bounded_pieces() {
    let world = World::with(AaSettings { customers: 1_000_000, ..AaSettings::default() }, "").await;
    world.poll().await;
    assert_eq!(world.status().await.batch.map(|batch| (batch.customers, batch.left)), Some((1_000_000, 1_000_000)));
    let messages = world.receive_all();
    assert_eq!(messages.len(), 10_000);
    assert!(messages.iter().all(|message| message.body.len() < 200));
    world.deliver(&messages[..5]).await;
    world.deliver(&messages[9_995..]).await;
    assert_eq!(world.status().await.counts.fetched, 1_000);
    assert!(world.vendor.purges().is_empty());
    // The poller looks at the front only, and goes on sending from there: the others' turn comes.
    world.queues.purge(WORK_QUEUE);
    world.clock.advance(Duration::from_secs(61));
    world.poll().await;
    assert_eq!(world.queues.depth(WORK_QUEUE), 100);
    world.work().await;
    assert_eq!(world.status().await.counts.fetched, 11_000);
}
