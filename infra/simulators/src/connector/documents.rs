//! The documents, as the source's guides show them.

use quick_xml::escape::escape;

use super::{ConnectorSettings, Person, Source, Trainer};

fn element(name: &str, text: Option<&str>) -> String {
    text.map(|text| format!("<{name}>{}</{name}>", escape(text))).unwrap_or_default()
}

fn provider_info(settings: &ConnectorSettings, club_id: &str, record_id: &str) -> String {
    let ids = [
        element("identifier", Some(&settings.provider)),
        element("clientID", Some(&settings.client_id)),
        element("clubID", Some(club_id)),
        element("recordID", Some(record_id)),
    ];
    format!("<providerInfo>{}</providerInfo>", ids.concat())
}

pub(super) fn user(settings: &ConnectorSettings, person: &Person) -> String {
    let street = person.place.map(|(number, street, _)| format!("{number} {street}"));
    let place = person.place.map(|(_, _, place)| place);
    let zip_code = person.place.map(|(number, _, place)| format!("{}{:02}", place.postal_prefix, number % 100));
    let user_info = [
        element("firstname", Some(&person.first_name)),
        element("lastname", Some(&person.last_name)),
        element("birthdate", person.birth_date.as_deref()),
        element("gender", person.gender),
        element("userStatus", Some("ACTIVE")),
        element("userType", Some(if person.is_member { "MEMBER" } else { "PROSPECT" })),
        element("address1", street.as_deref()),
        element("city", place.map(|place| place.city)),
        element("zipcode", zip_code.as_deref()),
        element("state", place.map(|place| place.state).filter(|state| !state.is_empty())),
        element("country", place.map(|place| place.country_code)),
        element("mobile", person.mobile.as_deref()),
        element("email", person.email.as_deref()),
    ];
    let lead_info = [
        element("ownerID", person.owner_written.as_deref()),
        element("leadSourceID", person.source_written.as_deref()),
    ];
    format!(
        "<user>{}<userInfo>{}</userInfo><leadInfo>{}</leadInfo></user>",
        provider_info(settings, &person.club_id, &person.record_id),
        user_info.concat(),
        lead_info.concat()
    )
}

pub(super) fn staff(settings: &ConnectorSettings, trainer: &Trainer) -> String {
    let user_info = [
        element("firstname", Some(&trainer.first_name)),
        element("lastname", Some(&trainer.last_name)),
        element("userStatus", Some("ACTIVE")),
        element("userType", Some("MEMBER")),
        element("email", Some(&trainer.email)),
    ];
    let info = provider_info(settings, &trainer.club_id, &trainer.record_id);
    format!("<user>{info}<userInfo>{}</userInfo></user>", user_info.concat())
}

pub(super) fn lead_source(settings: &ConnectorSettings, source: &Source) -> String {
    let lead_info = element("name", Some(&source.name)) + &element("active", Some("true"));
    let info = provider_info(settings, &source.club_id, &source.record_id);
    format!("<leadSource>{info}<leadInfo>{lead_info}</leadInfo></leadSource>")
}
