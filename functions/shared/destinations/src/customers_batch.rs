//! A service that takes `customers_batch` in the Sticky Street dialect.

use std::time::Duration;

use config::ReceivingService;
use model::import::Overwrite;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use url::form_urlencoded;
use wire::customers_batch::{Access, BatchAnswer, Dialect, RowToSend, batches_of, read_batch_answer};
use wire::{Limits, ReadError};

use crate::delivering::{Said, Takes};
use crate::http::{Answer, Requests};
use crate::{Outcome, Outgoing, Trouble};

/// How many rows one request holds.
pub(crate) const MOST_ROWS: usize = 200;
/// How long a service may take for them.
const PATIENCE: Duration = Duration::from_secs(25);
/// The fields of the credentials.
pub(crate) const FIELDS: &str = "\"user_id\", \"user_password\" and \"account_id\"";

/// A service.
pub(crate) struct Service<'a> {
    pub(crate) service: &'a ReceivingService,
    pub(crate) access: Credentials,
    pub(crate) request: Requests<'a>,
}

/// What the service lets us in with.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    user_id: String,
    user_password: String,
    account_id: String,
}

impl Takes for Service<'_> {
    type Item = RowToSend;

    const AT_ONCE: usize = 1;

    fn item(&self, change: &Outgoing) -> Result<RowToSend, Outcome> {
        // The dialect has no word for a deletion.
        let Some(customer) = change.customer.as_ref().filter(|_| !change.is_deletion()) else {
            return Err(Outcome::LeftOut);
        };
        let refused = |reason: String| Outcome::Refused { reason, answer: String::new() };
        RowToSend::of(customer).map_err(|error| refused(error.to_string()))
    }

    fn lists(&self, items: &[RowToSend]) -> Vec<Vec<usize>> {
        batches_of(items)
            .into_iter()
            .flat_map(|batch| batch.places.chunks(MOST_ROWS).map(<[usize]>::to_vec).collect::<Vec<_>>())
            .collect()
    }

    async fn send(&self, items: &[&RowToSend]) -> Result<Said, Trouble> {
        let rows: Vec<RowToSend> = items.iter().map(|row| (*row).clone()).collect();
        let access = Access {
            user_id: self.access.user_id.clone(),
            secret: self.access.user_password.clone(),
            account_id: self.access.account_id.clone(),
        };
        let dialect = Dialect {
            version: self.service.api,
            overwrite: self.service.overwrite_duplicates,
            campaigns: self.service.campaigns.clone(),
        };
        let mut said = Said::Taken;
        // They were chosen to go in one.
        for batch in batches_of(&rows) {
            let body = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(batch.form(&rows, &access, &dialect))
                .finish();
            let headers =
                HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))]);
            let answer = self.request.post(&self.service.url, headers, body, PATIENCE).await?;
            match self.said(answer, batch.places.len())? {
                Said::Taken => {}
                refused => said = refused,
            }
        }
        Ok(said)
    }
}

impl Service<'_> {
    fn said(&self, answer: Answer, rows: usize) -> Result<Said, Trouble> {
        let answer = answer.unless_trouble()?;
        let redact = |text: &str| wire::redact(text, &self.access.user_id, &self.access.user_password);
        let refused = |reason: String, has_some| Said::Refused {
            reason,
            answer: redact(&answer.shown()),
            has_some,
            may_be_us: false,
        };
        match read_batch_answer(answer.body.as_slice(), &Limits::of_batch_answer()) {
            Ok(BatchAnswer { new, updated }) => {
                let counted = new.saturating_add(updated);
                let all = rows as u64;
                match counted {
                    _ if counted == all => Ok(Said::Taken),
                    _ if counted > all => {
                        let problem = format!("it counts {counted} customers in its answer to {all} rows");
                        Err(Trouble::new(problem).of_content())
                    }
                    // Rows of customers that stay as they are count as nothing.
                    _ if self.service.overwrite_duplicates == Overwrite::Ignore => Ok(Said::Taken),
                    0 if all == 1 => Ok(refused("it counts the row neither as new nor as updated".to_owned(), false)),
                    _ => Ok(refused(format!("it counts {counted} of {all} rows"), counted > 0)),
                }
            }
            Err(ReadError::Source { message }) => {
                Ok(refused(redact(&format!("it answered with an error: {message}")), false))
            }
            Err(_) if answer.status.is_client_error() => {
                Ok(refused(format!("it answered with HTTP {}", answer.status), false))
            }
            Err(error) => {
                Err(Trouble::new(format!("its answer can't be used: {}", redact(&error.to_string()))).of_content())
            }
        }
    }
}
