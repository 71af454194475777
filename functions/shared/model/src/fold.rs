//! How texts that people and systems write differently are compared: one rule for every match in the product.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// A text as matching compares it: composed (NFC), with full Unicode case folding, without blanks at its ends, and with
/// each inner run of blanks as one space.
///
/// A no-break space is a blank. Zero-width and bidirectional marks stay: see [`without_marks`].
pub fn fold(text: &str) -> String {
    // Case folding can decompose, and does not compose: so it stands between two compositions.
    let folded: String = match text.is_ascii() {
        // The same, at a tenth of the cost.
        true => text.to_ascii_lowercase(),
        false => text.nfc().default_case_fold().nfc().collect(),
    };
    let mut words = folded.split_whitespace();
    let mut result = words.next().unwrap_or_default().to_owned();
    for word in words {
        result.push(' ');
        result.push_str(word);
    }
    result
}

/// A text without zero-width and bidirectional marks: in an id, a card number or an address they are invisible, and are
/// left over from copying. Names keep theirs, for some scripts are written with them.
pub fn without_marks(text: &str) -> String {
    text.chars().filter(|character| !is_mark(*character)).collect()
}

fn is_mark(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_blanks_and_the_encoding_of_accents_do_not_count() {
        for (one, other) in [
            ("Facebook", "facebook"),
            ("  Facebook\t", "FACEBOOK"),
            ("\u{a0}Café\u{3000}", "CAFE\u{301}"),
            ("Face  book", "Face\u{a0}book"),
            ("straße@example.org", "STRASSE@EXAMPLE.ORG"),
            ("ΟΔΟΣ", "οδος"),
            ("οδοσ", "οδος"),
            ("\u{fb01}t", "FIT"),
            ("Ünal", "U\u{308}NAL"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
    }

    #[test]
    fn blanks_within_and_accents_count() {
        assert_ne!(fold("Face book"), fold("Facebook"));
        assert_ne!(fold("Café"), fold("Cafe"));
    }

    #[test]
    fn what_is_folded_stays_as_it_is_when_it_is_folded_again() {
        for text in ["Straße", "İstanbul", "\u{1f80}", "ΑΣ Β", "\u{390}", "e\u{301}\u{323}"] {
            assert_eq!(fold(&fold(text)), fold(text), "{text}");
        }
    }

    #[test]
    fn marks_that_nobody_sees_are_left_out() {
        assert_eq!(without_marks("\u{feff}70\u{200b}01"), "7001");
        assert_eq!(without_marks("\u{202a}ann@example.org\u{202c}"), "ann@example.org");
        assert_eq!(without_marks("a b"), "a b");
    }
}
