use model::{Address, Attribute, Content, Email, ExternalKey, Phone, Staff, Stage, Status};

use super::country::country;
use super::error::Problems;
use super::provider::read_provider;
use super::read::read_tree;
use super::{Push, PushError};
use crate::Limits;
use crate::dates::is_date;
use crate::record::{Element, UnmappedData, attribute_of, fill, read_fields};

/// The section of [`Content::attributes`] with what only prospects have.
pub const LEAD_INFO: &str = "leadInfo";
/// The element of [`LEAD_INFO`] that refers to the member of staff who looks after the prospect.
pub const OWNER_ID: &str = "ownerID";
/// The element of [`LEAD_INFO`] that refers to the prospect's lead source.
pub const LEAD_SOURCE_ID: &str = "leadSourceID";
const TRIAL_START_DATE: &str = "trialStartDate";
const TRIAL_END_DATE: &str = "trialEndDate";

/// A prospect or a member, as pushed.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The document's content. Its references are not looked up yet: [`Content::owner_staff_id`] and
    /// [`Content::lead_source_id`] are empty, and the references stand under [`LEAD_INFO`].
    pub content: Content,
    /// What only prospects have; `None` if the document has no such element.
    pub lead: Option<Lead>,
}

/// A prospect's references, in its sender's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lead {
    /// The member of staff who looks after it.
    pub owner: Option<String>,
    /// The lead source that it came from.
    pub lead_source: Option<String>,
}

/// Reads a pushed `user`. Mandatory are the four parts of `providerInfo`, and `firstname`, `lastname`, `userStatus` and
/// `userType`. An empty element counts as missing.
///
/// # Errors
/// If it can't be read, or anything is wrong with it.
pub fn read_user(document: &[u8], limits: &Limits) -> Result<Push<User>, PushError> {
    let (key, user) = read(document, limits, &["user"], true)?;
    Ok(Push { key, content: user })
}

/// Reads a pushed member of staff, whose document is a `user`'s. `userType` is optional: staff are neither prospects
/// nor members.
///
/// # Errors
/// As [`read_user`].
pub fn read_staff(document: &[u8], limits: &Limits) -> Result<Push<Staff>, PushError> {
    let (key, user) = read(document, limits, &["user", "staff"], false)?;
    Ok(Push { key, content: Staff(user.content) })
}

fn read(
    document: &[u8],
    limits: &Limits,
    roots: &'static [&'static str],
    needs_type: bool,
) -> Result<(ExternalKey, User), PushError> {
    let tree = read_tree(document, limits, roots)?;
    let mut problems = Problems::default();
    let mut attributes = UnmappedData::default();
    let mut fields = Fields::default();
    let mut lead = None;
    let mut sender = None;
    if let Some(root) = tree.root() {
        let (key, leftover) = read_provider(root, &mut problems);
        sender = key;
        attributes.insert_leftover("providerInfo", leftover);
        attributes.insert_own_data(root);
        let mut is_read = false;
        for child in root.children() {
            match child.known_name() {
                // The `uuid` is our own, from a fetched document.
                "providerinfo" | "uuid" => {}
                "userinfo" if !is_read => {
                    is_read = true;
                    let leftover =
                        fields.read(child, |info| read_lead(info, &mut lead, &mut attributes, &mut problems));
                    attributes.insert_leftover("userInfo", leftover);
                }
                "leadinfo" => read_lead(child, &mut lead, &mut attributes, &mut problems),
                _ => attributes.insert_element(child),
            }
        }
    }
    let mut content = fields.into_content(needs_type, &mut problems);
    let key = problems.none_or_err(sender)?;
    content.attributes = attributes.into_attributes();
    Ok((key, User { content, lead }))
}

/// What `userInfo` holds, before it is checked.
#[derive(Default)]
struct Fields {
    content: Content,
    address: Address,
    lines: [Option<String>; 2],
    status: Option<String>,
    user_type: Option<String>,
    email: Option<String>,
    mobile: Option<String>,
    home_phone: Option<String>,
    work_phone: Option<String>,
}

