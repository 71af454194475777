//! A page of the change feed, of the listing, or of failures that are redriven.

use jiff::Timestamp;
use model::{ConnectionKey, CustomerId, FeedPosition, PlantedFault};
use store::{ChangedCustomer, FeedError, Listed, Part, PlacedChange, Progress, Shadow, StoreError};

use super::{A_DAY, Stop, Visit};
use crate::choice::Told;

impl Visit<'_> {
    /// Sends a page of the failures that an operator has asked for; whether it is the last one.
    pub(super) async fn redrive(&mut self) -> Result<bool, Stop> {
        let failures = &self.pushing.tables.failures;
        let (requests, has_more) = failures.redrives_requested(self.key, self.page_size(Part::Redrives)).await?;
        let mut told = Vec::with_capacity(requests.len());
        for (text, requested_at) in &requests {
            match text.parse::<CustomerId>() {
                // Nobody is told of one that never was.
                Ok(id) if !self.is_known(&id).await? => failures.clear_redrive(self.key, text).await?,
                Ok(id) => told.push(Told {
                    id,
                    at: *requested_at,
                    revision: 1,
                    is_new: false,
                    only_if_gone: false,
                    occasion: format!("redrive {}", requested_at.as_millisecond()),
                }),
                // It can't be that of a customer.
                Err(_) => failures.clear_redrive(self.key, text).await?,
            }
        }
        let mut sent = self.send(Part::Redrives, &told).await?;
        sent.is_full = has_more;
        for told in &told[..sent.settled] {
            // One that was made anew meanwhile is still to be done.
            failures.clear_redrive_of(self.key, &told.id.to_string(), told.at).await?;
        }
        self.delivery.progress.has_redrives = has_more || sent.settled < told.len();
        let is_all = !self.delivery.progress.has_redrives;
        self.take(Part::Redrives, sent).await?;
        Ok(is_all)
    }

    /// Whether there is a customer, or its failure record here.
    async fn is_known(&self, id: &CustomerId) -> Result<bool, StoreError> {
        if self.pushing.tables.failures.is_there(self.key, &id.to_string()).await? {
            return Ok(true);
        }
        let key = ConnectionKey::new(&self.key.tenant, &id.connection);
        let found = self.pushing.tables.shadow.find_many([(key, id.source_id.clone())], self.deadline).await?;
        Ok(!found.customers.is_empty() || !found.unreadable.is_empty())
    }

    /// Sends a page of the change feed; whether it is the last one.
    pub(super) async fn follow(&mut self) -> Result<bool, Stop> {
        let from = &self.destination.settings.from;
        let delivery = &self.delivery;
        let wanted =
            |placed: &PlacedChange| from.contains(&placed.change.id.connection) && delivery.is_to_be_told(placed);
        let position = self.delivery.position.unwrap_or_default();
        let page = self.pushing.tables.feed.read(&self.key.tenant, &position, self.page_size(Part::Feed), wanted).await;
        let page = match page {
            Ok(page) => page,
            Err(FeedError::Gone) => return self.begin_after_a_gap().await,
            Err(FeedError::Store(error)) => return Err(error.into()),
        };
        let customers = page.customers();
        let progress = &self.delivery.progress;
        let (listed, is_first_round) = (&progress.listed, progress.is_first_round());
        let occasion = progress.occasion();
        let told = |ChangedCustomer { place, last, is_new }: &ChangedCustomer| {
            let placed = &page.changes[*place];
            let id = placed.change.id.clone();
            // One that was not listed yet is new to the destination, whatever became of it.
            let is_new = *is_new || is_first_round && listed.get(&id.connection) != Some(&Listed::All);
            let revision = placed.change.revision;
            let only_if_gone = delivery.is_listed(&page.changes[*last]);
            Told { is_new, only_if_gone, at: placed.at, revision, occasion: occasion.clone(), id }
        };
        let told: Vec<Told> = customers.iter().map(told).collect();
        let mut sent = self.send(Part::Feed, &told).await?;
        sent.is_full = page.more;
        if PlantedFault::PassesOver.is_planted() {
            sent.settled = told.len();
        }
        let reached: FeedPosition = match customers.get(sent.settled) {
            None => page.position,
            Some(ChangedCustomer { place: 0, .. }) => position,
            // What stands before it was sent, or is told again with a customer that was.
            Some(ChangedCustomer { place, .. }) => page.changes[place - 1].position,
        };
        let is_moved = reached != position;
        self.delivery.position = Some(reached);
        let is_all = !page.more && sent.settled == told.len();
        let now = self.pushing.tables.clock.now();
        let is_noted = |at: Timestamp| now.duration_since(at) < A_DAY;
        if is_all && !self.delivery.progress.at_feed_end.is_some_and(is_noted) {
            self.delivery.progress.at_feed_end = Some(now);
            self.is_unnoted = true;
        }
        if told.is_empty() && sent.trouble.is_none() {
            // Nothing is for it: the place is noted once in a visit, at its end.
            self.is_unnoted |= is_moved;
            return Ok(is_all);
        }
        self.take(Part::Feed, sent).await?;
        Ok(is_all)
    }

    /// What follows the place in the feed is not kept any more, or was restored: begins with everybody, and with all of
    /// the feed that is kept, for the deletions in it.
    pub(super) async fn begin_after_a_gap(&mut self) -> Result<bool, Stop> {
        tracing::warn!("the change feed has a gap at this destination's place: begins with everybody");
        let feed = &self.pushing.tables.feed;
        self.delivery.listed_from = Some(feed.latest(&self.key.tenant, Progress::OVERLAP).await?);
        self.delivery.position = Some(feed.oldest(&self.key.tenant).await?);
        let progress = &mut self.delivery.progress;
        progress.listed.retain(|_, listed| *listed == Listed::Left);
        progress.round += 1;
        progress.began_anew = Some(self.pushing.tables.clock.now());
        self.note().await?;
        Ok(false)
    }

    /// Sends a page of the listing of a connection; whether it is the last one of all.
    pub(super) async fn list(&mut self) -> Result<bool, Stop> {
        let connection = self.delivery.progress.next_to_list(&self.destination.settings.from);
        let Some(connection) = connection else { return Ok(true) };
        let cursor = match self.delivery.progress.listed.get(&connection) {
            Some(Listed::UpTo(shard, source_id)) => Some((*shard, source_id.clone())),
            _ => None,
        };
        let key = ConnectionKey::new(&self.key.tenant, &connection);
        let (source_ids, next) =
            self.pushing.tables.shadow.page(&key, cursor.clone(), self.page_size(Part::Listing)).await?;
        let (occasion, is_first_round) = (self.delivery.progress.occasion(), self.delivery.progress.is_first_round());
        let now = self.pushing.tables.clock.now();
        let told = |source_id: &String| Told {
            id: CustomerId { connection: connection.clone(), source_id: source_id.clone() },
            at: now,
            revision: 1,
            is_new: is_first_round,
            only_if_gone: false,
            occasion: occasion.clone(),
        };
        let told: Vec<Told> = source_ids.iter().map(told).collect();
        let mut sent = self.send(Part::Listing, &told).await?;
        sent.is_full = next.is_some();
        let reached = match (sent.settled == told.len(), source_ids[..sent.settled].last()) {
            (true, _) => Some(next.map_or(Listed::All, |(shard, source_id)| Listed::UpTo(shard, source_id))),
            (false, Some(last)) => {
                let (shard, source_id) = Shadow::place_of(last);
                Some(Listed::UpTo(shard, source_id))
            }
            (false, None) => cursor.map(|(shard, source_id)| Listed::UpTo(shard, source_id)),
        };
        if let Some(reached) = reached {
            self.delivery.progress.listed.insert(connection, reached);
        }
        self.take(Part::Listing, sent).await?;
        Ok(self.delivery.progress.next_to_list(&self.destination.settings.from).is_none())
    }
}
