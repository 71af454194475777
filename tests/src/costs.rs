//! What customer-sync asks of AWS, measured: an idle hour, customers that are synced, changes that are sent on.
//! Requests and units are counted. The time of the functions is modelled, because the clock is a story's: see
//! `deliver`.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use local_aws::{Figures, IdleHours, Measured, Meter, ReceivedMessage, Report, Work, deployed};
use serde_json::json;
use simulators::association_anywhere::{AaSettings, AaSimulator, urls};
use simulators::business_catalyst::{BcSettings, BcSimulator, endpoint};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::{
    AssociationAnywhereFixture, BusinessCatalystFixture, CONTACT_POLLS, CONTACTS_QUEUE, DestinationsFixture,
    FEED_TABLE, PUSH_REQUESTS, QUEUE_POLLS, SHADOW_TABLE, TestDeployment, WORK_QUEUE,
};

/// How long AWS takes to begin an invocation and to end it.
const INVOCATION: Duration = Duration::from_millis(10);
/// How long DynamoDB takes to answer.
const DYNAMODB: Duration = Duration::from_millis(5);
/// How many requests to DynamoDB a function has under way at once while it works on a chunk.
const AT_ONCE: u32 = 8;
/// How long a source takes to answer.
const SOURCE: Duration = Duration::from_millis(300);
/// Chunks that all workers of a connection settle in a second: as many as it may ask its source for pages.
const CHUNKS_A_SECOND: u32 = 10;
/// Environments of the function that asks sources, of which each reads their secrets.
const ENVIRONMENTS: u32 = 2;
/// Which function works on the messages of which queue.
const TRIGGERS: [(&str, &str); 4] = [
    (QUEUE_POLLS, "poll-queue"),
    (CONTACT_POLLS, "poll-contacts"),
    (WORK_QUEUE, "fetch-customers"),
    (CONTACTS_QUEUE, "upsert-customers"),
];

/// A kind of source that is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Association Anywhere.
    AssociationAnywhere,
    /// Business Catalyst.
    BusinessCatalyst,
}

/// Measures everything that an estimate needs.
pub async fn figures(sample: u32, single: u32) -> Figures {
    let memory_gb = deployed(0).memory_gb;
    let each = |report: &Report, count: u32| Work::of(report, memory_gb).times(1.0 / f64::from(count));
    let idle = async |kind: Kind, poll_seconds: f64| {
        let first = each(&idle_hour(kind, 1).await, 1);
        let ten = each(&idle_hour(kind, 10).await, 1);
        // What ten take less than one does together is no gain of each.
        IdleHours { poll_seconds, first, further: ten.and(first.times(-1.0)).times(1.0 / 9.0).or_nothing() }
    };
    let (reports, [aa_bytes, bc_bytes, feed_bytes]) = millions(sample).await;
    let of = |name: &str| each(&reports.iter().find(|(what, _)| *what == name).unwrap().1, sample);
    let sent = async |id: &str| each(&pushes(id, 2 * single, single).await.1, single);
    Figures {
        feed_bytes,
        to_business_catalyst: sent("site").await,
        to_customers_batch: sent("loyalty").await,
        to_webhook: sent("hook").await,
        idle_association_anywhere: idle(Kind::AssociationAnywhere, 5.0).await,
        idle_business_catalyst: idle(Kind::BusinessCatalyst, 60.0).await,
        association_anywhere: Measured {
            new: of("AA, new"),
            changed: of("AA, changed"),
            unchanged: of("AA, unchanged"),
            bytes: aa_bytes,
        },
        // A contact that has changed is listed and written as a new one is.
        business_catalyst: Measured {
            new: of("BC, new"),
            changed: of("BC, new"),
            unchanged: of("BC, unchanged"),
            bytes: bc_bytes,
        },
    }
}

