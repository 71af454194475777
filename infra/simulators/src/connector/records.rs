//! What there is to push.

use super::ConnectorSettings;
use crate::names::{self, Place};
use crate::random::{percent, pick};

/// The names of lead sources, and how prospects write them.
const SOURCES: [(&str, &[&str]); 6] = [
    ("Facebook", &["Facebook", "facebook", "FACEBOOK "]),
    ("Walk-in", &["Walk-in", "walk-in"]),
    ("Café Größe Ad", &["Café Größe Ad", "CAFÉ GRÖSSE AD"]),
    ("Referral & Friends", &["Referral & Friends", " referral & friends"]),
    ("Web site", &["Web site", "Web Site"]),
    ("Radio", &["Radio"]),
];

/// A prospect or a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The Connector's id.
    pub record_id: String,
    /// The club.
    pub club_id: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// E-mail address, if there is one.
    pub email: Option<String>,
    /// Mobile number, if there is one.
    pub mobile: Option<String>,
    /// Date of birth, if it is known.
    pub birth_date: Option<String>,
    /// `M` or `F`, if it is known.
    pub gender: Option<&'static str>,
    /// Whether a member, or still a prospect.
    pub is_member: bool,
    /// The record id of the member of staff that is the owner.
    pub owner: Option<String>,
    /// How the push writes it.
    pub owner_written: Option<String>,
    /// The record id of the lead source.
    pub source: Option<String>,
    /// How the push writes it.
    pub source_written: Option<String>,
    pub(super) place: Option<(u16, &'static str, Place)>,
}

impl Person {
    /// First and last name.
    pub fn display_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }
}

/// A member of staff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trainer {
    /// The Connector's id.
    pub record_id: String,
    /// The club.
    pub club_id: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
}

/// A lead source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The Connector's id.
    pub record_id: String,
    /// The club.
    pub club_id: String,
    /// Its name.
    pub name: String,
}

/// A GUID as the Connector makes them.
fn guid(random: &mut fastrand::Rng) -> String {
    let number = random.u128(..);
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        (number >> 96) as u32,
        (number >> 80) as u16,
        (number >> 68) as u16 & 0xFFF,
        (number >> 56) as u16 & 0xFFF,
        number as u64 & 0xFFFF_FFFF_FFFF
    )
}

fn club(settings: &ConnectorSettings, random: &mut fastrand::Rng) -> String {
    settings.club_ids.get(random.usize(0..settings.club_ids.len().max(1))).cloned().unwrap_or_default()
}

pub(super) fn staff(settings: &ConnectorSettings, random: &mut fastrand::Rng) -> Vec<Trainer> {
    (0..settings.staff)
        .map(|number| {
            let (first, last) = (pick(random, &names::FIRST_NAMES), pick(random, &names::LAST_NAMES));
            Trainer {
                record_id: guid(random),
                club_id: club(settings, random),
                first_name: first.written.to_owned(),
                last_name: last.written.to_owned(),
                email: format!("{}.{}.{number}@club.example", first.plain, last.plain),
            }
        })
        .collect()
}

pub(super) fn sources(settings: &ConnectorSettings, random: &mut fastrand::Rng) -> Vec<Source> {
    let named = SOURCES.iter().take(settings.lead_sources);
    named
        .map(|(name, _)| Source { record_id: guid(random), club_id: club(settings, random), name: (*name).to_owned() })
        .collect()
}

pub(super) fn person(
    settings: &ConnectorSettings,
    number: usize,
    staff: &[Trainer],
    sources: &[Source],
    random: &mut fastrand::Rng,
) -> Person {
    let (first, last) = (pick(random, &names::FIRST_NAMES), pick(random, &names::LAST_NAMES));
    let owner = (!staff.is_empty() && percent(random, 70)).then(|| &staff[random.usize(0..staff.len())]);
    let source = (!sources.is_empty() && percent(random, 70)).then(|| random.usize(0..sources.len()));
    let club_id = club(settings, random);
    // The Connector's own id of a member of staff is known in its club alone.
    let by_id = percent(random, 50) && owner.is_some_and(|owner| owner.club_id == club_id);
    let in_capitals = percent(random, 20);
    let owner_written = owner.map(|owner| match (by_id, in_capitals) {
        (true, _) => owner.record_id.clone(),
        (false, true) => owner.email.to_uppercase(),
        (false, false) => owner.email.clone(),
    });
    Person {
        record_id: guid(random),
        club_id,
        first_name: first.written.to_owned(),
        last_name: last.written.to_owned(),
        email: percent(random, 90).then(|| format!("{}.{}.{number}@example.net", first.plain, last.plain)),
        mobile: percent(random, 60).then(|| format!("555-{:04}", random.u16(0..10_000))),
        birth_date: percent(random, 50)
            .then(|| format!("{}-{:02}-{:02}", random.u16(1940..2008), random.u8(1..13), random.u8(1..29))),
        gender: percent(random, 70).then(|| pick(random, &["M", "F"])),
        is_member: percent(random, 25),
        owner: owner.map(|owner| owner.record_id.clone()),
        owner_written,
        source: source.map(|source| sources[source].record_id.clone()),
        source_written: source.map(|source| pick(random, SOURCES[source].1).to_owned()),
        place: percent(random, 60)
            .then(|| (random.u16(1..9_900), pick(random, &names::STREETS), pick(random, &names::PLACES))),
    }
}
