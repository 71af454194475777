//! E-mail addresses in a document of any form.

use std::collections::BTreeSet;

use crate::EmailIndex;

/// Bytes of the longest text that is taken for an address.
const LONGEST: usize = 512;
/// What stands around an address: no address has it, as sources write them.
const AROUND: [char; 14] = ['<', '>', '"', '(', ')', '[', ']', ',', ';', ':', '\\', '=', '|', '/'];

/// What may be an e-mail address in a document, each folded as [`EmailIndex::address`] does: a whole text, or a word of
/// one. Entities of XML and escapes of JSON and of forms are read as what they stand for.
pub fn addresses_in(document: &str) -> BTreeSet<String> {
    let plain = unescaped(document);
    let mut found = BTreeSet::new();
    for text in plain.split(['<', '>', '"']).filter(|text| text.contains('@')) {
        if text.len() <= LONGEST {
            found.extend(EmailIndex::address(text));
        }
        let words =
            text.split(|letter: char| letter.is_whitespace() || letter.is_control() || AROUND.contains(&letter));
        for word in words.filter(|word| word.contains('@') && word.len() <= LONGEST) {
            // An `&` may stand in an address, and it parts the fields of a form.
            for word in std::iter::once(word).chain(word.split('&')) {
                found.extend(EmailIndex::address(word));
                found.extend(EmailIndex::address(word.trim_matches(['\'', '.', '!', '?', '`'])));
            }
        }
    }
    found
}

/// Without what stands for another letter, once.
fn unescaped(document: &str) -> String {
    let mut plain = String::with_capacity(document.len());
    let mut rest = document;
    while let Some(place) = rest.find(['&', '%', '\\']) {
        let (before, escape) = rest.split_at(place);
        plain.push_str(before);
        let (letter, length) = read_escape(escape);
        plain.push(letter);
        rest = &escape[length..];
    }
    plain.push_str(rest);
    plain
}

/// The letter that a text beginning with `&`, `%` or `\` has first, and how many bytes stand for it.
fn read_escape(text: &str) -> (char, usize) {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    let itself = (text.chars().next().unwrap_or_default(), 1);
    if let Some(entity) = text.strip_prefix('&') {
        let Some(end) = entity.bytes().take(10).position(|byte| byte == b';') else { return itself };
        let letter = match &entity[..end] {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            name => match (name.strip_prefix("#x").or(name.strip_prefix("#X")), name.strip_prefix('#')) {
                (Some(digits), _) => number(digits, 16),
                (None, Some(digits)) => number(digits, 10),
                (None, None) => None,
            },
        };
        return letter.map_or(itself, |letter| (letter, end + 2));
    }
    let (digits, length) = match text.strip_prefix("\\u") {
        Some(_) => (text.get(2..6), 6),
        None if text.starts_with('%') => (text.get(1..3), 3),
        None => (None, 0),
    };
    let letter = digits.filter(|digits| digits.is_ascii()).and_then(|digits| number(digits, 16));
    letter.map_or(itself, |letter| (letter, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_whatever_form_a_document_has() {
        for document in [
            "<email>Jane.O'Hara@Example.org</email>",
            "<email type=\"WORK\"> jane.o'hara@example.org </email>",
            "<c email='jane.o'hara@example.org'/>",
            "<email>jane.o&apos;hara&#64;example.org</email>",
            "<email>jane.o&#x27;hara@example.org</email>",
            r#"{"email":"jane.o'hara@example.org"}"#,
            r#"{"email":"jane.o\u0027hara\u0040example.org"}"#,
            "email=jane.o%27hara%40example.org&name=Jane",
            "Jane <jane.o'hara@example.org>, mailto:jane.o'hara@example.org.",
            "7|jane.o'hara@example.org|Jane",
        ] {
            assert!(
                addresses_in(document).contains("jane.o'hara@example.org"),
                "{document}: {:?}",
                addresses_in(document)
            );
        }
    }

    #[test]
    fn a_part_of_an_address_is_none_and_no_document_is_too_odd() {
        assert!(!addresses_in("<email>ajane@example.org</email>").contains("jane@example.org"));
        for document in
            ["", "@", "&", "%", "\\", "&;@&#;", "%4\u{e9}@", "\\u00\u{e9}9@", "&#xFFFFFFFF;@", "\u{e9}@&\u{e9}"]
        {
            addresses_in(document);
        }
    }
}
