//! What the source's type codes mean.

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