/// What it takes to send everybody to a destination at once, and so many changes one by one.
pub async fn pushes(id: &str, everybody: u32, single: u32) -> (Report, Report) {
    let world = DestinationsFixture::with_customers(u64::from(everybody)).await;
    // So that the feed after the listing does not hold everybody again.
    world.publish().await;
    world.clock.advance(Duration::from_secs(120));
    world.add(&[id], "max_requests_per_second = 1000").await;
    let meter = world.meter();
    world.engine.tick().await;
    meter.reset();
    push(&world, id, &meter).await;
    let at_once = meter.report();
    let mut one_by_one = Report::default();
    for change in 0..u64::from(single) {
        world.source.change([1_001 + change]);
        world.sync().await;
        // The look of each minute is part of what an idle destination costs.
        world.work_on(PUSH_REQUESTS).await;
        // Without a destination the changes would be published too, and no message sent.
        world.publish().await;
        meter.reset();
        meter.sqs_request("SendMessageBatch");
        push(&world, id, &meter).await;
        one_by_one = one_by_one.and(&meter.report());
    }
    (at_once, one_by_one)
}

/// Has the messages of `push-changes` delivered, and counts the invocations.
async fn push(world: &DestinationsFixture, id: &str, meter: &Meter) {
    let sent = || match id {
        "site" => world.site.requests().update_insert,
        "loyalty" => world.loyalty.requests().batches,
        _ => world.hook.requests().received,
    };
    for message in world.queues.receive(PUSH_REQUESTS, usize::MAX) {
        let (before, sent_before) = (requests(&meter.report()), sent());
        world.deliver_to(PUSH_REQUESTS, &[message]).await;
        let asked = u32::try_from(requests(&meter.report()) - before).unwrap_or(u32::MAX);
        let sent = u32::try_from(sent() - sent_before).unwrap_or(u32::MAX);
        // Events go out side by side; lists, and what DynamoDB is asked, one after the other.
        let at_once = if id == "hook" { AT_ONCE } else { 1 };
        meter.invocation("push-changes", INVOCATION + DYNAMODB * asked + SOURCE * sent / at_once);
        (0..2).for_each(|_| meter.sqs_request("of a message"));
    }
}

/// An hour in which nothing changes at the sources of so many connections.
pub async fn idle_hour(kind: Kind, connections: u32) -> Report {
    if connections == 0 {
        return Report::default();
    }
    let world = TestDeployment::with_most_pages(1, 1_000).await;
    let _serving = connect(&world, kind, connections).await;
    let meter = world.meter();
    // Everything that is there is synced, and every cache is filled.
    pass(&world, connections, &meter, Duration::from_secs(1_200)).await;
    meter.reset();
    pass(&world, connections, &meter, Duration::from_secs(3_600)).await;
    meter.report()
}

/// Lets time pass, with every trigger of the functions: a plan in each minute, and messages when they are due.
async fn pass(world: &TestDeployment, connections: u32, meter: &Meter, time: Duration) {
    let until = world.clock.now() + time;
    let (mut plan_at, mut secrets_at) = (world.clock.now(), world.clock.now());
    while world.clock.now() < until {
        if world.clock.now() >= plan_at {
            plan_at = world.clock.now() + Duration::from_secs(60);
            let before = requests(&meter.report());
            world.engine.tick().await;
            let planned: usize = [QUEUE_POLLS, CONTACT_POLLS].iter().map(|queue| world.queues.depth(queue)).sum();
            (0..planned.div_ceil(10)).for_each(|_| meter.sqs_request("SendMessageBatch"));
            let asked = u32::try_from(requests(&meter.report()) - before).unwrap_or(u32::MAX);
            meter.invocation("schedule-polls", INVOCATION + DYNAMODB * asked);
        }
        for (queue, binary) in TRIGGERS {
            for message in world.queues.receive(queue, usize::MAX) {
                deliver(world, queue, binary, message, meter).await;
            }
        }
        // A function reads the secret that a source is shown once in a quarter of an hour, in each of its environments.
        if world.clock.now() >= secrets_at {
            secrets_at = world.clock.now() + Duration::from_secs(900);
            (0..connections * ENVIRONMENTS).for_each(|_| meter.secrets_request());
        }
        world.clock.advance(Duration::from_secs(1));
    }
}

