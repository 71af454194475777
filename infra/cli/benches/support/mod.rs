//! What the benchmarks have in common: simulated sources, and connections to them.

use std::fs;
use std::path::Path;

use simulators::association_anywhere::{AaSettings, AaSimulator, urls};
use tokio::net::TcpListener;

/// Serves a source of so many customers, and returns it with a connection to it, of this id and tenant, which is asked
/// every second. Its secret is written to `directory`.
pub async fn source(directory: &Path, id: &str, tenant: &str, customers: u64) -> (AaSimulator, String) {
    let settings = AaSettings { customers, ..AaSettings::default() };
    let simulator = AaSimulator::new(settings.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let urls = urls(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn({
        let simulator = simulator.clone();
        async move { simulator.serve(listener).await }
    });
    let login = serde_json::json!({ "username": settings.username, "password": settings.password });
    let credentials = secret(directory, &format!("{id}.json"), &login);
    let connection = format!(
        "[[connection]]\nid = '{id}'\ntenant = '{tenant}'\nkind = 'association-anywhere'\nqueue_url = '{}'\n\
         details_url = '{}'\npurge_url = '{}'\ncredentials = '{credentials}'\npoll_seconds = 1\nmax_requests_per_second = 1000\n\
         sections = ['addresses', 'phones', 'emails', 'memberships', 'subscriptions']\n",
        urls.queue, urls.details, urls.purge,
    );
    (simulator, connection)
}

/// Writes a secret, and returns the reference to it.
pub fn secret(directory: &Path, name: &str, content: &serde_json::Value) -> String {
    let path = directory.join(name);
    fs::write(&path, content.to_string()).unwrap();
    format!("file:{}", path.display())
}
