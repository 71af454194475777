//! What customer-sync costs on AWS, from what the functions ask of DynamoDB here: `cargo run --release -p tests --bin
//! cost`. An idle month, a million customers that are synced, and a million that are sent on; with the argument `idle`,
//! `millions` or `pushes` one of them.
//!
//! Requests and units are counted. The time of the functions is modelled, because the clock is a story's: see
//! [`deliver`].

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool of the developers, that may panic")]

use std::time::Duration;

use local_aws::{Deployed, Meter, Prices, ReceivedMessage, Report};
use serde_json::json;
use simulators::association_anywhere::{AaSettings, AaSimulator, urls};
use simulators::business_catalyst::{BcSettings, BcSimulator, endpoint};
use tests::{
    AssociationAnywhereFixture, BusinessCatalystFixture, CONTACT_POLLS, CONTACTS_QUEUE, DestinationsFixture,
    FEED_TABLE, PUSH_REQUESTS, QUEUE_POLLS, TestDeployment, WORK_QUEUE,
};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How many customers are synced to learn what a million costs.
const SAMPLE: u32 = 10_000;
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
/// What the alarms of the template watch, and metrics that have values while nothing changes: `freshness`, `drift`, and
/// one more.
const ALARMS: u32 = 32;
const METRICS: u32 = 3;

/// Environments of the function that asks sources, of which each reads their secrets.
const ENVIRONMENTS: u32 = 2;
/// Which function works on the messages of which queue.
const TRIGGERS: [(&str, &str); 4] = [
    (QUEUE_POLLS, "poll-queue"),
    (CONTACT_POLLS, "poll-contacts"),
    (WORK_QUEUE, "fetch-customers"),
    (CONTACTS_QUEUE, "upsert-customers"),
];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    AssociationAnywhere,
    BusinessCatalyst,
}

#[tokio::main]
async fn main() {
    let prices = Prices::us_east_1().unwrap();
    println!("{}, {}, x86_64, without free tiers\n", prices.region, prices.as_of);
    let wanted = std::env::args().nth(1);
    let is_wanted = |part: &str| wanted.as_deref().is_none_or(|wanted| wanted == part);
    if is_wanted("idle") {
        print_idle(&prices).await;
    }
    if is_wanted("millions") {
        print_millions(&prices).await;
    }
    if is_wanted("pushes") {
        print_pushes(&prices).await;
    }
}

/// How many changes are sent one by one to learn what a million costs.
const SINGLE: u32 = 200;

async fn print_pushes(prices: &Prices) {
    for (id, kind) in [("site", "business-catalyst"), ("loyalty", "customers-batch"), ("hook", "webhook")] {
        let world = DestinationsFixture::with_customers(u64::from(SAMPLE)).await;
        // So that the feed after the listing does not hold everybody again.
        world.publish().await;
        world.clock.advance(Duration::from_secs(120));
        world.add(&[id], "max_requests_per_second = 1000").await;
        let meter = world.meter();
        world.engine.tick().await;
        meter.reset();
        push(&world, id, &meter).await;
        print_push(prices, &format!("to {kind}, everybody at once"), &meter.report(), SAMPLE);
        let mut report = Report::default();
        for change in 0..u64::from(SINGLE) {
            world.source.change([1_001 + change]);
            world.sync().await;
            // The look of each minute is part of what an idle destination costs.
            world.work_on(PUSH_REQUESTS).await;
            // Without a destination the changes would be published too, and no message sent.
            world.publish().await;
            meter.reset();
            meter.sqs_request("SendMessageBatch");
            push(&world, id, &meter).await;
            report = report.and(&meter.report());
        }
        print_push(prices, &format!("to {kind}, one at a time"), &report, SINGLE);
    }
}

