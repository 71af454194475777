//! No tenant stops the others: many share the workers, and one that floods, hangs or is slow costs only itself.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a story that fails may panic")]

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::config::interceptors::BeforeSerializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept};
use aws_sdk_dynamodb::error::BoxError;
use model::{ConnectionKey, FIRST_CHUNK};
use operations::status::ConnectionStatus;
use simulators::association_anywhere::{AaSettings, AaSimulator, Fault, Procedure, urls};
use store::{Admission, ChunkKey, Clock, Message};
use tests::{
    AssociationAnywhereFixture, BusinessCatalystFixture, CONTACTS_QUEUE, QUEUE_POLLS, TestDeployment, WORK_QUEUE,
};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const ONE_SECOND: Duration = Duration::from_secs(1);

/// Serves one more Association Anywhere, and configures these connections of the tenant `acme` to it.
async fn neighbour(deployment: &TestDeployment, ids: &[&str], customers: u64) -> AaSimulator {
    let settings = AaSettings { customers, ..AaSettings::default() };
    let source = AaSimulator::new(settings.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let urls = urls(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn({
        let source = source.clone();
        async move { source.serve(listener).await }
    });
    let login = serde_json::json!({ "username": settings.username, "password": settings.password });
    let credentials = deployment.secret(&format!("{}.json", ids[0]), &login);
    let connection = |id: &&str| {
        format!(
            "[[connection]]\nid = '{id}'\ntenant = 'acme'\nkind = 'association-anywhere'\nqueue_url = '{}?{id}'\n\
             details_url = '{}'\npurge_url = '{}'\ncredentials = '{credentials}'\nmax_requests_per_second = 1000\n",
            urls.queue, urls.details, urls.purge
        )
    };
    deployment.configure(&ids.iter().map(connection).collect::<String>()).await;
    source
}

async fn status_of(deployment: &TestDeployment, id: &str) -> ConnectionStatus {
    deployment.statuses().await.into_iter().find(|status| status.id == id).unwrap()
}

/// Sets the pace of the connection `aa`.
async fn set_pace(world: &AssociationAnywhereFixture, per_second: &str) {
    let mut registration = world.connections().get(&world.connection()).await.unwrap().unwrap();
    registration.document = registration.document.replace("1000.0", per_second);
    world.connections().put(&registration).await.unwrap();
}

/// How often the chunk with this number from 0 was taken without progress, and how many ids are left in it. Takes it.
async fn attempts(world: &AssociationAnywhereFixture, chunk: u32) -> (u64, usize) {
    let batch = world.ledger().state(&world.connection()).await.unwrap().latest.unwrap().number;
    let key = ChunkKey { connection: world.connection(), batch, chunk: FIRST_CHUNK + chunk };
    let leased = world.ledger().lease(key, "the story", world.now() + ONE_SECOND).await.unwrap().unwrap();
    world.ledger().release(&leased, world.now()).await.unwrap();
    (leased.attempt - 1, leased.fetch.len())
}

#[tokio::test]
async fn a_flood_of_one_tenant_is_sent_a_window_at_a_time_and_all_of_it_arrives() {
    let world = AssociationAnywhereFixture::with_customers(6_000).await;
    world.poll().await;
    assert_eq!(world.queues.depth(WORK_QUEUE), 4, "who has not answered yet has few under way");
    let mut most = 0;
    for _ in 0..20 {
        world.work().await;
        world.poll().await;
        most = most.max(world.queues.depth(WORK_QUEUE));
        world.clock.advance(ONE_SECOND);
    }
    assert_eq!(most, 20, "and who answers well has more");
    world.sync().await;
    assert_eq!(world.status().await.counts.ends.written, 6_000);
}

/// Invariant 7, if one tenant's messages fill the queue.
#[tokio::test]
async fn the_only_message_of_a_quiet_tenant_passes_those_of_a_flood() {
    let world = AssociationAnywhereFixture::with_customers(12_000).await;
    let quiet = neighbour(&world, &["quiet"], 2).await;
    world.run_for(4).await;
    world.poll().await;
    let waiting = world.queues.depth(WORK_QUEUE);
    assert!(waiting >= 20, "the flood is in the queue: {waiting}");
    quiet.change([1001]);
    world.clock.advance(Duration::from_secs(5));
    world.poll().await;
    let next = world.queues.receive(WORK_QUEUE, 2);
    assert!(next.iter().any(|message| message.body.contains("quiet")), "its turn comes after one of the flood's");
}

/// Invariant 7, if sources hang: with the workers' places of the template, and each taken for as long as a source may
/// be silent.
#[tokio::test]
async fn twenty_sources_that_hang_leave_places_for_one_that_is_well() {
    const PLACES: usize = 100;
    let world = Arc::new(AssociationAnywhereFixture::with_customers(0).await);
    let ids: Vec<String> = (0..20).map(|number| format!("hangs-{number}")).collect();
    let hanging = neighbour(&world, &ids.iter().map(String::as_str).collect::<Vec<_>>(), 3_000).await;
    hanging.fault(Procedure::Details, Some(Fault::Hang));
    let well = neighbour(&world, &["well"], 2).await;
    let mut busy = JoinSet::new();
    let mut worst = 0;
    for second in 0..45 {
        if second % 5 == 0 {
            well.change([1001]);
        }
        world.poll().await;
        while busy.try_join_next().is_some() {}
        while busy.len() < PLACES {
            let messages = world.queues.receive(WORK_QUEUE, 1);
            let Some(message) = messages.first() else { break };
            if message.body.contains("well") {
                world.deliver(&messages).await;
            } else {
                let world = world.clone();
                busy.spawn(async move { world.deliver(&messages).await });
            }
        }
        world.poll().await;
        if second > 10 {
            let status = status_of(&world, "well").await;
            worst = worst.max(status.freshness_seconds.unwrap_or(u64::MAX));
        }
        world.clock.advance(ONE_SECOND);
        // A chunk that was given up by then gives its place back.
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }
    assert!(hanging.requests().faulted >= 20, "they did hang");
    assert!(worst <= 10, "{worst} s behind, and asked every 5 s");
}

/// Invariant 7: a chunk that gets no slot soon gives its worker's place to another.
#[tokio::test]
async fn a_worker_does_not_wait_long_for_a_slot_and_the_chunk_is_whole_afterwards() {
    let world = AssociationAnywhereFixture::with_customers(300).await;
    world.poll().await;
    set_pace(&world, "0.05").await;
    let messages = world.receive_all();
    world.deliver(&messages[..1]).await;
    for _ in 0..10 {
        let before = world.now();
        world.deliver(&messages[1..2]).await;
        let waited = world.now().duration_since(before).as_secs();
        assert!(waited <= 5, "a worker was kept for {waited} s");
    }
    assert_eq!(world.source.requests().details, 1, "there was no slot");
    assert_eq!(attempts(&world, 1).await, (0, 100), "waiting for a slot is not failing");
    assert_eq!(world.status().await.error, None, "and nothing for an operator");
    // One request in twenty seconds, and each asks for all hundred.
    world.until_in_sync(Duration::from_secs(120)).await;
    assert_eq!((world.source.requests().details, world.source.requests().detail_ids), (3, 300));
}

/// Invariant 9: workers settle chunks and count in the batch by transactions, and DynamoDB refuses plain writes to both
/// meanwhile.
#[tokio::test]
async fn a_write_that_a_transaction_stands_in_the_way_of_is_made_a_moment_later() {
    for about in [r#"{"S":"batch"}"#, r#"{"S":"chunk/"#] {
        let site = BusinessCatalystFixture::with_contacts(250).await;
        for _ in 0..10 {
            site.database.refuse("UpdateItem", about, "TransactionConflictException", 1);
            site.poll().await;
            site.work_on(CONTACTS_QUEUE).await;
        }
        let seconds = site.sync().await;
        let seconds = seconds + site.now().duration_since("2026-01-01T00:00:00Z".parse().unwrap()).as_secs() as u64;
        assert!(seconds < 10, "{about}: {seconds} s");
        site.assert_shadow_is_the_sources().await;
    }
    let world = AssociationAnywhereFixture::with_customers(250).await;
    for about in [r#"{"S":"batch"}"#, r#"{"S":"chunk/"#] {
        world.database.refuse("UpdateItem", about, "TransactionConflictException", 2);
        world.source.enqueue_all();
        let took = world.sync().await;
        assert_eq!(world.database.refusals_left(), 0, "{about}");
        assert!(took <= Duration::from_secs(3), "{about}: {took:?}");
    }
}

/// Invariant 9: a table that takes no more for a while takes it later.
#[tokio::test]
async fn a_large_batch_is_opened_although_its_writes_are_throttled() {
    let world = AssociationAnywhereFixture::with_customers(2_600).await;
    world.database.refuse("BatchWriteItem", "chunk/", "ProvisionedThroughputExceededException", 4);
    world.poll().await;
    assert_eq!(world.database.refusals_left(), 0);
    let batch = world.status().await.batch.expect("the batch is open");
    assert_eq!(
        (batch.number, batch.customers),
        (world.ledger().state(&world.connection()).await.unwrap().latest.unwrap().number, 2_600)
    );
    assert!(world.queues.depth(WORK_QUEUE) > 0);
}

/// Invariant 9: a lease holds for its time, whatever becomes of one renewal.
#[tokio::test]
async fn a_renewal_that_fails_does_not_end_a_step_while_the_lease_holds() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.source.fault(Procedure::Queue, Some(Fault::Hang));
    let time_passes = async {
        while world.source.requests().faulted == 0 {
            tokio::task::yield_now().await;
        }
        world.database.refuse("UpdateItem", r#"{"S":"poll"}"#, "InternalServerError", 1);
        world.clock.advance(Duration::from_secs(5));
        while world.database.refusals_left() > 0 {
            tokio::task::yield_now().await;
        }
        world.source.fault(Procedure::Queue, None);
    };
    tokio::join!(world.poll(), time_passes);
    assert_eq!(world.source.requests().queue, 1, "the very request that was under way was answered");
    assert_eq!(world.queues.depth(WORK_QUEUE), 1);
}

/// Invariant 4: a message that is none of ours, and one of a connection that is gone, cost themselves only.
#[tokio::test]
async fn a_message_that_can_not_be_read_costs_that_message() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    let nobody = ChunkKey { connection: ConnectionKey::new("acme", "gone"), batch: 1, chunk: 0 }.to_message();
    for body in ["", "{}", nobody.as_str()] {
        let send = world.clients.sqs.send_message_batch().queue_url(WORK_QUEUE);
        let entry = aws_sdk_sqs::types::SendMessageBatchRequestEntry::builder().id("0").message_body(body);
        send.entries(entry.build().unwrap()).send().await.unwrap();
    }
    world.sync().await;
    world.assert_shadow_is_the_sources(1001..1031).await;
}

/// Two milliseconds pass with every request to the store.
#[derive(Debug)]
struct SlowStore(Clock);

impl Intercept for SlowStore {
    fn name(&self) -> &'static str {
        "slow store"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.advance(Duration::from_millis(2));
        Ok(())
    }
}

