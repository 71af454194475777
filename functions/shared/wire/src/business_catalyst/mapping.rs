//! A contact's element as [`Content`]: fields for what is known, [`Content::attributes`] for the rest.

use model::{Address, Attribute, Attributes, Content, Email, Phone};

use super::codes::{Contacted, address_type, contacted};
use super::crm_forms::CrmForms;
use super::local_time::{BirthDate, birth_date};
use crate::record::{Element, Entries, Entry, UnmappedData, attribute_of, fill, read_fields};

/// The source's names of what is kept under `attributes`, in its usual spelling: contents are the same if a site spells
/// them otherwise.
const KEPT_NAMES: [&str; 18] = [
    "entityId",
    "externalId",
    "emailAddress",
    "contactTitle",
    "deleted",
    "fullName",
    "firstName",
    "lastName",
    "username",
    "dateOfBirth",
    "createDate",
    "lastUpdateDate",
    "customerType",
    "industryType",
    "leadSourceType",
    "ratingType",
    "relationships",
    "MasterOptIn",
];

/// The content of a contact's element, apart from its id, the time of its last update, and whether it is deleted.
pub(super) fn content_of(contact: Element) -> Content {
    let mut content = Content::default();
    let mut attributes = UnmappedData::default();
    let mut email_address = None;
    let mut addresses = Entries::default();
    let mut numbers = Numbers::default();
    let mut crm_forms = CrmForms::default();

    attributes.insert_own_data(contact);
    // A contact has the same content whether the source sends an empty element, `xsi:nil` or nothing.
    for child in contact.children().filter(|child| !child.is_hollow()) {
        let name = &mut content.name;
        match child.known_name() {
            "entityid" | "lastupdatedate" | "deleted" => keep_all_but_text(child, &mut attributes),
            "externalid" => take(child, &mut content.external_id, &mut attributes),
            "contacttitle" => take(child, &mut name.prefix, &mut attributes),
            "fullname" => take(child, &mut name.display, &mut attributes),
            "firstname" => take(child, &mut name.first, &mut attributes),
            "lastname" => take(child, &mut name.last, &mut attributes),
            "emailaddress" => take(child, &mut email_address, &mut attributes),
            "dateofbirth" => take_birth_date(child, &mut content.birth_date, &mut attributes),
            "addresses" => addresses.read_some(child, "address", address),
            "phonenos" => numbers.read(child),
            "crmforms" => crm_forms.read(child),
            "relationships" => keep(child, in_one_order(attribute_of(child)), &mut attributes),
            _ => keep(child, attribute_of(child), &mut attributes),
        }
    }

    content.name.display = content.name.display.take().or_else(|| content.name.first_and_last());
    content.addresses = addresses.into_values("addresses", &mut attributes, |_| {});
    (content.phones, content.emails) = numbers.into_values(email_address, &mut attributes);
    crm_forms.keep_in(&mut attributes);
    content.attributes = attributes.into_attributes();
    content
}

/// Takes an element's text for a field. Data of the element that the field does not hold are kept.
fn take(element: Element, field: &mut Option<String>, attributes: &mut UnmappedData) {
    if !fill(field, element.text()) || !element.is_plain() {
        keep(element, attribute_of(element), attributes);
    }
}

fn take_birth_date(element: Element, field: &mut Option<String>, attributes: &mut UnmappedData) {
    let text = element.text();
    let is_whole = match birth_date(text) {
        BirthDate::None => true,
        BirthDate::Day(day) => fill(field, day),
        BirthDate::DayAndTime(day) => {
            fill(field, day);
            false
        }
        BirthDate::Text => fill(field, text),
    };
    if !is_whole || !element.is_plain() {
        keep(element, attribute_of(element), attributes);
    }
}

/// Keeps what an element has beside its text; the text is in the content.
fn keep_all_but_text(element: Element, attributes: &mut UnmappedData) {
    let mut rest = read_fields(element, |_, _| false);
    rest.remove("#text");
    if !rest.is_empty() {
        keep(element, Attribute::Object(rest), attributes);
    }
}

