//! What is stored, and read again: perhaps as another release wrote it.

use std::fmt::Debug;
use std::hint::black_box;

use model::import::BeforeImage;
use model::{Content, LeadSource, ListedCustomer, ListingProgress};
use serde_json::{from_slice, to_vec};
use sources::send_window::SendWindow;
use store::{ChunkKey, Message, PollRequest};

use crate::{Target, budget};

/// What is stored of a customer, and of staff.
pub(super) const CONTENT: Target = Target {
    peak: budget::PEAK,
    name: "content",
    read: |input| {
        let _ = black_box(from_slice::<Content>(input));
    },
    holds: |input| {
        if let Ok(content) = from_slice::<Content>(input) {
            read_again(&content);
        }
        if let Ok(source) = from_slice::<LeadSource>(input) {
            assert_eq!(from_slice::<LeadSource>(&to_vec(&source).unwrap()).unwrap(), source);
        }
    },
};

/// Content is stored as its canonical form, by which it is compared, too.
pub(super) fn read_again(content: &Content) {
    let written = content.canonical_json();
    let again: Content = serde_json::from_str(&written).expect("stored content is read");
    assert_eq!(again.canonical_json(), written);
    assert!(again == *content, "content that is stored and read is other content");
}

/// The contacts beside a chunk.
pub(super) const LISTED: Target = Target {
    peak: budget::PEAK,
    name: "listed",
    read: read::<Vec<ListedCustomer>>,
    holds: same_again::<Vec<ListedCustomer>>,
};

/// How far a list was read.
pub(super) const LISTING_PROGRESS: Target = Target {
    peak: budget::PEAK,
    name: "listing-progress",
    read: read::<ListingProgress>,
    holds: same_again::<ListingProgress>,
};

/// What an undo goes back to.
pub(super) const BEFORE_IMAGES: Target = Target {
    peak: budget::PEAK,
    name: "before-images",
    read: read::<Vec<BeforeImage>>,
    holds: same_again::<Vec<BeforeImage>>,
};

fn read<T: serde::de::DeserializeOwned>(input: &[u8]) {
    let _ = black_box(from_slice::<T>(input));
}

fn same_again<T: serde::de::DeserializeOwned + serde::Serialize + PartialEq + Debug>(input: &[u8]) {
    if let Ok(read) = from_slice::<T>(input) {
        let again: T = from_slice(&to_vec(&read).unwrap()).expect("what is stored is read");
        assert_eq!(again, read);
    }
}

/// Which chunks are under way.
pub(super) const SEND_WINDOW: Target = Target {
    peak: budget::PEAK,
    name: "send-window",
    read: |input| {
        black_box(SendWindow::from_stored(std::str::from_utf8(input).ok()));
    },
    holds: |input| {
        let window = SendWindow::from_stored(std::str::from_utf8(input).ok());
        if let Some(stored) = window.to_stored() {
            assert_eq!(SendWindow::from_stored(Some(&stored)), window);
        }
    },
};

/// The bodies of messages.
pub(super) const MESSAGES: Target = Target {
    peak: budget::PEAK,
    name: "messages",
    read: |input| {
        if let Ok(body) = std::str::from_utf8(input) {
            let _ = black_box(ChunkKey::from_message(body));
            let _ = black_box(PollRequest::from_message(body));
        }
    },
    holds: |input| {
        let Ok(body) = std::str::from_utf8(input) else { return };
        if let Ok(key) = ChunkKey::from_message(body) {
            assert_eq!(ChunkKey::from_message(&key.to_message()).unwrap(), key);
        }
        if let Ok(request) = PollRequest::from_message(body) {
            let written = serde_json::to_string(&request).unwrap();
            assert_eq!(PollRequest::from_message(&written).unwrap(), request);
        }
    },
};
