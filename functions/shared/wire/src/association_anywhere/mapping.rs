//! A customer's element as [`Content`]: fields for what is known, [`Content::attributes`] for the rest.

use model::{
    Address, Attribute, Attributes, Content, CustomerType, Email, Membership, Name, Phone, Stage, Subscription,
};

use super::Section;
use crate::dates::date_or_text;
use crate::record::{Element, Entries, Entry, UnmappedData, attribute_of, fill, is_true, read_fields};

/// The content of a customer's element, apart from its id.
pub(super) fn content_of(customer: Element) -> Content {
    let mut content = Content::default();
    let mut attributes = UnmappedData::default();
    let mut is_named = false;
    let mut employer = Employer::default();
    let mut roles = Entries::default();
    let mut addresses = Entries::default();
    let mut phones = Entries::default();
    let mut emails = Entries::default();
    let mut memberships = Entries::default();
    let mut subscriptions = Entries::default();

    attributes.insert_own_data(customer);
    for child in customer.children() {
        match child.known_name() {
            "custid" if child.is_plain() => {}
            "custtype" => match customer_type(child) {
                Some(kind) => content.kind = kind,
                None => attributes.insert("custType".to_owned(), attribute_of(child)),
            },
            "loginid" => attributes.insert("loginId".to_owned(), attribute_of(child)),
            "name" if !is_named => {
                is_named = true;
                content.name = name(child, &mut attributes);
            }
            "roles" => roles.read(child, "role", role),
            "addresses" => addresses.read(child, "address", address),
            "phones" => phones.read(child, "phone", phone),
            "emails" => emails.read(child, "email", email),
            "memberships" => memberships.read(child, "membership", membership),
            "subscriptions" => subscriptions.read(child, "subscription", subscription),
            // A customer without websites has the same content whether the source sends `<websites/>` or nothing.
            folded if child.is_empty() && Section::from_folded(folded).is_some() => {}
            folded => {
                if folded == "jobs" {
                    employer.look_at(child);
                }
                attributes.insert_element(child);
            }
        }
    }

    content.roles = roles.into_values("roles", &mut attributes, |_| {});
    content.addresses = addresses.into_values("addresses", &mut attributes, |address| address.primary = true);
    content.phones = phones.into_values("phones", &mut attributes, |phone| phone.primary = true);
    content.emails = emails.into_values("emails", &mut attributes, |email| email.primary = true);
    let memberships = memberships.into_values("memberships", &mut attributes, |_| {});
    let (memberships, are_member): (Vec<Membership>, Vec<IsMember>) = memberships.into_iter().unzip();
    content.memberships = memberships;
    content.stage = are_member.contains(&IsMember(true)).then_some(Stage::Member);
    content.subscriptions = subscriptions.into_values("subscriptions", &mut attributes, |_| {});
    if content.kind == CustomerType::Person {
        content.organization = employer.name;
    }
    content.attributes = attributes.into_attributes();
    content
}

/// `I` and `C` are the known types; for any other, `None`, and it is kept as the source sent it.
fn customer_type(element: Element) -> Option<CustomerType> {
    if !element.is_plain() {
        return None;
    }
    match element.text() {
        "" | "I" | "i" => Some(CustomerType::Person),
        "C" | "c" => Some(CustomerType::Company),
        _ => None,
    }
}

fn name(element: Element, attributes: &mut UnmappedData) -> Name {
    let mut name = Name::default();
    let leftover = read_fields(element, |child, text| match child {
        "displayname" => fill(&mut name.display, text),
        "prefixname" => fill(&mut name.prefix, text),
        "firstname" => fill(&mut name.first, text),
        "middlename" => fill(&mut name.middle, text),
        "lastname" => fill(&mut name.last, text),
        "suffixname" => fill(&mut name.suffix, text),
        "degreename" => fill(&mut name.degree, text),
        "informalname" => fill(&mut name.informal, text),
        _ => false,
    });
    if !leftover.is_empty() {
        attributes.insert("name".to_owned(), Attribute::Object(leftover));
    }
    name.display = name.display.take().or_else(|| name.first_and_last());
    name
}

fn role(element: Element) -> Entry<String> {
    let mut leftover = read_fields(element, |_, _| false);
    leftover.remove("#text");
    Entry::new(element.text().to_owned(), leftover)
}

fn address(element: Element) -> Entry<Address> {
    let mut address = Address::default();
    let mut streets = [None, None, None];
    let [street1, street2, street3] = &mut streets;
    let mut rank = Rank::default();
    let leftover = read_fields(element, |child, text| match child {
        "street1" => fill(street1, text),
        "street2" => fill(street2, text),
        "street3" => fill(street3, text),
        "city" => fill(&mut address.city, text),
        "state" => fill(&mut address.region, text),
        "postalcode" => fill(&mut address.postal_code, text),
        "countrycode" => fill(&mut address.country, text),
        "addresstype" => fill(&mut address.kind, text),
        _ => rank.look_at(child, text),
    });
    address.lines = streets.into_iter().flatten().collect();
    rank.entry(address, leftover)
}

