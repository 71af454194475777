//! `connections.toml`: what is synchronised, and who may read. Checked as a whole: every problem is reported at once.

use std::collections::BTreeSet;
use std::fmt;

use model::ConnectionKey;
use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use store::{Directory, Registration, SecretRef, StoreError};
use thiserror::Error;
use toml::{Table, Value};
use wire::association_anywhere::{Dialect, Section};

/// The kind of an Association Anywhere connection, in the file and in the store.
pub const ASSOCIATION_ANYWHERE: &str = "association-anywhere";
/// The kind of a reader, in the store.
pub const READER: &str = "reader";

/// Kinds that the file's contract names and this version can't run.
const KINDS_TO_COME: [&str; 3] = ["business-catalyst", "connector", "batch-import"];
const LONGEST_ID: usize = 40;
const DEFAULT_BULK_SIZE: u32 = 100;
/// A customer is only proven gone by an answer that yields another.
const SMALLEST_BULK_SIZE: i64 = 2;
const LARGEST_BULK_SIZE: i64 = 1_000;
const DEFAULT_POLL_SECONDS: u32 = 5;
const LONGEST_POLL_SECONDS: i64 = 3_600;
const DEFAULT_REQUESTS_PER_SECOND: f64 = 10.0;
const MOST_REQUESTS_PER_SECOND: f64 = 1_000.0;

/// Everything that a file configures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configuration {
    /// The connections, in the file's order.
    pub connections: Vec<Connection>,
    /// Who may read, in the file's order.
    pub readers: Vec<Reader>,
}

/// One connection to an upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Whose it is and what it is called.
    pub key: ConnectionKey,
    /// How to reach it.
    pub settings: AssociationAnywhere,
}

/// How to reach an Association Anywhere system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssociationAnywhere {
    /// *Get queue customers*.
    pub queue_url: String,
    /// *Get customer details*.
    pub details_url: String,
    /// *Purge queue customers*.
    pub purge_url: String,
    /// *Force enqueue customers*, where the vendor provisioned it.
    pub enqueue_url: Option<String>,
    /// User name and password, of all procedures or of the details alone.
    pub credentials: SecretReference,
    /// User name and password of queue, purge and force enqueue, where they differ.
    pub queue_credentials: Option<SecretReference>,
    /// The element names of queue, purge and force enqueue requests.
    pub dialect: Dialect,
    /// Ids in one detail request, and in one chunk of a batch: 2 to 1,000.
    pub bulk_size: u32,
    /// The sections to ask for.
    pub sections: Vec<Section>,
    /// Seconds between two looks into the queue: 1 to 3,600.
    pub poll_seconds: u32,
    /// The vendor's limit over all functions: up to 1,000.
    pub max_requests_per_second: f64,
}

/// Who may read what a tenant has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reader {
    /// Whose data.
    pub tenant: String,
    /// Where the bearer token stands.
    pub token: SecretReference,
    /// What the token allows.
    pub scope: Scope,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// To read.
    Read,
    /// To read, and to operate.
    Operate,
}

/// A [`SecretRef`] as the file and the store write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretReference(pub SecretRef);

impl std::ops::Deref for SecretReference {
    type Target = SecretRef;

    fn deref(&self) -> &SecretRef {
        &self.0
    }
}

impl Serialize for SecretReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SecretReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl Connection {
    /// The connection as the store keeps it.
    pub fn to_registration(&self) -> Registration {
        registration(self.key.clone(), ASSOCIATION_ANYWHERE, &self.settings)
    }

    /// The connection that a registration holds.
    ///
    /// # Errors
    /// Where its document is not one of ours.
    pub fn from_registration(registration: &Registration) -> Result<Self, StoreError> {
        Ok(Self { key: registration.key.clone(), settings: document(registration)? })
    }

    /// Every connection of all tenants.
    ///
    /// # Errors
    /// Where the store can't be read, or holds one that is not ours.
    pub async fn all(directory: &Directory) -> Result<Vec<Self>, StoreError> {
        directory.of_kind(ASSOCIATION_ANYWHERE).await?.iter().map(Self::from_registration).collect()
    }
}

