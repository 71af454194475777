//! How customers that an answer lacked are asked for once more: beside companions, which are known to exist.

/// How many customers that are known to exist are asked for beside those that seem to be gone: one comes first, one in
/// the middle and one last.
pub const COMPANIONS: usize = 3;
/// How many of the customers that seem to be gone are asked for at once.
pub const MISSING_AT_ONCE: usize = 10;

/// Ids with companions among them: one first, one in the middle, one last.
pub fn between(ids: &[String], companions: &[String]) -> Vec<String> {
    let (first_half, second_half) = ids.split_at(ids.len() / 2);
    let mut companions = companions.iter();
    let mut between: Vec<&String> = companions.next().into_iter().chain(first_half).collect();
    let last = companions.next();
    between.extend(companions.chain(second_half).chain(last));
    between.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_companion_comes_first_one_stands_in_the_middle_and_one_comes_last() {
        let ids = texts(&["1", "2", "3", "4"]);
        assert_eq!(between(&ids, &texts(&["a", "b", "c"])), texts(&["a", "1", "2", "c", "3", "4", "b"]));
        assert_eq!(between(&ids, &texts(&["a", "b"])), texts(&["a", "1", "2", "3", "4", "b"]));
        assert_eq!(between(&ids[..1], &texts(&["a"])), texts(&["a", "1"]));
    }
}
