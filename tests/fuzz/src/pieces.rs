use std::io::{self, ErrorKind, Read};

use crate::generate::Numbers;

/// Bytes that come in pieces, with nothing for the moment between two of them.
pub(crate) struct Pieces<'a> {
    rest: &'a [u8],
    numbers: Numbers,
    longest: usize,
    is_waiting: bool,
}

impl<'a> Pieces<'a> {
    /// Pieces of lengths that `seed` decides: up to 1, 16, 256 or 4,096 bytes.
    pub(crate) fn of(bytes: &'a [u8], seed: u64) -> Self {
        let mut numbers = Numbers::of(seed);
        let longest = [1, 16, 256, 4_096][numbers.below(4)];
        Self { rest: bytes, numbers, longest, is_waiting: false }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.is_waiting = !self.is_waiting;
        if self.is_waiting {
            return Err(ErrorKind::WouldBlock.into());
        }
        let length = (1 + self.numbers.below(self.longest)).min(buffer.len()).min(self.rest.len());
        let (piece, rest) = self.rest.split_at(length);
        buffer[..length].copy_from_slice(piece);
        self.rest = rest;
        Ok(length)
    }
}
