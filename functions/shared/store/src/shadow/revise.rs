use std::collections::HashMap;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use model::{ConnectionKey, Content, ContentHash, Customer, Outcome, Status, Version};

use super::{LARGEST_DOCUMENT, Newcomer, RACES, Record, Shadow, StoredHead, UpsertError, id_in};
use crate::{Erased, Standing, StoreError};

/// How many conditional writes of one call are under way at once.
const REVISIONS_AT_ONCE: usize = 16;

/// What became of a customer that was revised, and how it stood before.
pub type Revised = Result<(Outcome, Option<Customer>), UpsertError>;

/// What is to be written to a customer.
#[derive(Clone, Debug)]
pub struct Revision {
    /// The new content.
    pub content: Content,
    /// The state's name, if it is not simply its revision.
    pub state: Option<String>,
}

impl Shadow {
    /// Reads a customer and writes what `revise` makes of it: for pushed records, whose version is their arrival. Calls
    /// `revise` again if another process has written the customer meanwhile; `None` leaves it alone.
    ///
    /// Returns what became of it, and its record before.
    ///
    /// # Errors
    /// If it can't be stored now, or never.
    pub async fn revise(
        &self,
        connection: &ConnectionKey,
        source_id: &str,
        mut revise: impl FnMut(Option<&Customer>) -> Option<Content>,
    ) -> Result<(Outcome, Option<Customer>), UpsertError> {
        let erased = self.erasures.of(&connection.tenant).await?;
        for _ in 0..RACES {
            let before = self.get(connection, source_id).await?;
            let Some(content) = revise(before.as_ref()) else { return Ok((Outcome::Unchanged, before)) };
            let revision = Revision { content, state: None };
            if self.keeps_away(connection, source_id, before.as_ref(), &revision, &erased).await? {
                return Ok((Outcome::Unchanged, before));
            }
            if let Some(outcome) = self.put_revision(connection, source_id, before.as_ref(), &revision, None).await? {
                let newcomer = newcomer(source_id, outcome, before.as_ref());
                let taken_back = self.take_back(connection, &erased, newcomer.into_iter().collect()).await?;
                return Ok((if taken_back.is_empty() { outcome } else { Outcome::Unchanged }, before));
            }
        }
        Err(StoreError::Deadline { operation: "PutItem" }.into())
    }

    /// As [`revise`](Self::revise), for many customers that the caller has read, each id at most once. Returns in any
    /// order what became of each, and its record before. Takes as long as DynamoDB needs, until the deadline.
    ///
    /// # Errors
    /// If customers that another process has written meanwhile can't be read again. What fails for one customer stands
    /// beside that customer.
    pub async fn revise_many(
        &self,
        connection: &ConnectionKey,
        read: Vec<(String, Option<Customer>)>,
        revise: impl Fn(&str, Option<&Customer>) -> Option<Revision>,
        deadline: Timestamp,
    ) -> Result<Vec<(String, Revised)>, StoreError> {
        let erased = self.erasures.of(&connection.tenant).await?;
        let mut revised = Vec::with_capacity(read.len());
        let mut pending = read;
        for _ in 0..RACES {
            let puts = pending.into_iter().map(|(source_id, before)| {
                let (revision, erased) = (revise(&source_id, before.as_ref()), &*erased);
                async move {
                    let outcome = match &revision {
                        Some(revision) => {
                            self.put_in_time(connection, &source_id, before.as_ref(), revision, erased, deadline).await
                        }
                        None => Ok(Some(Outcome::Unchanged)),
                    };
                    (source_id, outcome.map(|outcome| outcome.map(|outcome| (outcome, before))))
                }
            });
            let mut puts = stream::iter(puts).buffer_unordered(REVISIONS_AT_ONCE);
            let mut lost = Vec::new();
            while let Some((source_id, outcome)) = puts.next().await {
                match outcome.transpose() {
                    Some(outcome) => revised.push((source_id, outcome)),
                    None => lost.push(source_id),
                }
            }
            drop(puts);
            if lost.is_empty() {
                return self.without_taken_back(connection, &erased, revised).await;
            }
            let ids = lost.iter().map(|source_id| (connection.clone(), source_id.clone()));
            let winners = self.get_many(ids, deadline).await?;
            let mut winners: HashMap<String, Customer> =
                winners.into_iter().map(|winner| (winner.source_id.clone(), winner)).collect();
            pending = lost.into_iter().map(|source_id| (source_id.clone(), winners.remove(&source_id))).collect();
        }
        let given_up = || Err(StoreError::Deadline { operation: "PutItem" }.into());
        revised.extend(pending.into_iter().map(|(source_id, _)| (source_id, given_up())));
        self.without_taken_back(connection, &erased, revised).await
    }

