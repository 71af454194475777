//! A segment of a lane: how changes are written and read.

use jiff::Timestamp;
use model::{ChangeAction, FeedChange, LanePosition};

use crate::StoreError;
use crate::item::{Item, Read};
use crate::zlib::{compressed, unfolded};

/// How many changes a segment holds at most, and how many bytes of them before they are compressed.
const MOST_CHANGES: usize = 1_000;
const MOST_BYTES: usize = 256 * 1024;
/// Lines of so many bytes are not worth compressing.
const TOO_SHORT: usize = 300;

/// A segment as it is stored.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) at: Timestamp,
    pub(super) tag: u32,
    pub(super) changes: Vec<FeedChange>,
}

impl Segment {
    pub(super) fn of(item: &Item) -> Result<Self, StoreError> {
        let read = Read::new("segment", item);
        let lines = match read.has("zlib") {
            true => unfolded(read.bytes("zlib")?),
            false => Some(read.bytes("changes")?.to_vec()),
        };
        let changes = lines.and_then(|lines| read_lines(&lines)).filter(|changes| !changes.is_empty());
        let corrupt = || StoreError::Corrupt { key: "segment".to_owned(), attribute: "changes" };
        let changes = changes.ok_or_else(corrupt)?;
        Ok(Self { number: number_of(item)?, at: read.time("at")?, tag: read.number("tag")?, changes })
    }
}

/// The changes of a segment, a line each.
pub(super) struct Lines {
    text: String,
    pub(super) count: usize,
}

impl Lines {
    /// The attribute that holds them, with its name.
    pub(super) fn attribute(&self) -> (&'static str, Vec<u8>) {
        let plain = self.text.as_bytes();
        let zlib = if plain.len() > TOO_SHORT { compressed(plain) } else { Vec::new() };
        if zlib.is_empty() || zlib.len() >= plain.len() { ("changes", plain.to_vec()) } else { ("zlib", zlib) }
    }
}

/// Changes, as many in each part as a segment holds.
pub(super) fn parts(changes: &[&FeedChange]) -> Vec<Lines> {
    let mut parts: Vec<Lines> = Vec::new();
    for FeedChange { id, action, revision } in changes {
        let action = match action {
            ChangeAction::Added => 'a',
            ChangeAction::Updated => 'u',
            ChangeAction::Deleted => 'd',
        };
        // An id may hold a line feed: as JSON it has none.
        let line = format!("{action}{revision} {}\n", serde_json::Value::from(id.to_string()));
        match parts.last_mut() {
            Some(part) if part.count < MOST_CHANGES && part.text.len() + line.len() <= MOST_BYTES => {
                part.text.push_str(&line);
                part.count += 1;
            }
            _ => parts.push(Lines { text: line, count: 1 }),
        }
    }
    parts
}

fn read_lines(text: &[u8]) -> Option<Vec<FeedChange>> {
    let text = std::str::from_utf8(text).ok()?;
    text.lines().map(read_line).collect()
}

fn read_line(line: &str) -> Option<FeedChange> {
    let (revision, id) = line.get(1..)?.split_once(' ')?;
    let action = match line.as_bytes().first()? {
        b'a' => ChangeAction::Added,
        b'u' => ChangeAction::Updated,
        b'd' => ChangeAction::Deleted,
        _ => return None,
    };
    let id: String = serde_json::from_str(id).ok()?;
    Some(FeedChange { id: id.parse().ok()?, action, revision: revision.parse().ok()? })
}

/// Where a lane's reader stands after so many changes of a segment.
pub(super) fn after(segment: &Segment, taken: usize) -> LanePosition {
    let is_whole = taken >= segment.changes.len();
    LanePosition {
        read: if is_whole { segment.number } else { segment.number - 1 },
        taken: if is_whole { 0 } else { u32::try_from(taken).unwrap_or(u32::MAX) },
        tag: segment.tag,
    }
}

pub(super) fn entry(number: u64) -> String {
    format!("{number:015}")
}

pub(super) fn number_of(item: &Item) -> Result<u64, StoreError> {
    let corrupt = || StoreError::Corrupt { key: "segment".to_owned(), attribute: "entry" };
    Read::new("segment", item).text("entry")?.parse().map_err(|_| corrupt())
}
