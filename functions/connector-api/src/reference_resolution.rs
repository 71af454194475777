//! What a prospect refers to: the member of staff that looks after it, and the lead source that it came from.
//!
//! A reference may mean our own id, the sender's `recordID` of the same club, or what is matched: the e-mail address of
//! the member of staff, the name of the lead source. If nothing is known by it, the prospect is stored without it,
//! marked under `leadInfo#unmatched` of its attributes, and **waits** under every name that the reference may mean.
//! Whatever arrives by one of these names completes it.
//!
//! No prospect is forgotten, whichever comes first. A prospect looks once more after it has begun to wait and is
//! stored. A record that arrives, or gets a name that another has given up, looks for waiting prospects after it can be
//! found. One of the two sees the other.
//!
//! A prospect that no longer waits for something leaves nothing behind. It may be pushed again meanwhile, and wait for
//! the same thing again. So what removes a prospect's waiting entries looks at the prospect afterwards, and what lets
//! it wait looks at its waiting entries afterwards. One of the two puts them back.

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use model::{Attribute, ConnectionKey, Content, ExternalKey, LeadSource, ReferenceCandidates, Resource, Staff};
use store::{StoreError, UpsertError};
use wire::connector::{LEAD_INFO, LEAD_SOURCE_ID, Lead, OWNER_ID};

use crate::ConnectorApi;
use crate::error::ApiError;
use crate::origin::{key_of, reference};

/// The attribute of a customer that says which references match nothing yet. No element can have this name.
const UNMATCHED: &str = "leadInfo#unmatched";
/// How many waiting prospects are looked at together.
const PROSPECTS_AT_ONCE: i32 = 100;
/// How many of them are completed side by side.
const WRITES_AT_ONCE: usize = 16;

/// A prospect that is pushed, or that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prospect<'a> {
    pub(crate) connection: &'a ConnectionKey,
    pub(crate) id: &'a str,
}

/// What a prospect's references mean now.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResolvedReferences {
    known: Vec<(Resource, String)>,
    /// The references that match nothing, with the names they may mean.
    pub(crate) unknown: Vec<(Resource, ReferenceCandidates)>,
}

impl ResolvedReferences {
    /// Puts them into a prospect's content, with a mark for each that matches nothing.
    pub(crate) fn apply(&self, content: &mut Content) {
        for (resource, id) in &self.known {
            fill_in(content, *resource, id);
        }
        let unmatched: Vec<Attribute> = self.unknown.iter().filter_map(|(resource, _)| mark_of(*resource)).collect();
        if !unmatched.is_empty() {
            content.attributes.insert(UNMATCHED.to_owned(), Attribute::List(unmatched));
        }
    }
}

/// Keeps what a push does not mention: a member keeps the staff that looked after the prospect.
pub(crate) fn keep(content: &mut Content, stored: &Content) {
    content.owner_staff_id.clone_from(&stored.owner_staff_id);
    content.lead_source_id.clone_from(&stored.lead_source_id);
    for section in [LEAD_INFO, UNMATCHED] {
        if let Some(value) = stored.attributes.get(section) {
            content.attributes.insert(section.to_owned(), value.clone());
        }
    }
}

/// The element that refers to such a record.
fn element_of(resource: Resource) -> Option<&'static str> {
    match resource {
        Resource::Staff => Some(OWNER_ID),
        Resource::LeadSource => Some(LEAD_SOURCE_ID),
        Resource::User => None,
    }
}

/// What stands under [`UNMATCHED`] while such a record is not known.
fn mark_of(resource: Resource) -> Option<Attribute> {
    element_of(resource).map(|element| Attribute::Text(element.to_owned()))
}

fn fill_in(content: &mut Content, resource: Resource, id: &str) {
    match resource {
        Resource::Staff => content.owner_staff_id = Some(id.to_owned()),
        Resource::LeadSource => content.lead_source_id = Some(id.to_owned()),
        Resource::User => {}
    }
}

/// What a prospect waits for, if it waits for such a record.
fn awaited(connection: &ConnectionKey, resource: Resource, content: &Content) -> Option<ReferenceCandidates> {
    let Some(Attribute::List(marks)) = content.attributes.get(UNMATCHED) else { return None };
    if !marks.contains(&mark_of(resource)?) {
        return None;
    }
    Some(ReferenceCandidates::of(connection, resource, &key_of(content)?, reference(content, element_of(resource)?)?))
}

/// The content once the record that it waits for is there.
fn completed(content: &Content, resource: Resource, id: &str) -> Content {
    let mut content = content.clone();
    fill_in(&mut content, resource, id);
    if let Some(Attribute::List(mut marks)) = content.attributes.remove(UNMATCHED) {
        marks.retain(|mark| mark_of(resource).as_ref() != Some(mark));
        if !marks.is_empty() {
            content.attributes.insert(UNMATCHED.to_owned(), Attribute::List(marks));
        }
    }
    content
}

impl ConnectorApi {
    /// What the references of a prospect mean now.
    pub(crate) async fn references(
        &self,
        connection: &ConnectionKey,
        sender: &ExternalKey,
        lead: &Lead,
    ) -> Result<ResolvedReferences, StoreError> {
        let mut references = ResolvedReferences::default();
        for (resource, reference) in [(Resource::Staff, &lead.owner), (Resource::LeadSource, &lead.lead_source)] {
            let Some(reference) = reference else { continue };
            let candidates = ReferenceCandidates::of(connection, resource, sender, reference);
            match self.id_of(connection, resource, &candidates).await? {
                Some(id) => references.known.push((resource, id)),
                None => references.unknown.push((resource, candidates)),
            }
        }
        Ok(references)
    }

