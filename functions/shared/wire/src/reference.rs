//! References in text and in attribute values: XML's own five entities and characters by number, and nothing else.

/// A reference that is not resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadReference {
    /// An entity that only a DOCTYPE could define.
    Entity,
    /// A number that is no character that XML allows.
    Character,
    /// A `&` that no `;` follows.
    Unclosed,
}

/// The character that stands for `name`, which is what is written between `&` and `;`.
pub(crate) fn resolve(name: &str) -> Result<char, BadReference> {
    match name {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => match name.strip_prefix('#') {
            Some(number) => character(number).ok_or(BadReference::Character),
            None => Err(BadReference::Entity),
        },
    }
}

fn character(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    // `from_str_radix` takes a sign, XML does not.
    if !digits.starts_with(|first: char| first.is_ascii_hexdigit()) {
        return None;
    }
    let found = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
    is_character(found).then_some(found)
}

/// Whether XML allows the character in a document.
pub(crate) fn is_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Appends an attribute's value as XML defines it: references resolved, white space turned into spaces.
pub(crate) fn push_attribute_value(raw: &str, value: &mut String) -> Result<(), BadReference> {
    let mut rest = raw;
    while let Some(position) = rest.find(['&', '\t', '\r', '\n']) {
        value.push_str(&rest[..position]);
        rest = &rest[position..];
        if let Some(reference) = rest.strip_prefix('&') {
            let length = reference.find(';').ok_or(BadReference::Unclosed)?;
            value.push(resolve(&reference[..length])?);
            rest = &reference[length + 1..];
        } else {
            value.push(' ');
            let line_end = if rest.starts_with("\r\n") { 2 } else { 1 };
            rest = &rest[line_end..];
        }
    }
    value.push_str(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_entities_and_characters_by_number_are_known() {
        for (name, expected) in
            [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''), ("#65", 'A'), ("#x1F600", '😀')]
        {
            assert_eq!(resolve(name), Ok(expected), "{name}");
        }
    }

    #[test]
    fn any_other_entity_is_refused() {
        for name in ["nbsp", "AMP", "lol9", "", "x41"] {
            assert_eq!(resolve(name), Err(BadReference::Entity), "{name}");
        }
    }

    #[test]
    fn a_number_that_is_no_character_of_xml_is_refused() {
        for name in ["#", "#x", "#0", "#11", "#xD800", "#x110000", "#xFFFE", "#+65", "#x+41", "#12a", "#99999999999"] {
            assert_eq!(resolve(name), Err(BadReference::Character), "{name}");
        }
    }

    #[test]
    fn an_attribute_value_is_normalised_as_xml_says() {
        let mut value = String::new();
        push_attribute_value("a\tb\r\nc&amp;&#10;d", &mut value).unwrap();
        assert_eq!(value, "a b c&\nd");
        assert_eq!(push_attribute_value("a & b", &mut value), Err(BadReference::Unclosed));
        assert_eq!(push_attribute_value("&bomb;", &mut value), Err(BadReference::Entity));
    }
}
