//! Reading the parameters of an operation. An error is a sentence for the client.

use std::str::FromStr;

use jiff::civil::DateTime;

use super::{soap::XSI, types::NAMESPACE};
use crate::xml::Element;

/// What a listing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListingRequest {
    /// Contacts changed at this local time or later.
    pub last_update_date: DateTime,
    /// From this place of the listing on.
    pub record_start: u64,
}

impl ListingRequest {
    pub(super) fn read(element: &Element) -> Result<Self, String> {
        let last_update_date = date_time("lastUpdateDate", required(element, "lastUpdateDate")?)?;
        let record_start: u32 = number("recordStart", required(element, "recordStart")?)?;
        // It goes in and comes out; what goes in has no effect, but the document must have it.
        boolean("moreRecords", required(element, "moreRecords")?)?;
        Ok(Self { last_update_date, record_start: record_start.into() })
    }
}

/// The first child of this name in the service's namespace.
pub(super) fn child<'a>(element: &'a Element, name: &str) -> Option<&'a Element> {
    element.children.iter().find(|child| child.namespace == NAMESPACE && child.name == name)
}

/// Its text; `None` if it is absent or nil.
pub(super) fn text<'a>(element: &'a Element, name: &str) -> Option<&'a str> {
    child(element, name).filter(|child| !is_nil(child)).map(|child| child.text.as_str())
}

pub(super) fn required<'a>(element: &'a Element, name: &str) -> Result<&'a str, String> {
    text(element, name).ok_or_else(|| format!("<{}> lacks its <{name}>", element.name))
}

/// The items of an array; a nil one is `None`. All of it is `None` if there is no array.
pub(super) fn items<'a>(element: &'a Element, array: &str, item: &str) -> Option<Vec<Option<&'a Element>>> {
    let array = child(element, array).filter(|array| !is_nil(array))?;
    let items = array.children.iter().filter(|child| child.namespace == NAMESPACE && child.name == item);
    Some(items.map(|item| (!is_nil(item)).then_some(item)).collect())
}

fn is_nil(element: &Element) -> bool {
    element.attributes.iter().any(|attribute| {
        attribute.namespace == XSI && attribute.name == "nil" && matches!(attribute.value.as_str(), "true" | "1")
    })
}

pub(super) fn number<T: FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("{name}: \"{text}\" is not an int that fits"))
}

pub(super) fn boolean(name: &str, text: &str) -> Result<bool, String> {
    match text.trim() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(format!("{name}: \"{other}\" is not a boolean")),
    }
}

/// The source's times have no zone. One with a zone is refused, so that a client that sends UTC by mistake is found
/// out.
pub(super) fn date_time(name: &str, text: &str) -> Result<DateTime, String> {
    let text = text.trim();
    let of_date_or_time = |letter: char| letter.is_ascii_digit() || matches!(letter, '-' | ':' | '.' | 'T');
    let has_only_date_and_time = text.contains('T') && text.chars().all(of_date_or_time);
    let parsed = if has_only_date_and_time { text.parse().ok() } else { None };
    parsed.ok_or_else(|| format!("{name}: \"{text}\" is not a dateTime without a zone"))
}
