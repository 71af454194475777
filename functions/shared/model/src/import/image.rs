use serde::{Deserialize, Serialize};

use crate::{Content, ContentHash, Customer, PlantedFault, Status};

/// The state of a customer that is not stored.
pub const NO_STATE: &str = "0";

/// How an import found a customer, and how it left it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BeforeImage {
    /// The customer's id.
    pub source_id: String,
    /// What was stored before; `None` if the import brought the customer.
    pub prior: Option<Content>,
    /// The fingerprint of what the import wrote.
    pub left: ContentHash,
    /// The state that the import found: see [`Customer::state`]. `None` if a release before recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// The state that the import made; `None` as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<String>,
}

/// What to do with one customer to undo an import.
#[derive(Clone, Debug, PartialEq)]
pub enum UndoAction {
    /// Write this: the import's own state is still stored.
    Restore {
        /// What was there before.
        content: Box<Content>,
        /// The state that this brings back.
        state: Option<String>,
    },
    /// Nothing: it is as it was before the import.
    AlreadyBack,
    /// Nothing: it was changed since, and that change must not be lost.
    ChangedSince,
}

impl BeforeImage {
    /// The image of a customer with `stored` in the store, to which the import `import` is going to write `content`.
    pub fn of(source_id: &str, stored: Option<&Customer>, content: &Content, import: &str) -> Self {
        Self {
            source_id: source_id.to_owned(),
            prior: stored.map(|customer| customer.content.clone()),
            left: content.hash(),
            found: Some(stored.map_or_else(|| NO_STATE.to_owned(), Customer::state)),
            made: Some(state_made_by(import, stored)),
        }
    }
}

/// The state that an import makes of a customer with `stored` in the store.
pub fn state_made_by(import: &str, stored: Option<&Customer>) -> String {
    format!("{}/{import}", stored.map_or(0, |customer| customer.revision) + 1)
}

/// A state to go back from.
struct At<'a> {
    state: Option<String>,
    content: Option<&'a Content>,
}

impl At<'_> {
    fn was_left_by(&self, image: &BeforeImage) -> bool {
        match (&image.made, &self.state) {
            (Some(made), Some(state)) => made == state,
            // From a release before: compared by content.
            _ => self.content.is_some_and(|content| content.hash() == image.left),
        }
    }
}

/// What to do with a customer to undo an import that recorded these images of it, in their order.
///
/// An import that was interrupted or sent again records a customer more than once. Its images are undone one after the
/// other as long as they join: if another writer wrote in between, the customer goes back to what that writer wrote.
/// After a customer is restored, the answer is [`UndoAction::AlreadyBack`], or [`UndoAction::ChangedSince`] if
/// another's change is left: an undo may be interrupted and repeated.
pub fn reversal(images: &[BeforeImage], stored: Option<&Customer>) -> UndoAction {
    let mut at = At {
        state: Some(stored.map_or_else(|| NO_STATE.to_owned(), Customer::state)),
        content: stored.map(|customer| &customer.content),
    };
    let mut back = None;
    for image in images.iter().rev() {
        if at.was_left_by(image) {
            at = At { state: image.found.clone(), content: image.prior.as_ref() };
            back = Some(image);
        }
    }
    let stored = stored.map(|customer| &customer.content);
    if PlantedFault::UndoesOthers.is_planted() {
        back = images.first();
    }
    match (back, images.first()) {
        (Some(image), _) => UndoAction::Restore {
            content: Box::new(image.prior.clone().unwrap_or_else(|| Content::tombstone_of(stored))),
            state: image.found.clone(),
        },
        (None, Some(first)) if is_back(first.prior.as_ref(), stored) => UndoAction::AlreadyBack,
        (None, _) => UndoAction::ChangedSince,
    }
}

