use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Attributes, ConnectionKey, ContentHash, CustomerId, Version};

mod view;

pub use view::{CustomerView, iso_millis};

/// A person or an organisation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CustomerType {
    /// A natural person.
    #[default]
    Person,
    /// A company or another organisation.
    Company,
}

/// Whether the customer is in use where it comes from: `active`; `inactive` if it is known, but out of use; `deleted`
/// if it is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CustomerStatus)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In use.
    #[default]
    Active,
    /// Known, but out of use.
    Inactive,
    /// Gone. The record is a tombstone: it keeps ids and times, and no personal data.
    Deleted,
}

/// How far a customer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Not yet a member.
    Prospect,
    /// A member.
    Member,
}

/// The parts of a name; what is empty is left out of the JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[allow(missing_docs, reason = "each part is named by what it is")]
pub struct Name {
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle: Option<String>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degree: Option<String>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub informal: Option<String>,
}

impl Name {
    /// The first and the last name as one text, if either is given.
    pub fn first_and_last(&self) -> Option<String> {
        let parts: Vec<&str> = [&self.first, &self.last].into_iter().flatten().map(String::as_str).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }
}

/// An e-mail address.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Email {
    /// The address as the source has it.
    #[schema(required)]
    pub address: String,
    /// The source's own type code.
    #[schema(required)]
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Whether it is the one to use.
    #[schema(required)]
    pub primary: bool,
    /// Whether the source knows it not to work.
    #[schema(required)]
    pub bad: bool,
}

/// A telephone number.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Phone {
    /// The number as the source has it.
    #[schema(required)]
    pub number: String,
    /// The source's own type code.
    #[schema(required)]
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Whether it is the one to use.
    #[schema(required)]
    pub primary: bool,
}

/// A postal address.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Address {
    /// The street lines that are not empty.
    #[schema(required)]
    pub lines: Vec<String>,
    /// Town or city.
    #[schema(required)]
    pub city: Option<String>,
    /// State, province or region.
    #[schema(required)]
    pub region: Option<String>,
    /// Postal code.
    #[schema(required)]
    pub postal_code: Option<String>,
    /// Country, as a code if the source gives one.
    #[schema(required)]
    pub country: Option<String>,
    /// The source's own type code.
    #[schema(required)]
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Whether it is the one to use.
    #[schema(required)]
    pub primary: bool,
}

/// A membership. Dates are `YYYY-MM-DD`, or the source's text if it is in no known date form.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Membership {
    /// The source's id of the body that the membership is in.
    #[schema(required)]
    pub id: Option<String>,
    /// Its name.
    #[schema(required)]
    pub name: Option<String>,
    /// The source's status code.
    #[schema(required)]
    pub status: Option<String>,
    /// The source's class code.
    #[schema(required)]
    pub class: Option<String>,
    /// When it began.
    #[schema(required)]
    pub joined: Option<String>,
    /// When it ends.
    #[schema(required)]
    pub expires: Option<String>,
}

/// A subscription. Dates are `YYYY-MM-DD`, or the source's text if it is in no known date form.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Subscription {
    /// The source's id of what is subscribed to.
    #[schema(required)]
    pub id: Option<String>,
    /// Its name.
    #[schema(required)]
    pub name: Option<String>,
    /// When it begins.
    #[schema(required)]
    pub starts: Option<String>,
    /// When it ends.
    #[schema(required)]
    pub expires: Option<String>,
}

/// Everything that a source says of a customer: what is compared, and what is stored as one document.
///
/// Its JSON leaves out what is empty, to keep the stored document within one write unit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Content {
    /// What the source stores of another system's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Person or company.
    #[serde(rename = "type")]
    pub kind: CustomerType,
    /// In use, out of use, or gone.
    pub status: Status,
    /// The parts of the name.
    pub name: Name,
    /// E-mail addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<Email>,
    /// Telephone numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phones: Vec<Phone>,
    /// Postal addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// `YYYY-MM-DD`, or the source's text if it is in no known date form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<String>,
    /// As the source has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<String>,
    /// The organisation that a person works for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The source's own role codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Memberships.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub memberships: Vec<Membership>,
    /// Subscriptions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subscriptions: Vec<Subscription>,
    /// Prospect or member; `None` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Our id of the member of staff who looks after the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_staff_id: Option<String>,
    /// Our id of the lead source that the customer came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lead_source_id: Option<String>,
    /// What the source sends beyond these fields, without loss.
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// What is kept with the customer and shown on no surface: salted hashes of its secrets, which are compared and
    /// never read, and the row of an import that brought it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hidden: BTreeMap<String, String>,
}

impl Content {
    /// What is left of a deleted customer: its type and what other systems call it, and no personal data.
    pub fn tombstone_of(last: Option<&Content>) -> Self {
        Self {
            external_id: last.and_then(|content| content.external_id.clone()),
            kind: last.map(|content| content.kind).unwrap_or_default(),
            status: Status::Deleted,
            ..Self::default()
        }
    }

    /// The one form that equal content has: fields in a fixed order, keys sorted, nothing empty, no white space.
    ///
    /// Volatile values are not part of it: ids, versions, times and revisions stand beside the content, and the `wire`
    /// readers sort what a source lists in no stated order.
    pub fn canonical_json(&self) -> String {
        // Serialisation to a string fails on non-string keys and on I/O only, and neither occurs.
        #[allow(clippy::expect_used)]
        serde_json::to_string(self).expect("content is plain data with text keys")
    }

