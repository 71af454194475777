use std::hint::black_box;
use std::io::{ErrorKind, Read, Write};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use sources::{Body, Coding, Feed};

use crate::generate::{Numbers, hash};
use crate::{Target, budget};

/// What is read beyond this is a bomb, which a document's limits end.
const MOST: usize = 512 * 1024;

/// The body of an answer between the network and a document's reader. The first line is its `Content-Encoding`, the
/// second its `Content-Type`.
pub(super) const BODY: Target = Target {
    peak: budget::PEAK,
    name: "body",
    read: |input| {
        if let Some((headers, bytes)) = answer(input) {
            black_box(headers_and_bytes(&headers, bytes, usize::MAX, &mut |piece| {
                black_box(piece);
            }));
        }
    },
    holds: |input| {
        let Some((headers, bytes)) = answer(input) else { return };
        let whole = decoded(&headers, bytes, usize::MAX);
        for longest in [1, 300] {
            assert_eq!(whole, decoded(&headers, bytes, longest), "a body in pieces");
        }
        // What is coded as the header says comes through as it was.
        let level = Compression::fast();
        let coded = [
            ("gzip", written(GzEncoder::new(Vec::new(), level), bytes, GzEncoder::finish)),
            ("deflate", written(ZlibEncoder::new(Vec::new(), level), bytes, ZlibEncoder::finish)),
            ("deflate", written(DeflateEncoder::new(Vec::new(), level), bytes, DeflateEncoder::finish)),
        ];
        for (name, coded) in coded {
            let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(name))]);
            let (read, failure) = decoded(&headers, &coded, 700);
            assert!(failure.is_none() && read == bytes, "{name}");
        }
    },
};

fn written<E: Write>(mut encoder: E, bytes: &[u8], finish: fn(E) -> std::io::Result<Vec<u8>>) -> Vec<u8> {
    encoder.write_all(bytes).unwrap();
    finish(encoder).unwrap()
}

fn answer(input: &[u8]) -> Option<(HeaderMap, &[u8])> {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let (coding, media_type) = (lines.next()?, lines.next()?);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_bytes(coding).ok()?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_bytes(media_type).ok()?);
    Some((headers, lines.next()?))
}

fn decoded(headers: &HeaderMap, bytes: &[u8], longest: usize) -> (Vec<u8>, Option<ErrorKind>) {
    let mut read = Vec::new();
    let failure = headers_and_bytes(headers, bytes, longest, &mut |piece| read.extend_from_slice(piece));
    read.truncate(MOST);
    // An error may come before or after the bytes that precede it, as pieces happen to fall.
    if failure.is_some() { (Vec::new(), failure) } else { (read, None) }
}

/// Reads a body that comes in pieces of up to `longest` bytes; the kind of its error, if it has one.
fn headers_and_bytes(
    headers: &HeaderMap,
    bytes: &[u8],
    longest: usize,
    take: &mut dyn FnMut(&[u8]),
) -> Option<ErrorKind> {
    let coding = Coding::of(headers).ok()?;
    let feed = Feed::default();
    let mut body = Body::new(feed.clone(), coding, headers);
    black_box(body.charset());
    let mut numbers = Numbers::of(hash(bytes));
    let (mut rest, mut buffer, mut count) = (bytes, [0; 8 * 1024], 0);
    while count < MOST {
        match body.read(&mut buffer) {
            Ok(0) => return None,
            Ok(length) => {
                count += length;
                take(&buffer[..length]);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                feed.allow(coding.step());
                // The first two bytes of deflate are looked at together, and left until both are there.
                if feed.unread() < 2 {
                    if rest.is_empty() {
                        feed.end(Ok(()));
                    } else {
                        let (piece, after) = rest.split_at((1 + numbers.below(longest)).min(rest.len()));
                        feed.push(piece.to_vec());
                        rest = after;
                    }
                }
            }
            Err(error) => return Some(error.kind()),
        }
    }
    None
}
