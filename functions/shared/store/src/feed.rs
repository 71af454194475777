//! The change feed: per tenant four lanes, each a log of small segments.
//!
//! | `log` | `entry` | what |
//! |---|---|---|
//! | `acme/changes/2` | `000000000000017` | the 17th segment of the lane |
//! | `acme/changes/2` | `!start` | after which number the lane began; the only item of a lane that does not expire |
//!
//! | attribute of a segment | what |
//! |---|---|
//! | `at` | when it was appended (milliseconds) |
//! | `tag` | a random number, for a reader to know the segment by |
//! | `count` | how many changes it holds |
//! | `changes` | a line for each: its action, its revision, its customer's id. Compressed if that is shorter: `zlib` |
//! | `expires` | 90 days later (seconds) |
//!
//! **Nothing is skipped.** A segment is put at the number after the last one if there is none yet, so numbers have no
//! gaps, whatever the clocks say and however many append at once: what a reader has not seen has a greater number than
//! all that it has seen. An index by time would not do: an item with an earlier time may come after a later one.
//!
//! **What is older than 90 days is gone**, by DynamoDB's time to live, which deletes within some days and in any order.
//! So a feed is read from a segment on that has not expired, and a lane whose last segment has expired, still there or
//! not, goes on far above its number (`!start`): no cursor of before fits again. A reader that comes back later finds
//! another segment than the one after its last, and is told so ([`FeedError::Gone`]).
//!
//! **What it costs.** A change has some 12 bytes, 5 if many are compressed together. An append reads the last number
//! (half a unit, or one) and writes its segment, of one unit for up to 80 changes, or 200. A thousand changes at once
//! cost about eight writes, a single change one.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use jiff::Timestamp;
use model::{ChangeAction, CustomerId, FeedChange, FeedPosition, LANES, LanePosition, PlantedFault, lane_of};
use thiserror::Error;

use crate::StoreError;
use crate::item::{Item, Read, bytes, item, number, text, time};
use crate::table::{Refused, Table};

mod segment;

use segment::{Lines, Segment, after, entry, number_of, parts};

/// A segment that expires sooner counts as expired. More than the clocks of those who append differ: what follows one
/// that counts as kept has not expired.
const MARGIN: Duration = Duration::from_secs(3_600);
/// Within this time after a lane began, no segment of it can be gone.
const STARTS_ANEW_AFTER: Duration = Duration::from_secs(30 * 86_400);
/// How far above its last number a lane goes on of which all is gone: no lane has so many segments.
const FAR: u64 = 1_000_000_000;
/// How many segments are read at once, and how many for one answer.
const SEGMENTS_AT_ONCE: i32 = 20;
const MOST_SEGMENTS: usize = 400;
/// A name that sorts before every number.
const START: &str = "!start";
/// Sorts after [`START`] and before every number.
const FIRST: &str = "0";

/// The change feeds of all tenants.
#[derive(Clone, Debug)]
pub struct ChangeFeed {
    pub(crate) table: Table,
}

/// Some changes, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPage {
    /// The changes.
    pub changes: Vec<PlacedChange>,
    /// Where to go on. Beyond the last change, if changes of other connections follow it.
    pub position: FeedPosition,
    /// Whether there is more already.
    pub more: bool,
}

impl FeedPage {
    /// The customers that changed. Several changes of a customer are one, at the place of the first, for its record is
    /// told as it is now.
    pub fn customers(&self) -> Vec<ChangedCustomer> {
        let mut customers: Vec<ChangedCustomer> = Vec::new();
        let mut known: BTreeMap<&CustomerId, usize> = BTreeMap::new();
        for (place, PlacedChange { change, .. }) in self.changes.iter().enumerate() {
            let number = *known.entry(&change.id).or_insert(customers.len());
            if number == customers.len() {
                customers.push(ChangedCustomer { place, last: place, is_new: false });
            }
            customers[number].last = place;
            customers[number].is_new |= change.action != ChangeAction::Updated;
        }
        customers
    }
}

/// A customer that changed, once or several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangedCustomer {
    /// The place of its first change in the page.
    pub place: usize,
    /// The place of its last one.
    pub last: usize,
    /// Whether a reader that was told all of them knows it as somebody who was not there in between.
    pub is_new: bool,
}

