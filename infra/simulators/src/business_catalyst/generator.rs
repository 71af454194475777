//! Contacts computed from seed, id and revision at each request.
//!
//! Names and addresses depend on seed and id; answers in forms, ratings, and what [`Contact::revise`] changes, depend
//! on the revision too.

use jiff::{SignedDuration, civil, civil::DateTime};

use super::{
    contact::{Address, Contact, EMAIL_TYPE, Form, FormField, Phone, Relationship},
    site_setup::{CUSTOMER_TYPES, FORMS, FormTemplate, INDUSTRY_TYPES, LEAD_SOURCE_TYPES, RATING_TYPES},
};
use crate::{
    names::{COMPANY_ENDINGS, FIRST_NAMES, LAST_NAMES, PLACES, STREETS},
    random::{percent, pick, sequence},
};

/// Begins every password of an invented contact, so that a search for it finds any that leaked.
pub const PASSWORD_MARK: &str = "never-store-this-";

const EXTERNAL_ID_MARK: &str = "M-";

/// Tells the random sequences of one contact apart.
#[derive(Clone, Copy)]
enum Part {
    Names,
    Login,
    Birth,
    Types,
    Rating,
    Relationships,
    Addresses,
    Phones,
    Forms,
    Answers,
    OptIn,
    Dates,
}

/// One contact in one revision.
pub(super) fn invent(seed: u64, id: u64, revision: u32) -> Contact {
    let lasting = |part: Part| sequence(seed, id, part as u8, 0);
    let passing = |part: Part| sequence(seed, id, part as u8, revision);

    let (mut random, mut types) = (lasting(Part::Names), lasting(Part::Types));
    let first_name = pick(&mut random, &FIRST_NAMES);
    let last_name = pick(&mut random, &LAST_NAMES);
    let domain = pick(&mut random, &["example.org", "example.com", "example.net"]);
    let plain_name = format!("{}.{}.{id}", first_name.plain, last_name.plain);
    let mut contact = Contact {
        external_id: if percent(&mut random, 20) { format!("{EXTERNAL_ID_MARK}{id}") } else { String::new() },
        title: pick_some(&mut random, 10, &["Dr", "Ms", "Mr", "Prof."]),
        full_name: format!("{} {}", first_name.written, last_name.written),
        first_name: first_name.written.to_owned(),
        last_name: last_name.written.to_owned(),
        relationships: relationships(&mut lasting(Part::Relationships)),
        addresses: addresses(&mut lasting(Part::Addresses)),
        phones: phones(&mut lasting(Part::Phones), &plain_name, domain),
        forms: forms(&mut lasting(Part::Forms), &mut passing(Part::Answers)),
        date_of_birth: date_of_birth(&mut lasting(Part::Birth)),
        customer_type: pick(&mut types, &CUSTOMER_TYPES).to_owned(),
        industry_type: pick_some(&mut types, 15, &INDUSTRY_TYPES),
        lead_source_type: pick_some(&mut types, 50, &LEAD_SOURCE_TYPES),
        rating_type: pick_some(&mut passing(Part::Rating), 30, &RATING_TYPES),
        opted_in: percent(&mut lasting(Part::OptIn), 60),
        ..Contact::default()
    };
    if percent(&mut lasting(Part::Login), 15) {
        contact.username = plain_name;
        contact.password = format!("{PASSWORD_MARK}{id}");
    }
    contact.revise(revision);
    contact
}

/// Every id that an invented contact with this e-mail address could have.
pub(super) fn ids_in_email(address: &str) -> impl Iterator<Item = u64> {
    address.split(['.', '@']).filter_map(|part| part.parse().ok())
}

/// The id that an invented contact with this external id would have.
pub(super) fn id_in_external_id(external_id: &str) -> Option<u64> {
    external_id.strip_prefix(EXTERNAL_ID_MARK)?.parse().ok()
}

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// A quarter of all contacts came in one of a few imports, each of which gave all of its contacts one second.
const IMPORTS: i64 = 4;