/// Whether a customer is as it was before. A tombstone counts as nothing.
fn is_back(prior: Option<&Content>, stored: Option<&Content>) -> bool {
    let is_gone = |content: Option<&Content>| content.is_none_or(|content| content.status == Status::Deleted);
    (is_gone(prior) && is_gone(stored)) || prior == stored
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{ConnectionKey, Name, Version};

    fn named(first: &str) -> Content {
        Content { name: Name { first: Some(first.into()), ..Name::default() }, ..Content::default() }
    }

    fn stored(content: Content, revision: u64, state: Option<&str>) -> Customer {
        Customer {
            connection: ConnectionKey::new("acme", "imports"),
            source_id: "1".into(),
            content,
            first_seen_at: Timestamp::UNIX_EPOCH,
            changed_at: Timestamp::UNIX_EPOCH,
            revision,
            version: Version::from_stored("v"),
            named_state: state.map(str::to_owned),
        }
    }

    /// What an import writes to a customer, and the image that it records of that.
    fn write(import: &str, before: Option<&Customer>, content: Content) -> (Customer, BeforeImage) {
        let image = BeforeImage::of("1", before, &content, import);
        let revision = before.map_or(0, |before| before.revision) + 1;
        (stored(content, revision, image.made.as_deref()), image)
    }

    /// What an undo writes.
    fn undone(images: &[BeforeImage], before: &Customer) -> Customer {
        match reversal(images, Some(before)) {
            UndoAction::Restore { content, state } => stored(*content, before.revision + 1, state.as_deref()),
            other => panic!("{other:?}"),
        }
    }

    /// Invariant: an undo restores what held before the import, or leaves it.
    #[test]
    fn a_customer_is_restored_only_if_it_is_as_the_import_left_it() {
        let before = stored(named("before"), 3, None);
        let (imported, image) = write("a", Some(&before), named("imported"));
        let back = undone(std::slice::from_ref(&image), &imported);
        assert_eq!((&back.content, back.state()), (&before.content, "3".to_owned()));
        assert_eq!(reversal(std::slice::from_ref(&image), Some(&back)), UndoAction::AlreadyBack);
        assert_eq!(reversal(std::slice::from_ref(&image), Some(&before)), UndoAction::AlreadyBack);
        let (later, _) = write("b", Some(&imported), named("later"));
        assert_eq!(reversal(std::slice::from_ref(&image), Some(&later)), UndoAction::ChangedSince);
        assert_eq!(reversal(std::slice::from_ref(&image), None), UndoAction::ChangedSince);
        // An equal write by another writer is a change all the same.
        let (equal, _) = write("b", Some(&later), named("imported"));
        assert_eq!(reversal(&[image], Some(&equal)), UndoAction::ChangedSince);
    }

    #[test]
    fn whom_an_import_brought_is_deleted_and_a_tombstone_comes_back() {
        let (imported, image) = write("a", None, named("imported"));
        let gone = undone(std::slice::from_ref(&image), &imported);
        assert_eq!(gone.content, Content::tombstone_of(Some(&imported.content)));
        for gone in [Some(&gone), None] {
            assert_eq!(reversal(std::slice::from_ref(&image), gone), UndoAction::AlreadyBack);
        }
        let (revived, again) = write("b", Some(&gone), named("imported"));
        assert_eq!(reversal(&[image], Some(&revived)), UndoAction::ChangedSince, "another import brought it again");
        assert_eq!(undone(&[again], &revived).content.status, Status::Deleted);
    }

    /// Invariant: a change that another writer made in between stays.
    #[test]
    fn images_join_only_where_nobody_else_wrote_in_between() {
        let before = stored(named("before"), 1, None);
        let (half, first) = write("a", Some(&before), named("half"));
        let (whole, second) = write("a", Some(&half), named("whole"));
        assert_eq!(undone(&[first.clone(), second], &whole).content, before.content);

        let (others, theirs) = write("b", Some(&half), named("theirs"));
        let (again, second) = write("a", Some(&others), named("half"));
        let images = [first, second];
        let back = undone(&images, &again);
        assert_eq!(back.content, others.content);
        assert_eq!(reversal(&images, Some(&back)), UndoAction::ChangedSince, "it is as somebody else left it");
        // Once the other import is undone too, the first write of this one is.
        let half = undone(&[theirs], &back);
        assert_eq!(undone(&images, &half).content, before.content);
    }

    #[test]
    fn an_import_that_died_before_it_wrote_takes_nothing_back_from_who_wrote_then() {
        let (_, died) = write("a", None, named("imported"));
        let (others, _) = write("b", None, named("theirs"));
        assert_eq!(reversal(std::slice::from_ref(&died), Some(&others)), UndoAction::ChangedSince);
        let (again, image) = write("a", Some(&others), named("imported"));
        assert_eq!(undone(&[died, image], &again).content, others.content);
    }

    /// Invariant 11: what the release before wrote can be undone.
    #[test]
    fn images_without_states_join_by_what_was_written() {
        let (before, half, whole, theirs) = (named("before"), named("half"), named("whole"), named("theirs"));
        let image = |prior: Option<&Content>, left: &Content| BeforeImage {
            source_id: "1".into(),
            prior: prior.cloned(),
            left: left.hash(),
            found: None,
            made: None,
        };
        let now = stored(whole.clone(), 3, None);
        let back = |images: &[BeforeImage]| match reversal(images, Some(&now)) {
            UndoAction::Restore { content, state: None } => *content,
            other => panic!("{other:?}"),
        };
        assert_eq!(back(&[image(Some(&before), &half), image(Some(&half), &whole)]), before);
        assert_eq!(back(&[image(Some(&before), &half), image(Some(&theirs), &whole)]), theirs);
        assert_eq!(back(&[image(None, &half), image(Some(&theirs), &whole)]), theirs);
        let written: BeforeImage =
            serde_json::from_str(r#"{"source_id":"1","prior":null,"left":"00000000000000000000000000000001"}"#)
                .unwrap();
        assert_eq!((written.found, written.made), (None, None));
    }
}
