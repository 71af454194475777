//! The targets.

mod association_anywhere;
mod bodies;
mod business_catalyst;
mod connector;
mod customers_batch;
mod settings;
mod stored;
mod texts;

use crate::Target;

/// Every target.
pub const TARGETS: &[Target] = &[
    association_anywhere::QUEUE,
    association_anywhere::DETAILS,
    association_anywhere::STATUS,
    business_catalyst::CONTACTS,
    business_catalyst::UPDATE_ANSWER,
    connector::USER,
    connector::STAFF,
    connector::LEAD_SOURCE,
    customers_batch::FORM,
    customers_batch::MULTIPART,
    customers_batch::ROWS,
    customers_batch::ANSWER,
    bodies::BODY,
    settings::CONNECTIONS,
    settings::REGISTRATION,
    stored::CONTENT,
    stored::LISTED,
    stored::LISTING_PROGRESS,
    stored::SEND_WINDOW,
    stored::BEFORE_IMAGES,
    stored::MESSAGES,
    texts::IDS,
    texts::REDACTION,
];

/// Nothing beyond what holds of every target.
fn nothing_else(_: &[u8]) {}

/// The kind of an error, without where it is: a document that is padded has the same errors elsewhere.
fn kind<E: std::fmt::Debug>(error: &E) -> String {
    let text = format!("{error:?}");
    text.split(['(', '{', ' ']).next().unwrap_or_default().to_owned()
}

/// The document with a comment before its own element that is so long that the end of a reader's first chunk of 32 KiB
/// falls into the document, at a place that `seed` decides; `None` if anything but a declaration stands before that
/// element.
fn across_a_chunk(document: &[u8], seed: u64) -> Option<Vec<u8>> {
    const CHUNK: usize = 32 * 1024;
    const OPEN: &[u8] = b"<!--";
    const CLOSE: &[u8] = b"-->";
    let text = std::str::from_utf8(document).ok()?;
    let text_begin = text.trim_ascii_start();
    let root = match text_begin.strip_prefix("<?xml ") {
        Some(declaration) => declaration.split_once("?>")?.1.trim_ascii_start(),
        None => text_begin,
    };
    if !root.strip_prefix('<')?.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        return None;
    }
    let before = document.len() - root.len();
    let inside = usize::try_from(seed % (root.len() as u64 + 1)).ok()?;
    let comment = CHUNK.checked_sub(before + OPEN.len() + CLOSE.len() + inside)?;
    Some([&document[..before], OPEN, &vec![b' '; comment], CLOSE, root.as_bytes()].concat())
}
