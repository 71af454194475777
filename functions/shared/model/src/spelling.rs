//! Ids that a system writes in more than one way: with leading zeros or without, in upper or lower case.

use std::collections::BTreeSet;

/// Whether two ids may be two spellings of one.
pub fn is_spelling_of(id: &str, other: &str) -> bool {
    id == other || fold_id(id) == fold_id(other)
}

/// Ids that `id` may be stored under, if it was taken over in another spelling.
pub fn other_spellings(id: &str) -> BTreeSet<String> {
    let bare = id.trim_start_matches('0');
    let bare = if bare.is_empty() && !id.is_empty() { "0" } else { bare };
    let spellings = [id, bare].into_iter().flat_map(|text| [text.to_owned(), text.to_uppercase(), text.to_lowercase()]);
    spellings.filter(|spelling| spelling != id && !spelling.is_empty()).collect()
}

/// What all spellings of an id have in common.
pub fn fold_id(id: &str) -> String {
    id.trim_start_matches('0').to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_and_case_make_another_spelling_and_nothing_else_does() {
        for (id, other) in [("0001002", "1002"), ("ab12", "AB12"), ("00aB", "Ab"), ("0", "000"), ("7", "7")] {
            assert!(is_spelling_of(id, other) && is_spelling_of(other, id), "{id} {other}");
        }
        for (id, other) in [("1002", "10020"), ("1002", "1020"), ("ab", "a b"), ("1", "-1")] {
            assert!(!is_spelling_of(id, other), "{id} {other}");
        }
    }

    #[test]
    fn who_is_stored_in_another_spelling_is_looked_for() {
        assert_eq!(other_spellings("1002"), BTreeSet::new());
        assert_eq!(other_spellings("0001002"), BTreeSet::from(["1002".to_owned()]));
        assert_eq!(other_spellings("ab12"), BTreeSet::from(["AB12".to_owned()]));
        assert_eq!(other_spellings("000"), BTreeSet::from(["0".to_owned()]));
        let all = ["00AB", "00ab", "AB", "aB", "ab"].map(str::to_owned);
        assert_eq!(other_spellings("00aB"), BTreeSet::from(all));
    }
}
