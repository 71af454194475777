//! References in text and in attribute values: XML's own five entities and characters by number, and nothing else.

use quick_xml::escape::resolve_xml_entity;

/// The meaning of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A character.
    Character(char),
    /// The first half of a surrogate pair: a character only if the second follows.
    FirstHalf(u32),
    /// The second half of one.
    SecondHalf(u32),
    /// A number of no character that XML allows.
    Forbidden,
}

/// An invalid reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadReference {
    /// An entity that only a DOCTYPE could define.
    Entity,
    /// A `&#` that no number follows.
    Number,
    /// A character that XML forbids, if none may be left out.
    Forbidden,
    /// A `&` that no `;` follows.
    Unclosed,
}

/// The meaning of `name`, the text between `&` and `;`.
pub(crate) fn resolve(name: &str) -> Result<Reference, BadReference> {
    if let Some(number) = name.strip_prefix('#') {
        return numbered(number).ok_or(BadReference::Number);
    }
    let character = resolve_xml_entity(name).and_then(|text| text.chars().next());
    character.map(Reference::Character).ok_or(BadReference::Entity)
}

fn numbered(number: &str) -> Option<Reference> {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    Some(match u32::from_str_radix(digits, radix) {
        Ok(half @ 0xD800..=0xDBFF) => Reference::FirstHalf(half),
        Ok(half @ 0xDC00..=0xDFFF) => Reference::SecondHalf(half),
        Ok(number) => match char::from_u32(number).filter(|found| is_character(*found)) {
            Some(found) => Reference::Character(found),
            None => Reference::Forbidden,
        },
        // Larger than any number: no character either.
        Err(_) => Reference::Forbidden,
    })
}

/// The character that two halves make.
pub(crate) fn joined(first: u32, second: u32) -> Option<char> {
    char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)).filter(|found| is_character(*found))
}

/// Whether XML allows the character in a document.
pub(crate) fn is_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Whether a text may hold a character that XML forbids: a quick test, and `false` is never wrong.
pub(crate) fn may_hold_forbidden(text: &str) -> bool {
    let is_control = |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    // Eight bytes at a time, most of which hold not even a line end: functions are built for size, and the compiler
    // does not vectorise there.
    let (eights, rest) = text.as_bytes().as_chunks();
    eights.iter().filter(|eight| has_below_space(**eight)).any(|eight| eight.iter().any(is_control))
        || rest.iter().any(is_control)
        // U+FFFE and U+FFFF, of which only the last byte differs.
        || memchr::memchr_iter(0xEF, text.as_bytes())
            .any(|position| matches!(text.as_bytes().get(position + 1..position + 3), Some([0xBF, 0xBE | 0xBF])))
}

/// Whether a byte is less than a space. A space is taken from each. Of those that are less, the least significant one
/// gets its highest bit set, which it had not. If none is less, nothing is borrowed, and a highest bit that is set then
/// was set before.
fn has_below_space(bytes: [u8; 8]) -> bool {
    const HIGHEST_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
    let bytes = u64::from_ne_bytes(bytes);
    bytes.wrapping_sub(u64::from_ne_bytes([b' '; 8])) & !bytes & HIGHEST_BITS != 0
}

/// Appends an attribute's value as XML defines it: references resolved, white space turned into spaces. Returns how
/// many characters that XML forbids are left out.
pub(crate) fn push_attribute_value(raw: &str, value: &mut String) -> Result<u64, BadReference> {
    let mut left_out = 0;
    let mut first_half = None;
    let mut rest = raw;
    while let Some(position) = rest.find(['&', '\t', '\r', '\n']) {
        if position > 0 {
            left_out += u64::from(first_half.take().is_some());
            left_out += push_allowed(&rest[..position], value);
        }
        rest = &rest[position..];
        if let Some(reference) = rest.strip_prefix('&') {
            let length = reference.find(';').ok_or(BadReference::Unclosed)?;
            let (character, without) = character_of(resolve(&reference[..length])?, &mut first_half);
            value.extend(character);
            left_out += without;
            rest = &reference[length + 1..];
        } else {
            left_out += u64::from(first_half.take().is_some());
            value.push(' ');
            let line_end = if rest.starts_with("\r\n") { 2 } else { 1 };
            rest = &rest[line_end..];
        }
    }
    left_out += u64::from(first_half.is_some());
    Ok(left_out + push_allowed(rest, value))
}

