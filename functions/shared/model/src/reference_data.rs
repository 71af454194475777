//! What prospects refer to: staff and lead sources. They are stored beside the customers, and have a match key of their
//! own.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use crate::customer::iso_millis;
use crate::external_id::{ExternalKey, Resource, match_name};
use crate::{Address, Attributes, ConnectionKey, Content, Email, Name, Phone, Status};

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
        let view = StaffView {
            id: &self.id,
            tenant: &self.connection.tenant,
            connection: &self.connection.connection,
            external_id: self.external_id(),
            known_as: &self.known_as,
            status: content.status,
            name: &content.name,
            emails: &content.emails,
            phones: &content.phones,
            addresses: &content.addresses,
            birth_date: content.birth_date.as_deref(),
            gender: content.gender.as_deref(),
            organization: content.organization.as_deref(),
            attributes: &content.attributes,
            first_seen_at: iso_millis(self.first_seen_at),
            changed_at: iso_millis(self.changed_at),
            revision: self.revision,
        };
        view.serialize(serializer)
    }
}

/// As every surface shows it.
impl Serialize for Record<LeadSource> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let view = LeadSourceView {
            id: &self.id,
            tenant: &self.connection.tenant,
            connection: &self.connection.connection,
            external_id: self.external_id(),
            known_as: &self.known_as,
            name: &self.content.name,
            active: self.content.active,
            attributes: &self.content.attributes,
            first_seen_at: iso_millis(self.first_seen_at),
            changed_at: iso_millis(self.changed_at),
            revision: self.revision,
        };
        view.serialize(serializer)
    }
}

/// A member of staff.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Staff)]
pub struct StaffView<'a> {
    /// Our id of it: the UUID that its senders were given.
    id: &'a str,
    /// The tenant that it belongs to.
    tenant: &'a str,
    /// The connection that it came through.
    connection: &'a str,
    /// What its first sender calls it.
    #[schema(required)]
    external_id: Option<&'a str>,
    /// Its records at the senders; the first is the one that it was made for.
    known_as: &'a [ExternalKey],
    /// Whether it is in use.
    status: Status,
    /// The parts of the name.
    name: &'a Name,
    /// E-mail addresses.
    emails: &'a [Email],
    /// Telephone numbers.
    phones: &'a [Phone],
    /// Postal addresses.
    addresses: &'a [Address],
    /// `YYYY-MM-DD`, or the sender's text if it is in no known date form.
    #[schema(required)]
    birth_date: Option<&'a str>,
    /// As the sender has it.
    #[schema(required)]
    gender: Option<&'a str>,
    /// The organisation that a person works for.
    #[schema(required)]
    organization: Option<&'a str>,
    /// What the sender says beyond these fields, losing nothing.
    #[schema(value_type = Object)]
    attributes: &'a Attributes,
    /// When it was first stored.
    #[schema(format = DateTime)]
    first_seen_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    changed_at: String,
    /// How often it was written, from 1.
    #[schema(minimum = 1)]
    revision: u64,
}

/// Where prospects come from, such as an advertisement.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LeadSource)]
pub struct LeadSourceView<'a> {
    /// Our id of it: the UUID that its senders were given.
    id: &'a str,
    /// The tenant that it belongs to.
    tenant: &'a str,
    /// The connection that it came through.
    connection: &'a str,
    /// What its first sender calls it.
    #[schema(required)]
    external_id: Option<&'a str>,
    /// Its records at the senders; the first is the one that it was made for.
    known_as: &'a [ExternalKey],
    /// What it is called.
    name: &'a str,
    /// Whether it is in use.
    active: bool,
    /// What the sender says beyond that, losing nothing.
    #[schema(value_type = Object)]
    attributes: &'a Attributes,
    /// When it was first stored.
    #[schema(format = DateTime)]
    first_seen_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    changed_at: String,
    /// How often it was written, from 1.
    #[schema(minimum = 1)]
    revision: u64,
}
