//! The identity of what other systems push to us: how a record is told from all others, and what a reference to one may
//! mean.
//!
//! A record's id is computed from what its sender calls it. So the same push ten times at once, or again after a crash,
//! is the same record without a look-up.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::{Builder, Uuid};

use crate::{ConnectionKey, fold};

/// What can be pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// A prospect or a member: a customer.
    User,
    /// A member of staff, who may own prospects.
    Staff,
    /// Where prospects come from.
    LeadSource,
}

impl Resource {
    /// Its name in ids and in keys. It never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Staff => "staff",
            Self::LeadSource => "lead-source",
        }
    }
}

/// What a sender calls its own record: a record is saved by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExternalKey {
    /// The sender: the provider's identifier.
    pub identifier: String,
    /// The sender's client that the record belongs to.
    pub client_id: String,
    /// The club within the client.
    pub club_id: String,
    /// The sender's own id: any text.
    pub record_id: String,
}

impl ExternalKey {
    /// Our id of the record, a UUID: the same one for ever, and another one in every other connection.
    pub fn id(&self, connection: &ConnectionKey, resource: Resource) -> String {
        uuid_of(&[
            &connection.tenant,
            &connection.connection,
            resource.name(),
            "record",
            &self.identifier,
            &self.client_id,
            &self.club_id,
            &self.record_id,
        ])
    }

    /// The same sender's, client's and club's record under another id.
    pub fn sibling(&self, record_id: &str) -> Self {
        Self { record_id: record_id.to_owned(), ..self.clone() }
    }
}

/// Whether a text has the form of our ids, as we write them.
pub fn is_id(text: &str) -> bool {
    Uuid::try_parse(text).is_ok_and(|id| id.to_string() == text)
}

/// The name of everything in a connection with this match key: an e-mail address, or a lead source's name.
pub fn match_name(connection: &ConnectionKey, resource: Resource, match_key: &str) -> String {
    let folded = fold(match_key);
    uuid_of(&[&connection.tenant, &connection.connection, resource.name(), "match", &folded])
}

/// What a sender may mean by a reference, the likeliest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceCandidates {
    /// Our own id, if the reference has the form of one.
    pub id: Option<String>,
    /// The id of the record that the sender calls so.
    pub record: String,
    /// The name of what has the reference as its match key.
    pub matched: String,
}

impl ReferenceCandidates {
    /// What `reference` may mean in a push of `sender`.
    pub fn of(connection: &ConnectionKey, resource: Resource, sender: &ExternalKey, reference: &str) -> Self {
        Self {
            id: Uuid::try_parse(reference).ok().map(|id| id.to_string()),
            record: sender.sibling(reference).id(connection, resource),
            matched: match_name(connection, resource, reference),
        }
    }

    /// Every name under which the record may arrive.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.id.as_deref().into_iter().chain([self.record.as_str(), self.matched.as_str()])
    }
}

/// A UUID of version 8 from SHA-256 over parts of any length: no two lists of parts give the same input.
fn uuid_of(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    let digest = digest.finalize();
    Builder::from_custom_bytes(std::array::from_fn(|place| digest[place])).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(record_id: &str) -> ExternalKey {
        ExternalKey {
            identifier: "INTOUCH".into(),
            client_id: "c-1".into(),
            club_id: "k-1".into(),
            record_id: record_id.into(),
        }
    }

    fn intouch() -> ConnectionKey {
        ConnectionKey::new("acme", "intouch")
    }

    #[test]
    fn an_id_is_the_same_for_ever() {
        let id = key("r-1").id(&intouch(), Resource::User);
        assert_eq!(id, "25d50661-9b73-8b33-9d63-f76beade4889");
    }

    #[test]
    fn another_record_sender_club_resource_connection_or_tenant_has_another_id() {
        let ids = [
            key("r-1").id(&intouch(), Resource::User),
            key("r-2").id(&intouch(), Resource::User),
            ExternalKey { identifier: "OTHER".into(), ..key("r-1") }.id(&intouch(), Resource::User),
            ExternalKey { client_id: "c-2".into(), ..key("r-1") }.id(&intouch(), Resource::User),
            ExternalKey { club_id: "k-2".into(), ..key("r-1") }.id(&intouch(), Resource::User),
            // Concatenated, these parts are those of the first.
            ExternalKey { club_id: "k-1r".into(), ..key("-1") }.id(&intouch(), Resource::User),
            key("r-1").id(&intouch(), Resource::Staff),
            key("r-1").id(&ConnectionKey::new("acme", "other"), Resource::User),
            key("r-1").id(&ConnectionKey::new("other", "intouch"), Resource::User),
        ];
        let different: std::collections::BTreeSet<&String> = ids.iter().collect();
        assert_eq!(different.len(), ids.len(), "{ids:?}");
        for id in &ids {
            let uuid = Uuid::try_parse(id).unwrap();
            assert_eq!((uuid.get_version_num(), uuid.to_string()), (8, id.clone()));
        }
    }

    #[test]
    fn a_reference_may_mean_our_id_the_senders_id_or_a_match_key() {
        let known = key("s-1").id(&intouch(), Resource::Staff);
        let by_ours = ReferenceCandidates::of(&intouch(), Resource::Staff, &key("r-1"), &known.to_uppercase());
        assert_eq!(by_ours.id, Some(known.clone()));
        let by_theirs = ReferenceCandidates::of(&intouch(), Resource::Staff, &key("r-1"), "s-1");
        assert_eq!((by_theirs.id, by_theirs.record), (None, known));
        let by_mail = ReferenceCandidates::of(&intouch(), Resource::Staff, &key("r-1"), "Ann@Club.example");
        assert_eq!(by_mail.matched, match_name(&intouch(), Resource::Staff, " ann@club.EXAMPLE "));
    }
}