/// The character of a reference, if any, and how many characters are left out; `first_half` is the half that stood
/// right before it.
pub(crate) fn character_of(reference: Reference, first_half: &mut Option<u32>) -> (Option<char>, u64) {
    match (reference, first_half.take()) {
        (Reference::SecondHalf(second), Some(first)) => match joined(first, second) {
            Some(character) => (Some(character), 0),
            None => (None, 2),
        },
        (Reference::FirstHalf(first), before) => {
            *first_half = Some(first);
            (None, u64::from(before.is_some()))
        }
        (Reference::Character(character), before) => (Some(character), u64::from(before.is_some())),
        (Reference::SecondHalf(_) | Reference::Forbidden, before) => (None, 1 + u64::from(before.is_some())),
    }
}

/// Appends a text without the characters that XML forbids. Returns how many were left out.
pub(crate) fn push_allowed(text: &str, allowed: &mut String) -> u64 {
    if !may_hold_forbidden(text) {
        allowed.push_str(text);
        return 0;
    }
    let mut left_out = 0;
    for character in text.chars() {
        if is_character(character) {
            allowed.push(character);
        } else {
            left_out += 1;
        }
    }
    left_out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_character_is_found_wherever_it_stands() {
        let text = "Größe:\t5 €\r\n\u{FFFD}\u{EFFF} 😀\u{7F} and on";
        assert!(!may_hold_forbidden(text));
        for character in ('\0'..='\u{1F}').chain(['\u{FFFE}', '\u{FFFF}']).filter(|one| !is_character(*one)) {
            for (place, _) in text.char_indices().chain([(text.len(), ' ')]) {
                let (before, behind) = text.split_at(place);
                assert!(may_hold_forbidden(&format!("{before}{character}{behind}")), "{character:?} at {place}");
            }
        }
    }

    #[test]
    fn the_five_entities_and_characters_by_number_are_known() {
        for (name, expected) in
            [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''), ("#65", 'A'), ("#x1F600", '😀')]
        {
            assert_eq!(resolve(name), Ok(Reference::Character(expected)), "{name}");
        }
    }

    #[test]
    fn any_other_entity_is_refused() {
        for name in ["nbsp", "AMP", "lol9", "", "x41"] {
            assert_eq!(resolve(name), Err(BadReference::Entity), "{name}");
        }
    }

    #[test]
    fn a_number_that_is_no_character_of_xml_is_told_from_what_is_no_number() {
        for name in ["#0", "#11", "#x1F", "#x110000", "#xFFFE", "#99999999999"] {
            assert_eq!(resolve(name), Ok(Reference::Forbidden), "{name}");
        }
        for name in ["#", "#x", "#+65", "#x+41", "#12a", "#xZ", "#-1", "# 65"] {
            assert_eq!(resolve(name), Err(BadReference::Number), "{name}");
        }
    }

    fn value(raw: &str) -> Result<(String, u64), BadReference> {
        let mut value = String::new();
        let left_out = push_attribute_value(raw, &mut value)?;
        Ok((value, left_out))
    }

    #[test]
    fn an_attribute_value_is_normalised_as_xml_says() {
        assert_eq!(value("a\tb\r\nc&amp;&#10;d"), Ok(("a b c&\nd".to_owned(), 0)));
        assert_eq!(value("a & b"), Err(BadReference::Unclosed));
        assert_eq!(value("&bomb;"), Err(BadReference::Entity));
    }

    #[test]
    fn what_xml_forbids_is_left_out_of_an_attribute_and_counted() {
        assert_eq!(value("a\u{1}b&#x1F;c\u{ffff}"), Ok(("abc".to_owned(), 3)));
        assert_eq!(value("&#xD83D;&#xDE00;"), Ok(("😀".to_owned(), 0)));
        for (raw, left_out) in [("&#xD83D;", 1), ("&#xDE00;", 1), ("&#xD83D;&#xD83D;", 2), ("&#xD83D;&#1;", 2)] {
            assert_eq!(value(raw), Ok((String::new(), left_out)), "{raw}");
        }
        assert_eq!(value("&#xD83D;a&#xDE00;"), Ok(("a".to_owned(), 2)));
        assert_eq!(value("&#xD83D;\t&#xDE00;"), Ok((" ".to_owned(), 2)));
    }
}
