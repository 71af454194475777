//! The source's local times as it writes them: `2012-05-01T00:00:00`, without a zone.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, date};

/// What the source writes for a time that is not set.
pub(super) const UNSET: Date = date(1, 1, 1);

/// What the source writes for a time that never comes.
const FOR_EVER: Date = date(9999, 12, 31);

/// A date of birth.
pub(super) enum BirthDate {
    /// Nothing: it is empty, not set, or never comes.
    None,
    /// A day, as `YYYY-MM-DD`.
    Day(String),
    /// A day, and a time of day other than midnight, which has no field.
    DayAndTime(String),
    /// No known form of date.
    Text,
}

/// A local time; `None` if the text is none, or has a zone: then it would not be the site's.
pub(super) fn local_time(text: &str) -> Option<DateTime> {
    let (_, time_of_day) = text.split_once('T')?;
    let is_plain = time_of_day.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
    if is_plain { text.parse().ok() } else { None }
}

/// An instant: a time with a zone that says which one it is, `Z` or an offset.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let (_, time_of_day) = text.split_once('T')?;
    let has_offset = time_of_day.contains(['Z', '+', '-']) && !time_of_day.contains('[');
    if has_offset { text.parse().ok() } else { None }
}

/// Whether a local time means that no time is set.
pub(super) fn is_unset(time: DateTime) -> bool {
    matches!(time.date(), UNSET | FOR_EVER)
}

/// The text as the source writes it; parts of a second are left out.
pub(super) fn written(time: DateTime) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

pub(super) fn birth_date(text: &str) -> BirthDate {
    let Some(time) = local_time(text).or_else(|| day(text)) else {
        return if text.is_empty() { BirthDate::None } else { BirthDate::Text };
    };
    let day = time.date().to_string();
    match time {
        _ if is_unset(time) => BirthDate::None,
        _ if time.time() == Time::midnight() => BirthDate::Day(day),
        _ => BirthDate::DayAndTime(day),
    }
}

/// The beginning of a day that is written without a time.
fn day(text: &str) -> Option<DateTime> {
    // A longer text could hold a time or a zone, which parsing as a date would ignore.
    let is_short = text.len() == "2012-05-01".len();
    if is_short { text.parse().ok().map(Date::into) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_time_reads_back_as_it_was_written() {
        for text in ["2012-05-01T00:00:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59", "2024-02-29T12:30:01"] {
            assert_eq!(written(local_time(text).unwrap()), text);
        }
        assert_eq!(written(local_time("2012-05-01T00:00:59.9999999").unwrap()), "2012-05-01T00:00:59");
    }

    #[test]
    fn a_time_with_an_offset_is_that_instant() {
        for text in ["2012-05-01T00:00:00Z", "2012-05-01T10:00:00+10:00", "2012-04-30T19:00:00-05:00"] {
            assert_eq!(
                instant(text).map(|instant| instant.to_string()).as_deref(),
                Some("2012-05-01T00:00:00Z"),
                "{text}"
            );
        }
        for text in ["", "2012-05-01T00:00:00", "2012-05-01", "2012-05-01T00:00:00+10:00[Australia/Sydney]", "T+Z"] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn what_has_a_zone_or_is_no_time_is_none() {
        for text in [
            "",
            "2012-05-01",
            "2012-05-01T00:00:00Z",
            "2012-05-01T00:00:00+10:00",
            "2012-05-01T00:00:00-05:00",
            "2012-05-01T00:00:00[UTC]",
            "2012-05-01 00:00:00",
            "2012-02-30T00:00:00",
            "2012-05-01T25:00:00",
            "01/05/2012T00:00:00",
            "yesterday",
            "T",
        ] {
            assert_eq!(local_time(text), None, "{text:?}");
        }
    }
}