/// 9: progress. Between reading a slot and taking it others take theirs, and no request loses to them for ever.
#[tokio::test]
async fn everybody_who_enters_a_gate_at_once_finds_a_slot_however_slow_the_store_is() {
    const WORKERS: usize = 80;
    let interval = Duration::from_millis(1);
    let deployment = TestDeployment::new(1).await;
    let slow = deployment.database.client().config().to_builder();
    let slow = slow.interceptor(SlowStore(deployment.clock.clone())).build();
    let client = aws_sdk_dynamodb::Client::from_conf(slow);
    let limiter = deployment.tables_with(client, deployment.clock.clone()).limiter;
    let deadline = deployment.now() + Duration::from_secs(3_600);
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let limiter = limiter.clone();
        workers.spawn(async move { limiter.acquire(&ConnectionKey::new("acme", "aa"), 1_000.0, deadline).await });
    }
    let mut slots = Vec::new();
    while let Some(admission) = workers.join_next().await {
        match admission.unwrap() {
            Ok(Admission::At { slot, failures: 0 }) => slots.push(slot),
            other => panic!("no slot: {other:?}"),
        }
    }
    slots.sort_unstable();
    assert_eq!(slots.len(), WORKERS);
    assert!(slots.windows(2).all(|pair| pair[0] + interval <= pair[1]), "and the pace holds");
}

