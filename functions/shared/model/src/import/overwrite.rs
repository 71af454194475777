use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::import::{Field, Overwrite, Row};
use crate::{Address, Attribute, Attributes, Content, Email, Phone};

/// What the rows of a request have in common.
#[derive(Clone, Copy, Debug)]
pub struct Application<'a> {
    /// What becomes of an existing customer.
    pub overwrite: Overwrite,
    /// The campaigns of the request.
    pub campaigns: &'a [String],
    /// The id of the import.
    pub import: &'a str,
}

/// What the columns of a row do not hold themselves.
#[derive(Clone, Copy, Debug)]
pub struct RowExtras<'a> {
    /// The card number that was generated for the row: for a customer that has none.
    pub card_number: Option<&'a str>,
    /// The request and the row, if the row brings the customer.
    pub origin: Option<&'a str>,
    /// The salted hashes of the row's secrets.
    pub sealed: &'a BTreeMap<Field, String>,
}

/// A name in [`Content::attributes`] that is no column.
const CAMPAIGNS: &str = "campaigns";
/// The name in [`Content::hidden`] of the request and the row that brought the customer. The releases before wrote it
/// if they generated the customer's id.
pub(super) const ORIGIN: &str = "origin";

/// A customer after its rows, from its content before, or from nothing.
///
/// | column | field |
/// |---|---|
/// | `card_number` | `external_id` |
/// | `first_name`, `last_name` | `name`, with a display name of both |
/// | `email`, `phone` | the only entry of `emails` and `phones` |
/// | `street1` … `country` | the only entry of `addresses` |
/// | `custom_date`, `custom_field…`, `customer_username` | `attributes`, by those names |
/// | `customer_password`, `customer_PIN` | salted hashes in `hidden`, by those names |
/// | `auto_add` | an entry of `attributes.auto_add`: campaign, amount, import and row |
///
/// An entry of `auto_add` is there once per import and row, however often the row is applied. Amounts are not fields of
/// the customer but what was added to its account: an overwrite with [`Overwrite::Yes`] keeps them. It replaces the
/// campaigns; an update adds to them.
///
/// The work is in proportion to the customer and its rows.
pub fn apply_rows<'a>(
    base: Option<&Content>,
    rows: impl IntoIterator<Item = (&'a Row, RowExtras<'a>)>,
    application: &Application<'_>,
) -> Content {
    let mut content = base.cloned().unwrap_or_default();
    let mut amounts = Amounts::taken_from(&mut content.attributes, application.import);
    for (row, extras) in rows {
        apply_row(&mut content, row, &extras, application.overwrite);
        if let Some(amount) = row.get(Field::AutoAdd) {
            amounts.add(amount, row.number, application);
        }
    }
    content.name.display = content.name.first_and_last();
    add_campaigns(&mut content.attributes, application.campaigns);
    amounts.put_into(&mut content.attributes);
    content
}

/// Everything of a row but its amount and its campaigns.
fn apply_row(content: &mut Content, row: &Row, extras: &RowExtras<'_>, overwrite: Overwrite) {
    if overwrite != Overwrite::Update {
        blank(content);
    }
    if let Some(origin) = extras.origin {
        content.hidden.insert(ORIGIN.to_owned(), origin.to_owned());
    }
    if let Some(card_number) = extras.card_number {
        content.external_id.get_or_insert_with(|| card_number.to_owned());
    }
    for (field, value) in row.given() {
        write(content, field, value);
    }
    for (field, sealed) in extras.sealed {
        content.hidden.insert(field.name().into_owned(), sealed.clone());
    }
}

/// Blanks every field, and keeps what is no field.
fn blank(content: &mut Content) {
    let origin = content.hidden.remove_entry(ORIGIN);
    *content = Content { hidden: origin.into_iter().collect(), ..Content::default() };
}

