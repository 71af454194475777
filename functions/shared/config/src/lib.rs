//! `connections.toml`: what is synchronised, where changes are sent, and who may read. Checked as a whole: every
//! problem is reported at once.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod association_anywhere;
mod batch_import;
mod business_catalyst;
mod connector;
mod destination;
mod kind;
mod parse;
mod problems;
mod reader;
mod table_reader;

use model::ConnectionKey;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use store::{ConnectionRegistry, Registration, SecretRef, StoreError};

pub use association_anywhere::AssociationAnywhereConfig;
pub use batch_import::BatchImportConfig;
pub use business_catalyst::BusinessCatalystConfig;
pub use connector::ConnectorConfig;
pub use destination::{
    Destination, DestinationKind, DestinationSettings, Payload, Receiver, ReceivingHook, ReceivingService,
    ReceivingSite, Site,
};
pub use kind::ConnectionKind;
pub use parse::ParsedFile;
pub use problems::{Deployment, Problems};
pub use reader::{Reader, Scope, TokenError};
pub use table_reader::{host_address, is_connection_id};

/// The kind of a reader, in the store.
pub const READER: &str = "reader";
/// The kind of a destination, in the store.
pub const DESTINATION: &str = "destination";

/// The default of `most_deletes_percent`, in a file and in a registration of a release before.
fn default_most_deletes() -> u32 {
    5
}

/// The default of `max_requests_per_second`: no source documents a limit.
fn default_requests_per_second() -> f64 {
    10.0
}

/// Everything that a file configures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configuration {
    /// The connections as the store keeps them, in the file's order.
    pub connections: Vec<Registration>,
    /// The destinations, in the file's order.
    pub destinations: Vec<Destination>,
    /// The readers, in the file's order.
    pub readers: Vec<Reader>,
}

/// The settings of one kind of system.
pub trait Settings: Serialize + DeserializeOwned {
    /// The kind.
    const KIND: ConnectionKind;
}

/// One connection to a system.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection<S> {
    /// Its tenant and its name.
    pub key: ConnectionKey,
    /// Its settings.
    pub settings: S,
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

impl<S: Settings> Connection<S> {
    /// The connection as the store keeps it.
    pub fn to_registration(&self) -> Registration {
        registration(self.key.clone(), S::KIND.name(), &self.settings)
    }

    /// The connection in a registration of this kind.
    ///
    /// # Errors
    /// If its document can't be read as such settings.
    pub fn from_registration(registration: &Registration) -> Result<Self, StoreError> {
        Ok(Self { key: registration.key.clone(), settings: document(registration)? })
    }

    /// Every connection of this kind, of all tenants, that can be read. One that can't be read is left out: the log
    /// names it, and so does its tenant's status.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn all(registry: &ConnectionRegistry) -> Result<Vec<Self>, StoreError> {
        Ok(Self::readable(&registry.of_kind(S::KIND.name()).await?))
    }

    /// Those connections among registrations of this kind that can be read. The log names the others.
    pub fn readable(registrations: &[Registration]) -> Vec<Self> {
        readable(registrations, Self::from_registration)
    }
}

/// Every connection of any kind, of all tenants.
///
/// # Errors
/// If the store can't be read.
pub async fn all_connections(registry: &ConnectionRegistry) -> Result<Vec<Registration>, StoreError> {
    let mut registrations = Vec::new();
    for kind in ConnectionKind::ALL {
        registrations.extend(registry.of_kind(kind.name()).await?);
    }
    Ok(registrations)
}

/// Every connection and every destination, of all tenants: all that can be paused and has failure records.
///
/// # Errors
/// If the store can't be read.
pub async fn all_systems(registry: &ConnectionRegistry) -> Result<Vec<Registration>, StoreError> {
    let mut registrations = all_connections(registry).await?;
    registrations.extend(registry.of_kind(DESTINATION).await?);
    Ok(registrations)
}

/// Why the settings of a connection can't be read, if they can't: until then it is neither polled nor open to senders.
pub fn problem_of(registration: &Registration) -> Option<StoreError> {
    match ConnectionKind::from_name(&registration.kind)? {
        ConnectionKind::AssociationAnywhere => {
            Connection::<AssociationAnywhereConfig>::from_registration(registration).err()
        }
        ConnectionKind::BusinessCatalyst => Connection::<BusinessCatalystConfig>::from_registration(registration).err(),
        ConnectionKind::Connector => Connection::<ConnectorConfig>::from_registration(registration).err(),
        ConnectionKind::BatchImport => Connection::<BatchImportConfig>::from_registration(registration).err(),
    }
}

/// Those registrations that can be read, as what they hold.
fn readable<T>(registrations: &[Registration], read: impl Fn(&Registration) -> Result<T, StoreError>) -> Vec<T> {
    let read = |registration: &Registration| match read(registration) {
        Ok(read) => Some(read),
        Err(error) => {
            let Registration { key, kind, .. } = registration;
            tracing::error!(connection = %key, kind, %error, "a registration can't be read and is left out");
            None
        }
    };
    registrations.iter().filter_map(read).collect()
}

impl Configuration {
    /// Everything as the store keeps it.
    pub fn to_registrations(&self) -> Vec<Registration> {
        let destinations = self.destinations.iter().map(Destination::to_registration);
        let readers = self.readers.iter().map(Reader::to_registration);
        self.connections.iter().cloned().chain(destinations).chain(readers).collect()
    }

    /// Everything that the store keeps.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn registered(registry: &ConnectionRegistry) -> Result<Vec<Registration>, StoreError> {
        let mut registrations = all_systems(registry).await?;
        registrations.extend(registry.of_kind(READER).await?);
        Ok(registrations)
    }
}

fn registration(key: ConnectionKey, kind: &str, settings: &impl Serialize) -> Registration {
    // Settings are plain data: JSON can represent all of them.
    #[allow(clippy::expect_used)]
    let document = serde_json::to_string(settings).expect("settings are plain data");
    Registration { key, kind: kind.to_owned(), document }
}

fn document<T: for<'de> Deserialize<'de>>(registration: &Registration) -> Result<T, StoreError> {
    serde_json::from_str(&registration.document).map_err(|error| StoreError::Document {
        what: format!("the settings of {}", registration.key),
        problem: without_values(&error.to_string()),
    })
}

/// A parser's message without the texts that it quotes, which may hold a secret; names of fields and places stay.
fn without_values(problem: &str) -> String {
    const QUOTES: &str = "string \"";
    let mut shown = String::with_capacity(problem.len());
    let mut rest = problem;
    while let Some((before, quoted)) = rest.split_once(QUOTES) {
        shown.push_str(before);
        shown.push_str("a text");
        // The parser escapes a quotation mark within such a text with a backslash.
        let mut is_escaped = false;
        let end = quoted.find(|character| {
            let is_end = character == '"' && !is_escaped;
            is_escaped = character == '\\' && !is_escaped;
            is_end
        });
        rest = end.map_or("", |end| &quoted[end + 1..]);
    }
    shown + rest
}

#[cfg(test)]
mod tests;
