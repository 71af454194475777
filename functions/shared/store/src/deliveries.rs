//! How far each destination has come: the entry `push` of the control table, beside its `poll` (lease, pause,
//! freshness, last error, requests of operators: see [`ConnectionStates`](crate::ConnectionStates)).
//!
//! | attribute | what |
//! |---|---|
//! | `turn` | how often the entry was written: who has not seen the last turn writes nothing |
//! | `position` | how far the change feed was read; what comes before it is at the destination, is a failure record, or was left out on purpose |
//! | `listed_from` | see [`Delivery::listed_from`] |
//! | `document` | the rest of [`Delivery`], as JSON |

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use model::{ChangeAction, ConnectionKey, FeedPosition};
use serde::{Deserialize, Serialize};

use crate::item::{Read, bytes, number, text};
use crate::table::Table;
use crate::{PlacedChange, StoreError};

const PUSH: &str = "push";

/// The progress of destinations, in the control table.
#[derive(Clone, Debug)]
pub struct Deliveries {
    pub(crate) table: Table,
}

/// How far a destination has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivery {
    /// How often this was written.
    turn: u64,
    /// How far the change feed was read; `None` if nothing was begun.
    pub position: Option<FeedPosition>,
    /// Where the feed stood when everybody was begun with the last time, if not for the first time: of what stands
    /// before, the deletions alone are still to be told.
    pub listed_from: Option<FeedPosition>,
    /// The rest.
    pub progress: Progress,
}

/// How far a destination has come, beside the change feed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// The system that was sent to: another one under the same name begins with everybody.
    pub receiver: String,
    /// How often everybody was begun with.
    pub round: u64,
    /// The round in which this system was begun with.
    pub first_round: u64,
    /// How far each connection's customers were listed. One that is not there was not begun.
    pub listed: BTreeMap<String, Listed>,
    /// When everybody was begun with the last time, if not for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began_anew: Option<Timestamp>,
    /// The connections whose listing was begun with: the place in the feed was put back for them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub begun: BTreeSet<String>,
    /// When the end of the feed was reached, to within a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_feed_end: Option<Timestamp>,
    /// How sending what changes goes.
    pub feed: Effort,
    /// How sending everybody goes.
    pub listing: Effort,
    /// How sending failures again goes.
    pub redrives: Effort,
    /// Whether failures are to be sent again, because an operator has asked for it.
    pub has_redrives: bool,
    /// What became of changes so far.
    pub counts: DeliveryCounts,
    /// Some customers that the destination took, the latest first: at most [`Progress::MOST_WITNESSES`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<Witness>,
}

/// What customers are sent for. Each part goes on, or stands, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// They changed.
    Feed,
    /// Everybody is sent.
    Listing,
    /// They were refused, and an operator has asked for them.
    Redrives,
}

/// How sending one part goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Effort {
    /// How many attempts have failed since the destination took somebody.
    pub attempts: u32,
    /// Since when the destination has taken nobody, though it was to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// Before this it is not tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Since when it stands at the same customer, whatever becomes of those after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stands_since: Option<Timestamp>,
    /// Since when the destination takes customers that it did not take just before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsteady_since: Option<Timestamp>,
    /// When a customer was blamed the last time that the destination failed at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
    /// How many customers were blamed since the destination took somebody.
    #[serde(skip_serializing_if = "is_zero")]
    pub blamed: usize,
    /// How many customers are sent at once; `None` if as many as can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_once: Option<usize>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// From one time to another; nothing if it was later.
