//! The times of a site: its own local times without a zone, and their instants.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

/// No clock was ever set back by more than this, across the date line included.
const LONGEST_STEP_BACK: SignedDuration = SignedDuration::from_hours(48);

/// A name that is not in the IANA time zone database.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name:?} is not a time zone of the IANA database, such as \"Australia/Sydney\"")]
pub struct UnknownZone {
    /// The name as it was given.
    pub name: String,
}

/// The time zone of an IANA name, such as `Australia/Sydney`, in any case. The database is part of the program, so that
/// a name means the same wherever it runs.
///
/// # Errors
/// If the database has no such zone.
pub fn site_zone(name: &str) -> Result<TimeZone, UnknownZone> {
    let zone = TimeZoneDatabase::bundled().get(name).ok();
    zone.filter(|zone| !zone.is_unknown()).ok_or_else(|| UnknownZone { name: name.to_owned() })
}

/// The instant at which the clocks of `zone` show `local`. `not_after` is when the listing began that returned `local`.
///
/// When clocks are changed, a local time may not be one instant:
/// - One that does **not exist**, because clocks went forward over it, is moved forward by the same amount.
/// - One that exists **twice**, because clocks were set back over it, is the later of the two if that is not after
///   `not_after`, and otherwise the earlier. An edit in the second pass of the hour must be newer than one seen in the
///   first, or it would be taken for stale. And what a listing returned can't have happened after it began: so an edit
///   in the first pass, seen in the first pass, is not newer than one that is still to come in the second.
///
/// An instant beyond the range of [`Timestamp`] becomes the nearest within it.
pub fn instant_of(local: DateTime, zone: &TimeZone, not_after: Timestamp) -> Timestamp {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let instant = match ambiguous.offset() {
        AmbiguousOffset::Fold { after, .. } if after.to_timestamp(local).is_ok_and(|later| later <= not_after) => {
            ambiguous.later()
        }
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } | AmbiguousOffset::Fold { .. } => {
            ambiguous.compatible()
        }
    };
    instant.unwrap_or(if local.year() > 0 { Timestamp::MAX } else { Timestamp::MIN })
}