    async fn id_of(
        &self,
        connection: &ConnectionKey,
        resource: Resource,
        candidates: &ReferenceCandidates,
    ) -> Result<Option<String>, StoreError> {
        let tables = &self.tables;
        Ok(match resource {
            Resource::Staff => tables.reference::<Staff>().find(connection, candidates).await?.map(|it| it.id),
            Resource::LeadSource => {
                tables.reference::<LeadSource>().find(connection, candidates).await?.map(|it| it.id)
            }
            Resource::User => None,
        })
    }

    /// Lets a prospect wait for what it refers to. To be called before the prospect is stored, and again after that.
    pub(crate) async fn wait(&self, prospect: Prospect<'_>, references: &ResolvedReferences) -> Result<(), StoreError> {
        for (resource, candidates) in &references.unknown {
            self.tables.pending_references.add(prospect.connection, *resource, candidates.names(), prospect.id).await?;
        }
        Ok(())
    }

    /// Looks once more for what a prospect waits for. To be called after the prospect is stored.
    pub(crate) async fn resolve_again(
        &self,
        prospect: Prospect<'_>,
        references: &ResolvedReferences,
    ) -> Result<(), UpsertError> {
        for (resource, candidates) in &references.unknown {
            if let Some(id) = self.id_of(prospect.connection, *resource, candidates).await? {
                self.complete(prospect, *resource, &candidates.record, &id).await?;
            }
        }
        Ok(())
    }

    /// Stops a prospect from waiting for what it waited for `before` it was stored with these references.
    pub(crate) async fn wait_no_longer(
        &self,
        prospect: Prospect<'_>,
        before: &Content,
        references: &ResolvedReferences,
    ) -> Result<(), UpsertError> {
        for resource in [Resource::Staff, Resource::LeadSource] {
            let Some(awaited) = awaited(prospect.connection, resource, before) else { continue };
            let still: Vec<&str> = references
                .unknown
                .iter()
                .filter(|(other, _)| *other == resource)
                .flat_map(|(_, candidates)| candidates.names())
                .collect();
            let names: Vec<String> = awaited.names().filter(|name| !still.contains(name)).map(str::to_owned).collect();
            if names.is_empty() {
                continue;
            }
            if let Some((name, id)) = self.stop_waiting(prospect, resource, &names).await? {
                self.complete(prospect, resource, &name, &id).await?;
            }
        }
        Ok(())
    }

    /// Completes every prospect that waits for one of these names, each with the id that the name leads to. To be
    /// called once that record can be found.
    pub(crate) async fn complete_waiting(
        &self,
        connection: &ConnectionKey,
        resource: Resource,
        found: &[(String, String)],
        deadline: Timestamp,
    ) -> Result<(), ApiError> {
        for (name, id) in found {
            let mut after: Option<String> = None;
            loop {
                let page = self
                    .tables
                    .pending_references
                    .page(connection, resource, name, after.as_deref(), PROSPECTS_AT_ONCE)
                    .await?;
                let Some(last) = page.last().cloned() else { break };
                if self.tables.clock.now() >= deadline {
                    return Err(StoreError::Deadline { operation: "completing prospects" }.into());
                }
                after = Some(last);
                let completing = page.into_iter().map(|waiting| async move {
                    self.complete(Prospect { connection, id: &waiting }, resource, name, id).await
                });
                stream::iter(completing).buffer_unordered(WRITES_AT_ONCE).try_collect::<Vec<()>>().await?;
            }
        }
        Ok(())
    }

    /// Completes one prospect that waits for `name`, if it still does.
    async fn complete(
        &self,
        prospect: Prospect<'_>,
        resource: Resource,
        name: &str,
        id: &str,
    ) -> Result<(), UpsertError> {
        let connection = prospect.connection;
        let mut next = Some((name.to_owned(), id.to_owned()));
        while let Some((name, id)) = next.take() {
            let mut waits_under = vec![name.clone()];
            let revised = self.tables.shadow.revise(connection, prospect.id, |stored| {
                let content = &stored?.content;
                let awaited = awaited(connection, resource, content)?;
                if !awaited.names().any(|awaited| awaited == name) {
                    return None;
                }
                waits_under = awaited.names().map(str::to_owned).collect();
                Some(completed(content, resource, &id))
            });
            let (_, before) = revised.await?;
            // A prospect that is not stored yet is about to be: it looks once more after that.
            if before.is_some() {
                next = self.stop_waiting(prospect, resource, &waits_under).await?;
            }
        }
        Ok(())
    }

    /// Removes a prospect's waiting entries. If it was pushed meanwhile and waits for one of these again, it goes on
    /// waiting; if that record is there by now, returns a name of it, and its id.
    async fn stop_waiting(
        &self,
        Prospect { connection, id: prospect }: Prospect<'_>,
        resource: Resource,
        names: &[String],
    ) -> Result<Option<(String, String)>, UpsertError> {
        self.tables.pending_references.remove(connection, resource, names.iter().map(String::as_str), prospect).await?;
        let stored = self.tables.shadow.get(connection, prospect).await?;
        let Some(awaited) = stored.and_then(|customer| awaited(connection, resource, &customer.content)) else {
            return Ok(None);
        };
        if !awaited.names().any(|awaited| names.iter().any(|name| name == awaited)) {
            return Ok(None);
        }
        self.tables.pending_references.add(connection, resource, awaited.names(), prospect).await?;
        let id = self.id_of(connection, resource, &awaited).await?;
        Ok(id.map(|id| (awaited.record, id)))
    }
}