fn duration(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

impl Part {
    /// In the order in which they take turns. Redrives come last, for they may be refused again: what comes before
    /// shows whether the destination takes anybody.
    pub const ALL: [Self; 3] = [Self::Feed, Self::Listing, Self::Redrives];
}

impl Effort {
    /// How long it is known that the destination fails at some.
    const FAILED_LATELY: Duration = Duration::from_secs(3_600);
    /// By how much less such ones are waited for then.
    const KNOWN_FOR: Duration = Duration::from_secs(240);

    /// An attempt failed at `now`, in which the destination took somebody or nobody. If it may have been too many at
    /// once, half as many are sent from now on.
    pub fn fail(&mut self, now: Timestamp, has_taken: bool, too_many: Option<usize>) {
        if !has_taken {
            self.failing_since.get_or_insert(now);
        }
        self.stands_since.get_or_insert(now);
        self.run_out_of_time(too_many);
    }

    /// Time ran out before one was done with. Half of as many as may have been too many are sent from now on, and no
    /// more than before.
    pub fn run_out_of_time(&mut self, too_many: Option<usize>) {
        self.attempts = self.attempts.saturating_add(1);
        if let Some(count) = too_many {
            let count = self.at_once.map_or(count, |at_once| at_once.min(count));
            self.at_once = Some((count / 2).max(1));
        }
    }

    /// The first customers have come to an end, some of which were `blamed`; without trouble if it `is_well`.
    pub fn come_on(&mut self, blamed: usize, is_well: bool) {
        (self.due_at, self.stands_since) = (None, None);
        self.blamed = self.blamed.saturating_add(blamed);
        if self.blamed == 0 && is_well {
            self.failing_since = None;
        }
    }

    /// The destination took somebody.
    pub fn is_taken(&mut self) {
        (self.attempts, self.blamed, self.failing_since) = (0, 0, None);
    }

    /// Notes whether the destination took one that it had not taken just before, at `now`, or went on without trouble.
    pub fn note_steadiness(&mut self, now: Timestamp, is_unsteady: bool, is_well: bool) {
        if is_unsteady {
            self.unsteady_since.get_or_insert(now);
        } else if is_well {
            self.unsteady_since = None;
        }
    }

    /// For how long it has been standing at the same customer at `now`. For longer, if the destination failed lately at
    /// one that was to blame: there may be more like it.
    pub fn stands_for(&self, now: Timestamp) -> Duration {
        let Some(stands_since) = self.stands_since else { return Duration::ZERO };
        let is_known = self.failed_at.is_some_and(|at| duration(at, now) < Self::FAILED_LATELY);
        duration(stands_since, now) + if is_known { Self::KNOWN_FOR } else { Duration::ZERO }
    }

    /// For how long the destination has been unsteady at `now`, if it is.
    pub fn unsteady_for(&self, now: Timestamp) -> Option<Duration> {
        self.unsteady_since.map(|since| duration(since, now))
    }

    /// Nothing is left to be sent. If the last ones were blamed, and it has been failing since, it goes on failing.
    fn end(&mut self) {
        if self.blamed == 0 || self.failing_since.is_none() {
            (self.attempts, self.failing_since) = (0, None);
        }
        (self.due_at, self.stands_since, self.unsteady_since) = (None, None, None);
    }

    /// As many as were allowed at once were settled: some more are allowed, up to `most`.
    pub fn allow_more(&mut self, most: usize) {
        let more = self.at_once.map(|at_once| at_once + (at_once / 16).max(1));
        self.at_once = more.filter(|at_once| *at_once < most);
    }
}

/// A customer that a destination took: if it is as it was then, and the destination takes it no more, the destination
/// is to blame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// The customer's id.
    pub id: String,
    /// The revision that was taken.
    pub revision: u64,
}

/// How far the customers of a connection were listed for a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listed {
    /// Up to this place: see [`Shadow::page`](crate::Shadow::page).
    UpTo(u8, String),
    /// All of them.
    All,
    /// The destination was sent some, and gets no more of this connection: what is deleted meanwhile it is not told.
    Left,
}

/// What became of the changes that a destination was to get. One that is sent again counts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliveryCounts {
    /// The destination has them.
    pub sent: u64,
    /// It does not take them: there is a failure record.
    pub failed: u64,
    /// They are not for it: what came from it, a copy that we made elsewhere, a deletion that it has no word for.
    pub left_out: u64,
}

