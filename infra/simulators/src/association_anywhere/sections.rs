//! Writing a customer as XML, straight into the answer.

use super::{
    customers::{Identity, Part},
    names,
    requests::{self, FoldedNames},
};
use crate::{
    names::{COMPANY_ENDINGS, LAST_NAMES, PLACES, STREETS},
    random::{percent, pick},
    xml::{Element, element, escape_into, text_element, write_or_ignore},
};

/// The parts of a customer that a request asks for with `include="true"`. Names of parts that no simulated customer has
/// are accepted, and yield nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sections {
    pub(super) roles: bool,
    pub(super) addresses: bool,
    pub(super) phones: bool,
    pub(super) emails: bool,
    pub(super) websites: bool,
    pub(super) jobs: bool,
    pub(super) committee_positions: bool,
    pub(super) memberships: bool,
    pub(super) subscriptions: bool,
    pub(super) communication_preferences: bool,
    pub(super) customer_attributes: bool,
    pub(super) bio: bool,
    pub(super) aliases: bool,
}

impl Sections {
    pub(super) fn of_request(request: &Element) -> Self {
        let mut sections = Self::default();
        let Some(details) = request.child("details") else { return sections };
        for section in details.children.iter().filter(|section| section.attribute_is_true("include")) {
            match requests::folded(&section.name).as_str() {
                "roles" => sections.roles = true,
                "addresses" => sections.addresses = true,
                "phones" => sections.phones = true,
                "emails" => sections.emails = true,
                "websites" => sections.websites = true,
                "jobs" => sections.jobs = true,
                "committeepositions" => sections.committee_positions = true,
                "memberships" => sections.memberships = true,
                "subscriptions" => sections.subscriptions = true,
                "communicationpreferences" => sections.communication_preferences = true,
                "customerattributes" => sections.customer_attributes = true,
                "bio" => sections.bio = true,
                "aliases" => sections.aliases = true,
                _ => {}
            }
        }
        sections
    }
}

impl Identity {
    pub(super) fn write_sections(&self, out: &mut String, sections: Sections) {
        if sections.roles {
            self.write_roles(out);
        }
        if sections.addresses {
            self.write_addresses(out);
        }
        if sections.phones {
            self.write_phones(out);
        }
        if sections.emails {
            self.write_emails(out);
        }
        if sections.websites {
            self.write_websites(out);
        }
        if sections.jobs {
            self.write_jobs(out);
        }
        if sections.committee_positions {
            self.write_committee_positions(out);
        }
        if sections.memberships {
            self.write_memberships(out);
        }
        if sections.subscriptions {
            self.write_subscriptions(out);
        }
        if sections.communication_preferences {
            self.write_communication_preferences(out);
        }
        if sections.customer_attributes {
            self.write_customer_attributes(out);
        }
        if sections.bio {
            self.write_bio(out);
        }
        if sections.aliases {
            self.write_aliases(out);
        }
    }

    fn write_roles(&self, out: &mut String) {
        let mut random = self.sequence(Part::Roles);
        out.push_str("<roles><role>PRIMARY</role>");
        if percent(&mut random, 10) {
            out.push_str("<role>ASSOCIATE</role>");
        }
        out.push_str("</roles>");
    }

    fn write_addresses(&self, out: &mut String) {
        let mut random = self.sequence(Part::Addresses);
        let count = if percent(&mut random, 25) { 0 } else { 1 + usize::from(percent(&mut random, 10)) };
        if count == 0 {
            out.push_str("<addresses/>");
            return;
        }
        out.push_str("<addresses>");
        for place_in_list in 0..count {
            let is_first = place_in_list == 0;
            let (kind, description) =
                if is_first == self.is_company { ("WORK", "Work address") } else { ("HOME", "Home address") };
            let place = pick(&mut random, &PLACES);
            out.push_str("<address>");
            element(out, "addressSerno", format_args!("{}", self.id * 10 + place_in_list as u64));
            self.write_kind(out, "addressType", "addressTypeDescr", kind, description);
            write_preferred(out, is_first);
            element(out, "street1", format_args!("{} {}", random.u16(1..9900), pick(&mut random, &STREETS)));
            if percent(&mut random, 15) {
                element(out, "street2", format_args!("Suite {}", random.u16(100..999)));
            }
            text_element(out, "city", place.city);
            if !place.state.is_empty() {
                text_element(out, "state", place.state);
            }
            write_or_ignore(
                out,
                format_args!("<postalCode>{}{:02}</postalCode>", place.postal_prefix, random.u8(0..100)),
            );
            text_element(out, "countryCode", place.country_code);
            if self.with_descriptions {
                text_element(out, "countryDescr", place.country);
            }
            write_flag(out, "badAddress", percent(&mut random, 5));
            out.push_str("</address>");
        }
        out.push_str("</addresses>");
    }

