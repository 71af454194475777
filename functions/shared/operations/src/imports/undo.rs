use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use model::import::{BeforeImage, Claim, UndoAction, reversal};
use model::{ConnectionKey, Content, Customer, Status};
use store::{ImportRecord, Revision, StoreError, Tables, UpsertError};
use thiserror::Error;

use super::ImportLease;

/// How many customers of an undo are restored under one renewal of the lease.
const CHUNK: usize = 500;
/// How long an undo holds the lease without renewing it: longer than a chunk takes.
const LEASE: Duration = Duration::from_secs(60);

/// Undoes imports.
#[derive(Clone, Debug)]
pub struct Undo {
    tables: Tables,
    lease: ImportLease,
}

/// What an undo did, or would do: customers' ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndoReport {
    /// Customers that are again as they were before.
    pub restored: Vec<String>,
    /// Customers that the import brought and that are deleted.
    pub removed: Vec<String>,
    /// Customers that were back already.
    pub already_back: Vec<String>,
    /// Customers that have changed since, and stay as they are.
    pub changed_since: Vec<String>,
    /// Customers whose card number belongs to another by now, and that stay as they are.
    pub card_taken: Vec<String>,
}

/// How far an undo has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndoProgress {
    /// What it did, and what was done before.
    pub report: UndoReport,
    /// How many customers are left: the same undo goes on with them.
    pub left: usize,
}

/// An import that was not undone, or not completely. It can be retried: what is back stays back.
#[derive(Debug, Error)]
pub enum UndoError {
    /// The import kept no images.
    #[error("it was imported without an undo state")]
    NotSaved,
    /// Imports hold the lease all the time.
    #[error("another import or undo of this connection is under way; try again")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One customer could not be written.
    #[error("a customer could not be restored: {0}")]
    Customer(#[from] UpsertError),
}

impl Undo {
    /// Undoes imports of these tables.
    pub fn new(tables: &Tables) -> Self {
        Self { lease: ImportLease::new(tables), tables: tables.clone() }
    }

    /// Reports what an undo would do now, and changes nothing.
    ///
    /// # Errors
    /// If the import kept no images, or the store fails before the deadline.
    pub async fn preview(
        &self,
        connection: &ConnectionKey,
        record: &ImportRecord,
        deadline: Timestamp,
    ) -> Result<UndoReport, UndoError> {
        let plan = self.plan(connection, record, deadline).await?;
        let mut report = UndoReport::default();
        for (source_id, images) in &plan.images {
            report.count(source_id, images, plan.stored.get(source_id), plan.stays.contains(source_id));
        }
        Ok(report)
    }

    /// Puts every customer of an import back to how the import found it, unless it has changed since, or would get back
    /// a card number that is another's by now. Waits for imports that are under way. May be interrupted and repeated.
    ///
    /// # Errors
    /// If the import kept no images, or not everything could be done before the deadline.
    pub async fn carry_out(
        &self,
        connection: &ConnectionKey,
        record: &ImportRecord,
        deadline: Timestamp,
    ) -> Result<UndoReport, UndoError> {
        let UndoProgress { report, left } = self.carry_on(connection, record, deadline, deadline).await?;
        if left > 0 { Err(StoreError::Deadline { operation: "PutItem" }.into()) } else { Ok(report) }
    }

    /// As [`carry_out`](Self::carry_out), but does not begin with more customers after `until`, unless it has put back
    /// none: what is left is done by the next call.
    ///
    /// # Errors
    /// If the import kept no images, or not even that could be done before the deadline.
    pub async fn carry_on(
        &self,
        connection: &ConnectionKey,
        record: &ImportRecord,
        until: Timestamp,
        deadline: Timestamp,
    ) -> Result<UndoProgress, UndoError> {
        // Imports hold the lease by their clocks, which are the store's: this machine's may be off.
        let ahead = self.lease.store_is_ahead_by(connection).await?;
        let owner = self.lease.take(connection, LEASE, ahead, until).await?.ok_or(UndoError::Busy)?;
        let report = self.restore_all(connection, &record.id, &owner, until, deadline).await;
        self.lease.release(connection, &owner).await;
        report
    }

