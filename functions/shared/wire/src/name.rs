//! Names of elements and attributes.

/// A longer name is no element's.
const NAME_BYTES: usize = 256;

/// A name in the form for matching. One pass checks, splits and folds it, because every tag has one.
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
