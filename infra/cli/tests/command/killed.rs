//! A run that is killed at random moments, while customers change and a Connector pushes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};

use crate::source::{Source, home_with_connection_to};
use crate::support::{PASSWORD, PATIENCE, TOKEN, USERNAME};

/// How often it is killed; with the feature `slow` as often as it takes to meet most moments of a run.
const KILLS: u32 = if cfg!(feature = "slow") { 100 } else { 6 };
/// A run is killed at the latest after so many milliseconds.
const LONGEST_LIFE: u64 = 1_500;
const CUSTOMERS: u64 = 60;
const PEOPLE: u64 = 8;

const CONNECTOR: &str = "
[[connection]]
id = 'intouch'
tenant = 'acme'
kind = 'connector'
client_id = 'c-1'
club_ids = ['k-1']
providers = ['P']
credentials = 'file:aa.json'
";

/// Pushes new names of people for ever, one after the other; notes the last name of each that was acknowledged, with
/// the id.
async fn push_for_ever(address: String, acknowledged: Arc<Mutex<BTreeMap<u64, (String, u64)>>>) {
    let client = simulators::http_client().build().unwrap();
    for number in 1.. {
        let person = number % PEOPLE;
        let document = format!(
            "<user><providerInfo><identifier>P</identifier><clientID>c-1</clientID><clubID>k-1</clubID>\
             <recordID>r-{person}</recordID></providerInfo><userInfo><firstname>Jo</firstname>\
             <lastname>V{number}</lastname><userStatus>ACTIVE</userStatus><userType>PROSPECT</userType>\
             </userInfo></user>"
        );
        let request = client.post(format!("{address}/connector/api/2011-11/user"));
        let request = request.basic_auth(USERNAME, Some(PASSWORD)).header("Content-Type", "application/xml");
        let Ok(response) = request.body(document).send().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let is_saved = response.status().is_success();
        let text = response.text().await.unwrap_or_default();
        if let Some((id, _)) = text.split_once("<uuid>").and_then(|(_, rest)| rest.split_once("</uuid>"))
            && is_saved
        {
            acknowledged.lock().unwrap().insert(person, (id.to_owned(), number));
        }
    }
}

#[test]
fn a_run_that_is_killed_again_and_again_loses_nothing_that_was_reported_or_acknowledged() {
    let source = Source::with_customers(CUSTOMERS);
    let home = home_with_connection_to(&source, &format!("poll_seconds = 1\nbulk_size = 7\n{CONNECTOR}"));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (address, local) =
        (format!("http://127.0.0.1:{port}"), format!("local --connections connections.toml --data data --port {port}"));
    let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
    source.runtime.spawn(push_for_ever(address.clone(), acknowledged.clone()));
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..KILLS {
        let running = home.start(&local);
        let until = Instant::now() + Duration::from_millis(random.u64(1..LONGEST_LIFE));
        while Instant::now() < until {
            source.simulator.change([1001 + random.u64(0..CUSTOMERS)]);
            std::thread::sleep(Duration::from_millis(20));
        }
        running.kill();
    }

    let mut last = home.start(&local);
    last.address();
    let began = Instant::now();
    while source.simulator.queue_len() > 0 {
        assert!(began.elapsed() < PATIENCE, "the queue is not purged");
        std::thread::sleep(Duration::from_millis(50));
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert_eq!(acknowledged.len() as u64, PEOPLE, "every person was acknowledged");
    source.runtime.block_on(async {
        let client = simulators::http_client().build().unwrap();
        for id in source.simulator.customer_ids() {
            let customer = read(&client, &address, &format!("aa~{id}")).await;
            assert_eq!(customer["name"]["display"].as_str(), source.simulator.display_name(id).as_deref(), "{id}");
        }
        for (person, (id, number)) in acknowledged {
            let customer = read(&client, &address, &format!("intouch~{id}")).await;
            assert_eq!(customer["external_id"], json!(format!("r-{person}")));
            let stored: u64 = customer["name"]["last"].as_str().unwrap().trim_start_matches('V').parse().unwrap();
            assert!(stored >= number, "acknowledged was V{number}, and stored is V{stored}");
        }
    });
}

async fn read(client: &Client, address: &str, id: &str) -> Value {
    let request = client.get(format!("{address}/v1/customers/{id}")).header("Authorization", format!("Bearer {TOKEN}"));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{id}");
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}
