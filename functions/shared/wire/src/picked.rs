//! What is sent of a customer to receivers that have fewer places than a customer has entries.

use std::collections::HashSet;

use model::import::Field;
use model::{Address, Content, Email, Phone, without_marks};

/// A text without the white space around it; empty if there is none.
pub(crate) fn text(text: Option<&str>) -> &str {
    text.unwrap_or_default().trim()
}

/// The e-mail addresses, each once, with the one to use first: the primary one, else the first that is not known to be
/// bad, else the first. What can't be an address is left out, for receivers find people by it: `n/a`, as the address of
/// many, would make one person of them all.
pub(crate) fn emails(content: &Content) -> Vec<(String, &Email)> {
    let usable = content.emails.iter().filter_map(|email| {
        let address = without_marks(&email.address).trim().to_owned();
        (!address.is_empty() && Field::Email.check(&address).is_ok()).then_some((address, email))
    });
    let mut emails: Vec<(String, &Email)> = usable.collect();
    // Sorting keeps the order of equals.
    emails.sort_by_key(|(_, email)| (!email.primary, email.bad));
    let mut seen = HashSet::new();
    emails.retain(|(address, _)| seen.insert(address.clone()));
    emails
}

/// The phone number to use: the primary one, else the first.
pub(crate) fn phone(content: &Content) -> Option<&Phone> {
    let given = || content.phones.iter().filter(|phone| !phone.number.trim().is_empty());
    given().find(|phone| phone.primary).or_else(|| given().next())
}

/// The postal address to use: the primary one, else the first.
pub(crate) fn address(content: &Content) -> Option<&Address> {
    let given = || content.addresses.iter().filter(|address| says_something(address));
    given().find(|address| address.primary).or_else(|| given().next())
}

/// Whether an address has more than a type.
pub(crate) fn says_something(address: &Address) -> bool {
    let Address { lines, city, region, postal_code, country, .. } = address;
    let parts = [city, region, postal_code, country].into_iter().flatten();
    lines.iter().chain(parts).any(|part| !part.trim().is_empty())
}

/// The street lines as two: the second holds all after the first.
pub(crate) fn two_lines(address: &Address) -> [String; 2] {
    let mut lines = address.lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().to_owned();
    [first, lines.collect::<Vec<_>>().join(", ")]
}

/// The date of birth as `YYYY-MM-DD`, if it is a date: a source may have sent any text.
pub(crate) fn birth_date(content: &Content) -> Option<&str> {
    content.birth_date.as_deref().filter(|date| Field::CustomDate.check(date).is_ok())
}
