/// The longest callback: libraries generate some thirty characters.
const LONGEST: usize = 100;

/// Whether a text is a plain path of JavaScript identifiers, such as `jQuery.callbacks.cb_1`: the answer calls it, so
/// anything else would let a request inject a script. A reserved word of JavaScript breaks the caller's own page and
/// nothing else.
pub(super) fn is_identifier_path(text: &str) -> bool {
    text.len() <= LONGEST && text.split('.').all(is_identifier)
}

fn is_identifier(text: &str) -> bool {
    let begins_well = text.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$';
    begins_well && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_a_path_of_identifiers_and_nothing_else() {
        for path in ["f", "_", "$", "someFunctionName", "jQuery.callbacks.cb_1", "a.$b", "x".repeat(100).as_str()] {
            assert!(is_identifier_path(path), "{path}");
        }
        for text in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "1a",
            "a.1",
            "a b",
            "a()",
            "alert(1)//",
            "a;b",
            "a[0]",
            "a-b",
            "é",
            "a\n",
            "<script>",
            "x".repeat(101).as_str(),
        ] {
            assert!(!is_identifier_path(text), "{text}");
        }
    }
}
