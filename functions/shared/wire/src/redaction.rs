//! Withholds our credentials from what is shown of a source's answer: it may quote what it was sent.
//!
//! Of a source's own words, an error shows only codes and words of a fixed list: so a password that it quotes in some
//! other spelling (escaped, encoded once or twice, cut off, in base64) is not shown at all. What is left are places
//! where its document is named rather than quoted, such as the name of an element, and passwords that are made of
//! common words. For these, nothing is shown that has [`TELLING`] characters of the password in a row.

use std::collections::HashSet;

/// The text in place of what is withheld.
const MASK: &str = "***";

/// How many characters of a password in a row reveal a part of it.
const TELLING: usize = 4;

/// A text without the parts that reveal these credentials.
///
/// No `TELLING` characters of the password in a row are shown, in either case and with its blanks folded. A password
/// that is shorter than that is not shown as a word of its own. The user name is withheld as a whole, or not at all if
/// it is that short: it is no secret, and would leave no text readable.
pub fn redact(text: &str, username: &str, password: &str) -> String {
    // Four bytes a letter, and no more on the way: a text may be as long as a document lets it be.
    let mut letters = Vec::with_capacity(text.len());
    letters.extend(text.chars().map(in_one_case));
    let mut withheld = vec![false; letters.len()];
    for spelling in spellings(password) {
        let length = TELLING.min(spelling.len());
        let parts = spelling.windows(length).filter(|part| part.iter().any(|letter| letter.is_alphanumeric()));
        let parts: HashSet<&[char]> = parts.collect();
        withhold(&letters, length, |part| parts.contains(part), spelling.len() < TELLING, &mut withheld);
    }
    for spelling in spellings(username).into_iter().filter(|spelling| spelling.len() >= TELLING) {
        withhold(&letters, spelling.len(), |part| part == spelling, false, &mut withheld);
    }
    masked(text, &withheld)
}

/// A secret as it is and with its blanks folded, both in one case.
fn spellings(secret: &str) -> Vec<Vec<char>> {
    let folded = secret.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut spellings: Vec<Vec<char>> = [secret, &folded].map(|one| one.chars().map(in_one_case).collect()).into();
    spellings.dedup();
    spellings.retain(|spelling| !spelling.is_empty());
    spellings
}

/// Marks everything of this length that is sought; with `as_words`, only what stands by itself.
fn withhold(
    letters: &[char],
    length: usize,
    is_sought: impl Fn(&[char]) -> bool,
    as_words: bool,
    withheld: &mut [bool],
) {
    for (start, _) in letters.windows(length).enumerate().filter(|(_, part)| is_sought(part)) {
        let end = start + length;
        let is_letter = |letter: Option<&char>| letter.is_some_and(|letter| letter.is_alphanumeric());
        let is_apart =
            !is_letter(start.checked_sub(1).and_then(|before| letters.get(before))) && !is_letter(letters.get(end));
        if !as_words || is_apart {
            withheld[start..end].fill(true);
        }
    }
}

/// The text, with [`MASK`] for the letters that are withheld and for the rest of a word of which a part is.
fn masked(text: &str, withheld: &[bool]) -> String {
    let mut shown = String::with_capacity(text.len());
    let show = |shown: &mut String, word: &str, is_withheld: bool| {
        if !is_withheld {
            shown.push_str(word);
        } else if !shown.ends_with(MASK) {
            shown.push_str(MASK);
        }
    };
    // Where the current word began, and whether a part of it is withheld.
    let mut word = None;
    for ((position, letter), is_withheld) in text.char_indices().zip(withheld) {
        if letter.is_alphanumeric() || *is_withheld {
            let (_, is_any_withheld) = word.get_or_insert((position, false));
            *is_any_withheld |= *is_withheld;
            continue;
        }
        if let Some((start, is_any_withheld)) = word.take() {
            show(&mut shown, &text[start..position], is_any_withheld);
        }
        shown.push(letter);
    }
    if let Some((start, is_any_withheld)) = word {
        show(&mut shown, &text[start..], is_any_withheld);
    }
    shown
}

