//! Which of the senders' names of a record are shown. Each of them has an item of its own that finds the record, so
//! what is not shown is not lost. If all were shown, a record that gets new names for ever would grow for ever.

use std::collections::HashSet;

use crate::ExternalKey;

/// How many of a record's keys are shown at the most, unless there are more clubs that have one.
pub const MOST_KEYS: usize = 100;

/// The keys that a record shows once it is also called `key`, in the order in which they came, in at most `most_bytes`
/// of text.
///
/// The very first key is always among them, and after it the first one of every club, for a club is shown the record by
/// it; of the rest, the latest. A key that `is_new` takes the place of an older one. One that was known before and is
/// not shown does not come back: two of them would alternate with every push.
pub fn shown_keys(known_as: &[ExternalKey], key: &ExternalKey, is_new: bool, most_bytes: usize) -> Vec<ExternalKey> {
    let is_shown = known_as.contains(key);
    let keys: Vec<&ExternalKey> = known_as.iter().chain((!is_shown).then_some(key)).collect();
    let mut clubs = HashSet::new();
    let mut ranked: Vec<(Rank, usize)> = Vec::with_capacity(keys.len());
    for (position, shown) in keys.iter().enumerate() {
        let is_first_of_club = clubs.insert(&shown.club_id);
        let age = keys.len() - position;
        let rank = match () {
            () if position == 0 => Rank::First,
            () if is_first_of_club => Rank::FirstOfClub,
            () if *shown == key && is_new => Rank::Other(0),
            () if *shown == key && !is_shown => Rank::IfThereIsRoom,
            () => Rank::Other(age),
        };
        ranked.push((rank, position));
    }
    ranked.sort_unstable();
    let (mut chosen, mut bytes) = (Vec::new(), 0);
    for (rank, position) in ranked {
        let size = bytes_of(keys[position]);
        let is_too_much = rank > Rank::FirstOfClub && chosen.len() >= MOST_KEYS;
        if rank != Rank::First && (is_too_much || bytes + size > most_bytes) {
            continue;
        }
        bytes += size;
        chosen.push(position);
    }
    chosen.sort_unstable();
    chosen.into_iter().map(|position| keys[position].clone()).collect()
}

/// Which key is shown before which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The key that the record was made for.
    First,
    /// The first key of a club.
    FirstOfClub,
    /// Any other: the lower, the later it came.
    Other(usize),
    /// A key that was known and not shown.
    IfThereIsRoom,
}

/// The bytes that a key takes in a document, if no character of it is escaped.
fn bytes_of(key: &ExternalKey) -> usize {
    const NAMES: usize = r#"{"identifier":"","client_id":"","club_id":"","record_id":""},"#.len();
    NAMES + key.identifier.len() + key.client_id.len() + key.club_id.len() + key.record_id.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: usize = 1024 * 1024;

    fn key(club_id: &str, record_id: &str) -> ExternalKey {
        ExternalKey {
            identifier: "INTOUCH".into(),
            client_id: "c-1".into(),
            club_id: club_id.into(),
            record_id: record_id.into(),
        }
    }

    /// The keys shown of a record that was called `s-0`, `s-1` and so on, in turn.
    fn called(times: usize) -> Vec<ExternalKey> {
        (0..times)
            .fold(Vec::new(), |shown, number| shown_keys(&shown, &key("k-1", &format!("s-{number}")), true, PLENTY))
    }

    #[test]
    fn a_few_keys_are_all_shown_in_the_order_in_which_they_came() {
        let ids: Vec<String> = called(5).into_iter().map(|key| key.record_id).collect();
        assert_eq!(ids, ["s-0", "s-1", "s-2", "s-3", "s-4"]);
    }

    #[test]
    fn of_many_the_first_and_those_that_came_last_are_shown() {
        let shown = called(3_000);
        assert_eq!(shown.len(), MOST_KEYS);
        assert_eq!((shown[0].record_id.as_str(), shown[1].record_id.as_str()), ("s-0", "s-2901"));
        assert_eq!(shown[MOST_KEYS - 1].record_id, "s-2999");
    }

    #[test]
    fn what_a_club_calls_a_record_is_shown_for_ever() {
        let mut shown = vec![key("k-1", "first"), key("k-2", "theirs")];
        for number in 0..500 {
            shown = shown_keys(&shown, &key("k-1", &format!("s-{number}")), true, PLENTY);
        }
        assert_eq!((shown.len(), &shown[1]), (MOST_KEYS, &key("k-2", "theirs")));
        // A club that sees it for the first time under a key that was known before is shown it, too.
        let shown = shown_keys(&shown, &key("k-3", "old"), false, PLENTY);
        assert!(shown.contains(&key("k-3", "old")));
    }

    #[test]
    fn a_key_that_is_known_and_not_shown_changes_nothing() {
        let shown = called(200);
        assert_eq!(shown_keys(&shown, &key("k-1", "s-7"), false, PLENTY), shown);
        assert_eq!(shown_keys(&shown, &key("k-1", "s-199"), true, PLENTY), shown);
        let few = called(3);
        assert_eq!(shown_keys(&few, &key("k-1", "old"), false, PLENTY).len(), 4, "where there is room it is shown");
    }

    #[test]
    fn keys_of_any_length_are_shown_as_far_as_there_is_room() {
        let long = |number: usize| key("k-1", &format!("{number}{}", "x".repeat(1_000)));
        let mut shown = Vec::new();
        for number in 0..50 {
            shown = shown_keys(&shown, &long(number), true, 10_000);
        }
        assert_eq!(shown.len(), 9);
        assert_eq!((&shown[0], &shown[8]), (&long(0), &long(49)));
        let huge = key("k-2", &"x".repeat(50_000));
        assert_eq!(shown_keys(std::slice::from_ref(&huge), &huge, true, 10_000), [huge], "it has at least one");
    }
}
