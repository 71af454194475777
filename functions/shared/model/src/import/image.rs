use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Content, ContentHash, Status};

/// How an import found a customer, and how it left it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// The customer's id.
    pub source_id: String,
    /// What was stored before; nothing where the import brought the customer.
    pub prior: Option<Content>,
    /// The fingerprint of what the import wrote.
    pub left: ContentHash,
}

/// What to do with one customer to take an import back.
#[derive(Clone, Debug, PartialEq)]
pub enum Reversal {
    /// Write this: the import's own content is still stored.
    Restore(Box<Content>),
    /// Nothing: it is as it was before the import.
    AlreadyBack,
    /// Nothing: somebody has changed it since, and what they wrote is not ours to lose.
    ChangedSince,
}

impl Image {
    /// What to do with the customer, of which `stored` is stored now. After a customer is restored, the answer for it
    /// is [`Reversal::AlreadyBack`]: an undo may be interrupted and done again.
    pub fn reversal(&self, stored: Option<&Content>) -> Reversal {
        let is_gone = stored.is_none_or(|content| content.status == Status::Deleted);
        match (&self.prior, stored) {
            (None, _) if is_gone => Reversal::AlreadyBack,
            (Some(prior), Some(stored)) if prior == stored => Reversal::AlreadyBack,
            (prior, Some(stored)) if stored.hash() == self.left => Reversal::Restore(Box::new(match prior {
                Some(prior) => prior.clone(),
                None => Content::tombstone_of(Some(stored)),
            })),
            _ => Reversal::ChangedSince,
        }
    }
}

/// One image per customer, by id, from all that an import recorded, in the order in which it did. An import that was
/// interrupted and goes on records a customer again: what counts is how the first found it, and how the last left it.
pub fn fold_images(recorded: impl IntoIterator<Item = Image>) -> BTreeMap<String, Image> {
    let mut images = BTreeMap::<String, Image>::new();
    for image in recorded {
        match images.get_mut(&image.source_id) {
            Some(first) => first.left = image.left,
            None => {
                images.insert(image.source_id.clone(), image);
            }
        }
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;

    fn named(first: &str) -> Content {
        Content { name: Name { first: Some(first.into()), ..Name::default() }, ..Content::default() }
    }

    fn image(prior: Option<Content>, left: &Content) -> Image {
        Image { source_id: "1".into(), prior, left: left.hash() }
    }

    #[test]
    fn a_customer_is_restored_only_if_it_is_as_the_import_left_it() {
        let (before, imported, later) = (named("before"), named("imported"), named("later"));
        let changed = image(Some(before.clone()), &imported);
        assert_eq!(changed.reversal(Some(&imported)), Reversal::Restore(Box::new(before.clone())));
        assert_eq!(changed.reversal(Some(&before)), Reversal::AlreadyBack);
        assert_eq!(changed.reversal(Some(&later)), Reversal::ChangedSince);
        assert_eq!(changed.reversal(None), Reversal::ChangedSince);

        let added = image(None, &imported);
        let tombstone = Content::tombstone_of(Some(&imported));
        assert_eq!(added.reversal(Some(&imported)), Reversal::Restore(Box::new(tombstone.clone())));
        assert_eq!(added.reversal(Some(&tombstone)), Reversal::AlreadyBack);
        assert_eq!(added.reversal(None), Reversal::AlreadyBack);
        assert_eq!(added.reversal(Some(&later)), Reversal::ChangedSince);

        let revived = image(Some(tombstone.clone()), &imported);
        assert_eq!(revived.reversal(Some(&imported)), Reversal::Restore(Box::new(tombstone.clone())));
        assert_eq!(revived.reversal(Some(&tombstone)), Reversal::AlreadyBack);
    }

    #[test]
    fn of_several_images_the_first_says_what_was_and_the_last_what_is() {
        let (before, half, whole) = (named("before"), named("half"), named("whole"));
        let folded = fold_images([image(Some(before.clone()), &half), image(Some(half), &whole)]);
        assert_eq!(folded.into_values().collect::<Vec<_>>(), [image(Some(before), &whole)]);
    }
}
