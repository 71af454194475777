use std::collections::BTreeSet;
use std::net::IpAddr;

use model::is_public;
use store::SecretRef;
use toml::{Table, Value};
use url::{Host, Url};

use super::problems::{Deployment, Notes};
use super::{SecretReference, default_most_deletes};

const LONGEST_ID: usize = 40;
const LONGEST_POLL_SECONDS: i64 = 3_600;
const MOST_REQUESTS_PER_SECOND: f64 = 1_000.0;

/// The keys of one table: each is taken out once, and what is left at the end is unknown.
pub(super) struct TableReader<'a> {
    pub(super) name: String,
    pub(super) table: Table,
    pub(super) deployment: Deployment,
    pub(super) problems: &'a mut Vec<String>,
    pub(super) notes: &'a mut Notes,
}

impl<'a> TableReader<'a> {
    pub(super) fn of_entry(
        what: &str,
        number: usize,
        table: Table,
        deployment: Deployment,
        problems: &'a mut Vec<String>,
        notes: &'a mut Notes,
    ) -> Self {
        let mut fields = Self { name: format!("{what} {number}"), table, deployment, problems, notes };
        if let Some(id) = fields.written_id() {
            fields.name = format!("{what} `{id}`");
        }
        fields
    }

    /// The id as it is written, whether it is a good one or not.
    pub(super) fn written_id(&self) -> Option<String> {
        self.table.get("id").and_then(Value::as_str).map(str::to_owned)
    }

    pub(super) fn problem(&mut self, key: &str, problem: &str) {
        self.problems.push(format!("{}: key `{key}`: {problem}", self.name));
    }

    /// Notes a problem that leaves no value.
    pub(super) fn refuse<T>(&mut self, key: &str, problem: &str) -> Option<T> {
        self.problem(key, problem);
        None
    }

    pub(super) fn no_others(&mut self) {
        for key in self.table.keys() {
            self.problems.push(format!("{}: key `{key}`: is not known", self.name));
        }
    }

    pub(super) fn tables(&mut self, key: &str) -> Vec<Table> {
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

    pub(super) fn required(&mut self, key: &str) -> Option<Value> {
        self.table.remove(key).or_else(|| self.refuse(key, "is missing"))
    }

    pub(super) fn text(&mut self, key: &str, required: bool) -> Option<String> {
        match if required { self.required(key) } else { self.table.remove(key) }? {
            Value::String(text) => Some(text),
            _ => self.refuse(key, "must be a text"),
        }
    }

    /// Refuses a URL whose host is an address that is not public. A name is looked up when something is sent there.
    pub(super) fn expect_public(&mut self, key: &str, url: &str) {
        let address = Url::parse(url).ok().and_then(|url| host_address(&url));
        if address.is_some_and(|address| !is_public(address)) {
            self.problem(key, "is in a private network: that needs `allow_private_addresses = true`");
        }
    }

    /// A list that must be there, with at least one text, none of them empty and none twice.
    pub(super) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let value = self.required(key)?;
        let texts: Option<Vec<String>> = value.try_into().ok();
        let distinct = |texts: &Vec<String>| texts.iter().collect::<BTreeSet<_>>().len() == texts.len();
        let texts = texts.filter(|texts| !texts.is_empty() && !texts.contains(&String::new()) && distinct(texts));
        texts.or_else(|| self.refuse(key, "must be a list of one text or more, none of them empty or twice there"))
    }