    async fn restore_all(
        &self,
        connection: &ConnectionKey,
        import: &str,
        owner: &str,
        until: Timestamp,
        deadline: Timestamp,
    ) -> Result<UndoProgress, UndoError> {
        // As it stands under the lease: the import may have gone on meanwhile.
        let mut record = self.tables.imports.find(connection, import, deadline).await?.ok_or(UndoError::NotSaved)?;
        let plan = self.plan(connection, &record, deadline).await?;
        if record.undo_began_at.is_none() {
            // From now on this import takes nothing more: the same request is another import.
            record.undo_began_at = Some(self.tables.clock.now());
            self.tables.imports.put(connection, &record, deadline).await?;
        }
        let mut report = UndoReport::default();
        let source_ids: Vec<&String> = plan.images.keys().collect();
        let mut left = source_ids.len();
        for chunk in source_ids.chunks(CHUNK) {
            let has_put_back = !report.restored.is_empty() || !report.removed.is_empty();
            if has_put_back && self.tables.clock.now() >= until {
                return Ok(UndoProgress { report, left });
            }
            let ahead = self.lease.store_is_ahead_by(connection).await?;
            if !self.lease.renew(connection, owner, LEASE, ahead).await? {
                return Err(UndoError::Busy);
            }
            self.tables.imports.add_claims(connection, &plan.claims(chunk), deadline).await?;
            let read = chunk.iter().map(|source_id| ((*source_id).clone(), plan.stored.get(*source_id).cloned()));
            let revise = |source_id: &str, stored: Option<&Customer>| plan.revise(source_id, stored);
            let mut is_late = false;
            for (source_id, revised) in
                self.tables.shadow.revise_many(connection, read.collect(), revise, deadline).await?
            {
                let (_, before) = match revised {
                    // Others of this chunk may be back.
                    Err(UpsertError::Store(StoreError::Deadline { .. })) => {
                        is_late = true;
                        continue;
                    }
                    revised => revised?,
                };
                left -= 1;
                let images = plan.images.get(&source_id).map_or(&[][..], Vec::as_slice);
                report.count(&source_id, images, before.as_ref(), plan.stays.contains(&source_id));
            }
            if is_late {
                return Ok(UndoProgress { report, left });
            }
        }
        record.undone_at = Some(record.undone_at.unwrap_or(self.tables.clock.now()));
        self.tables.imports.put(connection, &record, deadline).await?;
        Ok(UndoProgress { report, left })
    }

    async fn plan(
        &self,
        connection: &ConnectionKey,
        record: &ImportRecord,
        deadline: Timestamp,
    ) -> Result<UndoPlan, UndoError> {
        if !record.saves_undo {
            return Err(UndoError::NotSaved);
        }
        let mut images: BTreeMap<String, Vec<BeforeImage>> = BTreeMap::new();
        for image in self.tables.imports.images(connection, record, deadline).await? {
            images.entry(image.source_id.clone()).or_default().push(image);
        }
        let stored = self.read(connection, images.keys().cloned(), deadline).await?;
        let mut plan = UndoPlan { images, stored, stays: BTreeSet::new() };
        let cards = plan.cards_that_come_back();
        let claims: BTreeSet<Claim> = cards.values().map(|card| Claim::card(card)).collect();
        let whole: Vec<(Claim, usize)> = claims.iter().map(|claim| (claim.clone(), usize::MAX)).collect();
        let mut claimants = self.tables.imports.claimants(connection, claims, deadline).await?;
        self.tables.imports.read_on(connection, whole, &mut claimants, deadline).await?;
        let others: BTreeSet<String> =
            claimants.values().flat_map(|claimants| claimants.ids()).map(str::to_owned).collect();
        let unread = others.into_iter().filter(|source_id| !plan.images.contains_key(source_id));
        let others = self.read(connection, unread, deadline).await?;
        let claimants =
            claimants.into_iter().map(|(claim, claimants)| (claim, claimants.ids().map(str::to_owned).collect()));
        plan.leave_whose_card_is_taken(cards, &claimants.collect(), &others);
        Ok(plan)
    }

