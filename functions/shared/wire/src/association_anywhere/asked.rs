use std::borrow::Cow;
use std::collections::HashSet;

/// The ids that were asked for.
pub(super) struct Asked {
    ids: HashSet<String>,
    spellings: HashSet<String>,
}

impl Asked {
    pub(super) fn new<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let ids: HashSet<String> = ids.into_iter().map(str::to_owned).collect();
        let spellings = ids.iter().map(|id| spelling(id).into_owned()).collect();
        Self { ids, spellings }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether this id, as it is or in another spelling, was asked for.
    pub(super) fn may_be(&self, id: &str) -> bool {
        self.ids.contains(id) || self.spellings.contains(spelling(id).as_ref())
    }
}

/// What the spellings of an id that the source's procedures use for one customer have in common: they differ in leading
/// zeros and in case.
fn spelling(id: &str) -> Cow<'_, str> {
    let id = id.trim_start_matches('0');
    if id.chars().any(char::is_uppercase) { Cow::Owned(id.to_lowercase()) } else { Cow::Borrowed(id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_asked_for_is_known_in_other_spellings() {
        let asked = Asked::new(["0001002", "ab12", "7", "000"]);
        for id in ["0001002", "1002", "AB12", "00Ab12", "07", "0", ""] {
            assert!(asked.may_be(id), "{id}");
        }
        for id in ["10020", "ab1", "70", "1"] {
            assert!(!asked.may_be(id), "{id}");
        }
    }
}