impl Fields {
    /// Reads `userInfo`, and returns what it holds beyond these fields. A `leadInfo` in it goes to `on_lead`.
    fn read(&mut self, user_info: Element, mut on_lead: impl FnMut(Element)) -> model::Attributes {
        let Self { content, address, lines: [line1, line2], .. } = self;
        let mut leftover = read_fields(user_info, |child, text| match child {
            "firstname" => fill(&mut content.name.first, text),
            "lastname" => fill(&mut content.name.last, text),
            "birthdate" => fill(&mut content.birth_date, text),
            "gender" => fill(&mut content.gender, text),
            "userstatus" => fill(&mut self.status, text),
            "usertype" => fill(&mut self.user_type, text),
            "address1" => fill(line1, text),
            "address2" => fill(line2, text),
            "city" => fill(&mut address.city, text),
            "zipcode" => fill(&mut address.postal_code, text),
            "state" => fill(&mut address.region, text),
            "country" => fill(&mut address.country, text),
            "mobile" => fill(&mut self.mobile, text),
            "email" => fill(&mut self.email, text),
            "homephone" => fill(&mut self.home_phone, text),
            "workphone" => fill(&mut self.work_phone, text),
            "company" => fill(&mut content.organization, text),
            _ => false,
        });
        for child in user_info.children().filter(|child| child.known_name() == "leadinfo") {
            leftover.remove(child.key());
            on_lead(child);
        }
        leftover
    }

    fn into_content(self, needs_type: bool, problems: &mut Problems) -> Content {
        let Self { mut content, mut address, lines, .. } = self;
        let name = &mut content.name;
        name.first = problems.required("userInfo/firstname", name.first.take());
        name.last = problems.required("userInfo/lastname", name.last.take());
        name.display = name.first_and_last();
        if content.birth_date.as_deref().is_some_and(|date| !is_date(date)) {
            problems.add("userInfo/birthdate", "must be a date of the form YYYY-MM-DD");
        }
        let gender = problems.choice("userInfo/gender", content.gender.as_deref(), &[("M", "M"), ("F", "F")]);
        content.gender = gender.map(str::to_owned);
        let status = problems.required("userInfo/userStatus", self.status);
        let statuses = [("ACTIVE", Status::Active), ("INACTIVE", Status::Inactive)];
        let status = problems.choice("userInfo/userStatus", status.as_deref(), &statuses);
        content.status = status.unwrap_or_default();
        let user_type =
            if needs_type { problems.required("userInfo/userType", self.user_type) } else { self.user_type };
        let stages = [("PROSPECT", Stage::Prospect), ("MEMBER", Stage::Member)];
        content.stage = problems.choice("userInfo/userType", user_type.as_deref(), &stages);
        address.country = address.country.and_then(|text| {
            let code = country(&text);
            if code.is_none() {
                problems.add("userInfo/country", "must be a country code of two letters as in ISO 3166-1");
            }
            code
        });
        address.lines = lines.into_iter().flatten().collect();
        if address != Address::default() {
            content.addresses = vec![Address { primary: true, ..address }];
        }
        let email = self.email.map(|address| Email { address, primary: true, ..Email::default() });
        content.emails = email.into_iter().collect();
        content.phones =
            phones([("mobile", self.mobile), ("homePhone", self.home_phone), ("workPhone", self.work_phone)]);
        content
    }
}

/// Numbers with the source's element names as types; the first is the primary one.
fn phones(numbers: [(&str, Option<String>); 3]) -> Vec<Phone> {
    let given = numbers.into_iter().filter_map(|(kind, number)| Some((kind, number?)));
    given
        .enumerate()
        .map(|(position, (kind, number))| Phone { number, kind: Some(kind.to_owned()), primary: position == 0 })
        .collect()
}

/// Reads a `leadInfo`: its references to `lead`, all of it to `attributes`.
fn read_lead(element: Element, lead: &mut Option<Lead>, attributes: &mut UnmappedData, problems: &mut Problems) {
    if lead.is_some() {
        problems.add(LEAD_INFO, "is given twice");
        return;
    }
    let lead = lead.insert(Lead::default());
    let mut kept = UnmappedData::default();
    kept.insert_own_data(element);
    for child in element.children() {
        let text = child.text();
        let name = match child.known_name() {
            "trialstartdate" => TRIAL_START_DATE,
            "trialenddate" => TRIAL_END_DATE,
            "ownerid" => OWNER_ID,
            "leadsourceid" => LEAD_SOURCE_ID,
            _ => {
                kept.insert_element(child);
                continue;
            }
        };
        match name {
            OWNER_ID => drop(fill(&mut lead.owner, text)),
            LEAD_SOURCE_ID => drop(fill(&mut lead.lead_source, text)),
            date if !text.is_empty() && !is_date(text) => {
                problems.add(&format!("{LEAD_INFO}/{date}"), "must be a date of the form YYYY-MM-DD");
            }
            _ => {}
        }
        if !child.is_empty() {
            kept.insert(name.to_owned(), attribute_of(child));
        }
    }
    let kept = kept.into_attributes();
    if !kept.is_empty() {
        attributes.insert(LEAD_INFO.to_owned(), Attribute::Object(kept));
    }
}
