use std::fmt;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use super::NAMESPACE;
use super::contact_to_write::{ContactToWrite, WriteError, written_contact};
use super::local_time::written;
use super::namespaces::{SOAP_1_1, SOAP_1_2};
use crate::request_text::element;

/// The SOAP version of a site. Answers are read in either, whatever the request was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SoapVersion {
    /// SOAP 1.1.
    #[default]
    #[serde(rename = "1.1")]
    V1_1,
    /// SOAP 1.2.
    #[serde(rename = "1.2")]
    V1_2,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `ContactList_Retrieve`: [`retrieve_request`].
    Retrieve,
    /// `ContactList_UpdateInsert`: [`update_insert_request`].
    UpdateInsert,
}

impl Operation {
    /// The name of the request's element.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retrieve => "ContactList_Retrieve",
            Self::UpdateInsert => "ContactList_UpdateInsert",
        }
    }
}

impl SoapVersion {
    /// The value of the request's `Content-Type`.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::V1_1 => "text/xml; charset=utf-8",
            Self::V1_2 => "application/soap+xml; charset=utf-8",
        }
    }

    /// The value of the request's `SOAPAction`, quotes included; SOAP 1.2 has no such header.
    pub fn soap_action(self, operation: Operation) -> Option<String> {
        match self {
            Self::V1_1 => Some(format!("\"{NAMESPACE}/{}\"", operation.name())),
            Self::V1_2 => None,
        }
    }

    fn namespace(self) -> &'static str {
        match self {
            Self::V1_1 => SOAP_1_1,
            Self::V1_2 => SOAP_1_2,
        }
    }
}

/// What a request authenticates with, inside the document. There is no HTTP authentication.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The e-mail address of one of the site's users; empty if the site's token stands in `password`.
    pub username: &'a str,
    /// Its password, or the site's token.
    pub password: &'a str,
    /// The site's number.
    pub site_id: u32,
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("site_id", &self.site_id).finish_non_exhaustive()
    }
}

impl Credentials<'_> {
    fn elements(&self) -> String {
        element("username", self.username)
            + &element("password", self.password)
            + &element("siteId", &self.site_id.to_string())
    }
}

/// Asks for a page of the contacts that were updated since `last_update`, a local time of the site, beginning with the
/// one at `record_start`: 0, and then 100 more for each page, until there are no more records (`ContactList_Retrieve`).
/// [`ContactListReader`](super::ContactListReader) reads the answer.
///
/// Parts of a second are cut off `last_update`.
pub fn retrieve_request(
    version: SoapVersion,
    credentials: &Credentials,
    last_update: DateTime,
    record_start: u32,
) -> String {
    let content = credentials.elements()
        + &element("lastUpdateDate", &written(last_update))
        + &element("recordStart", &record_start.to_string())
        + &element("moreRecords", "false");
    envelope(version, Operation::Retrieve, &content)
}

/// Writes contacts (`ContactList_UpdateInsert`): the source updates the contact that has the `externalId`, or, if none
/// is given, the one that has the e-mail address. It inserts a contact if it finds none.
/// [`read_update_insert_answer`](super::read_update_insert_answer) reads the answer.
///
/// # Errors
/// If a contact has neither, for the source would insert it anew each time, and if a text can't be written in
/// XML. Then nothing of the list can be sent.
pub fn update_insert_request(
    version: SoapVersion,
    credentials: &Credentials,
    contacts: &[ContactToWrite],
) -> Result<String, WriteError> {
    let mut content = credentials.elements() + "<contactsList>";
    for (contact, position) in contacts.iter().zip(1..) {
        content += &written_contact(contact, position)?;
    }
    content += "</contactsList>";
    Ok(envelope(version, Operation::UpdateInsert, &content))
}

fn envelope(version: SoapVersion, operation: Operation, content: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"{soap}\"><soap:Body>\
         <{name} xmlns=\"{NAMESPACE}\">{content}</{name}></soap:Body></soap:Envelope>",
        soap = version.namespace(),
        name = operation.name(),
    )
}