impl DeliveryCounts {
    /// All of them.
    pub fn sum(&self) -> u64 {
        self.sent + self.failed + self.left_out
    }
}

impl std::ops::AddAssign for DeliveryCounts {
    fn add_assign(&mut self, more: Self) {
        self.sent += more.sent;
        self.failed += more.failed;
        self.left_out += more.left_out;
    }
}

impl Delivery {
    /// Whether the listing has a customer that changed, if it lives: the change is older than the listing. One that is
    /// dated later is not, wherever it stands: the feed may have been made anew.
    pub fn is_listed(&self, placed: &PlacedChange) -> bool {
        self.listed_from.is_some_and(|position| placed.is_before(&position))
            && self.progress.began_anew.is_some_and(|began| placed.at <= began)
    }

    /// Whether a change is still to be told, as far as that is known without its customer.
    pub fn is_to_be_told(&self, placed: &PlacedChange) -> bool {
        placed.change.action == ChangeAction::Deleted || !self.is_listed(placed)
    }
}

impl Progress {
    /// How many customers are remembered that the destination took.
    pub const MOST_WITNESSES: usize = 3;

    /// How far back the feed begins that follows a listing: the index that is listed by lags behind by milliseconds.
    pub const OVERLAP: Duration = Duration::from_secs(60);

    /// Whether everybody is new to the system.
    pub fn is_first_round(&self) -> bool {
        self.round == self.first_round
    }

    /// On what occasion customers are sent now: in this round, and in no other. Its number comes again once the control
    /// table is restored to an earlier time; so a round is named by when it began, too.
    pub fn occasion(&self) -> String {
        match self.began_anew {
            None => self.round.to_string(),
            Some(began) => format!("{} since {}", self.round, began.as_millisecond()),
        }
    }

    /// How sending a part goes.
    pub fn effort_of(&self, part: Part) -> &Effort {
        match part {
            Part::Feed => &self.feed,
            Part::Listing => &self.listing,
            Part::Redrives => &self.redrives,
        }
    }

    /// The same, to be changed.
    pub fn effort(&mut self, part: Part) -> &mut Effort {
        match part {
            Part::Feed => &mut self.feed,
            Part::Listing => &mut self.listing,
            Part::Redrives => &mut self.redrives,
        }
    }

    fn efforts(&self) -> impl Iterator<Item = &Effort> {
        Part::ALL.into_iter().map(|part| self.effort_of(part))
    }

    /// Since when one of the parts stands.
    pub fn failing_since(&self) -> Option<Timestamp> {
        self.efforts().filter_map(|effort| effort.failing_since).min()
    }

    /// When a part that waits at `now` is tried again.
    pub fn next_attempt_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.efforts().filter_map(|effort| effort.due_at).filter(|due_at| *due_at > now).min()
    }

    /// Nothing is left to be sent: whether that ends an effort that failed, or a wait.
    pub fn all_is_sent(&mut self) -> bool {
        let before = [self.feed.clone(), self.listing.clone(), self.redrives.clone()];
        self.feed.end();
        // They are over.
        (self.listing, self.redrives) = (Effort::default(), Effort::default());
        before != [self.feed.clone(), self.listing.clone(), self.redrives.clone()]
    }

    /// The destination took somebody of a part: others that stand because it took nobody may go on.
    pub fn goes_on_with(&mut self, part: Part) {
        for other in Part::ALL.into_iter().filter(|other| *other != part) {
            let effort = self.effort(other);
            if effort.blamed > 0 {
                *effort = Effort { at_once: effort.at_once, ..Effort::default() };
            }
        }
    }

    /// Another destination takes the place of this one: nothing is known of it.
    pub fn begin_with_another(&mut self) {
        self.witnesses.clear();
        (self.feed, self.listing, self.redrives) = (Effort::default(), Effort::default(), Effort::default());
    }

    /// All parts may go on at once, whatever they were to wait for; whether one was to wait.
    pub fn wait_no_longer(&mut self) -> bool {
        let waited = self.efforts().any(|effort| effort.due_at.is_some());
        for part in Part::ALL {
            self.effort(part).due_at = None;
        }
        waited
    }

    /// Remembers customers that the destination took, the latest first.
    pub fn remember(&mut self, mut taken: Vec<Witness>) {
        self.witnesses.retain(|known| taken.iter().all(|witness| witness.id != known.id));
        taken.append(&mut self.witnesses);
        taken.truncate(Self::MOST_WITNESSES);
        self.witnesses = taken;
    }

    /// The first of these connections of which not all customers were listed.
    pub fn next_to_list(&self, connections: &[String]) -> Option<String> {
        connections.iter().find(|connection| self.listed.get(*connection) != Some(&Listed::All)).cloned()
    }
}

