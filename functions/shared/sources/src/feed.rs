//! The bytes of an answer between the network and a reader: what has come and was not read yet.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bytes of a body. A clone is the same feed: one writes, the other reads. A read of more than there is, or than is
/// allowed for the moment, returns [`ErrorKind::WouldBlock`], and never waits.
#[derive(Clone, Debug, Default)]
pub struct Feed(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    parts: VecDeque<Part>,
    length: usize,
    /// How many bytes may be read before the next [`Feed::allow`].
    allowed: usize,
    end: Option<io::Result<()>>,
}

#[derive(Debug)]
struct Part {
    bytes: Vec<u8>,
    read: usize,
}

impl Feed {
    /// Adds the bytes that came.
    pub fn push(&self, bytes: Vec<u8>) {
        let mut state = self.state();
        state.length += bytes.len();
        state.parts.push_back(Part { bytes, read: 0 });
    }

    /// Ends the feed: the body has ended, or failed.
    pub fn end(&self, result: io::Result<()>) {
        self.state().end = Some(result);
    }

    /// Whether no more bytes will come.
    pub fn has_ended(&self) -> bool {
        self.state().end.is_some()
    }

    /// How many bytes have come and were not read yet.
    pub fn unread(&self) -> usize {
        self.state().length
    }

    /// Allows so many bytes to be read.
    pub fn allow(&self, bytes: usize) {
        self.state().allowed = bytes;
    }

    /// The result of `says` on the first two bytes, which stay; `None` for a body that has fewer.
    pub fn begins_with(&self, says: impl FnOnce([u8; 2]) -> bool) -> io::Result<Option<bool>> {
        let state = self.state();
        let mut bytes = state.parts.iter().flat_map(|part| &part.bytes[part.read..]);
        match (bytes.next(), bytes.next(), &state.end) {
            (Some(first), Some(second), _) => Ok(Some(says([*first, *second]))),
            (_, _, None) => Err(ErrorKind::WouldBlock.into()),
            (_, _, Some(_)) => Ok(None),
        }
    }

    /// A reader never panics while it holds the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        let State { parts, length, allowed, end } = &mut *state;
        let mut count = 0;
        while count < buffer.len().min(*allowed)
            && let Some(part) = parts.front_mut()
        {
            let piece = &part.bytes[part.read..];
            let taken = piece.len().min(buffer.len().min(*allowed) - count);
            buffer[count..count + taken].copy_from_slice(&piece[..taken]);
            part.read += taken;
            count += taken;
            if part.read == part.bytes.len() {
                parts.pop_front();
            }
        }
        *length -= count;
        *allowed -= count;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        match end {
            Some(result) if parts.is_empty() => std::mem::replace(result, Ok(())).map(|()| 0),
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }
}
