//! Small texts: ids in paths, cursors, references to secrets, headers.

use std::hint::black_box;

use api::{bytes_quoted, read_cursor, write_cursor};
use model::{CustomerId, fold, is_id, without_marks};
use store::SecretRef;
use wire::business_catalyst::site_zone;
use wire::{Charset, Section, redact};

use crate::{Target, budget};

pub(super) const IDS: Target = Target {
    peak: budget::PEAK,
    name: "ids",
    read: |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let _ = black_box(text.parse::<CustomerId>());
        let _ = black_box(text.parse::<SecretRef>());
        let _ = black_box((read_cursor(text), is_id(text), config::is_connection_id(text)));
        let _ = black_box((Charset::of_content_type(text), Section::from_name(text), site_zone(text)));
        black_box((fold(text), without_marks(text)));
    },
    holds: |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        if let Ok(id) = text.parse::<CustomerId>() {
            assert_eq!(id.to_string(), text);
        }
        if let Ok(reference) = text.parse::<SecretRef>() {
            assert_eq!(reference.to_string(), text);
        }
        if let Some((shard, source_id)) = read_cursor(text) {
            assert_eq!(read_cursor(&write_cursor(shard, &source_id)), Some((shard, source_id)));
        }
        // With the longest tenant and connection, an id has room in a key of 1,024 bytes.
        assert_eq!(read_cursor(&write_cursor(3, text)).is_some(), text.len() <= 1_024 - 2 - 80);
        assert_eq!(serde_json::to_string(text).unwrap().len() - 2, bytes_quoted_as_json(text));
        assert_eq!(fold(&fold(text)), fold(text), "folding once is enough");
    },
};

/// `bytes_quoted` counts six bytes for any control character, of which JSON writes two as two.
fn bytes_quoted_as_json(text: &str) -> usize {
    bytes_quoted(text) - 4 * text.bytes().filter(|byte| matches!(byte, 0x08 | 0x0C)).count()
}

/// A source's own words, without our credentials. The first two lines are those.
pub(super) const REDACTION: Target = Target {
    peak: budget::PEAK,
    name: "redaction",
    read: |input| {
        if let Some([username, password, text]) = parts(input) {
            black_box(redact(text, username, password));
        }
    },
    holds: |input| {
        let Some([username, password, text]) = parts(input) else { return };
        let shown = redact(text, username, password);
        let is_long = password.chars().count() >= 4 && password.chars().all(|letter| letter.is_ascii_alphanumeric());
        assert!(!is_long || !shown.contains(password), "a password is shown");
    },
};

fn parts(input: &[u8]) -> Option<[&str; 3]> {
    // Credentials are an operator's, and no stranger makes them long.
    const LONGEST: usize = 200;
    let mut parts = std::str::from_utf8(input).ok()?.splitn(3, '\n');
    let parts = [parts.next()?, parts.next()?, parts.next()?];
    (parts[0].len() <= LONGEST && parts[1].len() <= LONGEST).then_some(parts)
}