    async fn read(
        &self,
        connection: &ConnectionKey,
        source_ids: impl IntoIterator<Item = String>,
        deadline: Timestamp,
    ) -> Result<HashMap<String, Customer>, StoreError> {
        let ids = source_ids.into_iter().map(|source_id| (connection.clone(), source_id));
        let found = self.tables.shadow.get_many(ids, deadline).await?;
        Ok(found.into_iter().map(|customer| (customer.source_id.clone(), customer)).collect())
    }
}

/// What an undo is going to do.
struct UndoPlan {
    /// The images of each customer, in the order in which they were recorded.
    images: BTreeMap<String, Vec<BeforeImage>>,
    /// Those of them that are stored, as they were read.
    stored: HashMap<String, Customer>,
    /// Customers that stay as they are though they could be restored: their card number belongs to another by now.
    stays: BTreeSet<String>,
}

impl UndoPlan {
    /// What is to be written to a customer with `stored` in the shadow.
    fn revise(&self, source_id: &str, stored: Option<&Customer>) -> Option<Revision> {
        if self.stays.contains(source_id) {
            return None;
        }
        match reversal(self.images.get(source_id)?, stored) {
            UndoAction::Restore { content, state } => Some(Revision { content: *content, state }),
            UndoAction::AlreadyBack | UndoAction::ChangedSince => None,
        }
    }

    /// The content of a customer after the undo.
    fn then(&self, source_id: &str, stored: Option<&Customer>) -> Option<Content> {
        match self.revise(source_id, stored) {
            Some(revision) => Some(revision.content),
            None => stored.map(|customer| customer.content.clone()),
        }
    }

    /// The card numbers that customers get back, and do not have now.
    fn cards_that_come_back(&self) -> BTreeMap<String, String> {
        let cards = self.images.keys().filter_map(|source_id| {
            let stored = self.stored.get(source_id);
            let card = card(&self.revise(source_id, stored)?.content)?.to_owned();
            let is_had = stored.and_then(|customer| self::card(&customer.content)) == Some(&card);
            (!is_had).then(|| (source_id.clone(), card))
        });
        cards.collect()
    }

    /// A card number is one customer's. A customer that stays keeps its own, so another may have to stay for that.
    fn leave_whose_card_is_taken(
        &mut self,
        cards: BTreeMap<String, String>,
        claimants: &HashMap<Claim, Vec<String>>,
        others: &HashMap<String, Customer>,
    ) {
        loop {
            let is_taken = |(source_id, number): &(&String, &String)| {
                let claimants = claimants.get(&Claim::card(number)).into_iter().flatten();
                let mut rivals = claimants.filter(|rival| rival != source_id && !self.stays.contains(*source_id));
                rivals.any(|rival| {
                    let stored = self.stored.get(rival).or_else(|| others.get(rival));
                    self.then(rival, stored).as_ref().and_then(card) == Some(number)
                })
            };
            let taken: Vec<String> = cards.iter().filter(is_taken).map(|(source_id, _)| source_id.clone()).collect();
            if taken.is_empty() {
                return;
            }
            self.stays.extend(taken);
        }
    }

    /// The claims that the customers of a chunk get back: they may have been forgotten since.
    fn claims(&self, chunk: &[&String]) -> BTreeMap<Claim, BTreeSet<String>> {
        let mut claims: BTreeMap<Claim, BTreeSet<String>> = BTreeMap::new();
        for source_id in chunk {
            let stored = self.stored.get(*source_id);
            let Some(revision) = self.revise(source_id, stored) else { continue };
            let had: Vec<Claim> = stored.iter().flat_map(|customer| Claim::of(&customer.content)).collect();
            if revision.content.status != Status::Deleted {
                for claim in Claim::of(&revision.content).filter(|claim| !had.contains(claim)) {
                    claims.entry(claim).or_default().insert((*source_id).clone());
                }
            }
        }
        claims
    }
}

/// The card number of a customer that is not deleted.
fn card(content: &Content) -> Option<&String> {
    content.external_id.as_ref().filter(|_| content.status != Status::Deleted)
}

impl UndoReport {
    /// Counts a customer that was read as `before`.
    fn count(&mut self, source_id: &str, images: &[BeforeImage], before: Option<&Customer>, stays: bool) {
        let group = match reversal(images, before) {
            UndoAction::Restore { .. } if stays => &mut self.card_taken,
            UndoAction::Restore { content, .. } if content.status == Status::Deleted => &mut self.removed,
            UndoAction::Restore { .. } => &mut self.restored,
            UndoAction::AlreadyBack => &mut self.already_back,
            UndoAction::ChangedSince => &mut self.changed_since,
        };
        group.push(source_id.to_owned());
    }
}