impl Reader {
    /// The reader as the store keeps it: the `number`th of its file.
    pub fn to_registration(&self, number: usize) -> Registration {
        registration(ConnectionKey::new(&self.tenant, format!("reader/{number}")), READER, self)
    }

    /// Every reader of all tenants.
    ///
    /// # Errors
    /// Where the store can't be read, or holds one that is not ours.
    pub async fn all(directory: &Directory) -> Result<Vec<Self>, StoreError> {
        directory.of_kind(READER).await?.iter().map(document).collect()
    }
}

impl Configuration {
    /// Everything as the store keeps it.
    pub fn to_registrations(&self) -> Vec<Registration> {
        let connections = self.connections.iter().map(Connection::to_registration);
        connections.chain(self.readers.iter().zip(1..).map(|(reader, number)| reader.to_registration(number))).collect()
    }

    /// Everything that the store keeps.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn registered(directory: &Directory) -> Result<Vec<Registration>, StoreError> {
        let mut registrations = directory.of_kind(ASSOCIATION_ANYWHERE).await?;
        registrations.extend(directory.of_kind(READER).await?);
        Ok(registrations)
    }
}

fn registration(key: ConnectionKey, kind: &str, settings: &impl Serialize) -> Registration {
    // Settings are plain data: there is nothing in them that JSON can't say.
    #[allow(clippy::expect_used)]
    let document = serde_json::to_string(settings).expect("settings are plain data");
    Registration { key, kind: kind.to_owned(), document }
}

fn document<T: for<'de> Deserialize<'de>>(registration: &Registration) -> Result<T, StoreError> {
    serde_json::from_str(&registration.document).map_err(|error| StoreError::Document {
        what: format!("the settings of {}", registration.key),
        problem: error.to_string(),
    })
}

/// Where the file is to be used: a stack takes secrets from AWS Secrets Manager only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Local,
    /// In a deployed stack.
    Stack,
}

/// Everything that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("; "))
    }
}

impl Configuration {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// Every problem, each with the connection and the key.
    pub fn parse(text: &str, place: Place) -> Result<Self, Problems> {
        let table: Table =
            text.parse().map_err(|error: toml::de::Error| Problems(vec![syntax_problem(text, &error)]))?;
        let mut problems = Vec::new();
        let mut configuration = Self::default();
        let mut root = Fields { name: "the file".to_owned(), table, place, problems: &mut problems };
        let connections = root.tables("connection");
        let destinations = root.tables("destination");
        let readers = root.tables("reader");
        root.no_others();
        let mut ids = BTreeSet::new();
        for (number, table) in (1..).zip(connections) {
            let id = table.get("id").and_then(Value::as_str).map(str::to_owned);
            let mut fields = Fields::of_entry("connection", number, table, place, &mut problems);
            let connection = read_connection(&mut fields);
            fields.no_others();
            if let Some(id) = id
                && !ids.insert(id.clone())
            {
                problems.push(format!("connection `{id}`: key `id`: is used twice"));
            }
            configuration.connections.extend(connection);
        }
        for (number, table) in (1..).zip(destinations) {
            let fields = Fields::of_entry("destination", number, table, place, &mut problems);
            let name = fields.name;
            problems.push(format!("{name}: destinations can't be run by this version"));
        }
        for (number, table) in (1..).zip(readers) {
            let mut fields = Fields::of_entry("reader", number, table, place, &mut problems);
            let reader = read_reader(&mut fields);
            fields.no_others();
            configuration.readers.extend(reader);
        }
        if configuration.connections.is_empty() && problems.is_empty() {
            problems.push("the file: holds no `[[connection]]`".to_owned());
        }
        if problems.is_empty() { Ok(configuration) } else { Err(Problems(problems)) }
    }
}

fn syntax_problem(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let place = line.map_or(String::new(), |line| format!(", line {line}"));
    format!("the file{place}: is not TOML: {}", error.message())
}