/// A change, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedChange {
    /// The change.
    pub change: FeedChange,
    /// When it was appended.
    pub at: Timestamp,
    /// Where a reader stands that has read it.
    pub position: FeedPosition,
}

impl PlacedChange {
    /// Whether a reader that stands at `position` has read it.
    pub fn is_before(&self, position: &FeedPosition) -> bool {
        let lane = lane_of(&self.change.id);
        let [own, other] = [self.position, *position].map(|position| position.0[lane]);
        (own.read, own.taken) <= (other.read, other.taken)
    }
}

/// A feed could not be read.
#[derive(Debug, Error)]
pub enum FeedError {
    /// What follows the position is not kept any more, or the table was restored.
    #[error("what follows this position is not kept any more")]
    Gone,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ChangeFeed {
    /// How long a change is kept.
    pub const KEPT: Duration = Duration::from_secs(90 * 86_400);

    /// Appends changes of a tenant's customers. Those of one customer stay in their order. If it fails, some of them
    /// may have been appended: append all of them again.
    ///
    /// # Errors
    /// If the store fails, or the deadline comes first.
    pub async fn append(&self, tenant: &str, changes: &[FeedChange], deadline: Timestamp) -> Result<(), StoreError> {
        let mut by_lane: BTreeMap<usize, Vec<&FeedChange>> = BTreeMap::new();
        for change in changes {
            by_lane.entry(lane_of(&change.id)).or_default().push(change);
        }
        let appends = by_lane.into_iter().map(|(lane, changes)| async move {
            for part in parts(&changes) {
                self.append_segment(&log(tenant, lane), part, deadline).await?;
            }
            Ok(())
        });
        futures::future::try_join_all(appends).await.map(|_| ())
    }

    /// Puts one segment after the last one of a lane.
    async fn append_segment(&self, log: &str, lines: Lines, deadline: Timestamp) -> Result<(), StoreError> {
        // 0 says that a tag is not known.
        let tag = self.table.random.below(u64::from(u32::MAX)) + 1;
        let (name, changes) = lines.attribute();
        loop {
            let number_of_it = self.next_number(log).await?;
            let now = self.table.clock.now();
            let put = self
                .table
                .put_request(key(log, &entry(number_of_it)))
                .item("at", time(now))
                .item("tag", number(tag))
                .item("count", number(lines.count))
                .item(name, bytes(&changes))
                .item("expires", number((now + Self::KEPT).as_second()))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let put = match PlantedFault::OverwritesSegments.is_planted() {
                true => put,
                false => put.condition_expression("attribute_not_exists(entry)"),
            };
            let Err(Refused(item)) = self.table.write(Some(deadline), put).await? else { return Ok(()) };
            // It is our own, if the answer to an earlier attempt was lost.
            if item.is_some_and(|item| item.get("tag") == Some(&number(tag))) {
                return Ok(());
            }
            if self.table.clock.now() >= deadline {
                return Err(StoreError::Deadline { operation: "PutItem" });
            }
        }
    }

    /// The number that follows the last segment of a lane.
    async fn next_number(&self, log: &str) -> Result<u64, StoreError> {
        match self.last_segment(log).await? {
            Some(item) if Read::new("segment", &item).number::<i64>("expires")? > self.expired() => {
                Ok(number_of(&item)? + 1)
            }
            _ => Ok(self.start(log).await? + 1),
        }
    }

    /// Whether a lane has no segment of such a number, and never had: it was begun anew, or restored.
    async fn ends_before(&self, log: &str, number: u64) -> Result<bool, StoreError> {
        match self.last_segment(log).await? {
            Some(item) => Ok(number_of(&item)? < number),
            // All have expired, if it goes on where they ended.
            None => Ok(self.stored_start(log).await?.is_none_or(|(after, _)| after > number)),
        }
    }

    /// What expires by then counts as expired; in seconds.
    fn expired(&self) -> i64 {
        (self.table.clock.now() + MARGIN).as_second()
    }

    /// After which number a lane goes on that has no segment, or expired ones alone.
    async fn start(&self, log: &str) -> Result<u64, StoreError> {
        loop {
            let now = self.table.clock.now();
            let stored = self.stored_start(log).await?;
            let update = self
                .table
                .update_request(key(log, START))
                .update_expression("SET after_number = :after, #at = :at")
                .expression_attribute_names("#at", "at")
                .expression_attribute_values(":at", time(now));
            let after = starts_after(stored, now);
            let update = match stored {
                Some((before, _)) if before == after => return Ok(after),
                Some((before, _)) => update
                    .condition_expression("after_number = :before")
                    .expression_attribute_values(":before", number(before)),
                None => update.condition_expression("attribute_not_exists(entry)"),
            };
            let update = update.expression_attribute_values(":after", number(after));
            if self.table.is_done(update).await? {
                return Ok(after);
            }
        }
    }

    /// After which number a lane began, and when.
    async fn stored_start(&self, log: &str) -> Result<Option<(u64, Timestamp)>, StoreError> {
        let start = self.table.get_key(key(log, START)).await?.map(|item| {
            let read = Read::new(START, &item);
            Ok::<_, StoreError>((read.number("after_number")?, read.time("at")?))
        });
        start.transpose()
    }

    /// Reads up to `limit` changes from a position on, of which `wanted` says that they are wanted. They come in the
    /// order in which they were appended, as far as the clocks of those who appended agree; those of one customer
    /// always.
    ///
    /// # Errors
    /// [`FeedError::Gone`] if what follows the position is not kept any more. If the store can't be read.
    pub async fn read(
        &self,
        tenant: &str,
        position: &FeedPosition,
        limit: usize,
        wanted: impl Fn(&PlacedChange) -> bool,
    ) -> Result<FeedPage, FeedError> {
        let mut lanes = Vec::with_capacity(LANES);
        for (lane, position) in position.0.into_iter().enumerate() {
            lanes.push(LaneReader { log: log(tenant, lane), position, segments: VecDeque::new(), has_more: true });
        }
        futures::future::try_join_all(lanes.iter_mut().map(|lane| lane.fill(self))).await?;
        let mut page = FeedPage { changes: Vec::new(), position: *position, more: false };
        let mut segments = 0;
        while page.changes.len() < limit && segments < MOST_SEGMENTS {
            // The lane whose next segment is the oldest.
            let next = (0..LANES).filter_map(|lane| Some((lanes[lane].segments.front()?.at, lane))).min();
            let Some((at, lane)) = next else { break };
            let reader = &mut lanes[lane];
            let taken = reader.position.taken as usize;
            let Some(segment) = reader.segments.front() else { break };
            let mut is_done = true;
            for (place, change) in segment.changes.iter().enumerate().skip(taken) {
                if page.changes.len() == limit {
                    is_done = false;
                    break;
                }
                page.position.0[lane] = after(segment, place + 1);
                let placed = PlacedChange { change: change.clone(), at, position: page.position };
                if wanted(&placed) {
                    page.changes.push(placed);
                }
            }
            reader.position = page.position.0[lane];
            if is_done {
                segments += 1;
                reader.segments.pop_front();
                if reader.segments.is_empty() {
                    reader.fill(self).await?;
                }
            }
        }
        page.more = lanes.iter().any(|lane| !lane.segments.is_empty());
        Ok(page)
    }

    /// The position before the oldest change that is kept.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn oldest(&self, tenant: &str) -> Result<FeedPosition, StoreError> {
        let lanes = (0..LANES).map(|lane| self.oldest_of_lane(log(tenant, lane)));
        Ok(of_lanes(futures::future::try_join_all(lanes).await?))
    }

