//! Answers that come compressed although no request asks for it: some gateways and caches do so.

use std::io::{self, ErrorKind, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

use crate::feed::Feed;

/// How many compressed bytes are read in one step: they may become a thousand times as many.
const STEP: usize = 4 * 1024;
/// How many letters of a coding's name an error shows.
const NAME_LETTERS: usize = 20;

/// How the bytes of an answer's body are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As they are.
    Identity,
    /// gzip, RFC 1952.
    Gzip,
    /// zlib, RFC 1950, or what some servers send under that name: deflate by itself, RFC 1951.
    Deflate,
}

impl Coding {
    /// The coding that the header of an answer names. Fails with that name if it can't be read.
    pub fn of(headers: &HeaderMap) -> Result<Self, String> {
        let mut coding = Self::Identity;
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in String::from_utf8_lossy(value.as_bytes()).split(',') {
                let name = name.trim().to_ascii_lowercase();
                let next = match name.as_str() {
                    "" | "identity" => continue,
                    "gzip" | "x-gzip" => Self::Gzip,
                    "deflate" => Self::Deflate,
                    _ => return Err(unread(&name)),
                };
                if coding != Self::Identity {
                    return Err(unread("more than one"));
                }
                coding = next;
            }
        }
        Ok(coding)
    }

    /// How many bytes of the body may be read before other tasks get their turn.
    pub fn step(self) -> usize {
        match self {
            Self::Identity => usize::MAX,
            Self::Gzip | Self::Deflate => STEP,
        }
    }

    /// The decoded body as it is read: however long it is, no more is held than what is read at once.
    pub(crate) fn decoded(self, feed: Feed) -> Decoded {
        match self {
            Self::Identity => Decoded::Identity(feed),
            Self::Gzip => Decoded::Gzip(MultiGzDecoder::new(feed)),
            Self::Deflate => Decoded::Deflate(feed),
        }
    }
}

fn unread(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | ' '))
        .take(NAME_LETTERS)
        .collect();
    format!(
        "the answer's Content-Encoding is `{name}`; identity was asked for, and besides it gzip and deflate are read"
    )
}

/// A body that is decoded as it is read.
pub(crate) enum Decoded {
    Identity(Feed),
    Gzip(MultiGzDecoder<Feed>),
    /// The first bytes show which of the two it is.
    Deflate(Feed),
    Zlib(ZlibDecoder<Feed>),
    Raw(DeflateDecoder<Feed>),
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Self::Deflate(feed) = self {
            let Some(is_zlib) = feed.begins_with(is_zlib)? else { return Ok(0) };
            let feed = feed.clone();
            *self = if is_zlib { Self::Zlib(ZlibDecoder::new(feed)) } else { Self::Raw(DeflateDecoder::new(feed)) };
        }
        let (name, result) = match self {
            Self::Identity(feed) | Self::Deflate(feed) => return feed.read(buffer),
            Self::Gzip(decoder) => ("gzip", decoder.read(buffer)),
            Self::Zlib(decoder) => ("deflate", decoder.read(buffer)),
            Self::Raw(decoder) => ("deflate", decoder.read(buffer)),
        };
        result.map_err(|error| match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::InvalidData => {
                io::Error::new(error.kind(), format!("the body is no {name}, as its header says it is"))
            }
            ErrorKind::UnexpectedEof => io::Error::new(error.kind(), format!("the {name} of the body is cut off")),
            _ => error,
        })
    }
}

/// Whether the first two bytes are the header of zlib.
fn is_zlib([first, second]: [u8; 2]) -> bool {
    first & 0x0F == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn headers(codings: &[&str]) -> HeaderMap {
        codings.iter().map(|coding| (CONTENT_ENCODING, coding.parse().unwrap())).collect()
    }

    /// The bytes in one of the forms in which they are sent, and the header for it.
    fn coded(bytes: &[u8], form: usize) -> (Vec<u8>, &'static str) {
        let level = Compression::default();
        match form {
            0 => (bytes.to_vec(), "identity"),
            1 => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                (encoder.finish().unwrap(), "x-gzip")
            }
            2 => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                (encoder.finish().unwrap(), "Deflate")
            }
            _ => {
                let mut encoder = DeflateEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                (encoder.finish().unwrap(), "deflate")
            }
        }
    }

    /// Reads a body that comes in such pieces to its end. Returns the most bytes that one step gave, too.
    fn read(coding: Coding, bytes: &[u8], piece: usize) -> io::Result<(Vec<u8>, usize)> {
        let feed = Feed::default();
        let mut decoded = coding.decoded(feed.clone());
        let (mut read, mut most, mut buffer) = (Vec::new(), 0, vec![0; 32 * 1024]);
        let mut pieces = bytes.chunks(piece);
        let mut before = 0;
        loop {
            match decoded.read(&mut buffer) {
                Ok(0) => return Ok((read, most.max(before))),
                Ok(count) => {
                    read.extend_from_slice(&buffer[..count]);
                    before += count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    most = most.max(std::mem::take(&mut before));
                    feed.allow(coding.step());
                    // The first two bytes of deflate are looked at together, and left until both are there.
                    if feed.unread() < 2 {
                        match pieces.next() {
                            Some(piece) => feed.push(piece.to_vec()),
                            None => feed.end(Ok(())),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    #[test]
    fn a_coding_that_can_not_be_read_is_named() {
        for codings in [&["br"][..], &["zstd"], &["gzip, gzip"], &["gzip", "deflate"]] {
            let error = Coding::of(&headers(codings)).unwrap_err();
            assert!(
                error.contains(if codings.len() + codings[0].len() > 5 && codings != ["zstd"] {
                    "more than one"
                } else {
                    codings[0]
                }),
                "{error}"
            );
        }
        assert_eq!(Coding::of(&headers(&["identity, ", "GZIP"])), Ok(Coding::Gzip));
        assert!(!Coding::of(&headers(&["<b>\u{e9}Jane"])).unwrap_err().contains('<'));
    }

    #[test]
    fn a_body_that_is_not_what_its_header_says_is_an_error_that_says_so() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let error = read(coding, b"<?xml version='1.0'?><r/>", 7).unwrap_err().to_string();
            assert!(error.contains("the body is no"), "{error}");
        }
        for form in 1..4 {
            let (bytes, header) = coded(&b"<r/>".repeat(100), form);
            let error = read(Coding::of(&headers(&[header])).unwrap(), &bytes[..bytes.len() - 5], 7);
            assert!(error.unwrap_err().to_string().contains("cut off"), "{form}");
        }
        assert_eq!(read(Coding::Deflate, b"", 1).unwrap().0, b"");
    }

    #[test]
    fn a_bomb_is_read_in_bounded_steps() {
        let (bytes, _) = coded(&vec![b' '; 16 * 1024 * 1024], 1);
        assert!(bytes.len() < 100_000);
        let (read, most) = read(Coding::Gzip, &bytes, bytes.len()).unwrap();
        assert!(read.len() == 16 * 1024 * 1024 && most < 8 * 1024 * 1024, "{most}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

        #[test]
        fn a_body_comes_through_in_every_form_and_in_any_pieces(
            bytes in proptest::collection::vec(prop::sample::select(b"<a>b/".to_vec()), 0..20_000), form in 0..4_usize, piece in prop_oneof![1..4_usize, 1..9_000_usize]
        ) {
            let (coded, header) = coded(&bytes, form);
            let coding = Coding::of(&headers(&[header])).unwrap();
            prop_assert_eq!(read(coding, &coded, piece).unwrap().0, bytes);
        }
    }
}
