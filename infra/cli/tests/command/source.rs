//! A simulated Association Anywhere beside the command, and the files that connect the two.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use simulators::association_anywhere::{AaSettings, AaSimulator, urls};
use tokio::runtime::Runtime;

use crate::support::{Home, PASSWORD, TOKEN, USERNAME};

/// A source that listens in this process.
pub(crate) struct Source {
    pub(crate) simulator: AaSimulator,
    pub(crate) base: String,
    pub(crate) runtime: Runtime,
}

impl Source {
    pub(crate) fn with_customers(customers: u64) -> Self {
        let runtime = Runtime::new().unwrap();
        let simulator = AaSimulator::new(AaSettings {
            customers,
            username: USERNAME.to_owned(),
            password: PASSWORD.to_owned(),
            ..AaSettings::default()
        });
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let serving = simulator.clone();
        runtime.spawn(async move { serving.serve(listener).await });
        Self { simulator, base, runtime }
    }

    /// What no output may hold: secrets and personal data.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let ids = self.simulator.customer_ids();
        let emails = ids.iter().filter_map(|id| self.simulator.email(*id));
        let names = ids.iter().filter_map(|id| self.simulator.display_name(*id));
        emails.chain(names).chain([PASSWORD, TOKEN].map(str::to_owned)).collect()
    }
}

/// A home whose `connections.toml` has the connection `aa` of the tenant `acme`, with these lines added to it.
pub(crate) fn home_with_connection_to(source: &Source, extra: &str) -> Home {
    let home = Home::empty();
    home.write("aa.json", &json!({ "username": USERNAME, "password": PASSWORD }).to_string());
    home.write("reader.json", &json!({ "token": TOKEN }).to_string());
    home.write("connections.toml", &connection(&source.base, "file:aa.json", extra));
    home
}

/// A file with one connection and one reader.
pub(crate) fn connection(base: &str, credentials: &str, extra: &str) -> String {
    let urls = urls(base);
    format!(
        "[[connection]]\nid = 'aa'\ntenant = 'acme'\nkind = 'association-anywhere'\nqueue_url = '{}'\n\
         details_url = '{}'\npurge_url = '{}'\nenqueue_url = '{}'\ncredentials = '{credentials}'\n{extra}\n\
         [[reader]]\ntenant = 'acme'\ntoken = 'file:reader.json'\n",
        urls.queue, urls.details, urls.purge, urls.enqueue
    )
}

/// Every id that the API lists.
pub(crate) fn listed(source: &Source, address: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    source.runtime.block_on(async {
        let client = simulators::http_client().build().unwrap();
        loop {
            let url = format!("{address}/v1/customers?connection=aa&limit=500{cursor}");
            let response = client.get(url).header("Authorization", format!("Bearer {TOKEN}")).send().await.unwrap();
            assert_eq!(response.status(), 200);
            let page: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
            let customers = page["customers"].as_array().unwrap();
            ids.extend(customers.iter().map(|customer| customer["id"].as_str().unwrap().to_owned()));
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return ids,
            }
        }
    })
}

pub(crate) fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}
