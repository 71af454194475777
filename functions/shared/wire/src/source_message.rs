//! A source's own words, and what an error text may show of them.

use crate::vocabulary;

/// How many bytes of them are read.
const CAPTURE_BYTES: usize = 4096;

/// How many characters of them are shown.
const MESSAGE_CHARACTERS: usize = 200;

/// The text read so far, up to a reasonable length.
#[derive(Default)]
pub(crate) struct SourceMessage(String);

impl SourceMessage {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn push(&mut self, piece: &str) {
        let room = CAPTURE_BYTES.saturating_sub(self.0.len());
        self.0.push_str(&piece[..piece.floor_char_boundary(room)]);
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A source's words on one line, without control characters: for comparison, not to be shown.
pub(crate) fn sanitized(words: &str) -> String {
    words_of(words).collect::<Vec<_>>().join(" ")
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty())
}

/// What may be shown of a source's words, which may quote personal data and what we sent: codes of errors, numbers in a
/// place where only a program's can be, and words of a fixed list. Everything else becomes one `…`. At most
/// [`MESSAGE_CHARACTERS`], cut between words.
pub(crate) fn shown(words: &str) -> String {
    let mut shown = String::new();
    let mut characters = 0;
    let mut before = "";
    for word in words_of(words) {
        let core = word.trim_matches(|letter: char| PUNCTUATION.contains(letter));
        let word = if may_be_shown(word, core, before) { word } else { MASK };
        before = core;
        if word == MASK && shown.ends_with(MASK) {
            continue;
        }
        characters += word.chars().count() + 1;
        if characters > MESSAGE_CHARACTERS + 1 {
            break;
        }
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
    }
    shown
}

/// The text in place of what is not shown.
const MASK: &str = "…";

/// What may stand around a word.
const PUNCTUATION: &str = ".,:;!?()[]\"'`";

/// The longest run of punctuation that is shown by itself, such as `--->`.
const RULE_CHARACTERS: usize = 4;

fn may_be_shown(word: &str, core: &str, before: &str) -> bool {
    if core.is_empty() || core.bytes().all(|byte| matches!(byte, b'-' | b'>' | b'=' | b'/' | b'|')) {
        return word.len() <= RULE_CHARACTERS;
    }
    if word.len() - core.len() > RULE_CHARACTERS {
        return false;
    }
    is_code(core)
        || is_programs_number(core, before)
        || vocabulary::is_known(core)
        || core.split(['-', '/']).all(|part| part.len() > 1 && vocabulary::is_known(part))
}

/// The code of an error, such as `ORA-20001`.
fn is_code(core: &str) -> bool {
    let Some((prefix, number)) = core.split_once('-') else {
        return false;
    };
    matches!(prefix, "ORA" | "PLS" | "TNS" | "SP2" | "LPX" | "KUP" | "OCI")
        && (3..=5).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number that is not personal data, by the word before it: `line 512`, `HTTP 500`.
fn is_programs_number(core: &str, before: &str) -> bool {
    let most_digits = match before.to_ascii_lowercase().as_str() {
        "line" | "column" => 5,
        "http" | "status" => 3,
        _ => return false,
    };
    core.len() <= most_digits && core.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_what_went_wrong_is_shown() {
        for words in [
            "Invalid credentials",
            "ORA-06512: at line 512",
            "Server did not recognize the value of HTTP Header SOAPAction",
            "Server was unable to process request. ---> Timeout expired.",
            "The service is temporarily unavailable (HTTP 503); try again later!",
            "parameter p_input_xml_doc: cust-request has no max-queue-num",
            "read/write error",
        ] {
            assert_eq!(shown(words), words);
        }
        assert_eq!(shown(" Site not\n\tfound\u{1} "), "Site not found");
    }

    #[test]
    fn nothing_is_shown_that_may_be_about_a_person() {
        for (words, expected) in [
            ("duplicate key: Jane Roe, jane.roe@example.org, card 4111222233334444", "duplicate key: …"),
            ("user O'Brien-Smith (born 1980-02-29) is locked", "user … is locked"),
            ("no member at 12 Rose Lane, 22000 Anytown", "no member at …"),
            ("phone +1 555 0100 exists", "phone … exists"),
            ("name='Doe' not found", "… not found"),
            ("status 4711222 of 4711", "status … of …"),
            ("<name>error</name> error", "… error"),
            ("jane", "…"),
            ("a.b@c.de", "…"),
        ] {
            assert_eq!(shown(words), expected);
        }
    }

    #[test]
    fn what_is_shown_ends_between_words() {
        let shown = shown(&"invalid request ".repeat(40));
        assert!(shown.chars().count() <= MESSAGE_CHARACTERS && shown.ends_with(" invalid"), "{shown}");
    }
}
