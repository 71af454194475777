//! The change feed: what one of its changes says, and where a reader stands in it.
//!
//! The feed of a tenant has [`LANES`] lanes. Every change of one customer stands in the same lane, so a reader that
//! takes each lane in its order sees each customer's changes in their order. A lane is a log of segments, numbered
//! without gaps; a segment holds some changes.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{ContentHash, CustomerId};

/// How many lanes the feed of a tenant has. It is part of every cursor: it can't be changed.
pub const LANES: usize = 4;

/// What became of a customer: `added` if it was not there before, or was deleted; `updated`; `deleted` if it is a
/// tombstone now, or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeAction {
    /// It was not there before, or was deleted.
    Added,
    /// It was there before.
    Updated,
    /// It is a tombstone now, or its record is gone.
    Deleted,
}

impl ChangeAction {
    /// What changes of a customer come to, seen from whether it `lives` now. It `is_new` to a reader that was told that
    /// it was added or deleted: it was not there before, or was deleted in between and is back.
    pub const fn seen_now(lives: bool, is_new: bool) -> Self {
        match (lives, is_new) {
            (false, _) => Self::Deleted,
            (true, true) => Self::Added,
            (true, false) => Self::Updated,
        }
    }

    /// Its name on every surface.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

/// One change of one customer. It holds no personal data: a reader looks at the customer's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedChange {
    /// The customer.
    pub id: CustomerId,
    /// What became of it.
    pub action: ChangeAction,
    /// The revision of the record that the change made; of a record that was removed, its last one.
    pub revision: u64,
}

/// The lane that every change of a customer stands in.
pub fn lane_of(id: &CustomerId) -> usize {
    usize::from(ContentHash::of(&id.to_string()).as_bytes()[0]) % LANES
}

/// How far a lane was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LanePosition {
    /// Up to and with the segment of this number, all was read.
    pub read: u64,
    /// How many changes of the next segment were read already.
    pub taken: u32,
    /// The tag of the last segment of which something was read; 0 if it is not known. The feed of a table that was
    /// restored has other segments under the same numbers, with other tags.
    pub tag: u32,
}

/// How far a tenant's feed was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedPosition(pub [LanePosition; LANES]);

/// The first byte of a cursor.
const FORM: u8 = 1;

impl FeedPosition {
    /// The earlier of two positions, lane by lane.
    #[must_use]
    pub fn earlier(mut self, other: &Self) -> Self {
        for (lane, other) in self.0.iter_mut().zip(&other.0) {
            if (other.read, other.taken) < (lane.read, lane.taken) {
                *lane = *other;
            }
        }
        self
    }

    /// The position as bytes, which say for which tenant it is.
    pub fn to_bytes(&self, tenant: &str) -> Vec<u8> {
        let mut bytes = vec![FORM];
        bytes.extend(mark_of(tenant));
        for LanePosition { read, taken, tag } in self.0 {
            put_number(&mut bytes, read);
            put_number(&mut bytes, taken.into());
            bytes.extend(tag.to_be_bytes());
        }
        bytes
    }

    /// The position that bytes stand for; `None` if they are not of this tenant's feed.
    pub fn of_bytes(bytes: &[u8], tenant: &str) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&[FORM])?.strip_prefix(&mark_of(tenant))?;
        let mut lanes = [LanePosition::default(); LANES];
        for lane in &mut lanes {
            let read = take_number(&mut rest)?;
            let taken = take_number(&mut rest)?.try_into().ok()?;
            let (tag, others) = rest.split_first_chunk()?;
            rest = others;
            *lane = LanePosition { read, taken, tag: u32::from_be_bytes(*tag) };
        }
        rest.is_empty().then_some(Self(lanes))
    }
}

/// What tells the cursors of two tenants apart.
fn mark_of(tenant: &str) -> [u8; 4] {
    std::array::from_fn(|place| ContentHash::of(tenant).as_bytes()[place])
}

/// Seven bits a byte, the low ones first; the highest bit says that more follow.
fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> FeedPosition {
        let lane = |read, taken, tag| LanePosition { read, taken, tag };
        FeedPosition([lane(0, 0, 0), lane(1, 127, 1), lane(300, 128, u32::MAX), lane(u64::MAX >> 1, u32::MAX, 7)])
    }

    #[test]
    fn an_action_has_its_name_in_json_too() {
        for action in [ChangeAction::Added, ChangeAction::Updated, ChangeAction::Deleted] {
            assert_eq!(serde_json::to_value(action).unwrap(), action.name());
        }
    }

    #[test]
    fn a_position_survives_its_bytes() {
        assert_eq!(FeedPosition::of_bytes(&position().to_bytes("acme"), "acme"), Some(position()));
    }

    #[test]
    fn bytes_of_another_tenant_or_of_no_position_are_none() {
        let bytes = position().to_bytes("acme");
        assert_eq!(FeedPosition::of_bytes(&bytes, "globex"), None);
        for length in 0..bytes.len() {
            assert_eq!(FeedPosition::of_bytes(&bytes[..length], "acme"), None, "{length}");
        }
        assert_eq!(FeedPosition::of_bytes(&[bytes, vec![0]].concat(), "acme"), None);
        assert_eq!(
            FeedPosition::of_bytes(&[vec![FORM], mark_of("acme").to_vec(), vec![0xff; 99]].concat(), "acme"),
            None
        );
    }

    #[test]
    fn every_lane_gets_customers() {
        let id = |number: u32| CustomerId { connection: "aa".to_owned(), source_id: number.to_string() };
        let mut counts = [0; LANES];
        (0..400).for_each(|number| counts[lane_of(&id(number))] += 1);
        assert!(counts.iter().all(|count| *count > 60), "{counts:?}");
    }
}