fn read_connection(fields: &mut Fields<'_>) -> Option<Connection> {
    let id = fields.id("id");
    let tenant = fields.id("tenant");
    let kind = fields.required_text("kind");
    match kind.as_deref() {
        Some(ASSOCIATION_ANYWHERE) => {}
        Some(kind) => {
            if KINDS_TO_COME.contains(&kind) {
                fields.problem("kind", &format!("\"{kind}\" can't be run by this version"));
            } else {
                fields.problem("kind", &format!("must be \"{ASSOCIATION_ANYWHERE}\""));
            }
            // Its other keys are not ours to judge.
            fields.table.clear();
            return None;
        }
        None => {}
    }
    let insecure_http = fields.boolean("insecure_http").unwrap_or(false);
    let queue_url = fields.url("queue_url", true, insecure_http);
    let details_url = fields.url("details_url", true, insecure_http);
    let purge_url = fields.url("purge_url", true, insecure_http);
    let enqueue_url = fields.url("enqueue_url", false, insecure_http);
    let credentials = fields.secret("credentials", true);
    let queue_credentials = fields.secret("queue_credentials", false);
    let dialect = fields.choice("dialect", &[("hyphen", Dialect::Hyphen), ("camel", Dialect::Camel)]);
    let bulk_size = fields.whole_number("bulk_size", SMALLEST_BULK_SIZE, LARGEST_BULK_SIZE);
    let sections = fields.sections("sections");
    let poll_seconds = fields.whole_number("poll_seconds", 1, LONGEST_POLL_SECONDS);
    let max_requests_per_second = fields.rate("max_requests_per_second");
    Some(Connection {
        key: ConnectionKey::new(tenant?, id?),
        settings: AssociationAnywhere {
            queue_url: queue_url?,
            details_url: details_url?,
            purge_url: purge_url?,
            enqueue_url,
            credentials: credentials?,
            queue_credentials,
            dialect: dialect.unwrap_or(Dialect::Hyphen),
            bulk_size: bulk_size.unwrap_or(DEFAULT_BULK_SIZE),
            sections: sections.unwrap_or_else(|| Section::ALL.to_vec()),
            poll_seconds: poll_seconds.unwrap_or(DEFAULT_POLL_SECONDS),
            max_requests_per_second: max_requests_per_second.unwrap_or(DEFAULT_REQUESTS_PER_SECOND),
        },
    })
}

fn read_reader(fields: &mut Fields<'_>) -> Option<Reader> {
    let tenant = fields.id("tenant");
    let token = fields.secret("token", true);
    let scope = fields.choice("scope", &[("read", Scope::Read), ("operate", Scope::Operate)]);
    Some(Reader { tenant: tenant?, token: token?, scope: scope.unwrap_or(Scope::Read) })
}

/// The keys of one table: each is taken out once, and what is left at the end is unknown.
struct Fields<'a> {
    name: String,
    table: Table,
    place: Place,
    problems: &'a mut Vec<String>,
}

impl<'a> Fields<'a> {
    fn of_entry(what: &str, number: usize, table: Table, place: Place, problems: &'a mut Vec<String>) -> Self {
        let name = match table.get("id").and_then(Value::as_str) {
            Some(id) => format!("{what} `{id}`"),
            None => format!("{what} {number}"),
        };
        Self { name, table, place, problems }
    }

    fn problem(&mut self, key: &str, problem: &str) {
        self.problems.push(format!("{}: key `{key}`: {problem}", self.name));
    }

    fn no_others(self) {
        for key in self.table.keys() {
            self.problems.push(format!("{}: key `{key}`: is not known", self.name));
        }
    }

    fn tables(&mut self, key: &str) -> Vec<Table> {
        let Some(value) = self.table.remove(key) else { return Vec::new() };
        let tables: Option<Vec<Table>> = match value {
            Value::Array(values) => values.into_iter().map(|value| value.try_into().ok()).collect(),
            _ => None,
        };
        tables.unwrap_or_else(|| {
            self.problem(key, &format!("must be written as [[{key}]]"));
            Vec::new()
        })
    }

