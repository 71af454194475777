//! Adobe Business Catalyst: the contacts of a site, by its SOAP service (the source's *CRM web service*, and *Building
//! a customer synchronization application*).
//!
//! `ContactList_Retrieve` lists the contacts that were updated since a given time, 100 a page; the caller counts the
//! records itself and asks for page after page while the source says that there are more. `ContactList_UpdateInsert`
//! writes contacts, matched by the caller's own `externalId` or by e-mail address.
//!
//! The readers are lenient in this: elements match by namespace if they have one, whatever its prefix, and in any case.
//! Either version of SOAP is read, whatever was asked. An element that is empty, that says `xsi:nil`, or that is
//! missing means the same. They are strict in this: an answer in which contacts could stand under an unknown name is an
//! error, and never a list without them.
//!
//! A contact holds a person's `password`. Elements of that name are never passed on, at whatever depth they stand.
//!
//! # A contact as content
//!
//! A contact is a person. The types of addresses and phone numbers are words, such as `home fax`; an unknown code stays
//! a number. E-mail addresses stand among the phone numbers, with the types `email 1`, which is the primary one, to
//! `email 3`; the contact's own `emailAddress` counts if it is none of them. The lists stand in one order, whatever the
//! source's: the primary entry first, then by value. Under `attributes` stand:
//!
//! - `username`, `customerType`, `industryType`, `leadSourceType`, `ratingType`, `createDate`, `MasterOptIn`,
//!   `relationships`, and every unknown element, by the source's names;
//! - `crmForms`: the values of the site's own forms, by form name and field name; `crmForms#details`: their ids and all
//!   else, in the same shape. If forms or fields share a name, a list stands under it, in both in the same order; what
//!   has no name stands under `#` and its id;
//! - `webAddresses`, which the source lists among the phone numbers;
//! - of entry `i` of `phones`, `emails` and `addresses`, what has no field at `attributes["phones"][i]`, and what
//!   stands on or in the source's element beside its entries at `attributes["phones#section"]`;
//! - an element that has a field, if it holds more than that, such as a date of birth with a time of day.
//!
//! # Times
//!
//! The source's times have no zone: they are the site's local times. [`instant_of`] returns the instant of one, and
//! [`earliest_local_at_or_after`] the local time to list from; both describe what happens when clocks are changed.

mod codes;
mod contact;
mod contact_list;
mod contact_of_customer;
mod contact_to_write;
mod crm_forms;
mod envelope;
mod fault;
mod local_time;
mod mapping;
mod namespaces;
mod request;
mod short_text;
mod site_time;
mod update_insert_answer;

pub use contact::{Contact, LastUpdate};
pub use contact_list::{ContactListReader, PageEnd};
pub use contact_to_write::{AddressToWrite, ContactToWrite, PhoneNumberToWrite, WriteError};
pub use request::{Credentials, Operation, SoapVersion, retrieve_request, update_insert_request};
pub use site_time::{UnknownZone, earliest_local_at_or_after, instant_of, site_zone};
pub use update_insert_answer::read_update_insert_answer;

/// The namespace of every element of the source's service.
pub const NAMESPACE: &str = "http://tempuri.org/CatalystDeveloperService/CatalystCRMWebservice";
