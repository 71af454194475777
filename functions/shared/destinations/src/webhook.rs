//! Anything that takes signed events: CloudEvents in the structured mode, signed as Standard Webhooks says, one a
//! request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use config::{Payload, ReceivingHook};
use futures::stream::{self, StreamExt};
use model::ConnectionKey;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use store::Clock;
use wire::webhook::{Event, MEDIA_TYPE, SigningSecret, event_id, signatures};

use crate::http::{Answer, Requests};
use crate::{Context, Delivered, NO_ACCIDENT, Outcome, Outgoing, Trouble};

/// How many events one delivery holds.
pub(crate) const MOST_EVENTS: usize = 100;
/// How many of them are under way at once.
const AT_ONCE: usize = 8;
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

impl Hook<'_> {
    /// Sends the events, some at once. After the first trouble no more are begun; those under way are waited for.
    ///
    /// From the fourth attempt on, what fails may be the first event alone, which was among those of every attempt:
    /// then the others are sent all the same. If one is taken, the first one is to blame.
    pub(crate) async fn deliver(&self, changes: &[Outgoing], context: Context<'_>, secrets: &Secrets) -> Delivered {
        let secrets = match secrets.parsed() {
            Ok(secrets) => secrets,
            Err(trouble) => return trouble.stops(changes.len()),
        };
        let mut delivered = Delivered { outcomes: vec![None; changes.len()], trouble: None };
        let (secrets, is_stopped, has_taken) = (&secrets, &AtomicBool::new(false), context.has_taken);
        let is_forgiven =
            |place, trouble: &Trouble| place == 0 && context.attempts >= NO_ACCIDENT && trouble.may_be_of_content;
        let sending = (0..changes.len()).map(|place| async move {
            if is_stopped.load(Ordering::Relaxed) {
                return (place, None);
            }
            let sent = self.send(&changes[place], secrets).await.and_then(|answer| judged(answer, has_taken));
            let stops = sent.as_ref().is_err_and(|trouble| !is_forgiven(place, trouble));
            is_stopped.fetch_or(stops, Ordering::Relaxed);
            (place, Some(sent))
        });
        let mut sending = stream::iter(sending).buffer_unordered(AT_ONCE);
        let mut of_the_first = None;
        while let Some((place, sent)) = sending.next().await {
            match sent {
                None => {}
                Some(Ok(outcome)) => delivered.outcomes[place] = Some(outcome),
                Some(Err(trouble)) if is_forgiven(place, &trouble) => of_the_first = Some(trouble),
                Some(Err(trouble)) => {
                    delivered.trouble.get_or_insert(trouble);
                }
            }
        }
        if let Some(trouble) = of_the_first {
            if delivered.outcomes.contains(&Some(Outcome::Taken)) {
                delivered.outcomes[0] = Some(Outcome::Refused { reason: trouble.message, answer: String::new() });
            } else {
                delivered.trouble.get_or_insert(trouble);
            }
        }
        delivered
    }

    async fn send(&self, change: &Outgoing, secrets: &[SigningSecret]) -> Result<Answer, Trouble> {
        let ConnectionKey { tenant, connection: destination } = self.key;
        let Outgoing { id, changed_at, revision, occasion, .. } = change;
        let event_id = event_id(destination, tenant, id, change.is_deletion(), *changed_at, *revision, occasion);
        let body = Event {
            tenant,
            id: &change.id,
            action: change.action,
            changed_at: change.changed_at,
            revision: change.revision,
            customer: change.customer.as_ref(),
            with_state: self.hook.payload == Payload::State,
            event_id: &event_id,
        }
        .to_json();
        let timestamp = self.clock.now().as_second();
        let signature = signatures(secrets, &event_id, timestamp, &body);
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))]);
        for (name, value) in
            [("webhook-id", event_id), ("webhook-timestamp", timestamp.to_string()), ("webhook-signature", signature)]
        {
            let value = HeaderValue::try_from(value).map_err(|_| Trouble::new("a header could not be written"))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        self.request.post(&self.hook.url, headers, body, PATIENCE).await
    }
}

/// A receiver that refuses one event costs that event; one that is down, or wants to be left alone, stops them all. One
/// that has never taken any does not know our secret, or its address is wrong: no event is to blame for that.
fn judged(answer: Answer, has_taken: bool) -> Result<Outcome, Trouble> {
    let status = answer.status;
    match status {
        _ if status.is_success() => Ok(Outcome::Taken),
        StatusCode::GONE => Err(Trouble { is_gone: true, ..answer.into_trouble() }),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => {
            Err(answer.into_trouble())
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND if !has_taken => {
            Err(answer.into_trouble())
        }
        _ if status.is_client_error() => {
            Ok(Outcome::Refused { reason: format!("it answered with HTTP {status}"), answer: answer.shown() })
        }
        _ => Err(answer.into_trouble()),
    }
}
