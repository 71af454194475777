//! What customer-sync costs on AWS, from what the functions ask of DynamoDB here: `cargo run --release -p tests --bin
//! cost`. An idle month, and a million customers that are synced; with the argument `idle` or `millions` one of them.
//!
//! Requests and units are counted. The time of the functions is modelled, because the clock is a story's: see
//! [`modelled`].

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool of the developers, that may panic")]

use std::time::Duration;

use local_aws::{Deployed, Meter, Prices, Report};
use serde_json::json;
use simulators::association_anywhere::{AaSettings, AaSimulator, urls};
use simulators::business_catalyst::{BcSettings, BcSimulator, endpoint};
use tests::{AssociationAnywhereFixture, BusinessCatalystFixture, CONTACTS_QUEUE, TestDeployment, WORK_QUEUE};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How many customers are synced to learn what a million costs.
const SAMPLE: u32 = 2_000;
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
/// Alarms and metrics of ours of a deployed stack, whatever its connections.
const ALARMS: u32 = 14;
const METRICS: u32 = 14;

/// Connections of a kind, and how often the functions that serve them are invoked.
struct Kind {
    name: &'static str,
    binary: &'static str,
    queue: &'static str,
    every: Duration,
}

const ASSOCIATION_ANYWHERE: Kind =
    Kind { name: "AA", binary: "poll-queue", queue: WORK_QUEUE, every: Duration::from_secs(5) };
const BUSINESS_CATALYST: Kind =
    Kind { name: "BC", binary: "poll-contacts", queue: CONTACTS_QUEUE, every: Duration::from_secs(60) };

#[tokio::main]
async fn main() {
    let prices = Prices::us_east_1().unwrap();
    println!("{}, {}, arm64, 512 MB, without free tiers\n", prices.region, prices.as_of);
    let wanted = std::env::args().nth(1);
    let is_wanted = |part: &str| wanted.as_deref().is_none_or(|wanted| wanted == part);
    if is_wanted("idle") {
        print_idle(&prices).await;
    }
    if is_wanted("millions") {
        print_millions(&prices).await;
    }
}

async fn print_idle(prices: &Prices) {
    for (aa, bc) in [(1, 1), (10, 10), (100, 0)] {
        let hour = idle_hour(&ASSOCIATION_ANYWHERE, aa).await.and(&idle_hour(&BUSINESS_CATALYST, bc).await);
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
        if let Some((partition, units)) = &report.busiest {
            println!("the busiest partition key, {partition}: {units:.0} write units in a second");
        }
        println!("{bill}");
    }
}

fn deployed(connections: u32) -> Deployed {
    // A secret of each connection, and one of a reader.
    let secrets = connections + 1;
    Deployed { consumed_queues: 2, metrics: METRICS, alarms: ALARMS, secrets, memory_gb: 0.5, arm64: true }
}

/// An hour in which nothing changes at the sources of so many connections.
async fn idle_hour(kind: &Kind, connections: u32) -> Report {
    if connections == 0 {
        return Report::default();
    }
    let world = TestDeployment::with_most_pages(1, 1_000).await;
    let _serving = connect(&world, kind, connections).await;
    let meter = world.meter();
    // Everything that is there is synced, and every cache is filled.
    pass(&world, kind, connections, &meter, Duration::from_secs(120)).await;
    meter.reset();
    pass(&world, kind, connections, &meter, Duration::from_secs(3_600)).await;
    meter.report()
}

/// Lets time pass, with every trigger of the functions of this kind.
async fn pass(world: &TestDeployment, kind: &Kind, connections: u32, meter: &Meter, time: Duration) {
    let until = world.clock.now() + time;
    let mut secrets_until = world.clock.now();
    while world.clock.now() < until {
        let began = world.clock.now();
        let before = requests(&meter.report());
        world.poll().await;
        meter.invocation(kind.binary, modelled((requests(&meter.report()) - before) / u64::from(connections), 1));
        for message in world.queues.receive(kind.queue, usize::MAX) {
            world.deliver_to(kind.queue, &[message]).await;
        }
        // A function reads a connection's secret when it was read a minute ago.
        if world.clock.now() >= secrets_until {
            secrets_until = world.clock.now() + Duration::from_secs(60);
            (0..connections).for_each(|_| meter.secrets_request());
        }
        let passed = Duration::try_from(world.clock.now().duration_since(began)).unwrap();
        world.clock.advance(kind.every.saturating_sub(passed));
    }
}

/// Configures connections, each to a source of its own with nobody in its queue, or with a few contacts.
async fn connect(world: &TestDeployment, kind: &Kind, connections: u32) -> JoinSet<std::io::Result<()>> {
    let mut serving = JoinSet::new();
    let mut file = String::new();
    let aa = AaSettings { customers: 0, ..AaSettings::default() };
    let bc = BcSettings { contacts: 20, ..BcSettings::default() };
    let is_aa = kind.name == ASSOCIATION_ANYWHERE.name;
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
    let meter = world.meter();
    reports.push(("AA, new", sync(&world, &ASSOCIATION_ANYWHERE, &meter).await));
    world.source.enqueue_all();
    reports.push(("AA, unchanged", sync(&world, &ASSOCIATION_ANYWHERE, &meter).await));
    world.source.change(1_001..1_001 + customers);
    reports.push(("AA, changed", sync(&world, &ASSOCIATION_ANYWHERE, &meter).await));

    let deployment = TestDeployment::with_most_pages(1, 10_000).await;
    let settings = BcSettings { contacts: customers, ..BcSettings::default() };
    let world = BusinessCatalystFixture::on(deployment, settings, "UTC", "max_requests_per_second = 10").await;
    let meter = world.meter();
    reports.push(("BC, new", sync(&world, &BUSINESS_CATALYST, &meter).await));
    world.clock.advance(Duration::from_secs(3_600));
    world.states().request_resync(&world.connection(), world.clock.now()).await.unwrap();
    reports.push(("BC, unchanged", sync(&world, &BUSINESS_CATALYST, &meter).await));
    reports
}

/// Syncs what a source has for us, and returns what that took.
async fn sync(world: &TestDeployment, kind: &Kind, meter: &Meter) -> Report {
    meter.reset();
    let count = |status: &operations::status::ConnectionStatus| status.counts.fetched;
    let before = count(&world.statuses().await[0]);
    for _ in 0..10_000 {
        world.poll().await;
        for message in world.queues.receive(kind.queue, usize::MAX) {
            let before = requests(&meter.report());
            world.deliver_to(kind.queue, &[message]).await;
            meter.invocation(kind.binary, modelled(requests(&meter.report()) - before, AT_ONCE));
            meter.sqs_request("all of a message");
            world.clock.advance(Duration::from_secs(1) / CHUNKS_A_SECOND);
        }
        world.poll().await;
        let status = world.statuses().await.remove(0);
        if status.batch.is_none() && count(&status) - before >= u64::from(SAMPLE) {
            return meter.report();
        }
        world.clock.advance(Duration::from_secs(1));
    }
    panic!("{} is not synced: {:?}", kind.name, world.statuses().await);
}

/// How long an invocation takes on AWS that asks a source once and DynamoDB so often, some of it side by side.
fn modelled(requests: u64, at_once: u32) -> Duration {
    let requests = u32::try_from(requests).unwrap_or(u32::MAX);
    INVOCATION + SOURCE + DYNAMODB * requests / at_once
}

fn requests(report: &Report) -> u64 {
    report.dynamodb.values().map(|usage| usage.requests).sum()
}