#[tokio::test]
async fn of_ten_connections_those_whose_sources_answer_stay_fresh_while_one_hangs() {
    let deployment = TestDeployment::new(1).await;
    let mut sources = Vec::new();
    for number in 0..10 {
        sources.push(neighbour(&deployment, &[&format!("n{number}")], 0).await);
    }
    deployment.run_triggers_for(1).await;
    sources[0].fault(Procedure::Queue, Some(Fault::Hang));
    let mut polls = JoinSet::new();
    let mut asked = 1;
    for second in 1..120 {
        if second % 60 == 0 {
            deployment.engine.tick().await;
        }
        let messages = deployment.queues.receive(QUEUE_POLLS, usize::MAX);
        let is_due = second % 5 == 0;
        for message in messages {
            let engine = deployment.engine.clone();
            polls.spawn(async move { engine.deliver(QUEUE_POLLS, &[message]).await });
        }
        asked += u64::from(is_due);
        for source in &sources[1..] {
            for _ in 0..1_000_000 {
                if source.requests().queue >= asked {
                    break;
                }
                tokio::task::yield_now().await;
            }
            assert!(source.requests().queue >= asked, "a source is not asked after {second} s");
        }
        for number in 1..10 {
            let status = status_of(&deployment, &format!("n{number}")).await;
            assert!(status.freshness_seconds.unwrap() <= 10, "after {second} s: {status:?}");
        }
        deployment.clock.advance(ONE_SECOND);
    }
    assert!(status_of(&deployment, "n0").await.freshness_seconds.unwrap() > 100, "a queue is waited for for long");
}