/// Delivers a message, and counts the invocation: as long as it waited on the story's clock, and what is modelled.
async fn deliver(world: &TestDeployment, queue: &str, binary: &str, message: ReceivedMessage, meter: &Meter) {
    let (began, before) = (world.clock.now(), requests(&meter.report()));
    let side_by_side = u32::try_from(message.body.matches('/').count()).unwrap_or(1).max(1);
    world.deliver_to(queue, &[message]).await;
    let asked = requests(&meter.report()) - before;
    let waited = Duration::try_from(world.clock.now().duration_since(began)).unwrap();
    // What a poll asks for one connection comes one after the other; connections are polled side by side.
    let at_once = if binary.starts_with("poll") { side_by_side } else { AT_ONCE };
    let asks_a_source = asked > 2 && binary != "upsert-customers";
    let source = if asks_a_source { SOURCE } else { Duration::ZERO };
    let dynamodb = DYNAMODB * u32::try_from(asked).unwrap_or(u32::MAX) / at_once;
    meter.invocation(binary, waited + INVOCATION + source + dynamodb);
    // It is received, and deleted.
    (0..2).for_each(|_| meter.sqs_request("of a message"));
}

/// Has the shadow's stream read, and counts the invocations.
async fn publish(world: &TestDeployment, meter: &Meter) {
    let before = requests(&meter.report());
    let batches = world.engine.drain_streams().await.unwrap();
    let asked = u32::try_from(requests(&meter.report()) - before).unwrap_or(u32::MAX);
    for _ in 0..batches {
        let one = u32::try_from(batches).unwrap_or(u32::MAX);
        meter.invocation("publish-changes", INVOCATION + DYNAMODB * asked / AT_ONCE / one);
    }
}

/// Configures connections, each to a source of its own with nobody in its queue, or with a few contacts.
async fn connect(world: &TestDeployment, kind: Kind, connections: u32) -> JoinSet<std::io::Result<()>> {
    let mut serving = JoinSet::new();
    let mut file = String::new();
    let aa = AaSettings { customers: 0, ..AaSettings::default() };
    let bc = BcSettings { contacts: 20, ..BcSettings::default() };
    let is_aa = kind == Kind::AssociationAnywhere;
    let (username, password) = if is_aa { (&aa.username, &aa.password) } else { (&bc.username, &bc.password) };
    let credentials = world.secret("source.json", &json!({ "username": username, "password": password }));
    for number in 0..connections {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        file += &format!("[[connection]]\nid = 'c{number}'\ntenant = 'acme'\ncredentials = '{credentials}'\n");
        if is_aa {
            let urls = urls(&base);
            file += &format!(
                "kind = 'association-anywhere'\nqueue_url = '{}'\ndetails_url = '{}'\npurge_url = '{}'\n",
                urls.queue, urls.details, urls.purge
            );
            let source = AaSimulator::new(aa.clone());
            serving.spawn(async move { source.serve(listener).await });
        } else {
            let (endpoint, site_id) = (endpoint(&base), bc.site_id);
            file += &format!(
                "kind = 'business-catalyst'\nendpoint = '{endpoint}'\nsite_id = {site_id}\ntime_zone = 'UTC'\n"
            );
            let source = BcSimulator::new(bc.clone());
            serving.spawn(async move { source.serve(listener).await });
        }
    }
    world.configure(&file).await;
    serving
}

