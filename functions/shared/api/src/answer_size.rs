//! How large an answer becomes under Lambda.

/// Lambda answers with at most 6 MB of JSON, in which the answer itself is a text; the rest is for its headers.
pub const MOST_BYTES_QUOTED: usize = 5_800_000;

/// The bytes of a text within a JSON text, without the quotation marks around it: each quotation mark, backslash and
/// line end becomes two bytes, any other control character six.
pub fn bytes_quoted(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum()
}