/// When a contact that is there at the start was created and last changed.
pub(super) fn first_dates(seed: u64, id: u64, start: DateTime) -> (DateTime, DateTime) {
    let mut random = sequence(seed, id, Part::Dates as u8, 0);
    let seconds_ago = if percent(&mut random, 25) {
        random.i64(1..=IMPORTS) * 90 * DAY_SECONDS
    } else {
        random.i64(1..2 * 365 * DAY_SECONDS)
    };
    let last_update = start.saturating_sub(SignedDuration::from_secs(seconds_ago));
    let age_seconds = if percent(&mut random, 40) { 0 } else { random.i64(1..4 * 365 * DAY_SECONDS) };
    (last_update.saturating_sub(SignedDuration::from_secs(age_seconds)), last_update)
}

fn date_of_birth(random: &mut fastrand::Rng) -> Option<DateTime> {
    // No month is shorter than this.
    percent(random, 40)
        .then(|| civil::datetime(random.i16(1935..2006), random.i8(1..=12), random.i8(1..=28), 0, 0, 0, 0))
}

/// One of a list for so many of a hundred contacts, and an empty text for the others.
fn pick_some(random: &mut fastrand::Rng, share: u8, list: &[&str]) -> String {
    if percent(random, share) { pick(random, list).to_owned() } else { String::new() }
}

fn relationships(random: &mut fastrand::Rng) -> Vec<Option<Relationship>> {
    if !percent(random, 12) {
        return Vec::new();
    }
    let mut relationships = vec![Some(Relationship {
        entity_id: random.i64(800_000..900_000),
        entity_type: random.i64(1..=2),
        name: format!("{}{}", pick(random, &LAST_NAMES).written, pick(random, &COMPANY_ENDINGS)),
    })];
    if percent(random, 40) {
        relationships.insert(random.usize(0..=1), None);
    }
    relationships
}

fn addresses(random: &mut fastrand::Rng) -> Vec<Option<Address>> {
    let count = if percent(random, 30) { 0 } else { 1 + usize::from(percent(random, 15)) };
    // Home or work first, then where goods or bills go.
    let types: [&[i64]; 2] = [&[1, 2], &[3, 5, 8]];
    types
        .iter()
        .take(count)
        .map(|types| {
            let place = pick(random, &PLACES);
            Some(Address {
                type_id: pick(random, types),
                line_1: format!("{} {}", random.u16(1..9900), pick(random, &STREETS)),
                line_2: if percent(random, 15) { format!("Unit {}", random.u16(1..99)) } else { String::new() },
                city: place.city.to_owned(),
                zipcode: format!("{}{:02}", place.postal_prefix, random.u8(0..100)),
                state: place.state.to_owned(),
                country_code: place.country_code.to_owned(),
            })
        })
        .collect()
}

/// A few contacts have no e-mail address at all.
fn phones(random: &mut fastrand::Rng, plain_name: &str, domain: &str) -> Vec<Option<Phone>> {
    let mut phones = Vec::new();
    let mut add = |type_id: i64, number: String| phones.push(Some(Phone { type_id, number }));
    for (type_id, share) in [(1, 25), (2, 2), (3, 20), (4, 2), (5, 40), (6, 1)] {
        if percent(random, share) {
            add(type_id, format!("555-01{:02}", random.u8(0..100)));
        }
    }
    if !percent(random, 4) {
        add(EMAIL_TYPE, format!("{plain_name}@{domain}"));
    }
    for (type_id, name) in [(8, "second"), (9, "third")] {
        if percent(random, 4) {
            add(type_id, format!("{plain_name}.{name}@example.com"));
        }
    }
    if percent(random, 3) {
        add(10, format!("https://www.{domain}/{plain_name}?from=bc&page=1"));
    }
    if percent(random, 2) {
        phones.push(None);
    }
    phones
}

fn forms(random: &mut fastrand::Rng, answers: &mut fastrand::Rng) -> Vec<Option<Form>> {
    let count = if percent(random, 70) { 0 } else { 1 + usize::from(percent(random, 25)) };
    let first = random.usize(0..FORMS.len());
    FORMS.iter().cycle().skip(first).take(count).map(|template| Some(filled_in(template, answers))).collect()
}

fn filled_in(template: &FormTemplate, answers: &mut fastrand::Rng) -> Form {
    let fields = template
        .fields
        .iter()
        .map(|field| {
            Some(FormField {
                id: field.id,
                type_id: field.type_id,
                name: field.name.to_owned(),
                value: pick(answers, field.answers).to_owned(),
            })
        })
        .collect();
    Form { id: template.id, name: template.name.to_owned(), fields }
}
