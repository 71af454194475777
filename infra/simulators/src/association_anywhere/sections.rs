//! Writing a customer as XML, straight into the answer.

use fastrand::Rng;

use super::{
    customers::{Identity, Part},
    names,
    requests::{child, folded, is_true},
};
use crate::{
    names::{COMPANY_ENDINGS, LAST_NAMES, PLACES, STREETS},
    random::{percent, pick},
    xml::{Element, element, write_or_ignore},
};

/// A part of a customer that a request asks for with `include="true"`. Names of parts that no simulated customer has
/// are accepted, and yield nothing.
pub(super) struct Section {
    name: &'static str,
    part: Part,
    write: Write,
}

/// Writes what the element of a section holds: nothing if the customer has nothing of the kind.
type Write = fn(&Identity, &mut String, &mut Rng);

/// In the order in which an answer holds them.
static SECTIONS: [Section; 13] = [
    Section { name: "roles", part: Part::Roles, write: Identity::write_roles },
    Section { name: "addresses", part: Part::Addresses, write: Identity::write_addresses },
    Section { name: "phones", part: Part::Phones, write: Identity::write_phones },
    Section { name: "emails", part: Part::Emails, write: Identity::write_emails },
    Section { name: "websites", part: Part::Websites, write: Identity::write_websites },
    Section { name: "jobs", part: Part::Jobs, write: Identity::write_jobs },
    Section { name: "committeePositions", part: Part::Committees, write: Identity::write_committee_positions },
    Section { name: "memberships", part: Part::Memberships, write: Identity::write_memberships },
    Section { name: "subscriptions", part: Part::Subscriptions, write: Identity::write_subscriptions },
    Section {
        name: "communicationPreferences",
        part: Part::Preferences,
        write: Identity::write_communication_preferences,
    },
    Section { name: "customerAttributes", part: Part::Attributes, write: Identity::write_customer_attributes },
    Section { name: "bio", part: Part::Bio, write: Identity::write_bio },
    Section { name: "aliases", part: Part::Aliases, write: Identity::write_aliases },
];

/// The sections that a request asks for.
pub(super) fn requested(request: &Element) -> Vec<&'static Section> {
    let details = child(request, "details").map(|details| details.children.as_slice()).unwrap_or_default();
    let included = details.iter().filter(|section| is_true(section, "include"));
    let names: Vec<String> = included.map(|section| folded(&section.name)).collect();
    SECTIONS.iter().filter(|section| names.contains(&folded(section.name))).collect()
}

impl Identity {
    pub(super) fn write_section(&self, out: &mut String, section: &Section) {
        let Section { name, part, write } = section;
        let mut content = String::new();
        write(self, &mut content, &mut self.sequence(*part));
        if !content.is_empty() {
            write_or_ignore(out, format_args!("<{name}>{content}</{name}>"));
        } else if matches!(part, Part::Addresses | Part::Phones) {
            write_or_ignore(out, format_args!("<{name}/>"));
        }
    }

    fn write_roles(&self, out: &mut String, random: &mut Rng) {
        element(out, "role", "PRIMARY");
        if percent(random, 10) {
            element(out, "role", "ASSOCIATE");
        }
    }

    fn write_addresses(&self, out: &mut String, random: &mut Rng) {
        let count = if percent(random, 25) { 0 } else { 1 + usize::from(percent(random, 10)) };
        for place_in_list in 0..count {
            let is_first = place_in_list == 0;
            let (kind, description) =
                if is_first == self.is_company { ("WORK", "Work address") } else { ("HOME", "Home address") };
            let place = pick(random, &PLACES);
            out.push_str("<address>");
            element(out, "addressSerno", self.id * 10 + place_in_list as u64);
            self.write_kind(out, "addressType", "addressTypeDescr", kind, description);
            write_preferred(out, is_first);
            element(out, "street1", format_args!("{} {}", random.u16(1..9900), pick(random, &STREETS)));
            if percent(random, 15) {
                element(out, "street2", format_args!("Suite {}", random.u16(100..999)));
            }
            element(out, "city", place.city);
            if !place.state.is_empty() {
                element(out, "state", place.state);
            }
            element(out, "postalCode", format_args!("{}{:02}", place.postal_prefix, random.u8(0..100)));
            self.write_kind(out, "countryCode", "countryDescr", place.country_code, place.country);
            element(out, "badAddress", percent(random, 5));
            out.push_str("</address>");
        }
    }