impl Deliveries {
    /// How far a destination has come.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn of(&self, destination: &ConnectionKey) -> Result<Delivery, StoreError> {
        let Some(item) = self.table.get(destination, PUSH).await? else { return Ok(Delivery::default()) };
        let read = Read::new(PUSH, &item);
        let corrupt = |attribute| StoreError::Corrupt { key: PUSH.to_owned(), attribute };
        let position = |attribute| {
            let bytes = read.has(attribute).then(|| read.bytes(attribute)).transpose()?;
            let position = bytes.map(|bytes| FeedPosition::of_bytes(bytes, &destination.tenant));
            position.map(|position| position.ok_or_else(|| corrupt(attribute))).transpose()
        };
        Ok(Delivery {
            turn: read.number("turn")?,
            position: position("position")?,
            listed_from: position("listed_from")?,
            progress: serde_json::from_str(read.text("document")?).map_err(|_| corrupt("document"))?,
        })
    }

    /// The destinations of a tenant that were ever sent anything, registered or not. Reads the whole control table.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn places(&self, tenant: &str) -> Result<BTreeSet<ConnectionKey>, StoreError> {
        self.table.partitions_with(tenant, PUSH).await
    }

    /// Notes how far a destination has come; `false`, and nothing is noted, if another has noted something since
    /// `delivery` was read.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn note(&self, destination: &ConnectionKey, delivery: &mut Delivery) -> Result<bool, StoreError> {
        // Texts, numbers and maps with text keys: JSON can represent all of them.
        #[allow(clippy::expect_used)]
        let document = serde_json::to_string(&delivery.progress).expect("progress is plain data");
        let is_last = if delivery.turn == 0 { "attribute_not_exists(turn)" } else { "turn = :seen" };
        // If an answer was lost and the request was sent again, it finds what it wrote itself.
        let is_own = "turn = :turn AND document = :document AND #position = :position";
        // What has no place yet begins with all of the feed.
        let position = delivery.position.unwrap_or_default().to_bytes(&destination.tenant);
        let set = "SET turn = :turn, document = :document, #position = :position";
        let mut update = self
            .table
            .update(destination, PUSH)
            .update_expression(match delivery.listed_from {
                Some(_) => format!("{set}, listed_from = :listed_from"),
                None => format!("{set} REMOVE listed_from"),
            })
            .condition_expression(format!("{is_last} OR ({is_own})"))
            .expression_attribute_names("#position", "position")
            .expression_attribute_values(":turn", number(delivery.turn + 1))
            .expression_attribute_values(":document", text(document))
            .expression_attribute_values(":position", bytes(&position));
        if let Some(position) = delivery.listed_from {
            let position = position.to_bytes(&destination.tenant);
            update = update.expression_attribute_values(":listed_from", bytes(&position));
        }
        if delivery.turn > 0 {
            update = update.expression_attribute_values(":seen", number(delivery.turn));
        }
        let is_noted = self.table.is_done(update).await?;
        delivery.turn += u64::from(is_noted);
        Ok(is_noted)
    }
}