fn keep(element: Element, value: Attribute, attributes: &mut UnmappedData) {
    let documented = KEPT_NAMES.into_iter().find(|name| name.eq_ignore_ascii_case(element.known_name()));
    attributes.insert(documented.unwrap_or(element.key()).to_owned(), value);
}

/// A list in the one order that equal data have: the source states none. Empty entries are left out.
fn in_one_order(value: Attribute) -> Attribute {
    let Attribute::List(mut entries) = value else {
        return value;
    };
    entries.retain(|entry| *entry != Attribute::Text(String::new()));
    entries.sort();
    Attribute::List(entries)
}

/// An address; `None` if it holds only its type.
fn address(element: Element) -> Option<Entry<Address>> {
    let mut address = Address::default();
    let mut lines = [None, None];
    let [line1, line2] = &mut lines;
    let leftover = read_fields(element, |child, text| match child {
        "addresstypeid" => fill(&mut address.kind, address_type(text)),
        "addressline1" => fill(line1, text),
        "addressline2" => fill(line2, text),
        "city" => fill(&mut address.city, text),
        "zipcode" => fill(&mut address.postal_code, text),
        "state" => fill(&mut address.region, text),
        "countrycode" => fill(&mut address.country, text),
        _ => false,
    });
    address.lines = lines.into_iter().flatten().collect();
    let says_nothing = address == Address { kind: address.kind.clone(), ..Address::default() };
    if says_nothing && leftover.is_empty() { None } else { Some(Entry::new(address, leftover)) }
}

/// What the source calls phone numbers: those, e-mail addresses and web addresses.
#[derive(Default)]
struct Numbers {
    phones: Entries<Phone>,
    emails: Entries<Email>,
    web_addresses: Vec<Attribute>,
}

impl Numbers {
    fn read(&mut self, section: Element) {
        let Self { phones, emails, web_addresses } = self;
        phones.read_some(section, "phoneno", |element| {
            let (mut code, mut number) = (None, None);
            let leftover = read_fields(element, |child, text| match child {
                "phonenotypeid" => fill(&mut code, text),
                "phoneno" => fill(&mut number, text),
                _ => false,
            });
            if number.is_none() && leftover.is_empty() {
                return None;
            }
            match contacted(code) {
                Contacted::ByPhone(kind) => {
                    let phone = Phone { number: number.unwrap_or_default(), kind, primary: false };
                    return Some(Entry::new(phone, leftover));
                }
                Contacted::ByEmail { kind, is_primary } => emails.push(email(number, Some(kind), is_primary, leftover)),
                Contacted::OnTheWeb if leftover.is_empty() => {
                    web_addresses.push(Attribute::Text(number.unwrap_or_default()));
                }
                Contacted::OnTheWeb => web_addresses.push(attribute_of(element)),
            }
            None
        });
    }

    /// The phone numbers and the e-mail addresses; the rest goes to `attributes`. The contact's `email_address` is the
    /// primary one if no other is marked as such.
    fn into_values(mut self, email_address: Option<String>, attributes: &mut UnmappedData) -> (Vec<Phone>, Vec<Email>) {
        if let Some(address) = email_address {
            match self.emails.find(|email| email.address == address) {
                Some(known) => known.best = true,
                None => self.emails.push(Entry { best: true, ..email(Some(address), None, false, Attributes::new()) }),
            }
        }
        self.web_addresses.sort();
        if !self.web_addresses.is_empty() {
            attributes.insert("webAddresses".to_owned(), Attribute::List(self.web_addresses));
        }
        let phones = self.phones.into_values("phones", attributes, |_| {});
        (phones, self.emails.into_values("emails", attributes, |email| email.primary = true))
    }
}

fn email(address: Option<String>, kind: Option<String>, is_primary: bool, leftover: Attributes) -> Entry<Email> {
    let value = Email { address: address.unwrap_or_default(), kind, primary: false, bad: false };
    Entry { preferred: is_primary, ..Entry::new(value, leftover) }
}