fn write(content: &mut Content, field: Field, value: &str) {
    let text = || Some(value.to_owned());
    match field {
        // The code is the id; secrets come sealed, and amounts with their origin.
        Field::Code | Field::CustomerPassword | Field::CustomerPin | Field::AutoAdd => {}
        Field::CardNumber => content.external_id = text(),
        Field::FirstName => content.name.first = text(),
        Field::LastName => content.name.last = text(),
        Field::Email => {
            content.emails = vec![Email { address: value.to_owned(), primary: true, ..Email::default() }];
        }
        Field::Phone => content.phones = vec![Phone { number: value.to_owned(), primary: true, ..Phone::default() }],
        Field::Street1 | Field::Street2 => write_street(content, field, value),
        Field::City => address(content).city = text(),
        Field::State => address(content).region = text(),
        Field::PostalCode => address(content).postal_code = text(),
        Field::Country => address(content).country = text(),
        Field::CustomDate | Field::CustomField(_) | Field::CustomerUsername => {
            content.attributes.insert(field.name().into_owned(), Attribute::Text(value.to_owned()));
        }
    }
}

fn address(content: &mut Content) -> &mut Address {
    if content.addresses.is_empty() {
        content.addresses.push(Address { primary: true, ..Address::default() });
    }
    &mut content.addresses[0]
}

/// The lines of an address are those that are not empty. If only the second is given, `attributes.street2` marks it: a
/// first line that comes later must not replace it.
fn write_street(content: &mut Content, field: Field, value: &str) {
    let second_alone = Field::Street2.name();
    let was_alone = content.attributes.remove(&*second_alone).is_some();
    let mut lines = std::mem::take(&mut address(content).lines).into_iter();
    let first = if was_alone { None } else { lines.next() };
    let second = lines.next();
    let (first, second) = match field {
        Field::Street1 => (Some(value.to_owned()), second),
        _ => (first, Some(value.to_owned())),
    };
    if let (None, Some(second)) = (&first, &second) {
        content.attributes.insert(second_alone.into_owned(), Attribute::Text(second.clone()));
    }
    address(content).lines = first.into_iter().chain(second).collect();
}

fn add_campaigns(attributes: &mut Attributes, campaigns: &[String]) {
    let mut list = take_list(attributes, CAMPAIGNS);
    let known: BTreeSet<Attribute> = list.iter().cloned().collect();
    let new = campaigns.iter().cloned().map(Attribute::Text).filter(|campaign| !known.contains(campaign));
    list.extend(new);
    attributes.insert(CAMPAIGNS.to_owned(), Attribute::List(list));
}

/// What was added to a customer's account.
struct Amounts {
    entries: Vec<Attribute>,
    /// The rows of the import that are already counted.
    rows: HashSet<String>,
}

impl Amounts {
    fn taken_from(attributes: &mut Attributes, import: &str) -> Self {
        let entries = take_list(attributes, &Field::AutoAdd.name());
        let text = |entry: &Attributes, name: &str| match entry.get(name) {
            Some(Attribute::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let row = |entry: &Attribute| match entry {
            Attribute::Object(entry) if text(entry, "import").as_deref() == Some(import) => text(entry, "row"),
            _ => None,
        };
        Self { rows: entries.iter().filter_map(row).collect(), entries }
    }

    /// The same import and row have the same amount and campaign.
    fn add(&mut self, amount: &str, row: u32, application: &Application<'_>) {
        let row = row.to_string();
        if self.rows.insert(row.clone()) {
            let campaign = application.campaigns.first().map(String::as_str).unwrap_or_default();
            let entry = [("campaign", campaign), ("amount", amount), ("import", application.import), ("row", &row)];
            let entry = entry.map(|(name, text)| (name.to_owned(), Attribute::Text(text.to_owned())));
            self.entries.push(Attribute::Object(Attributes::from(entry)));
        }
    }

    fn put_into(self, attributes: &mut Attributes) {
        if !self.entries.is_empty() {
            attributes.insert(Field::AutoAdd.name().into_owned(), Attribute::List(self.entries));
        }
    }
}

/// The list of this name in the attributes; an empty one if it is missing.
fn take_list(attributes: &mut Attributes, name: &str) -> Vec<Attribute> {
    match attributes.remove(name) {
        None => Vec::new(),
        Some(Attribute::List(list)) => list,
        Some(single) => vec![single],
    }
}

#[cfg(test)]
mod tests;
