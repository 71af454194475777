//! Names of elements and attributes.

use crate::secret_name::is_secret;

/// A longer name is no element's.
const NAME_BYTES: usize = 256;
/// So many names of elements are kept of a document: more than any source's documents have.
const MOST_KEPT: usize = 256;
/// How many a small document has, and of how many bytes: room that is made at once.
const USUAL: usize = 32;
/// See [`USUAL`].
const USUAL_BYTES: usize = 12;
/// Places for the numbers of names, found by hash. A power of two.
const PLACES: usize = 2 * MOST_KEPT;
/// A name is in one of so many places, so that no document makes the search long.
const PLACES_OF_A_NAME: usize = 8;

/// The name of an element.
#[derive(Clone, Copy)]
pub(crate) struct Name<'n> {
    /// Where the local name begins in the name as written.
    pub(crate) local_start: usize,
    /// The local name in lower case and without `-` and `_`, for matching.
    pub(crate) folded: &'n str,
    /// Whether the element holds a secret.
    pub(crate) is_secret: bool,
    /// The name's number in the document; `None` if it is not kept.
    pub(crate) number: Option<usize>,
}

/// The names of a document's elements. A document repeats few names, so each is checked, split and folded once.
pub(crate) struct Names {
    /// What is kept, each name as written and then folded.
    text: String,
    kept: Vec<KeptName>,
    /// In each place, the number of a name plus one; 0 in an empty one.
    places: [u16; PLACES],
    buffer: NameBuffer,
}

struct KeptName {
    start: usize,
    folded_start: usize,
    end: usize,
    local_start: usize,
    is_secret: bool,
}

impl Default for Names {
    fn default() -> Self {
        let text = String::with_capacity(2 * USUAL * USUAL_BYTES);
        let kept = Vec::with_capacity(USUAL);
        Self { text, kept, places: [0; PLACES], buffer: NameBuffer::default() }
    }
}

impl Names {
    /// Reads the name of an element. `None` if XML does not allow it, or if it is unreasonably long.
    pub(crate) fn read(&mut self, written: &str) -> Option<Name<'_>> {
        let first_place = hash(written.as_bytes());
        let mut empty_place = None;
        for place in (0..PLACES_OF_A_NAME).map(|step| (first_place + step) % PLACES) {
            let Some(number) = usize::from(self.places[place]).checked_sub(1) else {
                empty_place = Some(place);
                break;
            };
            let KeptName { start, folded_start, .. } = self.kept[number];
            if self.text.as_bytes()[start..folded_start] == *written.as_bytes() {
                return Some(self.kept_name(number));
            }
        }
        let Self { text, kept, places, buffer } = self;
        let (local_start, folded) = buffer.read(written)?;
        let is_secret = is_secret(folded);
        let number = empty_place.filter(|_| kept.len() < MOST_KEPT).map(|place| {
            let start = text.len();
            text.push_str(written);
            let folded_start = text.len();
            text.push_str(folded);
            kept.push(KeptName { start, folded_start, end: text.len(), local_start, is_secret });
            places[place] = kept.len() as u16;
            kept.len() - 1
        });
        Some(Name { local_start, folded, is_secret, number })
    }

    fn kept_name(&self, number: usize) -> Name<'_> {
        let KeptName { folded_start, end, local_start, is_secret, .. } = self.kept[number];
        Name { local_start, folded: &self.text[folded_start..end], is_secret, number: Some(number) }
    }
}

/// Of the length and both ends of a name: names of elements seldom differ in their middle only.
fn hash(name: &[u8]) -> usize {
    let word = |bytes: &[u8]| bytes.iter().fold(0, |word: u64, byte| word << 8 | u64::from(*byte));
    let (first, last) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (word(name), 0),
    };
    // The multipliers of MurmurHash's end, which spreads every bit over all.
    let mixed = (first ^ last.rotate_left(32) ^ name.len() as u64).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed >> 48) as usize % PLACES
}

/// A name in the form for matching. One pass checks, splits and folds it.
pub(crate) struct NameBuffer([u8; NAME_BYTES]);

impl Default for NameBuffer {
    fn default() -> Self {
        Self([0; NAME_BYTES])
    }
}

impl NameBuffer {
    /// The start of the local name in `name`, and that local name folded. `None` if XML does not allow the name, or if
    /// it is unreasonably long.
    pub(crate) fn read(&mut self, name: &str) -> Option<(usize, &str)> {
        let bytes = name.as_bytes();
        let first = bytes.first()?;
        if bytes.len() > NAME_BYTES || first.is_ascii_digit() || matches!(first, b'-' | b'.') {
            return None;
        }
        let mut local_start = 0;
        let mut length = 0;
        for (position, byte) in bytes.iter().enumerate() {
            match FOLDED[usize::from(*byte)] {
                NOT_IN_NAMES => return None,
                DROPPED => {}
                b':' if local_start == 0 => {
                    local_start = position + 1;
                    length = 0;
                }
                folded => {
                    self.0[length] = folded;
                    length += 1;
                }
            }
        }
        Some((local_start, std::str::from_utf8(&self.0[..length]).ok()?))
    }
}

const NOT_IN_NAMES: u8 = 0;
const DROPPED: u8 = 1;

/// The folded form of each byte of a name. Beyond ASCII all are allowed as they are: what XML excludes there does no
/// harm.
const FOLDED: [u8; 256] = {
    let mut table = [NOT_IN_NAMES; 256];
    let mut byte: u8 = 0;
    loop {
        table[byte as usize] = match byte {
            b'-' | b'_' => DROPPED,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b':' | 128.. => byte.to_ascii_lowercase(),
            _ => NOT_IN_NAMES,
        };
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> Option<(String, String)> {
        let mut buffer = NameBuffer::default();
        let (local_start, folded) = buffer.read(name)?;
        Some((name[local_start..].to_owned(), folded.to_owned()))
    }

    #[test]
    fn a_name_is_split_at_its_first_colon_and_folded() {
        for (name, local, folded) in [
            ("custId", "custId", "custid"),
            ("x:CUST_ID", "CUST_ID", "custid"),
            ("a-b:max-queue-num", "max-queue-num", "maxqueuenum"),
            ("Größe.1", "Größe.1", "größe.1"),
            ("_", "_", ""),
        ] {
            assert_eq!(read(name), Some((local.to_owned(), folded.to_owned())), "{name}");
        }
    }

    #[test]
    fn what_xml_allows_in_no_name_makes_none() {
        let long = "a".repeat(NAME_BYTES + 1);
        for name in ["", "1a", "-a", ".a", "a b", "a<b", "a&b", "a=b", "a\"b", "a/b", "a\u{1}b", &long] {
            assert_eq!(read(name), None, "{name:?}");
        }
        assert!(read(&long[1..]).is_some());
    }
}
