use std::fmt;

use jiff::Timestamp;
use model::{ChangeAction, ContentHash, Customer, CustomerId, iso_millis};
use serde::Serialize;
use serde_json::json;

/// The value of the request's `Content-Type`.
pub const MEDIA_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// A change of one customer, as it is told to a receiver.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    /// The tenant that the customer belongs to.
    pub tenant: &'a str,
    /// The customer.
    pub id: &'a CustomerId,
    /// What became of it.
    pub action: ChangeAction,
    /// When its content last changed.
    pub changed_at: Timestamp,
    /// The revision of its record.
    pub revision: u64,
    /// Its record as it is now; `None` if it was removed.
    pub customer: Option<&'a Customer>,
    /// Whether the record is told. Without it, an event holds no personal data.
    pub with_state: bool,
    /// What tells the event from all others: see [`event_id`].
    pub event_id: &'a str,
}

/// No data of a customer may be logged.
impl fmt::Debug for Event<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Event").field("event_id", &self.event_id).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: &'a CustomerId,
    time: &'a str,
    datacontenttype: &'static str,
    data: Change<'a>,
}

/// The same as a change of `GET /v1/changes`.
#[derive(Serialize)]
struct Change<'a> {
    id: &'a CustomerId,
    action: ChangeAction,
    changed_at: &'a str,
    revision: u64,
    /// Left out if the record is not told, and null if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<Option<&'a Customer>>,
}

impl Event<'_> {
    /// The body of the request.
    pub fn to_json(&self) -> String {
        let Self { tenant, id, action, changed_at, revision, customer, with_state, event_id } = *self;
        let changed_at = iso_millis(changed_at);
        let envelope = Envelope {
            specversion: "1.0",
            id: event_id,
            source: format!("/tenants/{tenant}/connections/{}", id.connection),
            kind: format!("customer-sync.customer.{}", action.name()),
            subject: id,
            time: &changed_at,
            datacontenttype: "application/json",
            data: Change { id, action, changed_at: &changed_at, revision, customer: with_state.then_some(customer) },
        };
        // Serialisation to a string fails on non-string keys and on I/O only, and neither occurs.
        #[allow(clippy::expect_used)]
        serde_json::to_string(&envelope).expect("an event is plain data with text keys")
    }
}

/// The id of the event that tells a destination of this state of a customer: the same at every attempt, and another one
/// on every other occasion. Everybody being sent again is one, and so is a failure that is sent again. A revision alone
/// would not do: that of a removed record is its last, and those of a record that is made anew begin at 1 again.
pub fn event_id(
    destination: &str,
    tenant: &str,
    id: &CustomerId,
    is_deletion: bool,
    changed_at: Timestamp,
    revision: u64,
    occasion: &str,
) -> String {
    let parts = json!([destination, tenant, id, is_deletion, changed_at.as_millisecond(), revision, occasion]);
    format!("evt_{}", ContentHash::of(&parts.to_string()))
}
