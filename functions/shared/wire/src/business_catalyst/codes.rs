//! What the source's type codes mean, and which code a type has that comes from any source.

/// The type of an address as a word; an unknown code stays as it is.
pub(super) fn address_type(code: &str) -> String {
    let word = match code {
        "1" => "home",
        "2" => "work",
        "3" => "po box",
        "5" => "shipping",
        "6" => "pickup",
        "7" => "storage",
        "8" => "billing",
        unknown => unknown,
    };
    word.to_owned()
}

/// What an entry of `phoneNos` is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Contacted {
    /// A phone number, with its type as a word. An unknown code, or none, is taken for a phone.
    ByPhone(Option<String>),
    /// An e-mail address, with its type as a word.
    ByEmail {
        kind: String,
        /// Whether it is the one to use.
        is_primary: bool,
    },
    /// A web address.
    OnTheWeb,
}

pub(super) fn contacted(code: Option<String>) -> Contacted {
    let by_phone = |word: &str| Contacted::ByPhone(Some(word.to_owned()));
    let by_email = |word: &str, is_primary| Contacted::ByEmail { kind: word.to_owned(), is_primary };
    match code.as_deref() {
        Some("1") => by_phone("home"),
        Some("2") => by_phone("home fax"),
        Some("3") => by_phone("work"),
        Some("4") => by_phone("work fax"),
        Some("5") => by_phone("cell"),
        Some("6") => by_phone("pager"),
        Some("7") => by_email("email 1", true),
        Some("8") => by_email("email 2", false),
        Some("9") => by_email("email 3", false),
        Some("10") => Contacted::OnTheWeb,
        Some(unknown) => by_phone(unknown),
        None => Contacted::ByPhone(None),
    }
}

/// The code of the home address, and the one of the home phone: of what has no known type, too.
const HOME: i32 = 1;

/// The code of the first e-mail address beside the one that counts.
pub(super) const EMAIL_2: i32 = 8;
/// The code of every further one.
pub(super) const EMAIL_3: i32 = 9;

/// The code of an address with this type.
pub(super) fn address_code(kind: Option<&str>) -> i32 {
    match letters_of(kind).as_str() {
        "work" | "business" | "office" => 2,
        "pobox" => 3,
        "shipping" => 5,
        "pickup" => 6,
        "storage" => 7,
        "billing" => 8,
        _ => HOME,
    }
}

/// The code of a phone number with this type.
pub(super) fn phone_code(kind: Option<&str>) -> i32 {
    match letters_of(kind).as_str() {
        "homefax" => 2,
        "work" | "workphone" | "business" | "businessphone" | "office" | "officephone" => 3,
        // More people have one at work than at home.
        "workfax" | "businessfax" | "officefax" | "fax" => 4,
        "cell" | "cellphone" | "cellular" | "mobile" | "mobilephone" => 5,
        "pager" => 6,
        _ => HOME,
    }
}

/// The code of an e-mail address with this type, if it is one of ours.
pub(super) fn email_code(kind: Option<&str>) -> Option<i32> {
    match kind {
        Some("email 2") => Some(EMAIL_2),
        Some("email 3") => Some(EMAIL_3),
        _ => None,
    }
}

/// A type without what sources write differently: `HOME FAX`, `home-fax` and `homeFax` are one.
fn letters_of(kind: Option<&str>) -> String {
    let letters = kind.unwrap_or_default().chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_survives_its_word() {
        for code in ["1", "2", "3", "5", "6", "7", "8"] {
            assert_eq!(address_code(Some(&address_type(code))).to_string(), code);
        }
        for code in 1..=6 {
            let Contacted::ByPhone(kind) = contacted(Some(code.to_string())) else { unreachable!() };
            assert_eq!(phone_code(kind.as_deref()), code);
        }
        for code in [EMAIL_2, EMAIL_3] {
            let Contacted::ByEmail { kind, .. } = contacted(Some(code.to_string())) else { unreachable!() };
            assert_eq!(email_code(Some(&kind)), Some(code));
        }
    }

    #[test]
    fn the_words_of_other_sources_have_codes_in_any_case() {
        for (word, code) in [
            ("HOME", 1),
            ("homePhone", 1),
            ("HOME FAX", 2),
            ("WORK", 3),
            ("workPhone", 3),
            ("Business", 3),
            ("WORK FAX", 4),
            ("Fax", 4),
            ("CELL", 5),
            ("mobile", 5),
            ("MOBILE-PHONE", 5),
            ("PAGER", 6),
            ("ASSISTANT", 1),
            ("5", 1),
            ("", 1),
        ] {
            assert_eq!(phone_code(Some(word)), code, "{word}");
        }
        for (word, code) in [("WORK", 2), ("PO Box", 3), ("P.O. BOX", 3), ("BILLING", 8), ("SEASONAL", 1), ("4", 1)] {
            assert_eq!(address_code(Some(word)), code, "{word}");
        }
        assert_eq!((phone_code(None), address_code(None), email_code(Some("WORK"))), (1, 1, None));
    }
}
