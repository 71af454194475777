//! What prospects refer to: staff and lead sources. They are stored beside the customers, and have a match key of their
//! own.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::customer::iso_millis;
use crate::external_id::{ExternalKey, Resource, match_name};
use crate::{Attributes, ConnectionKey, Content};

/// What a prospect can refer to.
pub trait ReferenceData: Clone + std::fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync {
    /// What it is.
    const RESOURCE: Resource;

    /// Its match key, if it has one.
    fn match_key(&self) -> Option<&str>;

    /// The name that its match key gives it in a connection.
    fn match_name(&self, connection: &ConnectionKey) -> Option<String> {
        self.match_key().map(|key| match_name(connection, Self::RESOURCE, key))
    }
}

/// A member of staff, with the same fields as a customer. Matched by e-mail address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Staff(pub Content);

impl ReferenceData for Staff {
    const RESOURCE: Resource = Resource::Staff;

    fn match_key(&self) -> Option<&str> {
        self.0.emails.first().map(|email| email.address.as_str())
    }
}

/// Where prospects come from, such as an advertisement. Matched by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadSource {
    /// What it is called.
    pub name: String,
    /// Whether it is in use.
    pub active: bool,
    /// What the sender says beyond that, without loss.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

impl ReferenceData for LeadSource {
    const RESOURCE: Resource = Resource::LeadSource;

    fn match_key(&self) -> Option<&str> {
        Some(&self.name)
    }
}

/// A stored member of staff, or a stored lead source.
#[derive(Clone, Debug, PartialEq)]
pub struct Record<T> {
    /// The tenant and the connection that it belongs to.
    pub connection: ConnectionKey,
    /// Our id of it: the UUID that its senders were given.
    pub id: String,
    /// What a sender said of it last.
    pub content: T,
    /// Its records at the senders, as far as they are shown; the first is the one that it was made for. Never empty.
    pub known_as: Vec<ExternalKey>,
    /// When it was first stored.
    pub first_seen_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// How often it was written, from 1.
    pub revision: u64,
}

impl<T> Record<T> {
    /// What its first sender calls it.
    pub fn external_id(&self) -> Option<&str> {
        self.known_as.first().map(|key| key.record_id.as_str())
    }

    /// The first key that a club pushed it under.
    pub fn known_in_club(&self, club_id: &str) -> Option<&ExternalKey> {
        self.known_as.iter().find(|key| key.club_id == club_id)
    }
}

/// As every surface shows it: with every field, and lists even if empty.
impl Serialize for Record<Staff> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let content = &self.content.0;
        let mut json = serializer.serialize_struct("Staff", 17)?;
        json.serialize_field("id", &self.id)?;
        json.serialize_field("tenant", &self.connection.tenant)?;
        json.serialize_field("connection", &self.connection.connection)?;
        json.serialize_field("external_id", &self.external_id())?;
        json.serialize_field("known_as", &self.known_as)?;
        json.serialize_field("status", &content.status)?;
        json.serialize_field("name", &content.name)?;
        json.serialize_field("emails", &content.emails)?;
        json.serialize_field("phones", &content.phones)?;
        json.serialize_field("addresses", &content.addresses)?;
        json.serialize_field("birth_date", &content.birth_date)?;
        json.serialize_field("gender", &content.gender)?;
        json.serialize_field("organization", &content.organization)?;
        json.serialize_field("attributes", &content.attributes)?;
        json.serialize_field("first_seen_at", &iso_millis(self.first_seen_at))?;
        json.serialize_field("changed_at", &iso_millis(self.changed_at))?;
        json.serialize_field("revision", &self.revision)?;
        json.end()
    }
}

/// As every surface shows it.
impl Serialize for Record<LeadSource> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("LeadSource", 11)?;
        json.serialize_field("id", &self.id)?;
        json.serialize_field("tenant", &self.connection.tenant)?;
        json.serialize_field("connection", &self.connection.connection)?;
        json.serialize_field("external_id", &self.external_id())?;
        json.serialize_field("known_as", &self.known_as)?;
        json.serialize_field("name", &self.content.name)?;
        json.serialize_field("active", &self.content.active)?;
        json.serialize_field("attributes", &self.content.attributes)?;
        json.serialize_field("first_seen_at", &iso_millis(self.first_seen_at))?;
        json.serialize_field("changed_at", &iso_millis(self.changed_at))?;
        json.serialize_field("revision", &self.revision)?;
        json.end()
    }
}
