//! What a write to the shadow table changed, as its stream tells.

use std::collections::BTreeSet;

use model::{ChangeAction, Content, CustomerId, Email, FeedChange, Status};
use serde::Deserialize;

use crate::EmailIndex;

/// A change of one customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowChange {
    /// What the change feed says of it.
    pub change: FeedChange,
    is_removed: bool,
    before: BTreeSet<String>,
    now: BTreeSet<String>,
}

/// What is looked at of a document.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Looked {
    status: Status,
    emails: Vec<Email>,
}

impl ShadowChange {
    /// The change of the item with this key, with its tenant; `before` and `now` are its document and its revision, if
    /// it was and is there. `None` if it is no customer's.
    pub fn of(key: &str, before: Option<&(String, u64)>, now: Option<&(String, u64)>) -> Option<(String, Self)> {
        let (tenant, id) = key.split_once('/')?;
        let id: CustomerId = id.parse().ok()?;
        let (revision, is_removed) = (now.or(before)?.1, now.is_none());
        let (was, is) = (before.map(read), now.map(read));
        let action = match (lives(was.as_ref()), lives(is.as_ref())) {
            (_, false) => ChangeAction::Deleted,
            (false, true) => ChangeAction::Added,
            (true, true) => ChangeAction::Updated,
        };
        let before = was.flatten().as_ref().map(EmailIndex::addresses).unwrap_or_default();
        let now = match is {
            // Which addresses it has can't be told: none is taken away.
            Some(None) => before.clone(),
            is => is.flatten().as_ref().map(EmailIndex::addresses).unwrap_or_default(),
        };
        Some((tenant.to_owned(), Self { change: FeedChange { id, action, revision }, is_removed, before, now }))
    }

    /// The customer, how new the change is, and the addresses under which it was and is found.
    pub fn addresses(&self) -> (CustomerId, u64, BTreeSet<String>, BTreeSet<String>) {
        // A record that was removed is newer than its last revision.
        let newness = self.change.revision + u64::from(self.is_removed);
        (self.change.id.clone(), newness, self.before.clone(), self.now.clone())
    }
}

/// What is looked at of a document. `None` if it can't be read, being damaged, or of a later release.
fn read((document, _): &(String, u64)) -> Option<Content> {
    let Looked { status, emails } = serde_json::from_str(document).ok()?;
    Some(Content { status, emails, ..Content::default() })
}

/// Whether there is a customer that is not deleted. One that can't be read is there.
fn lives(image: Option<&Option<Content>>) -> bool {
    match image {
        None => false,
        Some(None) => true,
        Some(Some(content)) => content.status != Status::Deleted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(before: Option<&str>, now: Option<&str>) -> (ChangeAction, u64, Vec<String>, Vec<String>) {
        let image = |text: Option<&str>, revision| text.map(|text| (text.to_owned(), revision));
        let (tenant, change) =
            ShadowChange::of("acme/aa~10~01", image(before, 1).as_ref(), image(now, 2).as_ref()).unwrap();
        assert_eq!((tenant.as_str(), change.change.id.source_id.as_str()), ("acme", "10~01"));
        let (_, revision, before, now) = change.addresses();
        (change.change.action, revision, before.into_iter().collect(), now.into_iter().collect())
    }

    #[test]
    fn a_change_is_an_addition_an_update_or_a_deletion() {
        let (live, gone) = (r#"{"status":"active"}"#, r#"{"status":"deleted"}"#);
        let action = |before, now| change(before, now).0;
        assert_eq!(action(None, Some(live)), ChangeAction::Added);
        assert_eq!(action(Some(gone), Some(live)), ChangeAction::Added);
        assert_eq!(action(Some(live), Some(live)), ChangeAction::Updated);
        assert_eq!(action(Some(live), Some(gone)), ChangeAction::Deleted);
        assert_eq!(action(Some(live), None), ChangeAction::Deleted);
        assert_eq!(action(None, Some(gone)), ChangeAction::Deleted);
        assert_eq!((change(Some(live), None).1, change(Some(live), Some(live)).1), (2, 2));
    }

    #[test]
    fn a_customer_is_found_by_each_of_its_addresses_folded_and_not_when_it_is_deleted() {
        let document = |status: &str| {
            format!(r#"{{"status":"{status}","emails":[{{"address":" Jane@Example.ORG"}},{{"address":"j@x"}},{{}}]}}"#)
        };
        let (_, _, before, now) = change(Some(&document("inactive")), Some(&document("deleted")));
        assert_eq!((before, now), (vec!["j@x".to_owned(), "jane@example.org".to_owned()], vec![]));
    }

    #[test]
    fn a_customer_that_cant_be_read_is_there_and_keeps_its_addresses() {
        let (live, later) = (r#"{"emails":[{"address":"j@x"}]}"#, r#"{"status":"archived","emails":[]}"#);
        let kept = vec!["j@x".to_owned()];
        assert_eq!(change(Some(live), Some(later)), (ChangeAction::Updated, 2, kept.clone(), kept));
        assert_eq!(change(None, Some("{")).0, ChangeAction::Added);
        assert_eq!(change(Some("{"), None).0, ChangeAction::Deleted);
    }

    #[test]
    fn an_item_that_is_no_customer_is_none() {
        for key in ["acme", "acme/aa", "acme/~1", ""] {
            assert_eq!(ShadowChange::of(key, None, Some(&("{}".to_owned(), 1))), None, "{key}");
        }
        assert_eq!(ShadowChange::of("acme/aa~1", None, None), None);
    }
}
