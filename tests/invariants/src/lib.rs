//! What must hold in every world that a test makes, each as a function of what can be seen: the error says what does
//! not. [`Watch`] looks at every write of a world, be it a story's or a simulated one.

mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use model::{Customer, Status, Version};
use operations::status::{Condition, ConnectionStatus};

pub use watch::{Watch, Watched, contains};

/// How long what a source has said may be under way before it is written, whatever the clock says that numbered it.
const UNDER_WAY: SignedDuration = SignedDuration::from_mins(5);

/// What an invariant says.
pub type Holds = Result<(), String>;

/// How far the number of a batch, which begins with the seconds, may lie ahead of them: clocks differ.
const AHEAD: u64 = 600;

/// Invariant 2: a record's version never goes back.
pub fn version_does_not_go_back(before: Option<&Version>, after: &Version) -> Holds {
    match before {
        Some(before) if before > after => Err(format!("version {} after {}", after.as_str(), before.as_str())),
        _ => Ok(()),
    }
}

/// Invariant 2: no version lies in the future.
pub fn version_is_not_ahead(version: &Version, now: Timestamp) -> Holds {
    let now = u64::try_from(now.as_second()).unwrap_or(0);
    match version.batch() {
        Some(number) if number > now + AHEAD => Err(format!("version {} lies ahead of {now}", version.as_str())),
        _ => Ok(()),
    }
}

/// Invariant 5: only a customer that did not exist at some time is deleted.
pub fn is_deleted_only_if_gone(is_tombstone: bool, was_gone: bool) -> Holds {
    if is_tombstone && !was_gone { Err("deleted, although it always existed".to_owned()) } else { Ok(()) }
}

/// Whether what is written `now` may have been heard before `moment`: its batch was begun before that, or it may still
/// have been under way.
pub fn may_be_from_before(version: &Version, moment: Timestamp, now: Timestamp) -> bool {
    let began = version.batch().and_then(|number| i64::try_from(number).ok());
    began.is_some_and(|began| began < moment.as_second()) || now.duration_since(moment) < UNDER_WAY
}

/// Invariant 9: a lease is taken only from whom it has run out for. Times are milliseconds.
pub fn lease_was_free(is_the_same: bool, held_until: i64, taken_at: i64) -> Holds {
    if is_the_same || held_until <= taken_at {
        Ok(())
    } else {
        Err(format!("a lease that is held until {held_until} was taken at {taken_at}"))
    }
}

/// Invariant 1: a record is what its source says: its name and address, or that it does not exist.
pub fn is_what_the_source_says(stored: Option<&Customer>, name: Option<&str>, email: Option<&str>) -> Holds {
    let live = stored.filter(|customer| customer.content.status != Status::Deleted);
    let told = live.and_then(|customer| customer.content.name.display.as_deref());
    let address =
        |customer: &Customer| customer.content.emails.iter().any(|known| Some(known.address.as_str()) == email);
    match (live, name) {
        (None, None) => Ok(()),
        (None, Some(name)) => Err(format!("the source has {name:?}; stored is {stored:?}")),
        (Some(_), None) => Err(format!("the source does not have it; stored is {stored:?}")),
        (Some(_), Some(name)) if told != Some(name) => Err(format!("the source has {name:?}; stored is {stored:?}")),
        (Some(customer), Some(_)) if email.is_some_and(|email| !email.is_empty()) && !address(customer) => {
            Err(format!("the source has {email:?}; stored is {stored:?}"))
        }
        (Some(_), Some(_)) => Ok(()),
    }
}

/// Invariant 9: everything that was reported is in the shadow, as of a moment ago.
pub fn is_fresh(status: &ConnectionStatus, since: Timestamp) -> Holds {
    let as_of: Option<Timestamp> = status.fresh_as_of.as_ref().and_then(|text| text.parse().ok());
    if status.condition == Condition::InSync && status.batch.is_none() && as_of.is_some_and(|as_of| as_of >= since) {
        Ok(())
    } else {
        Err(format!("{}/{} is not in sync since {since}: {status:?}", status.tenant, status.id))
    }
}

/// Invariant 7: whatever happens to another tenant, what was reported is in the shadow as of [`SHARED`] ago. The world
/// began at `began`.
pub fn keeps_up(status: &ConnectionStatus, began: Timestamp, now: Timestamp) -> Holds {
    let as_of = status.fresh_as_of.as_ref().and_then(|text| text.parse().ok()).unwrap_or(began);
    let behind = now.duration_since(as_of).unsigned_abs();
    if behind <= SHARED {
        Ok(())
    } else {
        Err(format!("{}/{} is {} s behind: {status:?}", status.tenant, status.id, behind.as_secs()))
    }
}

/// Invariant 7: what a tenant is answered is its own.
pub fn is_of_tenant(tenants: &BTreeSet<String>, tenant: &str) -> Holds {
    match tenants.iter().find(|other| *other != tenant) {
        Some(other) => Err(format!("{tenant} sees a customer of {other}")),
        None => Ok(()),
    }
}

/// Invariant 8: a customer that was erased is not brought back.
pub fn stays_away(is_away: bool) -> Holds {
    if is_away { Ok(()) } else { Err("it was erased, and is back".to_owned()) }
}

/// Invariant 10: what a reader hears of a customer never goes back.
pub fn feed_does_not_go_back(before: Option<u64>, revision: u64) -> Holds {
    match before {
        Some(before) if before > revision => Err(format!("revision {revision} is told after {before}")),
        _ => Ok(()),
    }
}

/// Invariant 10: a reader who has followed the feed to its end has every customer as it is stored, by id and revision.
pub fn reader_has_everything(copy: &BTreeMap<String, u64>, stored: &BTreeMap<String, u64>) -> Holds {
    let differs = stored.iter().find(|(id, revision)| copy.get(*id) != Some(revision));
    let (id, has) = match (differs, copy.keys().find(|id| !stored.contains_key(*id))) {
        (Some((id, _)), _) | (None, Some(id)) => (id, copy.get(id)),
        (None, None) => return Ok(()),
    };
    Err(format!("a reader of the feed has {id} as of {has:?}; stored is {:?}", stored.get(id)))
}

/// How far a connection that is well is behind at most, whatever happens to others: its chunk waits for a place until
/// another one is given up (25 s), once more if its customers are told again meanwhile and the purge is refused (twice
/// in 8 s, and a pause of 10 s), and it is asked every 15 s.
pub const SHARED: Duration = Duration::from_secs(90);

/// How long it takes at most until everything is fresh, once nothing goes wrong any more.
pub const RECOVERY: Duration = Duration::from_secs(30 * 60);
