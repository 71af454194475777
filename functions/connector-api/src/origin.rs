//! What a stored customer keeps of how it was sent: under `attributes`, by the source's own names.

use model::{Attribute, Attributes, Content, ExternalKey};
use wire::connector::LEAD_INFO;

const PROVIDER_INFO: &str = "providerInfo";
const IDENTIFIER: &str = "identifier";
const CLIENT_ID: &str = "clientID";
const CLUB_ID: &str = "clubID";

/// Notes the sender's key of the customer.
pub(crate) fn note_key(content: &mut Content, key: &ExternalKey) {
    content.external_id = Some(key.record_id.clone());
    let mut info = match content.attributes.remove(PROVIDER_INFO) {
        Some(Attribute::Object(info)) => info,
        _ => Attributes::new(),
    };
    for (name, value) in [(IDENTIFIER, &key.identifier), (CLIENT_ID, &key.client_id), (CLUB_ID, &key.club_id)] {
        info.insert(name.to_owned(), Attribute::Text(value.clone()));
    }
    content.attributes.insert(PROVIDER_INFO.to_owned(), Attribute::Object(info));
}

/// The sender's key of the customer; `None` if it was not pushed, or is deleted.
pub(crate) fn key_of(content: &Content) -> Option<ExternalKey> {
    let part = |name| text_in(content, PROVIDER_INFO, name).map(str::to_owned);
    Some(ExternalKey {
        identifier: part(IDENTIFIER)?,
        client_id: part(CLIENT_ID)?,
        club_id: part(CLUB_ID)?,
        record_id: content.external_id.clone()?,
    })
}

/// The reference in this element of `leadInfo`; of several, the first that is not empty.
pub(crate) fn reference<'a>(content: &'a Content, element: &str) -> Option<&'a str> {
    text_in(content, LEAD_INFO, element)
}

fn text_in<'a>(content: &'a Content, section: &str, name: &str) -> Option<&'a str> {
    let Some(Attribute::Object(section)) = content.attributes.get(section) else { return None };
    section.get(name).and_then(first_text)
}

fn first_text(value: &Attribute) -> Option<&str> {
    match value {
        Attribute::Text(text) => Some(text).filter(|text| !text.is_empty()).map(String::as_str),
        Attribute::List(values) => values.iter().find_map(first_text),
        Attribute::Object(parts) => parts.get("#text").and_then(first_text),
    }
}