/// The first letter of the lower-case form: enough to find a letter again.
fn in_one_case(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine};
    use proptest::prelude::*;

    use super::*;
    use crate::Limits;
    use crate::association_anywhere::StatusReader;

    #[test]
    fn a_user_name_of_a_letter_or_two_leaves_texts_readable() {
        let text = "not the expected document at /a/soap (byte 7): an element that no list has here";
        for username in ["a", "so", "doc", ""] {
            assert_eq!(redact(text, username, "x7!"), text, "{username}");
        }
    }

    #[test]
    fn a_short_password_does_not_show_and_masks_no_part_of_a_word() {
        assert_eq!(redact("at /a/pw7/b: it is pw7, not pw70", "user", "pw7"), "at /a/***/b: it is ***, not pw70");
    }

    #[test]
    fn a_user_name_is_withheld_as_a_whole_in_any_case() {
        assert_eq!(redact("the user Integrator-1 is locked", "integrator-1", "x"), "the user *** is locked");
        assert_eq!(redact("reading was interrupted", "integrator-1", "x"), "reading was interrupted");
    }

    #[test]
    fn of_a_password_nothing_shows_that_tells_something() {
        for text in ["horse-battery", "the battery", "HORSE", "x battery-stap", "(ttery)"] {
            let shown = redact(text, "user", "correct horse-battery-staple");
            assert!(!shown.to_lowercase().contains("atte") && !shown.to_lowercase().contains("hors"), "{shown}");
        }
    }

    /// A password: words that may be shown, and letters of every kind.
    fn password() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            prop::sample::select(vec!["invalid", "request", "server", "error", "account", "no", "the"])
                .prop_map(str::to_owned),
            "[a-zA-Z0-9]{1,6}",
            "[ &<>'\"%+/=\\\\;:#.,!?_ü€-]{1,2}",
        ];
        proptest::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
    }

    fn percent(text: &str, is_blank_plus: bool) -> String {
        text.bytes()
            .map(|byte| match byte {
                b' ' if is_blank_plus => "+".to_owned(),
                byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect()
    }

    fn escaped(text: &str, reference: fn(char) -> String) -> String {
        text.chars()
            .map(|letter| if letter.is_alphanumeric() { letter.to_string() } else { reference(letter) })
            .collect()
    }

    /// The password as a source may write it.
    fn spelled(password: &str, spelling: usize) -> String {
        let named = |letter| match letter {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&apos;".to_owned(),
            letter => letter.to_string(),
        };
        match spelling {
            0 => password.to_owned(),
            1 => escaped(password, named),
            2 => escaped(password, |letter| format!("&#{};", u32::from(letter))),
            3 => escaped(password, |letter| format!("&#x{:X};", u32::from(letter))),
            4 => percent(password, true),
            5 => percent(&percent(password, false), false),
            6 => percent(&escaped(password, named), true),
            7 => serde_json::to_string(password).unwrap(),
            8 => BASE64_STANDARD.encode(format!("integrator-1:{password}")),
            9 => password.split_whitespace().collect::<Vec<_>>().join(" "),
            _ => password.to_uppercase(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

        /// 8: secrets never reach a log, an error text or a metric, however the source spells them and wherever it is
        /// cut.
        #[test]
        fn of_a_password_nothing_shows_in_any_spelling_and_any_cut(
            password in password(),
            spelling in 0..11_usize,
            (from, to) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
            before in 0..220_usize,
            in_a_name in any::<bool>(),
        ) {
            let quoted = spelled(&password, spelling);
            let letters: Vec<char> = quoted.chars().collect();
            let (from, to) = (from.index(letters.len() + 1), to.index(letters.len() + 1));
            let quoted: String = letters[from.min(to)..from.max(to)].iter().collect();
            // What is quoted as the name of an element is quoted as it is.
            let document = if in_a_name && spelling != 8 {
                let name: String = quoted.chars().filter(|letter| letter.is_alphanumeric()).collect();
                format!("<r><x{name}><y></x{name}></r>")
            } else {
                let padding = "no ".repeat(before / 3);
                let words = format!("{padding}bad request: {quoted} {quoted}").replace("]]>", "");
                format!("<r><error><![CDATA[{words}]]></error></r>")
            };
            let mut reader = StatusReader::new(document.as_bytes(), None, Limits::of_status());
            let error = reader.read().unwrap_err().to_string();
            let shown: Vec<char> = redact(&error, "integrator-1", &password).chars().map(in_one_case).collect();
            let secret: Vec<char> = password.chars().map(in_one_case).collect();
            let line: String = shown.iter().collect();
            for part in secret.windows(TELLING).filter(|part| part.iter().any(|letter| letter.is_alphanumeric())) {
                prop_assert!(!shown.windows(TELLING).any(|window| window == part), "{:?} in {}", part, line);
                // Nor can it be read out of another spelling.
                let part: String = part.iter().collect();
                for spelling in 1..8 {
                    let spelled = spelled(&part, spelling).trim_matches('"').to_lowercase();
                    prop_assert!(!line.contains(&spelled), "{} in {}", spelled, line);
                }
            }
            let in_base64 = spelled(&password, 8).to_lowercase();
            let letters: Vec<char> = in_base64.chars().collect();
            for part in letters[16..].windows(8) {
                prop_assert!(!line.contains(&part.iter().collect::<String>()), "{:?} in {}", part, line);
            }
        }
    }
}