    /// Takes back customers that must not be stored by now: each counts as unchanged.
    async fn without_taken_back(
        &self,
        connection: &ConnectionKey,
        erased: &Erased,
        mut revised: Vec<(String, Revised)>,
    ) -> Result<Vec<(String, Revised)>, StoreError> {
        let newcomers = revised.iter().filter_map(|(source_id, revised)| {
            let (outcome, before) = revised.as_ref().ok()?;
            newcomer(source_id, *outcome, before.as_ref())
        });
        let taken_back = self.take_back(connection, erased, newcomers.collect()).await?;
        for (source_id, revised) in &mut revised {
            if let (true, Ok((outcome, _))) = (taken_back.contains(source_id), revised) {
                *outcome = Outcome::Unchanged;
            }
        }
        Ok(revised)
    }

    async fn keeps_away(
        &self,
        connection: &ConnectionKey,
        source_id: &str,
        before: Option<&Customer>,
        revision: &Revision,
        erased: &Erased,
    ) -> Result<bool, StoreError> {
        let (id, standing) = (id_in(connection, source_id), before.map(Standing::from));
        self.erasures.keeps_away(&connection.tenant, erased, &id, standing, &revision.content).await
    }

    /// As [`put_revision`](Self::put_revision), if the deadline has not passed and the customer may be stored.
    async fn put_in_time(
        &self,
        connection: &ConnectionKey,
        source_id: &str,
        before: Option<&Customer>,
        revision: &Revision,
        erased: &Erased,
        deadline: Timestamp,
    ) -> Result<Option<Outcome>, UpsertError> {
        if self.table.clock.now() >= deadline {
            return Err(StoreError::Deadline { operation: "PutItem" }.into());
        }
        if self.keeps_away(connection, source_id, before, revision, erased).await? {
            return Ok(Some(Outcome::Unchanged));
        }
        match self.put_revision(connection, source_id, before, revision, Some(deadline)).await {
            Err(UpsertError::Store(StoreError::Throttled { operation })) => {
                Err(StoreError::Deadline { operation }.into())
            }
            outcome => outcome,
        }
    }

    /// Writes new content of a customer if the stored one is still `before`; `None` if it is not.
    async fn put_revision(
        &self,
        connection: &ConnectionKey,
        source_id: &str,
        before: Option<&Customer>,
        revision: &Revision,
        deadline: Option<Timestamp>,
    ) -> Result<Option<Outcome>, UpsertError> {
        let document = revision.content.canonical_json();
        if document.len() > LARGEST_DOCUMENT {
            return Err(UpsertError::TooLarge { bytes: document.len() });
        }
        let hash = ContentHash::of(&document);
        let head = before.map(StoredHead::of);
        if head.as_ref().is_some_and(|head| head.stamp.hash == hash) {
            return Ok(Some(Outcome::Unchanged));
        }
        let is_listed = revision.content.status != Status::Deleted;
        let version = Version::of_arrival(before.map(|before| &before.version), self.table.clock.now());
        let record = Record {
            source_id,
            version: &version,
            document: &document,
            hash: &hash,
            is_listed,
            state: revision.state.as_deref(),
        };
        let winner = self.put_if_still(connection, &record, head.as_ref(), deadline).await?;
        let outcome = if is_listed { Outcome::Written } else { Outcome::Tombstoned };
        Ok(winner.is_none().then_some(outcome))
    }
}

/// Who was just written, if they were not there before.
fn newcomer(source_id: &str, outcome: Outcome, before: Option<&Customer>) -> Option<Newcomer> {
    Newcomer::instead_of(before.map(Standing::from), source_id).filter(|_| outcome == Outcome::Written)
}
