//! Histories of an Association Anywhere and of all that can happen to it and to us: at the end, once nothing goes wrong
//! any more, the shadow is the source's, and until then no customer that always existed was ever deleted.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use local_aws::ReceivedMessage;
use model::Status;
use proptest::prelude::*;
use simulators::association_anywhere::{AaFault, AaSettings, Fault, Procedure};
use tests::AssociationAnywhereFixture;

const CUSTOMERS: u64 = 14;
const FIRST: u64 = 1001;

#[derive(Clone, Debug)]
enum Event {
    Change(u64),
    Delete(u64),
    Create(u64),
    /// The source builds its environment anew, numbers from far below, and queues every customer.
    Rebuild,
    /// It does so behind a batch that is about to be acknowledged, which holds the first; then the second changes.
    RebuildBehindABatch(u64, u64),
    /// The control table is restored, replaced or lost, as far as it says which batch was the last.
    LoseLedger,
    /// It is lost between two changes of a customer, of which the first was taken over.
    LoseLedgerBetweenChanges(u64),
    PurgeFault(Fault, u32),
    /// The source answers with only so many of the requested customers.
    Cap(usize),
    NoCap,
    /// The functions die after so many requests to the store.
    Crash(i64),
    /// Messages are delivered twice.
    Twice,
    /// Messages wait, and come at the very end.
    Late,
    Poll,
    Work,
    Seconds(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let id = FIRST..FIRST + CUSTOMERS;
    let purge_faults = prop_oneof![
        Just(Fault::Status(503)),
        Just(Fault::CutBody),
        Just(AaFault::FailureStatus("no rows".to_owned()).into()),
        Just(AaFault::Empty.into())
    ];
    prop_oneof![
        4 => id.clone().prop_map(Event::Change),
        2 => id.clone().prop_map(Event::Delete),
        2 => id.clone().prop_map(Event::Create),
        2 => Just(Event::Rebuild),
        2 => (id.clone(), id.clone()).prop_map(|(first, second)| Event::RebuildBehindABatch(first, second)),
        2 => Just(Event::LoseLedger),
        2 => id.prop_map(Event::LoseLedgerBetweenChanges),
        2 => (purge_faults, 1..4_u32).prop_map(|(fault, times)| Event::PurgeFault(fault, times)),
        3 => (1..5_usize).prop_map(Event::Cap),
        1 => Just(Event::NoCap),
        2 => (1..25_i64).prop_map(Event::Crash),
        1 => Just(Event::Twice),
        1 => Just(Event::Late),
        5 => Just(Event::Poll),
        5 => Just(Event::Work),
        3 => (1..12_u64).prop_map(Event::Seconds),
    ]
}

struct History {
    world: AssociationAnywhereFixture,
    late: Vec<ReceivedMessage>,
    ever_deleted: BTreeSet<u64>,
    rebuilds: u64,
}

impl History {
    async fn new() -> Self {
        let settings = AaSettings { customers: CUSTOMERS, first_id: FIRST, ..AaSettings::default() };
        let world = AssociationAnywhereFixture::with(settings, "bulk_size = 5").await;
        world.source.rebuild_queue(9_000_000);
        world.source.enqueue_all();
        world.source.set_habits(|habits| habits.refuses_empty_purges = true);
        world.sync().await;
        Self { world, late: Vec::new(), ever_deleted: BTreeSet::new(), rebuilds: 0 }
    }

    fn rebuild(&mut self) {
        self.rebuilds += 1;
        // A queue that has passed our numbers and holds the same customers can't be told from ours.
        self.world.source.rebuild_queue(9_000_000 - self.rebuilds * 100_000);
        for id in FIRST..FIRST + CUSTOMERS {
            self.world.source.enqueue(id);
        }
    }

    async fn lose_ledger(&self) {
        let key = [("connection", "acme/aa"), ("entry", "batch")];
        let key = key.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
        let delete = self.world.clients.dynamodb.delete_item().table_name(tests::CONTROL_TABLE);
        delete.set_key(Some(key.into())).send().await.unwrap();
    }

    async fn take(&mut self, event: Event) {
        let world = &self.world;
        match event {
            Event::Change(id) => world.source.change([id]),
            Event::Delete(id) => {
                self.ever_deleted.insert(id);
                world.source.delete(id);
            }
            Event::Create(id) => world.source.create(id),
            Event::Rebuild => self.rebuild(),
            Event::RebuildBehindABatch(first, second) => {
                world.source.change([first]);
                world.poll().await;
                world.work().await;
                self.rebuild();
                self.world.source.change([second]);
            }
            Event::LoseLedger => self.lose_ledger().await,
            Event::LoseLedgerBetweenChanges(id) => {
                world.source.change([id]);
                world.poll().await;
                world.work().await;
                world.poll().await;
                self.lose_ledger().await;
                self.world.source.change([id]);
            }
            Event::PurgeFault(fault, times) => world.source.fault_times(Procedure::Purge, fault, times),
            Event::Cap(at_most) => world.source.set_habits(|habits| habits.answers_at_most = Some(at_most)),
            Event::NoCap => world.source.set_habits(|habits| habits.answers_at_most = None),
            Event::Crash(requests) => {
                world.store_budget.set(requests);
                world.poll().await;
                world.work().await;
                world.store_budget.set(i64::MAX);
            }
            Event::Twice => {
                let messages = world.receive_all();
                world.deliver(&messages).await;
                world.deliver(&messages).await;
            }
            Event::Late => self.late.extend(world.receive_all()),
            Event::Poll => world.poll().await,
            Event::Work => world.work().await,
            Event::Seconds(seconds) => world.clock.advance(Duration::from_secs(seconds)),
        }
        for id in (FIRST..FIRST + CUSTOMERS).filter(|id| !self.ever_deleted.contains(id)) {
            let status = self.world.customer(id).await.map(|customer| customer.content.status);
            assert_ne!(status, Some(Status::Deleted), "customer {id} always existed");
        }
    }

    async fn ends_well(self) {
        let world = &self.world;
        world.source.set_habits(|habits| habits.answers_at_most = None);
        world.source.fault(Procedure::Purge, None);
        world.until_in_sync(Duration::from_secs(180)).await;
        world.deliver(&self.late).await;
        world.sync().await;
        for id in FIRST..FIRST + CUSTOMERS {
            let stored = world.customer(id).await.unwrap();
            let exists = world.source.display_name(id).is_some();
            assert_eq!(stored.content.status != Status::Deleted, exists, "customer {id}: {stored:?}");
        }
        world.assert_shadow_is_the_sources(FIRST..FIRST + CUSTOMERS).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Invariants 1, 2, 3, 5 and 9.
    #[test]
    fn whatever_happens_the_shadow_is_the_sources_in_the_end(events in prop::collection::vec(event(), 4..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut history = History::new().await;
            for event in events {
                history.take(event).await;
            }
            history.ends_well().await;
        });
    }
}
