//! Our answers, as text.

use model::{Attribute, Content, ExternalKey, LeadSource, Stage, Status};
use quick_xml::escape::escape;

use super::NAMESPACE;
use super::user::{LEAD_INFO, LEAD_SOURCE_ID, OWNER_ID};
use crate::reference::push_allowed;

/// The kind of error, in the source's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The request is not valid.
    Validation,
    /// The store failed: the same request may succeed later.
    Database,
    /// Anything else.
    Unknown,
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Self::Validation => "VALIDATION",
            Self::Database => "DATABASE",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// A prospect, a member or a member of staff, as it is fetched.
#[derive(Clone, Debug)]
pub struct ShownUser<'a> {
    /// Our id.
    pub id: &'a str,
    /// What its sender calls it.
    pub key: &'a ExternalKey,
    /// What is stored.
    pub content: &'a Content,
    /// When it was first stored: `2012-04-10T04:11:07.023Z`.
    pub created: String,
    /// When it last changed, in the same form.
    pub modified: String,
}

/// A lead source, as it is fetched.
#[derive(Clone, Debug)]
pub struct ShownLeadSource<'a> {
    /// Our id.
    pub id: &'a str,
    /// What its sender calls it.
    pub key: &'a ExternalKey,
    /// What is stored.
    pub content: &'a LeadSource,
}

/// The answer to what was saved: our id of it.
pub fn response(uuid: &str) -> String {
    root("response", None, &element("uuid", Some(uuid)))
}

/// The answer to a failed request. `uuid` is for the caller to quote to support; `message` says what is wrong with
/// which element.
pub fn error(reason: Reason, uuid: &str, message: &str) -> String {
    let content =
        [element("reason", Some(reason.word())), element("errorUUID", Some(uuid)), element("message", Some(message))];
    root("error", None, &content.concat())
}

/// What can be fetched, alone or in a page.
pub trait Shown {
    /// The name of its element.
    const NAME: &'static str;
    /// The name of a page's element.
    const PAGE: &'static str;

    /// What its element holds.
    fn content(&self) -> String;
}

impl Shown for ShownUser<'_> {
    const NAME: &'static str = "user";
    const PAGE: &'static str = "users";

    fn content(&self) -> String {
        user_content(self)
    }
}

impl Shown for ShownLeadSource<'_> {
    const NAME: &'static str = "leadSource";
    const PAGE: &'static str = "leadSources";

    fn content(&self) -> String {
        lead_source_content(self)
    }
}

/// The whole document of one record.
pub fn one<T: Shown>(shown: &T) -> String {
    root(T::NAME, None, &shown.content())
}

/// One record of a page.
pub fn listed<T: Shown>(shown: &T) -> String {
    format!("<{name}>{}</{name}>", shown.content(), name = T::NAME)
}

/// A page of those, one after the other; with the cursor for the next page, if there may be more.
pub fn page<T: Shown>(listed: &str, cursor: Option<&str>) -> String {
    root(T::PAGE, cursor, listed)
}

fn root(name: &str, cursor: Option<&str>, content: &str) -> String {
    let cursor = cursor.map(|cursor| format!(r#" cursor="{}""#, escape(cursor))).unwrap_or_default();
    format!(r#"<{name} xmlns="{NAMESPACE}"{cursor}>{content}</{name}>"#)
}

/// An element, or nothing if there is no text. Characters that XML can't hold are left out: they may have been stored.
fn element(name: &str, text: Option<&str>) -> String {
    let Some(text) = text else { return String::new() };
    let mut allowed = String::with_capacity(text.len());
    push_allowed(text, &mut allowed);
    format!("<{name}>{}</{name}>", escape(&allowed))
}

fn provider_info(key: &ExternalKey) -> String {
    let content = [
        element("identifier", Some(&key.identifier)),
        element("clientID", Some(&key.client_id)),
        element("clubID", Some(&key.club_id)),
        element("recordID", Some(&key.record_id)),
    ];
    format!("<providerInfo>{}</providerInfo>", content.concat())
}

fn user_content(shown: &ShownUser) -> String {
    let ShownUser { id, key, content, created, modified } = shown;
    let address = content.addresses.first();
    let line = |number: usize| address.and_then(|address| address.lines.get(number)).map(String::as_str);
    let phone = |kind: &str| {
        let phone = content.phones.iter().find(|phone| phone.kind.as_deref() == Some(kind));
        phone.map(|phone| phone.number.as_str())
    };
    let status = if content.status == Status::Active { "ACTIVE" } else { "INACTIVE" };
    let user_type = content.stage.map(|stage| match stage {
        Stage::Prospect => "PROSPECT",
        Stage::Member => "MEMBER",
    });
    // In the order of the source's document.
    let user_info = [
        ("firstname", content.name.first.as_deref()),
        ("lastname", content.name.last.as_deref()),
        ("birthdate", content.birth_date.as_deref()),
        ("gender", content.gender.as_deref()),
        ("userStatus", Some(status)),
        ("userType", user_type),
        ("address1", line(0)),
        ("address2", line(1)),
        ("city", address.and_then(|address| address.city.as_deref())),
        ("zipcode", address.and_then(|address| address.postal_code.as_deref())),
        ("state", address.and_then(|address| address.region.as_deref())),
        ("country", address.and_then(|address| address.country.as_deref())),
        ("mobile", phone("mobile")),
        ("email", content.emails.first().map(|email| email.address.as_str())),
        ("homePhone", phone("homePhone")),
        ("workPhone", phone("workPhone")),
        ("company", content.organization.as_deref()),
        // The system that pushes a record creates it and changes it.
        ("createdBy", Some(key.identifier.as_str())),
        ("createdDate", Some(created.as_str())),
        ("modifiedBy", Some(key.identifier.as_str())),
        ("modifiedDate", Some(modified.as_str())),
    ];
    let mut text = element("uuid", Some(id)) + &provider_info(key) + "<userInfo>";
    for (name, value) in user_info {
        text += &element(name, value);
    }
    text + "</userInfo>" + &lead_info(content)
}

/// What only prospects have; references are our own ids, if those are known.
fn lead_info(content: &Content) -> String {
    let Some(Attribute::Object(sent)) = content.attributes.get(LEAD_INFO) else { return String::new() };
    let text_of = |name: &str| match sent.get(name) {
        Some(Attribute::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let parts = [
        element("trialStartDate", text_of("trialStartDate")),
        element("trialEndDate", text_of("trialEndDate")),
        element(OWNER_ID, content.owner_staff_id.as_deref().or_else(|| text_of(OWNER_ID))),
        element(LEAD_SOURCE_ID, content.lead_source_id.as_deref().or_else(|| text_of(LEAD_SOURCE_ID))),
    ];
    format!("<{LEAD_INFO}>{}</{LEAD_INFO}>", parts.concat())
}

fn lead_source_content(shown: &ShownLeadSource) -> String {
    let LeadSource { name, active, .. } = shown.content;
    let lead_info = element("name", Some(name)) + &element("active", Some(if *active { "true" } else { "false" }));
    format!("{}{}<{LEAD_INFO}>{lead_info}</{LEAD_INFO}>", element("uuid", Some(shown.id)), provider_info(shown.key))
}
