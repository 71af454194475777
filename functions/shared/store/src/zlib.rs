//! Compressed attributes of items.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// What unfolds to more than this, in bytes, was not written here.
const MOST_UNFOLDED: u64 = 1024 * 1024;

pub(crate) fn compressed(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Memory takes all that is written to it.
    #[allow(clippy::expect_used)]
    encoder.write_all(text).and_then(|()| encoder.finish()).expect("memory does not fail")
}

/// What was compressed; `None` if it is damaged, or too large.
pub(crate) fn unfolded(compressed: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut decoder = ZlibDecoder::new(compressed).take(MOST_UNFOLDED + 1);
    let bytes = decoder.read_to_end(&mut text).ok()?;
    (bytes as u64 <= MOST_UNFOLDED).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compressed_is_read_again() {
        let text = b"aa~1001 ".repeat(1_000);
        assert_eq!(unfolded(&compressed(&text)), Some(text));
    }

    #[test]
    fn an_item_that_unfolds_without_end_is_refused_before_it_fills_the_memory() {
        let bomb = compressed(&vec![b' '; 64 * 1024 * 1024]);
        assert!(bomb.len() < 100_000);
        assert_eq!(unfolded(&bomb), None);
    }

    #[test]
    fn a_flipped_bit_or_a_missing_end_is_found() {
        let text: Vec<u8> = (0..1_000).map(|number: u32| (number * number % 251) as u8).collect();
        let whole = compressed(&text);
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        assert_eq!(unfolded(&flipped), None);
        assert_eq!(unfolded(&whole[..whole.len() - 4]), None);
    }
}