    /// The fingerprint of this content.
    pub fn hash(&self) -> ContentHash {
        ContentHash::of(&self.canonical_json())
    }
}

/// A stored customer, as every surface shows it. Its JSON always has every field, and lists even if empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Customer {
    /// The tenant and the connection that it belongs to.
    pub connection: ConnectionKey,
    /// The id in the system that it came from.
    pub source_id: String,
    /// What the source says.
    pub content: Content,
    /// When it was first stored.
    pub first_seen_at: Timestamp,
    /// When its content last changed.
    pub changed_at: Timestamp,
    /// How often it was written, from 1.
    pub revision: u64,
    /// How new it is.
    pub version: Version,
    /// Its state, if that is not simply its revision: see [`Customer::state`].
    pub named_state: Option<String>,
}

impl Customer {
    /// The state of the customer. Every write makes another one, whatever it writes, but for an undo, which brings an
    /// earlier one back. So a writer can tell its own state from an equal one that another writer made.
    pub fn state(&self) -> String {
        self.named_state.clone().unwrap_or_else(|| self.revision.to_string())
    }

    /// The name of the state of a customer that was erased: what is left of it says nothing but that.
    pub const ERASED: &str = "erased";

    /// Whether the customer was erased on request: a source that still tells of it changes nothing.
    pub fn is_erased(&self) -> bool {
        self.named_state.as_deref() == Some(Self::ERASED)
    }

    /// The public id.
    pub fn id(&self) -> CustomerId {
        CustomerId { connection: self.connection.connection.clone(), source_id: self.source_id.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attribute;

    #[test]
    fn a_customer_has_every_field_of_the_contract_in_its_order() {
        let customer = Customer {
            connection: ConnectionKey::new("acme", "aa"),
            source_id: "1001".into(),
            content: Content {
                name: Name { display: Some("Jane Doe".into()), ..Name::default() },
                emails: vec![Email {
                    address: "jane@example.org".into(),
                    kind: Some("WORK".into()),
                    primary: true,
                    bad: false,
                }],
                stage: Some(Stage::Member),
                ..Content::default()
            },
            first_seen_at: "2026-11-22T03:05:00Z".parse().unwrap(),
            changed_at: "2026-11-22T03:05:00.0079Z".parse().unwrap(),
            revision: 1,
            version: Version::from_stored("v"),
            named_state: None,
        };
        assert_eq!(
            serde_json::to_string(&customer).unwrap(),
            concat!(
                r#"{"id":"aa~1001","tenant":"acme","connection":"aa","source_id":"1001","external_id":null,"type":"person","#,
                r#""status":"active","name":{"display":"Jane Doe"},"#,
                r#""emails":[{"address":"jane@example.org","type":"WORK","primary":true,"bad":false}],"phones":[],"addresses":[],"#,
                r#""birth_date":null,"gender":null,"organization":null,"roles":[],"memberships":[],"subscriptions":[],"#,
                r#""stage":"member","owner_staff_id":null,"lead_source_id":null,"attributes":{},"#,
                r#""first_seen_at":"2026-11-22T03:05:00.000Z","changed_at":"2026-11-22T03:05:00.007Z","revision":1,"version":"v"}"#
            )
        );
    }

    #[test]
    fn what_is_hidden_is_stored_and_shown_nowhere() {
        let customer = Customer {
            connection: ConnectionKey::new("acme", "imports"),
            source_id: "1".into(),
            content: Content {
                hidden: BTreeMap::from([("customer_PIN".into(), "$argon2id$".into())]),
                ..Content::default()
            },
            first_seen_at: Timestamp::UNIX_EPOCH,
            changed_at: Timestamp::UNIX_EPOCH,
            revision: 1,
            version: Version::from_stored("v"),
            named_state: None,
        };
        let shown = serde_json::to_string(&customer).unwrap();
        assert!(!shown.contains("hidden") && !shown.contains("argon2id"), "{shown}");
        let read: Content = serde_json::from_str(&customer.content.canonical_json()).unwrap();
        assert_eq!(read, customer.content);
        assert_ne!(read.hash(), Content::default().hash());
    }

    #[test]
    fn content_reads_back_from_its_canonical_form() {
        let content = Content {
            kind: CustomerType::Company,
            attributes: Attributes::from([
                ("bio".into(), Attribute::Text("Since 1970".into())),
                (
                    "files".into(),
                    Attribute::List(vec![Attribute::Object(Attributes::from([(
                        "@id".into(),
                        Attribute::Text("1".into()),
                    )]))]),
                ),
            ]),
            ..Content::default()
        };
        let read: Content = serde_json::from_str(&content.canonical_json()).unwrap();
        assert_eq!(read, content);
        assert_eq!(read.hash(), content.hash());
    }

    #[test]
    fn a_tombstone_keeps_no_personal_data() {
        let last = Content {
            external_id: Some("x-1".into()),
            kind: CustomerType::Company,
            name: Name { display: Some("Acme".into()), ..Name::default() },
            ..Content::default()
        };
        let tombstone = Content::tombstone_of(Some(&last));
        assert_eq!(
            tombstone.canonical_json(),
            r#"{"external_id":"x-1","type":"company","status":"deleted","name":{}}"#
        );
    }
}
