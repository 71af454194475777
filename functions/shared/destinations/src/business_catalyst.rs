//! A site of Business Catalyst: `ContactList_UpdateInsert`.

use std::time::Duration;

use config::ReceivingSite;
use jiff::civil::DateTime;
use reqwest::StatusCode;
use serde::Deserialize;
use sources::business_catalyst::headers;
use wire::business_catalyst::{
    ContactListReader, ContactToWrite, Credentials, Operation, PageEnd, WriteError, read_update_insert_answer,
    retrieve_request, update_insert_request,
};
use wire::{Limits, ReadError};

use crate::delivering::{Said, Takes};
use crate::http::{Answer, Requests};
use crate::{Outcome, Outgoing, Trouble};

/// How many contacts one request holds.
pub(crate) const MOST_CONTACTS: usize = 100;
/// How long a site may take for them.
const PATIENCE: Duration = Duration::from_secs(25);

/// The fields of the credentials.
pub(crate) const FIELDS: &str = "\"username\" and \"password\"";

/// A site.
pub(crate) struct Site<'a> {
    pub(crate) site: &'a ReceivingSite,
    pub(crate) login: Login,
    pub(crate) request: Requests<'a>,
}

/// User name and password; for a site token an empty user name.
#[derive(Deserialize)]
pub(crate) struct Login {
    username: String,
    password: String,
}

impl Takes for Site<'_> {
    type Item = ContactToWrite;

    const AT_ONCE: usize = 1;

    fn item(&self, change: &Outgoing) -> Result<ContactToWrite, Outcome> {
        let contact = match &change.customer {
            Some(customer) => ContactToWrite::of(customer),
            None => ContactToWrite {
                external_id: Some(change.id.to_string()),
                deleted: Some(true),
                ..ContactToWrite::default()
            },
        };
        // Written alone, so that one that can't be written costs itself.
        match update_insert_request(self.site.soap, &self.credentials(), std::slice::from_ref(&contact)) {
            Ok(_) => Ok(contact),
            Err(error) => Err(Outcome::Refused { reason: problem_of(&error), answer: String::new() }),
        }
    }

    fn lists(&self, items: &[ContactToWrite]) -> Vec<Vec<usize>> {
        let places: Vec<usize> = (0..items.len()).collect();
        places.chunks(MOST_CONTACTS).map(<[usize]>::to_vec).collect()
    }

    async fn send(&self, items: &[&ContactToWrite]) -> Result<Said, Trouble> {
        let contacts: Vec<ContactToWrite> = items.iter().map(|contact| (*contact).clone()).collect();
        let envelope = update_insert_request(self.site.soap, &self.credentials(), &contacts);
        let envelope = envelope.map_err(|error| Trouble::new(error.to_string()))?;
        let answer = self
            .request
            .post(&self.site.endpoint, headers(self.site.soap, Operation::UpdateInsert), envelope, PATIENCE)
            .await?;
        self.said(answer)
    }
}

impl Site<'_> {
    /// Reads a page of the contacts that were updated since then, and keeps nothing of it. `false` if the site answers
    /// with a fault that names no cause, as it may do if there are none.
    pub(crate) async fn list(&self, since: DateTime) -> Result<bool, Trouble> {
        let envelope = retrieve_request(self.site.soap, &self.credentials(), since, 0);
        let headers = headers(self.site.soap, Operation::Retrieve);
        let answer = self.request.post(&self.site.endpoint, headers, envelope, PATIENCE).await?;
        let mut reader = ContactListReader::new(answer.body.as_slice(), Limits::default());
        let problem = reader.by_ref().find_map(Result::err);
        match (problem, reader.page_end()) {
            (None, Some(PageEnd::Fault { .. })) => Ok(false),
            (None, _) if answer.status.is_success() => Ok(true),
            (Some(error @ ReadError::Source { .. }), _) => {
                Err(Trouble::new(wire::redact(&error.to_string(), &self.login.username, &self.login.password)))
            }
            (Some(_), _) if answer.status.is_success() => Err(Trouble::new("its answer is no contact list")),
            _ => Err(answer.into_trouble()),
        }
    }

    fn credentials(&self) -> Credentials<'_> {
        Credentials { username: &self.login.username, password: &self.login.password, site_id: self.site.site_id }
    }

    /// A fault comes with HTTP 500.
    fn said(&self, answer: Answer) -> Result<Said, Trouble> {
        let is_fault_status = answer.status == StatusCode::INTERNAL_SERVER_ERROR;
        let answer = if is_fault_status { answer } else { answer.unless_trouble()? };
        let redact = |text: &str| wire::redact(text, &self.login.username, &self.login.password);
        match read_update_insert_answer(answer.body.as_slice(), &Limits::default()) {
            Ok(()) if answer.status.is_success() => Ok(Said::Taken),
            Err(ReadError::Source { message }) => Ok(Said::Refused {
                reason: redact(&format!("it answered with an error: {message}")),
                answer: redact(&answer.shown()),
                has_some: false,
                may_be_us: false,
            }),
            _ if answer.status.is_client_error() => Ok(Said::Refused {
                reason: format!("it answered with HTTP {}", answer.status),
                answer: redact(&answer.shown()),
                has_some: false,
                may_be_us: false,
            }),
            _ if is_fault_status => Err(answer.into_trouble()),
            Ok(()) => Err(answer.into_trouble()),
            Err(error) => {
                Err(Trouble::new(format!("its answer can't be used: {}", redact(&error.to_string()))).of_content())
            }
        }
    }
}

/// Why a contact can't be written, without its place in a list of one.
fn problem_of(error: &WriteError) -> String {
    match error {
        WriteError::NotIdentified { .. } => "it has neither an `externalId` nor an `emailAddress`".to_owned(),
        WriteError::Character { element, .. } => format!("it has a character in `{element}` that XML does not allow"),
    }
}