fn print_push(prices: &Prices, what: &str, report: &Report, sample: u32) {
    let bill = prices.usage(report, &deployed(1)).times(1e6 / f64::from(sample));
    let (writes, reads) = (report.write_units() / f64::from(sample), report.read_units() / f64::from(sample));
    println!("a million changes {what}; for each {writes:.2} write units and {reads:.2} read units");
    println!("{bill}");
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

async fn print_idle(prices: &Prices) {
    for (aa, bc) in [(1, 1), (10, 10), (100, 0)] {
        let hour = idle_hour(Kind::AssociationAnywhere, aa).await.and(&idle_hour(Kind::BusinessCatalyst, bc).await);
        let longest = hour.functions.values().map(|function| function.longest).max().unwrap_or_default();
        println!("an idle month of {aa} AA and {bc} BC; the longest invocation {longest:.1?}");
        println!("{}", prices.month(&hour, &deployed(aa + bc)));
    }
}

async fn print_millions(prices: &Prices) {
    for (what, report) in millions().await {
        let bill = prices.usage(&report, &deployed(1)).times(1e6 / f64::from(SAMPLE));
        let sample = f64::from(SAMPLE);
        let (writes, reads) = (report.write_units() / sample, report.read_units() / sample);
        println!("a million customers, {what}; for each {writes:.2} write units and {reads:.2} read units");
        let feed = report.dynamodb.iter().filter(|((table, _), _)| table == FEED_TABLE);
        let (writes, reads) = feed.fold((0.0, 0.0), |(writes, reads), (_, usage)| {
            (writes + usage.write_units / sample, reads + usage.read_units / sample)
        });
        println!("of that the change feed and the search index: {writes:.2} write units and {reads:.2} read units");
        if let Some((partition, units)) = &report.busiest {
            println!("the busiest partition key, {partition}: {units:.0} write units in a second");
        }
        println!("{bill}");
    }
}

fn deployed(connections: u32) -> Deployed {
    // A secret of each connection, and one of a reader.
    let secrets = connections + 1;
    Deployed { consumed_queues: 5, metrics: METRICS, alarms: ALARMS, secrets, memory_gb, arm64: false }
}

/// As the template says.
fn memory_gb(binary: &str) -> f64 {
    if binary.starts_with("poll-") { 0.5 } else { 0.25 }
}

/// An hour in which nothing changes at the sources of so many connections.
async fn idle_hour(kind: Kind, connections: u32) -> Report {
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

/// What it takes to sync the sample: new, unchanged and changed customers of each kind.
async fn millions() -> Vec<(&'static str, Report)> {
    let mut reports = Vec::new();
    let customers = u64::from(SAMPLE);
    let world = AssociationAnywhereFixture::with_customers(customers).await;
    let mut registration = world.connections().get(&world.connection()).await.unwrap().unwrap();
    // The usual pace, which the stories do without.
    registration.document = registration.document.replace("1000.0", "10.0");
    world.connections().put(&registration).await.unwrap();
    let meter = world.meter();
    reports.push(("AA, new", sync(&world, &meter).await));
    world.source.enqueue_all();
    reports.push(("AA, unchanged", sync(&world, &meter).await));
    world.source.change(1_001..1_001 + customers);
    reports.push(("AA, changed", sync(&world, &meter).await));

    let deployment = TestDeployment::with_most_pages(1, 10_000).await;
    let settings = BcSettings { contacts: customers, ..BcSettings::default() };
    let world = BusinessCatalystFixture::on(deployment, settings, "UTC", "max_requests_per_second = 10").await;
    let meter = world.meter();
    reports.push(("BC, new", sync(&world, &meter).await));
    world.clock.advance(Duration::from_secs(3_600));
    world.states().request_resync(&world.connection(), world.clock.now()).await.unwrap();
    reports.push(("BC, unchanged", sync(&world, &meter).await));
    reports
}

/// Syncs what a source has for us, and returns what that took.
async fn sync(world: &TestDeployment, meter: &Meter) -> Report {
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
        if status.batch.is_none() && count(&status) - before >= u64::from(SAMPLE) {
            return meter.report();
        }
        world.clock.advance(Duration::from_secs(1));
    }
    panic!("it is not synced: {:?}", world.statuses().await);
}

fn requests(report: &Report) -> u64 {
    report.dynamodb.values().map(|usage| usage.requests).sum()
}