    fn required(&mut self, key: &str) -> Option<Value> {
        let value = self.table.remove(key);
        if value.is_none() {
            self.problem(key, "is missing");
        }
        value
    }

    fn text_of(&mut self, key: &str, value: Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text),
            _ => {
                self.problem(key, "must be a text");
                None
            }
        }
    }

    fn required_text(&mut self, key: &str) -> Option<String> {
        let value = self.required(key)?;
        self.text_of(key, value)
    }

    fn text(&mut self, key: &str, required: bool) -> Option<String> {
        if required {
            return self.required_text(key);
        }
        let value = self.table.remove(key)?;
        self.text_of(key, value)
    }

    fn id(&mut self, key: &str) -> Option<String> {
        let id = self.required_text(key)?;
        let well_formed = (1..=LONGEST_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !well_formed {
            self.problem(key, &format!("must be of a-z, 0-9 and -, and at most {LONGEST_ID} characters long"));
            return None;
        }
        Some(id)
    }

    fn boolean(&mut self, key: &str) -> Option<bool> {
        match self.table.remove(key)? {
            Value::Boolean(value) => Some(value),
            _ => {
                self.problem(key, "must be true or false");
                None
            }
        }
    }

    fn whole_number(&mut self, key: &str, least: i64, most: i64) -> Option<u32> {
        match self.table.remove(key)? {
            Value::Integer(value) if (least..=most).contains(&value) => u32::try_from(value).ok(),
            _ => {
                self.problem(key, &format!("must be a whole number from {least} to {most}"));
                None
            }
        }
    }

    fn rate(&mut self, key: &str) -> Option<f64> {
        let rate = match self.table.remove(key)? {
            Value::Integer(value) => value as f64,
            Value::Float(value) => value,
            _ => f64::NAN,
        };
        if rate > 0.0 && rate <= MOST_REQUESTS_PER_SECOND {
            return Some(rate);
        }
        self.problem(key, &format!("must be a number above 0 and up to {MOST_REQUESTS_PER_SECOND}"));
        None
    }

    fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key, false)?;
        let chosen = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if chosen.is_none() {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            self.problem(key, &format!("must be {}", names.join(" or ")));
        }
        chosen
    }

    fn sections(&mut self, key: &str) -> Option<Vec<Section>> {
        let Value::Array(values) = self.table.remove(key)? else {
            self.problem(key, "must be a list of texts");
            return None;
        };
        let mut sections = Vec::new();
        for value in values {
            match value.as_str().and_then(Section::from_name) {
                Some(section) if !sections.contains(&section) => sections.push(section),
                Some(section) => self.problem(key, &format!("names \"{}\" twice", section.name())),
                None => {
                    let known = Section::ALL.map(Section::name).join(", ");
                    self.problem(key, &format!("holds {value}; known are {known}"));
                }
            }
        }
        Some(sections)
    }

    fn secret(&mut self, key: &str, required: bool) -> Option<SecretReference> {
        let text = self.text(key, required)?;
        match text.parse::<SecretRef>() {
            Ok(reference @ SecretRef::SecretsManager(_)) => Some(SecretReference(reference)),
            Ok(_) if self.place == Place::Stack => {
                self.problem(key, "a stack takes only \"secretsmanager:NAME\"");
                None
            }
            Ok(reference) => Some(SecretReference(reference)),
            // The text itself may be the secret.
            Err(problem) => {
                self.problem(key, problem);
                None
            }
        }
    }

    fn url(&mut self, key: &str, required: bool, insecure_http: bool) -> Option<String> {
        let text = self.text(key, required)?;
        let Ok(url) = Url::parse(&text) else {
            self.problem(key, "must be an absolute URL");
            return None;
        };
        match url.scheme() {
            "https" => Some(text),
            "http" if insecure_http || is_this_machine(&url) => Some(text),
            "http" => {
                self.problem(key, "plain http needs `insecure_http = true`, for credentials travel in the documents");
                None
            }
            _ => {
                self.problem(key, "must begin with https://");
                None
            }
        }
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests;