    pub(super) fn id(&mut self, key: &str) -> Option<String> {
        let id = self.text(key, true)?;
        if !is_connection_id(&id) {
            return self.refuse(key, &format!("must be of a-z, 0-9 and -, and at most {LONGEST_ID} characters long"));
        }
        Some(id)
    }

    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        match self.table.remove(key)? {
            Value::Boolean(value) => Some(value),
            _ => self.refuse(key, "must be true or false"),
        }
    }

    pub(super) fn required_number(&mut self, key: &str, least: i64, most: i64) -> Option<u32> {
        if !self.table.contains_key(key) {
            self.problem(key, "is missing");
        }
        self.whole_number(key, least, most)
    }

    pub(super) fn whole_number(&mut self, key: &str, least: i64, most: i64) -> Option<u32> {
        match self.table.remove(key)? {
            Value::Integer(value) if (least..=most).contains(&value) => u32::try_from(value).ok(),
            _ => self.refuse(key, &format!("must be a whole number from {least} to {most}")),
        }
    }

    pub(super) fn most_deletes_percent(&mut self) -> u32 {
        self.whole_number("most_deletes_percent", 0, 100).unwrap_or_else(default_most_deletes)
    }

    pub(super) fn poll_seconds(&mut self, default: u32) -> u32 {
        self.whole_number("poll_seconds", 1, LONGEST_POLL_SECONDS).unwrap_or(default)
    }

    pub(super) fn requests_per_second(&mut self, default: f64) -> f64 {
        let key = "max_requests_per_second";
        let rate = match self.table.remove(key) {
            None => default,
            Some(Value::Integer(value)) => value as f64,
            Some(Value::Float(value)) => value,
            Some(_) => f64::NAN,
        };
        if rate > 0.0 && rate <= MOST_REQUESTS_PER_SECOND {
            return rate;
        }
        self.problem(key, &format!("must be a number above 0 and up to {MOST_REQUESTS_PER_SECOND}"));
        default
    }

    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key, false)?;
        let chosen = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        chosen.or_else(|| {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            self.refuse(key, &format!("must be {}", names.join(" or ")))
        })
    }

    pub(super) fn secret(&mut self, key: &str, required: bool) -> Option<SecretReference> {
        let text = self.text(key, required)?;
        match text.parse::<SecretRef>() {
            Ok(reference @ SecretRef::SecretsManager(_)) => Some(SecretReference(reference)),
            Ok(_) if self.deployment == Deployment::Stack => {
                self.refuse(key, "a stack takes only \"secretsmanager:NAME\"")
            }
            Ok(reference) => Some(SecretReference(reference)),
            // The text itself may be the secret.
            Err(problem) => self.refuse(key, problem),
        }
    }

    pub(super) fn url(&mut self, key: &str, required: bool, insecure_http: bool) -> Option<String> {
        let text = self.text(key, required)?;
        let Ok(url) = Url::parse(&text) else {
            return self.refuse(key, "must be an absolute URL");
        };
        if !url.username().is_empty() || url.password().is_some() {
            let refusal = "must not hold a user name or a password: they would be stored in clear";
            self.notes.refusals.push(format!("{}: key `{key}`: {refusal}", self.name));
            return None;
        }
        if let Some((name, _)) = url.query_pairs().find(|(name, _)| is_secret(name)) {
            let warning = "looks like a secret, and is stored in clear";
            let name: String = name.chars().take(40).collect();
            self.notes.warnings.push(format!("{}: key `{key}`: the query parameter `{name}` {warning}", self.name));
        }
        match url.scheme() {
            "https" => Some(text),
            "http" if insecure_http || is_this_machine(&url) => Some(text),
            "http" => self.refuse(
                key,
                "plain http needs `insecure_http = true`, for credentials or personal data would travel in clear",
            ),
            _ => self.refuse(key, "must begin with https://"),
        }
    }
}

/// Whether a text may be the id of a connection, or of a tenant.
pub fn is_connection_id(text: &str) -> bool {
    (1..=LONGEST_ID).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether a query parameter of this name is likely to hold a secret.
fn is_secret(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let parts = ["password", "passwd", "secret", "token", "apikey", "accesskey", "credential", "signature"];
    ["key", "pwd", "pass", "auth", "sig"].contains(&name.as_str()) || parts.iter().any(|part| name.contains(part))
}

fn is_this_machine(url: &Url) -> bool {
    url.host_str() == Some("localhost") || host_address(url).is_some_and(|address| address.is_loopback())
}

/// The address that is a URL's host, if it is no name.
pub fn host_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}
