//! The simulated Connector of a run without a file: it pushes some people into the run's own API.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use simulators::connector::{ConnectorSettings, ConnectorSimulator};

/// How many prospects and members it has.
const PEOPLE: usize = 12;
const PASSWORD: &str = "demo-password";

/// Writes the Connector's credentials into the directory of the demo.
///
/// Returns its connection, as a file of connections says it, and the Connector, which pushes to `api`.
pub(crate) fn connector(demo: &Path, api: SocketAddr) -> std::io::Result<(String, ConnectorSimulator)> {
    let settings =
        ConnectorSettings { base: format!("http://{api}"), people: PEOPLE, staff: 3, ..ConnectorSettings::default() };
    let credentials = demo.join("intouch.json");
    let login = serde_json::json!({ "username": "intouch", "password": PASSWORD });
    fs::write(&credentials, login.to_string())?;
    let connection = format!(
        "[[connection]]\nid = \"intouch\"\ntenant = \"demo\"\nkind = \"connector\"\nclient_id = {:?}\nclub_ids = {:?}\n\
         providers = [{:?}]\ncredentials = {:?}\ncreate_staff = true\ncreate_lead_sources = true\n\n",
        settings.client_id,
        settings.club_ids,
        settings.provider,
        format!("file:{}", credentials.display()),
    );
    Ok((connection, ConnectorSimulator::new(settings)))
}

/// Pushes everything, notes when that is done, and then makes a member of a prospect now and then, if `every` so often.
pub(crate) async fn push(connector: ConnectorSimulator, is_pushed: Arc<AtomicBool>, every: Option<Duration>) {
    let mut report = connector.push_everything().await;
    is_pushed.store(true, Ordering::Release);
    while let Some(every) = every
        && report.is_clean()
    {
        tokio::time::sleep(every).await;
        report = connector.convert_some(1).await.1;
    }
    if !report.is_clean() {
        tracing::error!(%report, "the simulated Connector was refused");
    }
}