    /// The position before the first segment that has not expired; without one, before the first that will be.
    async fn oldest_of_lane(&self, log: String) -> Result<LanePosition, StoreError> {
        let read = loop {
            let expired = self.expired();
            let kept = self
                .segments(&log, FIRST)
                .filter_expression("expires > :expired")
                .expression_attribute_values(":expired", number(expired))
                .projection_expression("entry");
            let mut pages = self.table.pages(kept);
            let mut first = None;
            while first.is_none()
                && let Some(page) = pages.next().await?
            {
                first = page.first().map(number_of).transpose()?;
            }
            if let Some(first) = first {
                break first.saturating_sub(1);
            }
            match self.last_segment(&log).await? {
                // It was appended meanwhile.
                Some(last) if Read::new("segment", &last).number::<i64>("expires")? > expired => {}
                // Those that have expired are removed one by one, and in any order.
                _ => break starts_after(self.stored_start(&log).await?, self.table.clock.now()),
            }
        };
        Ok(LanePosition { read, ..LanePosition::default() })
    }

    /// The position after all changes but those of about the last `overlap`, or of a little more.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn latest(&self, tenant: &str, overlap: Duration) -> Result<FeedPosition, StoreError> {
        let lanes = (0..LANES).map(|lane| self.latest_of_lane(log(tenant, lane), overlap));
        Ok(of_lanes(futures::future::try_join_all(lanes).await?))
    }

    async fn latest_of_lane(&self, log: String, overlap: Duration) -> Result<LanePosition, StoreError> {
        let until = self.table.clock.now() - overlap;
        let last = match self.last_segment(&log).await? {
            Some(last) if Read::new("segment", &last).number::<i64>("expires")? > self.expired() => last,
            _ => return self.oldest_of_lane(log).await,
        };
        let last_number = number_of(&last)?;
        let (mut segment, mut back) = (Some(last), 1);
        while let Some(item) = segment {
            if Read::new("segment", &item).time("at")? < until {
                let tag = Read::new("segment", &item).number("tag")?;
                return Ok(LanePosition { read: number_of(&item)?, taken: 0, tag });
            }
            let earlier = last_number.saturating_sub(back);
            back *= 2;
            segment = self.table.get_key(key(&log, &entry(earlier))).await?;
        }
        self.oldest_of_lane(log).await
    }

    /// The last segment of a lane without its changes, expired or not.
    async fn last_segment(&self, log: &str) -> Result<Option<Item>, StoreError> {
        let last = self.segments(log, FIRST).scan_index_forward(false).limit(1);
        let last = last.projection_expression("entry, expires, #at, tag").expression_attribute_names("#at", "at");
        Ok(self.table.send(last).await?.items.unwrap_or_default().pop())
    }

    /// The segments of a lane from an entry on.
    fn segments(&self, log: &str, from: &str) -> QueryFluentBuilder {
        self.table
            .query("#log = :log AND entry >= :from")
            .expression_attribute_names("#log", "log")
            .expression_attribute_values(":log", text(log))
            .expression_attribute_values(":from", text(from))
    }
}

