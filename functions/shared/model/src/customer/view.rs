//! A customer as every surface shows it.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::{Address, Customer, CustomerType, Email, Membership, Name, Phone, Stage, Status, Subscription};
use crate::{Attributes, Version};

impl Serialize for Customer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let content = &self.content;
        let view = CustomerView {
            id: self.id().to_string(),
            tenant: &self.connection.tenant,
            connection: &self.connection.connection,
            source_id: &self.source_id,
            external_id: content.external_id.as_deref(),
            kind: content.kind,
            status: content.status,
            name: &content.name,
            emails: &content.emails,
            phones: &content.phones,
            addresses: &content.addresses,
            birth_date: content.birth_date.as_deref(),
            gender: content.gender.as_deref(),
            organization: content.organization.as_deref(),
            roles: &content.roles,
            memberships: &content.memberships,
            subscriptions: &content.subscriptions,
            stage: content.stage,
            owner_staff_id: content.owner_staff_id.as_deref(),
            lead_source_id: content.lead_source_id.as_deref(),
            attributes: &content.attributes,
            first_seen_at: iso_millis(self.first_seen_at),
            changed_at: iso_millis(self.changed_at),
            revision: self.revision,
            version: &self.version,
        };
        view.serialize(serializer)
    }
}

/// A customer, everywhere the same: every field is always there, and so are lists, if empty.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Customer)]
pub struct CustomerView<'a> {
    /// `<connection>~<source id>`: unique within a tenant.
    id: String,
    /// The tenant that it belongs to.
    tenant: &'a str,
    /// The connection that it came through.
    connection: &'a str,
    /// The id in the system that it came from.
    source_id: &'a str,
    /// What that system stores of another's id.
    #[schema(required)]
    external_id: Option<&'a str>,
    /// Person or company.
    #[serde(rename = "type")]
    kind: CustomerType,
    /// `deleted` is a tombstone: it keeps ids and times, and no personal data.
    status: Status,
    /// The parts of the name.
    name: &'a Name,
    /// E-mail addresses.
    emails: &'a [Email],
    /// Telephone numbers.
    phones: &'a [Phone],
    /// Postal addresses.
    addresses: &'a [Address],
    /// `YYYY-MM-DD`, or the source's text if it is in no known date form.
    #[schema(required)]
    birth_date: Option<&'a str>,
    /// As the source has it.
    #[schema(required)]
    gender: Option<&'a str>,
    /// The organisation that a person works for.
    #[schema(required)]
    organization: Option<&'a str>,
    /// The source's own role codes.
    roles: &'a [String],
    /// Memberships.
    memberships: &'a [Membership],
    /// Subscriptions.
    subscriptions: &'a [Subscription],
    /// How far a customer has come, if that is known.
    #[schema(required)]
    stage: Option<Stage>,
    /// Our id of the member of staff who looks after the customer.
    #[schema(required)]
    owner_staff_id: Option<&'a str>,
    /// Our id of the lead source that the customer came from.
    #[schema(required)]
    lead_source_id: Option<&'a str>,
    /// What the source sends beyond these fields, by its own section names, losing nothing.
    #[schema(value_type = Object)]
    attributes: &'a Attributes,
    /// When it was first stored.
    #[schema(format = DateTime)]
    first_seen_at: String,
    /// When its content last changed.
    #[schema(format = DateTime)]
    changed_at: String,
    /// How often it was written, from 1.
    #[schema(minimum = 1)]
    revision: u64,
    /// How new it is: of two versions of a customer the greater text is the newer one.
    #[schema(value_type = String)]
    version: &'a Version,
}

/// A time as every surface shows it: UTC with three decimals, `2026-11-22T03:05:00.000Z`.
pub fn iso_millis(time: Timestamp) -> String {
    format!("{time:.3}")
}
