use std::collections::{BTreeSet, HashSet};

use crate::import::overwrite::ORIGIN;
use crate::{Content, fold, without_marks};

/// What a customer can be found by, beside its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// A card number.
    Card(String),
    /// An e-mail address, folded: see [`fold()`].
    Email(String),
    /// An address as releases before folded it: by case alone. It is no longer given to a customer, but finds those
    /// that have it.
    Lowercase(String),
}

impl Claim {
    /// The claims that a customer has: to its card number and to its address.
    pub fn of(content: &Content) -> impl Iterator<Item = Self> {
        let Identity { card, email, .. } = Identity::of(content);
        card.into_iter().chain(email)
    }

    /// The claim that goes with a card number.
    pub fn card(number: &str) -> Self {
        Self::Card(number.to_owned())
    }

    /// The claim that goes with an address.
    pub fn email(address: &str) -> Self {
        Self::Email(fold(&without_marks(address)))
    }

    /// The claim that the releases before gave for an address, if it differs.
    pub(super) fn lowercase(address: &str) -> Option<Self> {
        // What is ASCII was folded as it is now.
        let lowercase = (!address.is_ascii()).then(|| address.to_lowercase())?;
        (lowercase != fold(&without_marks(address))).then_some(Self::Lowercase(lowercase))
    }
}

/// What matching goes by.
#[derive(Clone, Debug, Default)]
pub(super) struct Identity {
    pub(super) card: Option<Claim>,
    pub(super) email: Option<Claim>,
    pub(super) origin: Option<String>,
}

impl Identity {
    pub(super) fn of(content: &Content) -> Self {
        Self {
            card: content.external_id.as_deref().map(Claim::card),
            email: content.emails.first().map(|email| Claim::email(&email.address)),
            origin: content.hidden.get(ORIGIN).cloned(),
        }
    }

    pub(super) fn claims(&self) -> impl Iterator<Item = &Claim> {
        [&self.card, &self.email].into_iter().flatten()
    }

    pub(super) fn has(&self, claim: &Claim) -> bool {
        self.claims().any(|own| own == claim)
    }
}

/// The customers that have, or once had, a card number or an address: a hint. The customers' own records decide which
/// has it now, and those that do not have it do not count, however many once did.
///
/// The ids fill pages: every customer may have the same address, and each page must fit into an item. Pages are read as
/// they are needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimants {
    /// The pages that have been read, from the first on.
    pub pages: Vec<BTreeSet<String>>,
    /// How many there are.
    pub page_count: usize,
    /// How often they were laid out anew: the pages after the first belong to one layout.
    pub layout: u32,
    /// How many customers they held when they were last laid out.
    pub laid_out: usize,
    /// A release before did not remember them all.
    pub is_cut: bool,
}

impl Claimants {
    /// How many ids a page holds: 20 KB at the most.
    pub const PAGE: usize = 100;

    /// Whether every page has been read.
    pub fn is_complete(&self) -> bool {
        self.pages.len() >= self.page_count
    }

    /// The ids on the pages that have been read.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.pages.iter().flatten().map(String::as_str)
    }

    /// Adds ids, each once. Only after every page has been read.
    pub fn add<'a>(&mut self, source_ids: impl IntoIterator<Item = &'a str>) {
        let new: BTreeSet<String> = {
            let known: HashSet<&str> = self.ids().collect();
            source_ids.into_iter().filter(|source_id| !known.contains(source_id)).map(str::to_owned).collect()
        };
        for source_id in new {
            match self.pages.last_mut().filter(|page| page.len() < Self::PAGE) {
                Some(page) => {
                    page.insert(source_id);
                }
                None => self.pages.push(BTreeSet::from([source_id])),
            }
        }
        self.page_count = self.pages.len();
    }

    /// Whether enough ids have come since the last layout to check which customers still have it. Each check costs as
    /// much as those additions did.
    pub fn is_worth_a_look(&self) -> bool {
        self.is_complete() && self.ids().count() > 2 * self.laid_out.max(Self::PAGE / 2)
    }

    /// Lays the pages out anew, without the customers that do not have it. Only after every page has been read.
    pub fn keep(&mut self, has_it: impl Fn(&str) -> bool) {
        let kept: Vec<String> = self.ids().filter(|source_id| has_it(source_id)).map(str::to_owned).collect();
        self.laid_out = kept.len();
        self.layout += 1;
        self.pages = kept.chunks(Self::PAGE).map(|page| page.iter().cloned().collect()).collect();
        self.page_count = self.pages.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: std::ops::Range<u32>) -> Vec<String> {
        numbers.map(|number| number.to_string()).collect()
    }

    fn add(claimants: &mut Claimants, ids: &[String]) {
        claimants.add(ids.iter().map(String::as_str));
    }

    #[test]
    fn addresses_that_differ_in_case_accents_encoding_or_marks_are_one() {
        for (one, other) in [
            ("Jane@Example.org", "jane@example.ORG"),
            ("jos\u{e9}@example.org", "jose\u{301}@example.org"),
            ("stra\u{df}e@example.org", "STRASSE@example.org"),
            ("\u{202a}ann@example.org\u{202c}", "ann@example.org"),
        ] {
            assert_eq!(Claim::email(one), Claim::email(other), "{one}");
        }
        assert_eq!(Claim::lowercase("Jane@Example.org"), None);
        assert_eq!(Claim::lowercase("JOS\u{c9}@example.org"), None);
        let before = Claim::Lowercase("jose\u{301}@example.org".into());
        assert_eq!(Claim::lowercase("Jose\u{301}@example.org"), Some(before));
    }

    #[test]
    fn everybody_is_remembered_once_on_pages_that_can_be_written() {
        let mut claimants = Claimants::default();
        add(&mut claimants, &ids(0..250));
        add(&mut claimants, &ids(200..260));
        assert_eq!(claimants.pages.iter().map(BTreeSet::len).collect::<Vec<_>>(), [100, 100, 60]);
        assert_eq!(claimants.ids().collect::<BTreeSet<_>>().len(), 260);
        let first = claimants.pages[..2].to_vec();
        add(&mut claimants, &ids(300..301));
        assert_eq!(claimants.pages[..2], first, "who comes later moves nobody");
    }

    #[test]
    fn a_look_is_taken_as_often_as_the_number_doubles_and_forgets_who_does_not_have_it() {
        let mut claimants = Claimants::default();
        add(&mut claimants, &ids(0..100));
        assert!(!claimants.is_worth_a_look());
        add(&mut claimants, &ids(100..101));
        assert!(claimants.is_worth_a_look());
        claimants.keep(|source_id| source_id.ends_with('7'));
        assert_eq!((claimants.page_count, claimants.layout, claimants.laid_out), (1, 1, 10));
        assert!(claimants.ids().all(|source_id| source_id.ends_with('7')) && !claimants.is_worth_a_look());
        claimants.keep(|_| false);
        assert_eq!((claimants.page_count, claimants.ids().count()), (0, 0));
    }
}
