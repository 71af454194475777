//! Anything that takes signed events: CloudEvents in the structured mode, signed as Standard Webhooks says, one a
//! request.

use std::time::Duration;

use config::{Payload, ReceivingHook};
use model::ConnectionKey;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use store::Clock;
use wire::webhook::{Event, MEDIA_TYPE, SigningSecret, event_id, signatures};

use crate::delivering::{Said, Takes};
use crate::http::{Answer, Requests};
use crate::{Outcome, Outgoing, Trouble};

/// How many events one delivery holds.
pub(crate) const MOST_EVENTS: usize = 100;
/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// The fields of the credentials.
pub(crate) const FIELDS: &str = "\"secret\", or \"secrets\": [new, old]";

/// A receiver.
pub(crate) struct Hook<'a> {
    pub(crate) key: &'a ConnectionKey,
    pub(crate) hook: &'a ReceivingHook,
    pub(crate) request: Requests<'a>,
    pub(crate) clock: &'a Clock,
    pub(crate) secrets: Vec<SigningSecret>,
}

/// An event as it is sent, but for its signature.
pub(crate) struct Written {
    id: String,
    body: String,
}

/// What events are signed with. While one secret takes the place of another, both are.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Secrets {
    One { secret: String },
    Several { secrets: Vec<String> },
}

impl Secrets {
    /// At least one.
    pub(crate) fn parsed(&self) -> Result<Vec<SigningSecret>, Trouble> {
        let secrets = match self {
            Self::One { secret } => std::slice::from_ref(secret),
            Self::Several { secrets } => secrets,
        };
        let parsed: Result<Vec<_>, _> = secrets.iter().map(|secret| SigningSecret::parse(secret)).collect();
        match parsed {
            Ok(parsed) if !parsed.is_empty() => Ok(parsed),
            Ok(_) => Err(Trouble::new("credentials: `secrets` holds none")),
            Err(problem) => Err(Trouble::new(format!("credentials: {problem}"))),
        }
    }
}

impl Takes for Hook<'_> {
    type Item = Written;

    const AT_ONCE: usize = 8;

    fn item(&self, change: &Outgoing) -> Result<Written, Outcome> {
        Ok(self.written(change, &change.occasion))
    }

    /// As another event: one that it remembers it may acknowledge though it can store nothing.
    fn witness(&self, change: &Outgoing) -> Result<Written, Outcome> {
        Ok(self.written(change, &format!("witness {}", self.clock.now().as_millisecond())))
    }

    fn lists(&self, items: &[Written]) -> Vec<Vec<usize>> {
        (0..items.len()).map(|place| vec![place]).collect()
    }

    async fn send(&self, items: &[&Written]) -> Result<Said, Trouble> {
        for event in items {
            match said(self.post(event).await?)? {
                Said::Taken => {}
                refused => return Ok(refused),
            }
        }
        Ok(Said::Taken)
    }
}

impl Hook<'_> {
    fn written(&self, change: &Outgoing, occasion: &str) -> Written {
        let ConnectionKey { tenant, connection: destination } = self.key;
        let Outgoing { id, changed_at, revision, .. } = change;
        let event_id = event_id(destination, tenant, id, change.is_deletion(), *changed_at, *revision, occasion);
        let event = Event {
            tenant,
            id,
            action: change.action,
            changed_at: *changed_at,
            revision: *revision,
            customer: change.customer.as_ref(),
            with_state: self.hook.payload == Payload::State,
            event_id: &event_id,
        };
        let body = event.to_json();
        Written { id: event_id, body }
    }

    async fn post(&self, event: &Written) -> Result<Answer, Trouble> {
        let timestamp = self.clock.now().as_second();
        let signature = signatures(&self.secrets, &event.id, timestamp, &event.body);
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))]);
        let signed = [
            ("webhook-id", event.id.clone()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", signature),
        ];
        for (name, value) in signed {
            let value = HeaderValue::try_from(value).map_err(|_| Trouble::new("a header could not be written"))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        self.request.post(&self.hook.url, headers, event.body.clone(), PATIENCE).await
    }
}

/// What an answer says. One that is down, or wants to be left alone, takes nothing. One that does not know us, or whose
/// address is wrong, answers like one that refuses an event.
fn said(answer: Answer) -> Result<Said, Trouble> {
    let status = answer.status;
    match status {
        _ if status.is_success() => Ok(Said::Taken),
        StatusCode::GONE => Err(Trouble { is_gone: true, ..answer.into_trouble() }),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => {
            Err(answer.into_trouble())
        }
        _ if status.is_client_error() && answer.retry_after.is_none() => Ok(Said::Refused {
            reason: format!("it answered with HTTP {status}"),
            answer: answer.shown(),
            has_some: false,
            may_be_us: matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND),
        }),
        _ => Err(answer.into_trouble()),
    }
}
