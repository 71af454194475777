//! A customer as a contact to be written, whatever source it comes from.

use jiff::civil::{Date, DateTime, date};
use model::{Content, Customer, Status};

use super::codes::{EMAIL_2, EMAIL_3, address_code, email_code, phone_code};
use super::contact_to_write::{AddressToWrite, ContactToWrite, PhoneNumberToWrite};
use super::local_time::{UNSET, is_unset};
use crate::picked;

/// The first day that SQL Server's `datetime` can hold: one before it could cost the whole list.
const EARLIEST: Date = date(1753, 1, 1);

impl ContactToWrite {
    /// The contact of a customer:
    ///
    /// | element | value |
    /// |---|---|
    /// | `externalId` | the public id |
    /// | `emailAddress` | the primary address, else the first that is not known to be bad, else the first |
    /// | `contactTitle` | the prefix of the name |
    /// | `deleted` | false: a customer that was deleted may be back |
    /// | `fullName` | the display name, else the first and the last name |
    /// | `firstName`, `lastName` | those |
    /// | `dateOfBirth` | the date of birth, if it is a date |
    /// | `addresses` | all, by type; the second line holds all lines after the first |
    /// | `phoneNos` | all phone numbers, by type, and the other e-mail addresses |
    ///
    /// Each of them is always sent, so that what became empty at the source becomes empty here: a date that is not set
    /// as the service's own unset time. Only `emailAddress` is left out if there is none, for the service identifies
    /// contacts by it: the old one stays. A type that is not known counts as home. What is not in the table is never
    /// sent, such as `username` and `password`.
    ///
    /// Of a customer that was deleted, the id and `deleted` are sent, and nothing else.
    pub fn of(customer: &Customer) -> Self {
        let external_id = Some(customer.id().to_string());
        let content = &customer.content;
        if content.status == Status::Deleted {
            return Self { external_id, deleted: Some(true), ..Self::default() };
        }
        let name = &content.name;
        let full_name = match picked::text(name.display.as_deref()) {
            "" => name.first_and_last(),
            display => Some(display.to_owned()),
        };
        let mut emails = picked::emails(content).into_iter();
        let email_address = emails.next().map(|(address, _)| address);
        let mut phone_numbers = phones(content);
        for (address, email) in emails {
            let is_first = phone_numbers.iter().all(|known| known.phone_no_type_id != EMAIL_2);
            let code = email_code(email.kind.as_deref()).unwrap_or(if is_first { EMAIL_2 } else { EMAIL_3 });
            phone_numbers.push(PhoneNumberToWrite { phone_no_type_id: code, phone_no: Some(address) });
        }
        Self {
            external_id,
            email_address,
            contact_title: sent(name.prefix.as_deref()),
            deleted: Some(false),
            full_name: sent(full_name.as_deref()),
            first_name: sent(name.first.as_deref()),
            last_name: sent(name.last.as_deref()),
            date_of_birth: Some(date_of_birth(content)),
            addresses: Some(addresses(content)),
            phone_numbers: Some(phone_numbers),
        }
    }
}

/// A text that is sent even if it is empty.
fn sent(text: Option<&str>) -> Option<String> {
    Some(picked::text(text).to_owned())
}

fn date_of_birth(content: &Content) -> DateTime {
    let day: Option<Date> = picked::birth_date(content).and_then(|day| day.parse().ok());
    day.filter(|day| *day >= EARLIEST && !is_unset((*day).into())).unwrap_or(UNSET).into()
}

fn phones(content: &Content) -> Vec<PhoneNumberToWrite> {
    let given = content.phones.iter().filter(|phone| !phone.number.trim().is_empty());
    let phones = given.map(|phone| PhoneNumberToWrite {
        phone_no_type_id: phone_code(phone.kind.as_deref()),
        phone_no: sent(Some(&phone.number)),
    });
    phones.collect()
}

fn addresses(content: &Content) -> Vec<AddressToWrite> {
    let given = content.addresses.iter().filter(|address| picked::says_something(address));
    let addresses = given.map(|address| {
        let [first, second] = picked::two_lines(address);
        AddressToWrite {
            address_type_id: address_code(address.kind.as_deref()),
            address_line_1: Some(first),
            address_line_2: Some(second),
            city: sent(address.city.as_deref()),
            zipcode: sent(address.postal_code.as_deref()),
            state: sent(address.region.as_deref()),
            country_code: sent(address.country.as_deref()),
        }
    });
    addresses.collect()
}