    fn write_phones(&self, out: &mut String, random: &mut Rng) {
        if percent(random, 45) {
            return;
        }
        for place_in_list in 0..1 + u64::from(percent(random, 10)) {
            let (kind, description) =
                pick(random, &[("WORK", "Work phone"), ("HOME", "Home phone"), ("CELL", "Mobile")]);
            out.push_str("<phone>");
            element(out, "phoneSerno", self.id * 10 + 3 + place_in_list);
            self.write_kind(out, "phoneType", "phoneTypeDescr", kind, description);
            write_preferred(out, place_in_list == 0);
            element(out, "number", format_args!("555-01{:02}", random.u8(0..100)));
            if percent(random, 10) {
                element(out, "ext", random.u16(10..9999));
            }
            out.push_str("</phone>");
        }
    }

    fn write_emails(&self, out: &mut String, random: &mut Rng) {
        out.push_str("<email>");
        element(out, "emailSerno", self.id * 10 + 5);
        self.write_kind(out, "emailType", "emailTypeDescr", "WORK", "Work e-mail");
        write_preferred(out, true);
        element(out, "address", self.email());
        element(out, "badAddress", percent(random, 4));
        out.push_str("</email>");
        if percent(random, 8) {
            out.push_str("<email>");
            element(out, "emailSerno", self.id * 10 + 6);
            self.write_kind(out, "emailType", "emailTypeDescr", "HOME", "Personal e-mail");
            write_preferred(out, false);
            element(out, "address", format_args!("{}{}@example.com", self.last_name.plain, self.id));
            element(out, "badAddress", false);
            out.push_str("</email>");
        }
    }

    fn write_websites(&self, out: &mut String, random: &mut Rng) {
        if percent(random, if self.is_company { 80 } else { 4 }) {
            out.push_str("<website><websiteType>MAIN</websiteType>");
            let (domain, name) = (self.email_domain, self.last_name.plain);
            element(out, "url", format_args!("https://www.{domain}/{name}?ref=aa&page=1"));
            out.push_str("</website>");
        }
    }

    fn write_jobs(&self, out: &mut String, random: &mut Rng) {
        if self.is_company || !percent(random, 20) {
            return;
        }
        let employer = format!("{}{}", pick(random, &LAST_NAMES).written, pick(random, &COMPANY_ENDINGS));
        out.push_str("<job>");
        element(out, "employerName", employer);
        element(out, "titleName", pick(random, &names::JOB_TITLES));
        self.write_date(out, "startDate", random.u16(1995..2025), random);
        write_preferred(out, true);
        out.push_str("</job>");
    }

    fn write_committee_positions(&self, out: &mut String, random: &mut Rng) {
        if self.is_company || !percent(random, 8) {
            return;
        }
        let (id, name) = pick(random, &names::COMMITTEES);
        let (position, description) = pick(random, &names::POSITIONS);
        out.push_str("<committeePosition>");
        element(out, "subgroupId", id);
        element(out, "subgroupName", name);
        element(out, "committeeType", "STANDING");
        self.write_date(out, "startDate", random.u16(2019..2026), random);
        element(out, "positionCode", position);
        element(out, "positionDescr", description);
        out.push_str("</committeePosition>");
    }

    fn write_memberships(&self, out: &mut String, random: &mut Rng) {
        let mut renewal = self.sequence_of_revision(Part::Renewals);
        if percent(random, 35) {
            return;
        }
        for place_in_list in 0..1 + usize::from(percent(random, 15)) {
            let first_choice = if percent(random, 60) { 0 } else { random.usize(1..names::CHAPTERS.len()) };
            let (id, name) = names::CHAPTERS[(first_choice + place_in_list) % names::CHAPTERS.len()];
            let (class, class_description) = pick(random, &names::MEMBER_CLASSES);
            let is_active = !percent(&mut renewal, 12);
            let (status, status_description) = if is_active { ("ACTIVE", "Active") } else { ("LAPSED", "Lapsed") };
            let expires = if is_active { 2026..2029 } else { 2024..2026 };
            out.push_str("<membership>");
            element(out, "subgroupId", id);
            element(out, "subgroupName", name);
            if self.with_descriptions {
                out.push_str("<subgroupType>CHAPTER</subgroupType><subgroupTypeDescr>Chapter</subgroupTypeDescr>");
            }
            element(out, "member", is_active);
            element(out, "statusCode", status);
            element(out, "statusDescr", status_description);
            if self.with_descriptions {
                element(out, "directOrInherited", "D");
            }
            element(out, "classCode", class);
            element(out, "classSubclassDescr", class_description);
            self.write_date(out, "joinDate", random.u16(1990..2024), random);
            self.write_date(out, "expirationDate", renewal.u16(expires), &mut renewal);
            out.push_str("</membership>");
        }
    }

