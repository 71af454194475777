//! What customer-sync costs on AWS, from what the functions ask of DynamoDB here: `cargo run --release -p tests --bin
//! cost`. An idle month, a million customers that are synced, and a million that are sent on; with the argument `idle`,
//! `millions` or `pushes` one of them. `figures` prints `infra/local-aws/figures.toml` instead.
//!
//! What is counted and what is modelled stands in `tests::costs`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool of the developers, that may panic")]

use local_aws::{Prices, Report, deployed};
use tests::FEED_TABLE;
use tests::costs::{Kind, figures, idle_hour, millions, pushes};

/// How many customers are synced to learn what a million costs.
const SAMPLE: u32 = 10_000;
/// How many changes are sent one by one to learn what a million costs.
const SINGLE: u32 = 200;
/// The same for the figures, which need less.
const FIGURES: (u32, u32) = (4_000, 100);

/// What the file of figures begins with.
const FIGURES_HEAD: &str = "\
# What the meter has measured, for `customer-sync cost`. `cargo run -p tests --bin cost figures` prints it anew; a test\n\
# holds that it is near the truth. Units, seconds and requests: of one customer or change, or of an idle hour.\n";

#[tokio::main]
async fn main() {
    let prices = Prices::us_east_1().unwrap();
    if std::env::args().nth(1).as_deref() == Some("figures") {
        print!("{}{}", FIGURES_HEAD, toml::to_string(&figures(FIGURES.0, FIGURES.1).await).unwrap());
        return;
    }
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

async fn print_pushes(prices: &Prices) {
    for (id, kind) in [("site", "business-catalyst"), ("loyalty", "customers-batch"), ("hook", "webhook")] {
        let (at_once, one_by_one) = pushes(id, SAMPLE, SINGLE).await;
        print_push(prices, &format!("to {kind}, everybody at once"), &at_once, SAMPLE);
        print_push(prices, &format!("to {kind}, one at a time"), &one_by_one, SINGLE);
    }
}

fn print_push(prices: &Prices, what: &str, report: &Report, sample: u32) {
    let bill = prices.usage(report, &deployed(2)).times(1e6 / f64::from(sample));
    let (writes, reads) = (report.write_units() / f64::from(sample), report.read_units() / f64::from(sample));
    println!("a million changes {what}; for each {writes:.2} write units and {reads:.2} read units");
    println!("{bill}");
}

async fn print_idle(prices: &Prices) {
    for (aa, bc) in [(1, 1), (10, 10), (100, 0)] {
        let hour = idle_hour(Kind::AssociationAnywhere, aa).await.and(&idle_hour(Kind::BusinessCatalyst, bc).await);
        let longest = hour.functions.values().map(|function| function.longest).max().unwrap_or_default();
        println!("an idle month of {aa} AA and {bc} BC; the longest invocation {longest:.1?}");
        println!("{}", prices.month(&hour, &deployed(aa + bc + 1)));
    }
}

async fn print_millions(prices: &Prices) {
    for (what, report) in millions(SAMPLE).await.0 {
        let bill = prices.usage(&report, &deployed(2)).times(1e6 / f64::from(SAMPLE));
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
