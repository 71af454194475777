//! Every command that the control surface of a simulator documents is there.

#![allow(clippy::unwrap_used)]

mod support;

use simulators::{
    association_anywhere::{AaSettings, AaSimulator},
    business_catalyst::{BcSettings, BcSimulator},
    loyalty::{LoyaltySettings, LoyaltySimulator},
    webhook::{WebhookReceiver, WebhookSettings},
};
use tokio::net::TcpListener;

/// The requests of a module's table, such as `POST /_simulator/heal?id=1001`, each as method and path.
fn documented(module: &str) -> Vec<(String, String)> {
    let requests = module.lines().filter_map(|line| line.strip_prefix("//! | `")?.split_once('`'));
    let requests = requests.filter_map(|(request, _)| request.split_once(' '));
    requests.map(|(method, path)| (method.to_owned(), path.replace('…', "AAAA"))).collect()
}

macro_rules! every_documented_request_is_answered {
    ($simulator:expr, $module:literal, $count:literal) => {{
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let simulator = $simulator;
        let served = simulator.clone();
        let task = tokio::spawn(async move { served.serve(listener).await });
        let requests = documented(include_str!($module));
        assert_eq!(requests.len(), $count, "{requests:?}");
        for (method, path) in requests {
            let request = support::client().request(method.parse().unwrap(), format!("{base}{path}"));
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 200, "{method} {path}: {}", answer.text().await.unwrap());
        }
        task.abort();
    }};
}

#[tokio::test]
async fn every_request_that_is_documented_is_answered() {
    every_documented_request_is_answered!(
        AaSimulator::new(AaSettings { customers: 5, ..AaSettings::default() }),
        "../src/association_anywhere/control.rs",
        15
    );
    every_documented_request_is_answered!(
        BcSimulator::new(BcSettings { contacts: 5, ..BcSettings::default() }),
        "../src/business_catalyst/control.rs",
        18
    );
    every_documented_request_is_answered!(
        LoyaltySimulator::new(LoyaltySettings::default()),
        "../src/loyalty/control.rs",
        7
    );
    every_documented_request_is_answered!(
        WebhookReceiver::new(WebhookSettings::default()),
        "../src/webhook/control.rs",
        9
    );
}
