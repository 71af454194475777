//! Measures how many customers a second a local run sends to each kind of destination: a new one gets everybody. The
//! destinations are simulators in the same process. Counted from the first arrival to the last.
//!
//! `cargo bench -p customer-sync --bench pushes -- [CUSTOMERS]`, 10,000 by default.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on has failed")]

use std::fs;
use std::time::{Duration, Instant};

use customer_sync::commands::{LocalOptions, LocalRun};
use serde_json::{Value, json};
use simulators::business_catalyst::{BcSettings, BcSimulator};
use simulators::loyalty::{LoyaltySettings, LoyaltySimulator};
use simulators::webhook::{WebhookReceiver, WebhookSettings};
use simulators::{business_catalyst, loyalty, webhook};
use tokio::net::TcpListener;

use crate::support::{secret, source};

mod support;

/// A destination, as the file says it, with its credentials, and how many customers it has.
struct Destination {
    kind: &'static str,
    table: String,
    credentials: Value,
    customers: Box<dyn Fn() -> usize>,
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    (listener, base)
}

async fn site() -> Destination {
    let settings = BcSettings { contacts: 0, ..BcSettings::default() };
    let credentials = json!({ "username": settings.username, "password": settings.password });
    let (listener, base) = listen().await;
    let table = format!("endpoint = '{}'\nsite_id = {}\n", business_catalyst::endpoint(&base), settings.site_id);
    let site = BcSimulator::new(settings);
    let serving = site.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    Destination { kind: "business-catalyst", table, credentials, customers: Box::new(move || site.contact_ids().len()) }
}

async fn loyalty_service() -> Destination {
    let settings = LoyaltySettings::default();
    let LoyaltySettings { user_id, user_password, account_id, campaigns, .. } = &settings;
    let credentials = json!({ "user_id": user_id, "user_password": user_password, "account_id": account_id });
    let (listener, base) = listen().await;
    let table = format!("url = '{}'\ncampaigns = {campaigns:?}\n", loyalty::endpoint(&base));
    let service = LoyaltySimulator::new(settings);
    let serving = service.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    Destination { kind: "customers-batch", table, credentials, customers: Box::new(move || service.codes().len()) }
}

async fn receiver() -> Destination {
    let settings = WebhookSettings::default();
    let credentials = json!({ "secret": settings.secret });
    let (listener, base) = listen().await;
    let table = format!("url = '{}'\n", webhook::endpoint(&base));
    let receiver = WebhookReceiver::new(settings);
    let serving = receiver.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    Destination { kind: "webhook", table, credentials, customers: Box::new(move || receiver.ids().len()) }
}

#[tokio::main]
async fn main() {
    let customers: usize = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(10_000);
    let directory = tempfile::tempdir().unwrap();
    let (_source, connection) = source(directory.path(), "aa", "bench", customers as u64).await;
    let connections = directory.path().join("connections.toml");
    let options = LocalOptions {
        connections: Some(connections.clone()),
        data: directory.path().join("data"),
        port: 0,
        once: true,
    };
    fs::write(&connections, &connection).unwrap();
    let run = LocalRun::start(&options).await.unwrap();
    assert!(run.until_in_sync().await.unwrap(), "the run did not get in sync");

    println!("{customers} customers");
    for Destination { kind, table, credentials, customers: arrived } in
        [site().await, loyalty_service().await, receiver().await]
    {
        let credentials = secret(directory.path(), &format!("{kind}.json"), &credentials);
        let destination = format!(
            "[[destination]]\nid = '{kind}'\ntenant = 'bench'\nkind = '{kind}'\nfrom = ['aa']\n\
             credentials = '{credentials}'\nallow_private_addresses = true\nmax_requests_per_second = 1000\n{table}"
        );
        fs::write(&connections, format!("{connection}{destination}")).unwrap();
        let running = tokio::spawn(LocalRun::start(&options).await.unwrap().run());
        let mut first: Option<(Instant, usize)> = None;
        loop {
            let count = arrived();
            let began = (count > 0).then(|| *first.get_or_insert((Instant::now(), count)));
            if count >= customers {
                let (began, at_first) = began.unwrap();
                let a_second = (count - at_first) as f64 / began.elapsed().as_secs_f64();
                println!("{kind:<20} {a_second:>8.0} customers a second");
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running.abort();
        // The lock on the data is given back.
        let _ = running.await;
    }
}