fn phone(element: Element) -> Entry<Phone> {
    let mut number = None;
    let mut kind = None;
    let mut rank = Rank::default();
    let leftover = read_fields(element, |child, text| match child {
        "number" => fill(&mut number, text),
        "phonetype" => fill(&mut kind, text),
        _ => rank.look_at(child, text),
    });
    let value = Phone { number: number.unwrap_or_default(), kind, primary: false };
    rank.entry(value, leftover)
}

fn email(element: Element) -> Entry<Email> {
    let mut address = None;
    let mut kind = None;
    let mut bad = None;
    let mut rank = Rank::default();
    let leftover = read_fields(element, |child, text| match child {
        "address" => fill(&mut address, text),
        "emailtype" => fill(&mut kind, text),
        "badaddress" if bad.is_none() => {
            bad = flag(text);
            bad.is_some()
        }
        _ => rank.look_at(child, text),
    });
    let value = Email { address: address.unwrap_or_default(), kind, primary: false, bad: bad.unwrap_or(false) };
    rank.entry(value, leftover)
}

/// The source's booleans; an empty one is false.
fn flag(text: &str) -> Option<bool> {
    let is_false = text.is_empty() || text.eq_ignore_ascii_case("false");
    if is_false { Some(false) } else { is_true(text).then_some(true) }
}

/// Whether an entry is `preferred` or `best`. Both are left over, too: `primary` holds less than they do.
#[derive(Default)]
struct Rank {
    preferred: bool,
    best: bool,
}

impl Rank {
    /// Looks at an entry's child. `false`: no field holds it.
    fn look_at(&mut self, child: &str, text: &str) -> bool {
        match child {
            "preferred" => self.preferred |= is_true(text),
            "best" => self.best |= is_true(text),
            _ => {}
        }
        false
    }

    fn entry<T>(self, value: T, leftover: Attributes) -> Entry<T> {
        Entry { value, leftover, preferred: self.preferred, best: self.best }
    }
}

/// Whether a membership makes its holder a member. It is no part of the membership as it is stored.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct IsMember(bool);

fn membership(element: Element) -> Entry<(Membership, IsMember)> {
    let mut membership = Membership::default();
    let mut member = None;
    let leftover = read_fields(element, |child, text| match child {
        "subgroupid" => fill(&mut membership.id, text),
        "subgroupname" => fill(&mut membership.name, text),
        "statuscode" => fill(&mut membership.status, text),
        "classcode" => fill(&mut membership.class, text),
        "joindate" => fill(&mut membership.joined, date_or_text(text)),
        "expirationdate" => fill(&mut membership.expires, date_or_text(text)),
        "member" => {
            let said_before = member.unwrap_or(false);
            member = Some(said_before || is_true(text));
            false
        }
        _ => false,
    });
    let is_active = membership.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case("ACTIVE"));
    Entry::new((membership, IsMember(member.unwrap_or(is_active))), leftover)
}

/// The names of a subscription's children are not documented: these are the possible names of each field, the likeliest
/// first. Matched in lower case and without `-` and `_`.
const SUBSCRIPTION_ID: &[&str] =
    &["subscriptionid", "subscriptioncode", "publicationid", "publicationcode", "productid", "id", "code"];
const SUBSCRIPTION_NAME: &[&str] = &["subscriptionname", "publicationname", "productname", "name", "descr"];
const SUBSCRIPTION_STARTS: &[&str] = &["startdate", "begindate", "effectivedate"];
const SUBSCRIPTION_EXPIRES: &[&str] = &["expirationdate", "expiredate", "enddate"];

fn subscription(element: Element) -> Entry<Subscription> {
    let has_text = |name: &str| element.children().any(|child| child.known_name() == name && !child.text().is_empty());
    let likeliest = |names: &'static [&str]| names.iter().copied().find(|name| has_text(name));
    let id_name = likeliest(SUBSCRIPTION_ID);
    let name_name = likeliest(SUBSCRIPTION_NAME);
    let starts_name = likeliest(SUBSCRIPTION_STARTS);
    let expires_name = likeliest(SUBSCRIPTION_EXPIRES);
    let mut subscription = Subscription::default();
    let leftover = read_fields(element, |child, text| match Some(child) {
        name if name == id_name => fill(&mut subscription.id, text),
        name if name == name_name => fill(&mut subscription.name, text),
        name if name == starts_name => fill(&mut subscription.starts, date_or_text(text)),
        name if name == expires_name => fill(&mut subscription.expires, date_or_text(text)),
        _ => false,
    });
    Entry::new(subscription, leftover)
}

/// The employer of the most important job: a preferred one, else a best one, else the first without an end.
#[derive(Default)]
struct Employer {
    name: Option<String>,
    rank: u8,
}

impl Employer {
    fn look_at(&mut self, jobs: Element) {
        for job in jobs.children().filter(|child| child.known_name() == "job") {
            let text_of =
                |name: &str| job.children().find(|child| child.known_name() == name).map(|child| child.text());
            let says = |name: &str| text_of(name).is_some_and(is_true);
            let rank = match () {
                () if says("preferred") => 3,
                () if says("best") => 2,
                () if text_of("enddate").is_none_or(|text| text.is_empty()) => 1,
                () => 0,
            };
            let name = text_of("employername").unwrap_or_default();
            if rank > self.rank && !name.is_empty() {
                *self = Self { name: Some(name.to_owned()), rank };
            }
        }
    }
}