    fn write_phones(&self, out: &mut String) {
        let mut random = self.sequence(Part::Phones);
        if percent(&mut random, 45) {
            out.push_str("<phones/>");
            return;
        }
        out.push_str("<phones>");
        for place_in_list in 0..1 + u64::from(percent(&mut random, 10)) {
            let (kind, description) =
                pick(&mut random, &[("WORK", "Work phone"), ("HOME", "Home phone"), ("CELL", "Mobile")]);
            out.push_str("<phone>");
            element(out, "phoneSerno", format_args!("{}", self.id * 10 + 3 + place_in_list));
            self.write_kind(out, "phoneType", "phoneTypeDescr", kind, description);
            write_preferred(out, place_in_list == 0);
            element(out, "number", format_args!("555-01{:02}", random.u8(0..100)));
            if percent(&mut random, 10) {
                element(out, "ext", format_args!("{}", random.u16(10..9999)));
            }
            out.push_str("</phone>");
        }
        out.push_str("</phones>");
    }

    fn write_emails(&self, out: &mut String) {
        let mut random = self.sequence(Part::Emails);
        out.push_str("<emails><email>");
        element(out, "emailSerno", format_args!("{}", self.id * 10 + 5));
        self.write_kind(out, "emailType", "emailTypeDescr", "WORK", "Work e-mail");
        write_preferred(out, true);
        text_element(out, "address", &self.email());
        write_flag(out, "badAddress", percent(&mut random, 4));
        out.push_str("</email>");
        if percent(&mut random, 8) {
            out.push_str("<email>");
            element(out, "emailSerno", format_args!("{}", self.id * 10 + 6));
            self.write_kind(out, "emailType", "emailTypeDescr", "HOME", "Personal e-mail");
            write_preferred(out, false);
            element(out, "address", format_args!("{}{}@example.com", self.last_name.plain, self.id));
            write_flag(out, "badAddress", false);
            out.push_str("</email>");
        }
        out.push_str("</emails>");
    }

    fn write_websites(&self, out: &mut String) {
        let mut random = self.sequence(Part::Websites);
        if !percent(&mut random, if self.is_company { 80 } else { 4 }) {
            return;
        }
        let domain = self.email_domain;
        out.push_str("<websites><website><websiteType>MAIN</websiteType>");
        element(out, "url", format_args!("https://www.{domain}/{}?ref=aa&amp;page=1", self.last_name.plain));
        out.push_str("</website></websites>");
    }

    fn write_jobs(&self, out: &mut String) {
        let mut random = self.sequence(Part::Jobs);
        if self.is_company || !percent(&mut random, 20) {
            return;
        }
        let employer = format!("{}{}", pick(&mut random, &LAST_NAMES).written, pick(&mut random, &COMPANY_ENDINGS));
        out.push_str("<jobs><job>");
        text_element(out, "employerName", &employer);
        text_element(out, "titleName", pick(&mut random, &names::JOB_TITLES));
        self.write_date(out, "startDate", random.u16(1995..2025), &mut random);
        write_preferred(out, true);
        out.push_str("</job></jobs>");
    }

    fn write_committee_positions(&self, out: &mut String) {
        let mut random = self.sequence(Part::Committees);
        if self.is_company || !percent(&mut random, 8) {
            return;
        }
        let (id, name) = pick(&mut random, &names::COMMITTEES);
        let (position, description) = pick(&mut random, &names::POSITIONS);
        out.push_str("<committeePositions><committeePosition>");
        text_element(out, "subgroupId", id);
        text_element(out, "subgroupName", name);
        out.push_str("<committeeType>STANDING</committeeType>");
        self.write_date(out, "startDate", random.u16(2019..2026), &mut random);
        text_element(out, "positionCode", position);
        text_element(out, "positionDescr", description);
        out.push_str("</committeePosition></committeePositions>");
    }

    fn write_memberships(&self, out: &mut String) {
        let mut random = self.sequence(Part::Memberships);
        let mut renewal = self.sequence_of_revision(Part::Renewals);
        if percent(&mut random, 35) {
            return;
        }
        out.push_str("<memberships>");
        for place_in_list in 0..1 + usize::from(percent(&mut random, 15)) {
            let first_choice = if percent(&mut random, 60) { 0 } else { random.usize(1..names::CHAPTERS.len()) };
            let (id, name) = names::CHAPTERS[(first_choice + place_in_list) % names::CHAPTERS.len()];
            let (class, class_description) = pick(&mut random, &names::MEMBER_CLASSES);
            let is_active = !percent(&mut renewal, 12);
            out.push_str("<membership>");
            text_element(out, "subgroupId", id);
            text_element(out, "subgroupName", name);
            if self.with_descriptions {
                out.push_str("<subgroupType>CHAPTER</subgroupType><subgroupTypeDescr>Chapter</subgroupTypeDescr>");
            }
            write_flag(out, "member", is_active);
            out.push_str(match is_active {
                true => "<statusCode>ACTIVE</statusCode><statusDescr>Active</statusDescr>",
                false => "<statusCode>LAPSED</statusCode><statusDescr>Lapsed</statusDescr>",
            });
            if self.with_descriptions {
                out.push_str("<directOrInherited>D</directOrInherited>");
            }
            text_element(out, "classCode", class);
            text_element(out, "classSubclassDescr", class_description);
            self.write_date(out, "joinDate", random.u16(1990..2024), &mut random);
            let expires = if is_active { renewal.u16(2026..2029) } else { renewal.u16(2024..2026) };
            self.write_date(out, "expirationDate", expires, &mut renewal);
            out.push_str("</membership>");
        }
        out.push_str("</memberships>");
    }