/// After which number a lane goes on of which nothing is kept, with this start.
fn starts_after(stored: Option<(u64, Timestamp)>, now: Timestamp) -> u64 {
    match stored {
        Some((after, at)) if now < at + STARTS_ANEW_AFTER => after,
        Some((after, _)) => after + FAR,
        None => 0,
    }
}

fn of_lanes(lanes: Vec<LanePosition>) -> FeedPosition {
    let mut position = FeedPosition::default();
    for (place, lane) in position.0.iter_mut().zip(lanes) {
        *place = lane;
    }
    position
}

/// One lane, as it is read.
struct LaneReader {
    log: String,
    position: LanePosition,
    /// Those that come next.
    segments: VecDeque<Segment>,
    /// Whether more may follow them.
    has_more: bool,
}

impl LaneReader {
    /// Reads the next segments, if there are any.
    async fn fill(&mut self, feed: &ChangeFeed) -> Result<(), FeedError> {
        if !self.has_more {
            return Ok(());
        }
        let LanePosition { read, taken, tag } = self.position;
        // The segment that was read last, too: to see that it is the same one.
        let knows_last = taken == 0 && tag != 0;
        let from = if knows_last { read } else { read + 1 };
        let query = feed.segments(&self.log, &entry(from)).limit(SEGMENTS_AT_ONCE);
        let page = feed.table.send(query).await?;
        self.has_more = page.last_evaluated_key.is_some();
        let is_lost = tag != 0 && page.items().is_empty() && !self.has_more && self.segments.is_empty();
        if is_lost && feed.ends_before(&self.log, read).await? {
            return Err(FeedError::Gone);
        }
        let mut next = read + 1;
        for item in page.items() {
            let segment = Segment::of(item)?;
            let is_the_same = if segment.number == next {
                taken == 0 || next > read + 1 || segment.tag == tag
            } else {
                knows_last && segment.number == read && next == read + 1 && segment.tag == tag
            };
            if !is_the_same {
                return Err(FeedError::Gone);
            }
            if segment.number == next {
                next += 1;
                self.segments.push_back(segment);
            }
        }
        Ok(())
    }
}

/// The key of an item of the feed table.
pub(crate) fn key(log: &str, entry: &str) -> Item {
    item([("log", text(log)), ("entry", text(entry))])
}

fn log(tenant: &str, lane: usize) -> String {
    format!("{tenant}/changes/{lane}")
}
