//! `apply --check`: whether every source and destination of a file can be reached and lets us in.

use std::time::Duration;

use config::{
    AssociationAnywhereConfig, BatchImportConfig, BusinessCatalystConfig, Configuration, Connection, ConnectionKind,
    ConnectorConfig, SecretReference,
};
use destinations::DestinationClient;
use model::fold_id;
use serde::Deserialize;
use sources::SourceError;
use sources::association_anywhere::AssociationAnywhereClient;
use sources::business_catalyst::{BEGINNING, BusinessCatalystClient};
use store::{Registration, StoreError};

use crate::Target;

/// How long a source or destination may take for all that it is asked.
const PATIENCE: Duration = Duration::from_secs(240);

/// What was found, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// A line for each that is well.
    pub(crate) well: Vec<String>,
    /// A line for each that is not, which begins with what it is of.
    pub(crate) problems: Vec<String>,
}

/// What is wrong with a connection: at which key, and what.
struct Problem(&'static str, String);

/// Reaches every source and destination of the file. Nothing is changed there; no secret and no personal data is told.
pub(crate) async fn check(target: &Target, configuration: &Configuration) -> Checked {
    let mut checked = Checked::default();
    for registration in &configuration.connections {
        let id = &registration.key.connection;
        match connection(target, registration).await {
            Ok(found) => checked.well.push(format!("{id}: {found}")),
            Err(Problem("", problem)) => checked.problems.push(format!("connection `{id}`: {problem}")),
            Err(Problem(key, problem)) => checked.problems.push(format!("connection `{id}`: key `{key}`: {problem}")),
        }
    }
    let clients = &target.clients;
    let client = DestinationClient::new(clients.destinations.clone(), clients.secrets.clone(), clients.clock.clone());
    for destination in &configuration.destinations {
        let id = &destination.key.connection;
        match client.check(destination, clients.clock.now() + PATIENCE).await {
            Ok(found) => checked.well.push(format!("{id}: {found}")),
            Err(trouble) => {
                let (key, problem) = match trouble.message.strip_prefix("credentials: ") {
                    Some(problem) => ("credentials", problem),
                    None if destination.settings.receiver.site().is_some() => ("endpoint", trouble.message.as_str()),
                    None => ("url", trouble.message.as_str()),
                };
                checked.problems.push(format!("destination `{id}`: key `{key}`: {problem}"));
            }
        }
    }
    checked
}

async fn connection(target: &Target, registration: &Registration) -> Result<String, Problem> {
    let unreadable = |error: StoreError| Problem("", error.to_string());
    match ConnectionKind::from_name(&registration.kind) {
        Some(ConnectionKind::AssociationAnywhere) => {
            association_anywhere(target, &Connection::from_registration(registration).map_err(unreadable)?).await
        }
        Some(ConnectionKind::BusinessCatalyst) => {
            business_catalyst(target, &Connection::from_registration(registration).map_err(unreadable)?).await
        }
        Some(ConnectionKind::Connector) => {
            let settings = Connection::<ConnectorConfig>::from_registration(registration).map_err(unreadable)?.settings;
            let expected = "\"username\" and \"password\", or \"token\"";
            pushed::<SenderCredentials>(target, &settings.credentials, expected, "/connector/api/2011-11/").await
        }
        Some(ConnectionKind::BatchImport) => {
            let settings =
                Connection::<BatchImportConfig>::from_registration(registration).map_err(unreadable)?.settings;
            let expected = "\"users\", each with \"user_id\" and \"user_password\"";
            pushed::<ImportCredentials>(target, &settings.credentials, expected, "/api.php").await
        }
        None => Err(Problem("kind", format!("{} is not known to this release", registration.kind))),
    }
}

/// Reads the queue and, of one customer that is known, the details. The queue is not purged, and nobody is put into it.
async fn association_anywhere(
    target: &Target,
    Connection { key, settings }: &Connection<AssociationAnywhereConfig>,
) -> Result<String, Problem> {
    let clients = &target.clients;
    let (http, secrets) = (clients.http.clone(), clients.secrets.clone());
    let client = AssociationAnywhereClient::new(http, secrets, target.tables.limiter(), clients.clock.clone());
    let deadline = clients.clock.now() + PATIENCE;
    let login = if settings.queue_credentials.is_some() { "queue_credentials" } else { "credentials" };
    let failed = |url, login| move |error: SourceError| problem(error, url, login);
    let queue = client.queue(key, settings).await.map_err(failed("queue_url", login))?;
    let answer = queue.read_alone(deadline).await.map_err(failed("queue_url", login))?;
    let mut waiting: Vec<String> = answer.customers.iter().map(|customer| fold_id(&customer.source_id)).collect();
    waiting.sort_unstable();
    waiting.dedup();
    let waiting = waiting.len() + answer.unusable.len();
    let known = match answer.customers.into_iter().next() {
        Some(customer) => Some(customer.source_id),
        None => {
            let some = target.tables.shadow().some_existing(key, 1).await;
            some.map_err(|error| Problem("", error.to_string()))?.pop()
        }
    };
    let details = match known {
        Some(source_id) => {
            let asked = client.details(key, settings, &[source_id], deadline).await;
            let answer = asked.map_err(failed("details_url", "credentials"))?;
            if let Some(error) = answer.broken {
                return Err(Problem("details_url", error.to_string()));
            }
            "details readable"
        }
        None => "details not tried, because no customer is known",
    };
    let wait = if waiting == 1 { "customer waits" } else { "customers wait" };
    Ok(format!("credentials accepted, queue readable, {waiting} {wait}, {details}"))
}

/// Asks for the contacts that have changed since this moment: as short a list as there is.
async fn business_catalyst(
    target: &Target,
    Connection { key, settings }: &Connection<BusinessCatalystConfig>,
) -> Result<String, Problem> {
    let clients = &target.clients;
    let (http, secrets) = (clients.http.clone(), clients.secrets.clone());
    let client = BusinessCatalystClient::new(http, secrets, target.tables.limiter(), clients.clock.clone());
    let now = clients.clock.now();
    let deadline = now + PATIENCE;
    for from in [now.to_zoned(settings.zone()).datetime(), BEGINNING] {
        let answer = client.page(key, settings, from, 0, true, deadline).await;
        let answer = answer.map_err(|error| problem(error, "endpoint", "credentials"))?;
        if !answer.is_fault {
            return Ok("credentials accepted, contact list readable".to_owned());
        }
    }
    Ok("it answers with a fault that names no cause, as a site without contacts does".to_owned())
}

/// Reads the credentials of a connection whose system pushes to us, and says where to.
async fn pushed<T: for<'de> Deserialize<'de>>(
    target: &Target,
    credentials: &SecretReference,
    expected: &'static str,
    path: &str,
) -> Result<String, Problem> {
    let read = target.clients.secrets.read::<T>(credentials, expected).await;
    read.map_err(|error| Problem("credentials", error.to_string()))?;
    let base = target.api_url.as_deref().unwrap_or("http://127.0.0.1:8787");
    Ok(format!("credentials readable; its sender pushes to {}{path}", base.trim_end_matches('/')))
}

fn problem(error: SourceError, url: &'static str, login: &'static str) -> Problem {
    match error {
        SourceError::Secret(error) => Problem(login, error.to_string()),
        error => Problem(url, error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only whether they are there counts")]
enum SenderCredentials {
    Basic { username: String, password: String },
    Bearer { token: String },
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "likewise")]
struct ImportCredentials {
    users: Vec<ImportUser>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "likewise")]
struct ImportUser {
    user_id: String,
    user_password: String,
}