    fn write_subscriptions(&self, out: &mut String) {
        let mut random = self.sequence(Part::Subscriptions);
        if !percent(&mut random, 35) {
            return;
        }
        let (id, name) = pick(&mut random, &names::PUBLICATIONS);
        let year = random.u16(2022..2026);
        out.push_str("<subscriptions><subscription>");
        text_element(out, "subscriptionId", id);
        text_element(out, "subscriptionName", name);
        self.write_date(out, "startDate", year, &mut random);
        self.write_date(out, "expirationDate", year + 2, &mut random);
        out.push_str("</subscription></subscriptions>");
    }

    fn write_communication_preferences(&self, out: &mut String) {
        let mut random = self.sequence(Part::Preferences);
        if !percent(&mut random, 12) {
            return;
        }
        out.push_str("<communicationPreferences><communicationPreference><code>NEWSLETTER</code>");
        write_flag(out, "optIn", percent(&mut random, 60));
        out.push_str("</communicationPreference></communicationPreferences>");
    }

    fn write_customer_attributes(&self, out: &mut String) {
        let mut random = self.sequence(Part::Attributes);
        if !percent(&mut random, 15) {
            return;
        }
        let (kind, kind_name, code, code_description) = pick(&mut random, &names::ATTRIBUTES);
        out.push_str("<customerAttributes><customerAttribute>");
        text_element(out, "type", kind);
        text_element(out, "typeName", kind_name);
        text_element(out, "code", code);
        text_element(out, "codeDescr", code_description);
        out.push_str("<char/>");
        element(out, "number", format_args!("{}", random.u8(1..10)));
        out.push_str("</customerAttribute></customerAttributes>");
    }

    fn write_bio(&self, out: &mut String) {
        let mut random = self.sequence(Part::Bio);
        if !percent(&mut random, 4) {
            return;
        }
        let title = pick(&mut random, &names::JOB_TITLES);
        write_or_ignore(
            out,
            format_args!(
                "<bio><![CDATA[<p><b>{}</b> has been a member since {}.</p>\n<p>{title}; likes jazz & long walks.</p>]]></bio>",
                self.last_name.written,
                random.u16(1985..2024),
            ),
        );
    }

    fn write_aliases(&self, out: &mut String) {
        let mut random = self.sequence(Part::Aliases);
        if !percent(&mut random, 3) {
            return;
        }
        out.push_str("<aliases><alias>");
        escape_into(out, pick(&mut random, &LAST_NAMES).written);
        out.push_str("</alias></aliases>");
    }

    fn write_kind(&self, out: &mut String, code_name: &str, description_name: &str, code: &str, description: &str) {
        text_element(out, code_name, code);
        if self.with_descriptions {
            text_element(out, description_name, description);
        }
    }

    fn write_date(&self, out: &mut String, name: &str, year: u16, random: &mut fastrand::Rng) {
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
            text_element(out, "prefixName", pick(&mut random, &["Dr.", "Ms.", "Mr.", "Prof."]));
        }
        text_element(out, "firstName", identity.first_name.written);
        if let Some(middle) = identity.middle_name() {
            text_element(out, "middleName", &middle);
        }
        text_element(out, "lastName", identity.last_name.written);
        if percent(&mut random, 6) {
            let (name, text) =
                pick(&mut random, &[("suffixName", "Jr."), ("degreeName", "PhD"), ("degreeName", "MD, MPH")]);
            text_element(out, name, text);
        }
        if percent(&mut random, 4) {
            text_element(out, "informalName", &identity.first_name.written.chars().take(3).collect::<String>());
        }
    }
    let display_name = identity.display_name();
    if identity.as_cdata {
        write_or_ignore(out, format_args!("<displayName><![CDATA[{display_name}]]></displayName>"));
    } else {
        text_element(out, "displayName", &display_name);
    }
    out.push_str("</name>");
}

/// `best` and `preferred` go together here.
fn write_preferred(out: &mut String, preferred: bool) {
    write_flag(out, "best", preferred);
    write_flag(out, "preferred", preferred);
}

fn write_flag(out: &mut String, name: &str, value: bool) {
    text_element(out, name, if value { "true" } else { "false" });
}
