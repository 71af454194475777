//! `apply --check`: whether every source and destination of a file can be reached and lets us in.

use std::time::Duration;

use config::{
    AssociationAnywhereConfig, BatchImportConfig, BusinessCatalystConfig, Configuration, Connection, ConnectionKind,
    ConnectorConfig, SecretReference,
};
use destinations::DestinationClient;
use model::{fold_id, is_spelling_of};
use serde::Deserialize;
use sources::SourceError;
use sources::association_anywhere::{AssociationAnywhereClient, DetailsAnswer};
use sources::business_catalyst::{BEGINNING, BusinessCatalystClient};
use store::{Registration, StoreError};

use crate::Target;

/// How long a source or destination may take for all that it is asked.
const PATIENCE: Duration = Duration::from_secs(240);

/// How many customers that wait, and how many that are known, are asked for.
const MOST_ASKED: usize = 5;

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
    if target.tables.states.is_paused(&registration.key).await.map_err(unreadable)? {
        return Ok("paused, and not asked".to_owned());
    }
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

/// Reads the queue and, of some customers that wait or are known, the details. The queue is not purged, and nobody is
/// put into it.
async fn association_anywhere(
    target: &Target,
    Connection { key, settings }: &Connection<AssociationAnywhereConfig>,
) -> Result<String, Problem> {
    let clients = &target.clients;
    let (http, secrets) = (clients.http.clone(), clients.secrets.clone());
    let client = AssociationAnywhereClient::new(http, secrets, target.tables.limiter.clone(), clients.clock.clone());
    let deadline = clients.clock.now() + PATIENCE;
    let login = if settings.queue_credentials.is_some() { "queue_credentials" } else { "credentials" };
    let failed = |url, login| move |error: SourceError| problem(error, url, login);
    let queue = client.queue(key, settings).await.map_err(failed("queue_url", login))?;
    let answer = queue.read_alone(deadline).await.map_err(failed("queue_url", login))?;
    let mut waiting: Vec<String> = answer.customers.iter().map(|customer| fold_id(&customer.source_id)).collect();
    waiting.sort_unstable();
    waiting.dedup();
    let waiting = waiting.len() + answer.unusable.len();
    let wait = if waiting == 1 { "customer waits" } else { "customers wait" };
    // A customer that waits may be deleted at the source: then the details lack it, and all is well.
    let mut asked: Vec<String> = answer.customers.into_iter().map(|it| it.source_id).take(MOST_ASKED).collect();
    let some = target.tables.shadow.some_existing(key, MOST_ASKED).await;
    asked.extend(some.map_err(|error| Problem("", error.to_string()))?);
    asked.truncate(settings.bulk_size as usize);
    // Also if nobody can be asked for.
    let read = clients.secrets.read::<SourceCredentials>(&settings.credentials, "\"username\" and \"password\"").await;
    read.map_err(|error| Problem("credentials", error.to_string()))?;
    let queue = format!("{login} accepted, queue readable, {waiting} {wait}");
    if asked.is_empty() {
        let credentials = if login == "credentials" { "" } else { "credentials readable, " };
        return Ok(format!("{queue}, {credentials}details not tried, because no customer is known"));
    }
    let answer = client.details(key, settings, &asked, deadline).await;
    let answer = answer.map_err(failed("details_url", "credentials"))?;
    are_readable(&asked, answer).map_err(|problem| Problem("details_url", problem))?;
    let credentials = if login == "credentials" { "" } else { "credentials accepted, " };
    Ok(format!("{queue}, {credentials}details readable"))
}

/// Whether an answer has one of the customers that were asked for.
fn are_readable(asked: &[String], answer: DetailsAnswer) -> Result<(), String> {
    let mut problem = answer.broken.map(|error| error.to_string());
    for detail in answer.details {
        let is_asked = detail.source_id.is_some_and(|id| asked.iter().any(|asked| is_spelling_of(asked, &id)));
        match detail.content {
            Ok(_) if is_asked => return Ok(()),
            Ok(_) => {}
            Err(error) => problem = problem.or(Some(error.to_string())),
        }
    }
    Err(problem.unwrap_or_else(|| format!("the answer has none of the {} customers that were asked for", asked.len())))
}

/// Asks for the contacts that have changed since this moment: as short a list as there is.
async fn business_catalyst(
    target: &Target,
    Connection { key, settings }: &Connection<BusinessCatalystConfig>,
) -> Result<String, Problem> {
    let clients = &target.clients;
    let (http, secrets) = (clients.http.clone(), clients.secrets.clone());
    let client = BusinessCatalystClient::new(http, secrets, target.tables.limiter.clone(), clients.clock.clone());
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
#[expect(dead_code, reason = "likewise")]
struct SourceCredentials {
    username: String,
    password: String,
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