/// The smallest local time that the clocks of `zone` show at `instant` or ever after: what they show at `instant`, or
/// right after they are next set back, if that is less.
///
/// The source compares local times. A listing from this one on misses no edit that is made after `instant`, not even
/// one in the hour that comes a second time; a listing from the clocks' time at `instant` could.
pub fn earliest_local_at_or_after(instant: Timestamp, zone: &TimeZone) -> DateTime {
    let now = zone.to_datetime(instant);
    // A change that is further off than the longest step back can't lead back to before now.
    let end = instant.saturating_add(LONGEST_STEP_BACK).unwrap_or(Timestamp::MAX);
    zone.following(instant)
        .take_while(|change| change.timestamp() <= end)
        .map(|change| change.offset().to_datetime(change.timestamp()))
        .fold(now, DateTime::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        site_zone(name).unwrap()
    }

    fn local(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// A zone, the local hour that comes twice in it, and the instants of its half in the first and the second pass.
    const SET_BACK: [(&str, &str, &str, &str); 3] = [
        ("Australia/Sydney", "2026-04-05T02:30:00", "2026-04-04T15:30:00Z", "2026-04-04T16:30:00Z"),
        ("America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"),
        ("Europe/London", "2026-10-25T01:30:00", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),
    ];

    #[test]
    fn a_local_time_that_exists_once_is_that_instant() {
        let far_off = at("2030-01-01T00:00:00Z");
        for (name, time, expected) in [
            ("Australia/Sydney", "2026-01-15T12:00:00", "2026-01-15T01:00:00Z"),
            ("Australia/Sydney", "2026-07-15T12:00:00", "2026-07-15T02:00:00Z"),
            ("America/New_York", "2026-01-15T12:00:00", "2026-01-15T17:00:00Z"),
            ("America/New_York", "2026-07-15T12:00:00", "2026-07-15T16:00:00Z"),
            ("Europe/London", "2026-01-15T12:00:00.25", "2026-01-15T12:00:00.25Z"),
            ("Europe/London", "2026-07-15T12:00:00", "2026-07-15T11:00:00Z"),
        ] {
            assert_eq!(instant_of(local(time), &zone(name), far_off), at(expected), "{name} {time}");
            assert_eq!(instant_of(local(time), &zone(name), Timestamp::MIN), at(expected), "{name} {time}");
        }
    }

    #[test]
    fn a_local_time_that_does_not_exist_is_moved_forward_by_what_clocks_went_forward() {
        for (name, time, expected) in [
            ("Australia/Sydney", "2026-10-04T02:30:00", "2026-10-04T03:30:00"),
            ("America/New_York", "2026-03-08T02:00:00", "2026-03-08T03:00:00"),
            ("Europe/London", "2026-03-29T01:59:59", "2026-03-29T02:59:59"),
        ] {
            let zone = zone(name);
            let instant = instant_of(local(time), &zone, Timestamp::MIN);
            assert_eq!(zone.to_datetime(instant), local(expected), "{name}");
        }
    }

    #[test]
    fn a_local_time_that_exists_twice_is_the_later_one_unless_that_is_still_to_come() {
        for (name, time, first, second) in SET_BACK {
            let (zone, time, first, second) = (zone(name), local(time), at(first), at(second));
            let minute = SignedDuration::from_mins(1);
            for (listing_began, expected) in [
                (second + minute, second),
                (second, second),
                (second - minute, first),
                (first, first),
                // The source's clock is ahead of ours.
                (first - minute, first),
            ] {
                assert_eq!(instant_of(time, &zone, listing_began), expected, "{name}, listed at {listing_began}");
            }
        }
    }

    #[test]
    fn both_ends_of_the_hour_that_comes_twice_are_told_right() {
        let sydney = zone("Australia/Sydney");
        let after = at("2026-04-05T00:00:00Z");
        assert_eq!(instant_of(local("2026-04-05T01:59:59"), &sydney, after), at("2026-04-04T14:59:59Z"));
        assert_eq!(instant_of(local("2026-04-05T02:00:00"), &sydney, after), at("2026-04-04T16:00:00Z"));
        assert_eq!(instant_of(local("2026-04-05T02:59:59"), &sydney, after), at("2026-04-04T16:59:59Z"));
        assert_eq!(instant_of(local("2026-04-05T03:00:00"), &sydney, after), at("2026-04-04T17:00:00Z"));
    }

    #[test]
    fn an_edit_in_the_second_pass_is_newer_than_one_that_was_seen_in_the_first() {
        let sydney = zone("Australia/Sydney");
        let seen_first = instant_of(local("2026-04-05T02:50:00"), &sydney, at("2026-04-04T15:55:00Z"));
        let seen_later = instant_of(local("2026-04-05T02:10:00"), &sydney, at("2026-04-04T16:15:00Z"));
        assert!(seen_later > seen_first);
    }

    #[test]
    fn a_local_time_beyond_every_instant_becomes_the_nearest() {
        let new_york = zone("America/New_York");
        assert_eq!(instant_of(DateTime::MAX, &new_york, Timestamp::MAX), Timestamp::MAX);
        assert_eq!(instant_of(DateTime::MIN, &new_york, Timestamp::MAX), Timestamp::MIN);
    }

    #[test]
    fn the_earliest_local_time_is_what_the_clocks_show_unless_they_are_about_to_be_set_back() {
        for (name, instant, expected) in [
            ("Australia/Sydney", "2026-01-15T01:00:00Z", "2026-01-15T12:00:00"),
            // An hour and a minute before clocks are set back to 02:00: nothing can be earlier than now.
            ("Australia/Sydney", "2026-04-04T14:59:00Z", "2026-04-05T01:59:00"),
            // Within the first pass of the hour.
            ("Australia/Sydney", "2026-04-04T15:00:00Z", "2026-04-05T02:00:00"),
            ("Australia/Sydney", "2026-04-04T15:30:00Z", "2026-04-05T02:00:00"),
            ("Australia/Sydney", "2026-04-04T15:59:59.999Z", "2026-04-05T02:00:00"),
            // Within the second.
            ("Australia/Sydney", "2026-04-04T16:00:00Z", "2026-04-05T02:00:00"),
            ("Australia/Sydney", "2026-04-04T16:30:00Z", "2026-04-05T02:30:00"),
            // Clocks going forward lead to nothing earlier.
            ("Australia/Sydney", "2026-10-03T15:30:00Z", "2026-10-04T01:30:00"),
            ("America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T01:00:00"),
            ("America/New_York", "2026-11-01T06:30:00Z", "2026-11-01T01:30:00"),
            ("America/New_York", "2026-03-08T06:30:00Z", "2026-03-08T01:30:00"),
            ("Europe/London", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00"),
            ("Europe/London", "2026-10-25T01:30:00Z", "2026-10-25T01:30:00"),
            ("Europe/London", "2026-03-29T00:30:00Z", "2026-03-29T00:30:00"),
            ("UTC", "2026-10-25T00:30:00Z", "2026-10-25T00:30:00"),
            // Far beyond what the database lists one by one.
            ("America/New_York", "2090-11-05T05:30:00Z", "2090-11-05T01:00:00"),
        ] {
            assert_eq!(earliest_local_at_or_after(at(instant), &zone(name)), local(expected), "{name} {instant}");
        }
    }

    #[test]
    fn the_earliest_local_time_is_never_after_one_that_follows() {
        for (name, time, _, _) in SET_BACK {
            let zone = zone(name);
            let middle = instant_of(local(time), &zone, Timestamp::MIN);
            let quarters =
                |from: i64, to: i64| (from..to).map(|quarter| middle + SignedDuration::from_mins(15 * quarter));
            for instant in quarters(-12, 12) {
                let earliest = earliest_local_at_or_after(instant, &zone);
                let shown: Vec<DateTime> =
                    quarters(-12, 24).filter(|later| *later >= instant).map(|later| zone.to_datetime(later)).collect();
                assert!(shown.iter().all(|shown| earliest <= *shown), "{name} {instant}");
            }
        }
    }

    #[test]
    fn at_the_ends_of_time_there_is_an_earliest_local_time_too() {
        let sydney = zone("Australia/Sydney");
        assert!(earliest_local_at_or_after(Timestamp::MAX, &sydney).year() == 9999);
        assert!(earliest_local_at_or_after(Timestamp::MIN, &sydney).year() == -9999);
    }

    #[test]
    fn a_zone_is_known_by_its_iana_name_and_by_nothing_else() {
        for name in ["Australia/Sydney", "america/new_york", "UTC", "Etc/GMT+5"] {
            assert!(site_zone(name).is_ok(), "{name}");
        }
        for name in ["", "Sydney", "AEST", "UTC+10", "Mars/Olympus", "Etc/Unknown", "EST5EDT,M3.2.0,M11.1.0", "../etc"]
        {
            let error = site_zone(name).unwrap_err().to_string();
            assert!(error.contains(&format!("{name:?}")) && error.contains("IANA"), "{error}");
        }
    }
}