/// What it takes to sync so many: new, unchanged and changed customers of each kind. And how many bytes one has in the
/// tables, of each kind, and a change in the feed.
pub async fn millions(sample: u32) -> (Vec<(&'static str, Report)>, [f64; 3]) {
    let mut reports = Vec::new();
    let customers = u64::from(sample);
    let world = AssociationAnywhereFixture::with_customers(customers).await;
    let mut registration = world.connections().get(&world.connection()).await.unwrap().unwrap();
    // The usual pace, which the stories do without.
    registration.document = registration.document.replace("1000.0", "10.0");
    world.connections().put(&registration).await.unwrap();
    let meter = world.meter();
    reports.push(("AA, new", sync(&world, &meter, sample).await));
    world.source.enqueue_all();
    reports.push(("AA, unchanged", sync(&world, &meter, sample).await));
    world.source.change(1_001..1_001 + customers);
    let (feed_before, rows) = (bytes(&world, FEED_TABLE, "log", "changes").await, f64::from(sample));
    reports.push(("AA, changed", sync(&world, &meter, sample).await));
    let feed = (bytes(&world, FEED_TABLE, "log", "changes").await - feed_before) / rows;
    let aa_bytes =
        (bytes(&world, SHADOW_TABLE, "id", "").await + bytes(&world, FEED_TABLE, "log", "").await) / rows - 2.0 * feed;

    let deployment = TestDeployment::with_most_pages(1, 10_000).await;
    let settings = BcSettings { contacts: customers, ..BcSettings::default() };
    let world = BusinessCatalystFixture::on(deployment, settings, "UTC", "max_requests_per_second = 10").await;
    let meter = world.meter();
    reports.push(("BC, new", sync(&world, &meter, sample).await));
    world.clock.advance(Duration::from_secs(3_600));
    world.states().request_resync(&world.connection(), world.clock.now()).await.unwrap();
    let shadow = bytes(&world, SHADOW_TABLE, "id", "").await + bytes(&world, FEED_TABLE, "log", "").await;
    reports.push(("BC, unchanged", sync(&world, &meter, sample).await));
    (reports, [aa_bytes, shadow / rows - feed, feed])
}

/// Bytes of the items of a table whose key holds this, by DynamoDB's count: names, values, and 100 for each item. What
/// stands in an index counts again as its keys.
async fn bytes(world: &TestDeployment, table: &str, key: &str, part: &str) -> f64 {
    let (mut bytes, mut start) = (0, None);
    loop {
        let page = world.clients.dynamodb.scan().table_name(table).set_exclusive_start_key(start).send().await.unwrap();
        for item in page.items().iter().filter(|item| item[key].as_s().unwrap().contains(part)) {
            bytes += 100;
            for (name, value) in item {
                bytes += name.len() + value_bytes(value);
            }
            for name in ["id", "listing"] {
                bytes += item.get("listing").and_then(|_| item.get(name)).map_or(0, value_bytes);
            }
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            return bytes as f64;
        }
    }
}

fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::L(values) => values.iter().map(value_bytes).sum(),
        AttributeValue::M(values) => values.iter().map(|(name, value)| name.len() + value_bytes(value)).sum(),
        _ => 1,
    }
}

/// Syncs what a source has for us, and returns what that took.
async fn sync(world: &TestDeployment, meter: &Meter, sample: u32) -> Report {
    meter.reset();
    let count = |status: &operations::status::ConnectionStatus| status.counts.fetched;
    let before = count(&world.statuses().await[0]);
    let mut plan_at = world.clock.now();
    for _ in 0..10_000 {
        if world.clock.now() >= plan_at {
            plan_at = world.clock.now() + Duration::from_secs(60);
            world.engine.tick().await;
        }
        for (queue, binary) in TRIGGERS {
            for message in world.queues.receive(queue, usize::MAX) {
                deliver(world, queue, binary, message, meter).await;
                world.clock.advance(Duration::from_secs(1) / CHUNKS_A_SECOND);
            }
        }
        publish(world, meter).await;
        let status = world.statuses().await.remove(0);
        if status.batch.is_none() && count(&status) - before >= u64::from(sample) {
            return meter.report();
        }
        world.clock.advance(Duration::from_secs(1));
    }
    panic!("it is not synced: {:?}", world.statuses().await);
}

fn requests(report: &Report) -> u64 {
    report.dynamodb.values().map(|usage| usage.requests).sum()
}