    fn write_subscriptions(&self, out: &mut String, random: &mut Rng) {
        if !percent(random, 35) {
            return;
        }
        let (id, name) = pick(random, &names::PUBLICATIONS);
        let year = random.u16(2022..2026);
        out.push_str("<subscription>");
        element(out, "subscriptionId", id);
        element(out, "subscriptionName", name);
        self.write_date(out, "startDate", year, random);
        self.write_date(out, "expirationDate", year + 2, random);
        out.push_str("</subscription>");
    }

    fn write_communication_preferences(&self, out: &mut String, random: &mut Rng) {
        if percent(random, 12) {
            out.push_str("<communicationPreference><code>NEWSLETTER</code>");
            element(out, "optIn", percent(random, 60));
            out.push_str("</communicationPreference>");
        }
    }

    fn write_customer_attributes(&self, out: &mut String, random: &mut Rng) {
        if !percent(random, 15) {
            return;
        }
        let (kind, kind_name, code, code_description) = pick(random, &names::ATTRIBUTES);
        out.push_str("<customerAttribute>");
        element(out, "type", kind);
        element(out, "typeName", kind_name);
        element(out, "code", code);
        element(out, "codeDescr", code_description);
        out.push_str("<char/>");
        element(out, "number", random.u8(1..10));
        out.push_str("</customerAttribute>");
    }

    fn write_bio(&self, out: &mut String, random: &mut Rng) {
        if !percent(random, 4) {
            return;
        }
        let title = pick(random, &names::JOB_TITLES);
        let (name, since) = (self.last_name.written, random.u16(1985..2024));
        let bio =
            format!("<p><b>{name}</b> has been a member since {since}.</p>\n<p>{title}; likes jazz & long walks.</p>");
        write_or_ignore(out, format_args!("<![CDATA[{bio}]]>"));
    }

    fn write_aliases(&self, out: &mut String, random: &mut Rng) {
        if percent(random, 3) {
            element(out, "alias", pick(random, &LAST_NAMES).written);
        }
    }

    fn write_kind(&self, out: &mut String, code_name: &str, description_name: &str, code: &str, description: &str) {
        element(out, code_name, code);
        if self.with_descriptions {
            element(out, description_name, description);
        }
    }

    fn write_date(&self, out: &mut String, name: &str, year: u16, random: &mut Rng) {
        // No month is shorter than this.
        let (month, day) = (random.u8(1..=12), random.u8(1..=28));
        if self.american_dates {
            element(out, name, format_args!("{month:02}/{day:02}/{year}"));
        } else {
            element(out, name, format_args!("{year}-{month:02}-{day:02}"));
        }
    }
}

/// What every answer holds of a customer, whatever sections were asked for; its id was written before.
pub(super) fn write_header(out: &mut String, identity: &Identity) {
    out.push_str(if identity.is_company { "<custType>C</custType>" } else { "<custType>I</custType>" });
    element(out, "loginId", format_args!("{}{}", identity.last_name.plain, identity.id));
    out.push_str("<name>");
    let mut random = identity.sequence(Part::Titles);
    if !identity.is_company {
        if percent(&mut random, 8) {
            element(out, "prefixName", pick(&mut random, &["Dr.", "Ms.", "Mr.", "Prof."]));
        }
        element(out, "firstName", identity.first_name.written);
        if let Some(middle) = identity.middle_name() {
            element(out, "middleName", middle);
        }
        element(out, "lastName", identity.last_name.written);
        if percent(&mut random, 6) {
            let (name, text) =
                pick(&mut random, &[("suffixName", "Jr."), ("degreeName", "PhD"), ("degreeName", "MD, MPH")]);
            element(out, name, text);
        }
        if percent(&mut random, 4) {
            element(out, "informalName", identity.first_name.written.chars().take(3).collect::<String>());
        }
    }
    let display_name = identity.display_name();
    if identity.as_cdata {
        write_or_ignore(out, format_args!("<displayName><![CDATA[{display_name}]]></displayName>"));
    } else {
        element(out, "displayName", display_name);
    }
    out.push_str("</name>");
}

/// `best` and `preferred` go together here.
fn write_preferred(out: &mut String, preferred: bool) {
    element(out, "best", preferred);
    element(out, "preferred", preferred);
}
