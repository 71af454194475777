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
use crate::{Context, Delivered, Outcome, Outgoing, Trouble};

/// How many events one delivery holds.
pub(crate) const MOST_EVENTS: usize = 100;
/// How many of them are under way at once.
const AT_ONCE: usize = 8;
/// After so many events that the receiver may be to blame for, and none that it took, it is asked first.
const MOST_DOUBTED: usize = 16;
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
    /// Sends the events, some at once. After trouble no more are begun; those under way are waited for.
    pub(crate) async fn deliver(&self, changes: &[Outgoing], context: Context<'_>, secrets: &Secrets) -> Delivered {
        let secrets = match secrets.parsed() {
            Ok(secrets) => secrets,
            Err(trouble) => return trouble.stops(changes.len()),
        };
        let outcomes = vec![None; changes.len()];
        let mut sending = Sending {
            hook: self,
            changes,
            context,
            secrets,
            works: false,
            doubted: Vec::new(),
            delivered: Delivered { outcomes, trouble: None },
        };
        let mut places: Vec<usize> = (0..changes.len()).collect();
        while !places.is_empty() {
            places = sending.send(&places).await;
            if sending.delivered.trouble.is_some() || !sending.is_certain().await {
                break;
            }
        }
        sending.end()
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

/// A delivery under way.
///
/// **Doubt.** An event that the receiver fails at again and again, or that it answers as if it did not know us, may be
/// to blame, or the receiver may be. If it takes another event, or one that it took before, the event is.
struct Sending<'a> {
    hook: &'a Hook<'a>,
    changes: &'a [Outgoing],
    context: Context<'a>,
    secrets: Vec<SigningSecret>,
    /// Whether the receiver has taken anything.
    works: bool,
    /// The events that it may be to blame for, with what it said.
    doubted: Vec<(usize, Doubt)>,
    delivered: Delivered,
}

struct Doubt {
    refused: Outcome,
    trouble: Trouble,
}

/// What became of an event.
enum Judged {
    Certain(Outcome),
    Doubted(Doubt),
}

impl Sending<'_> {
    /// Sends some of the events, until there is trouble, or so much doubt that it has to be cleared up first. Returns
    /// those that were not begun.
    async fn send(&mut self, places: &[usize]) -> Vec<usize> {
        let is_stopped = AtomicBool::new(false);
        let (hook, changes, secrets, attempts) = (self.hook, self.changes, &self.secrets, self.context.attempts);
        let sending = places.iter().map(|place| {
            let is_stopped = &is_stopped;
            async move {
                if is_stopped.load(Ordering::Relaxed) {
                    return (*place, None);
                }
                (*place, Some(hook.send(&changes[*place], secrets).await.and_then(judged)))
            }
        });
        let mut sending = stream::iter(sending.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        let mut left = Vec::new();
        while let Some((place, sent)) = sending.next().await {
            match sent {
                None => left.push(place),
                Some(Ok(Judged::Certain(outcome))) => {
                    self.works |= outcome == Outcome::Taken;
                    self.delivered.outcomes[place] = Some(outcome);
                }
                Some(Ok(Judged::Doubted(doubt))) => self.doubted.push((place, doubt)),
                Some(Err(trouble)) if trouble.blames_content(attempts) => {
                    let refused = Outcome::Refused { reason: trouble.message.clone(), answer: String::new() };
                    self.doubted.push((place, Doubt { refused, trouble }));
                }
                Some(Err(trouble)) => {
                    self.delivered.trouble.get_or_insert(trouble);
                }
            }
            let is_in_doubt = !self.works && self.doubted.len() >= MOST_DOUBTED;
            is_stopped.fetch_or(is_in_doubt || self.delivered.trouble.is_some(), Ordering::Relaxed);
        }
        left.sort_unstable();
        left
    }

    /// Whether it is known who is to blame. If no event was taken, the receiver is sent one that it took before.
    async fn is_certain(&mut self) -> bool {
        if !self.works
            && !self.doubted.is_empty()
            && let Some(witness) = self.context.witnesses.first()
        {
            let sent = self.hook.send(witness, &self.secrets).await;
            self.works = sent.is_ok_and(|answer| answer.status.is_success());
        }
        self.works || self.doubted.is_empty()
    }

    fn end(mut self) -> Delivered {
        self.doubted.sort_unstable_by_key(|(place, _)| *place);
        for (place, Doubt { refused, trouble }) in self.doubted {
            if self.works {
                self.delivered.outcomes[place] = Some(refused);
            } else {
                self.delivered.trouble.get_or_insert(trouble);
            }
        }
        self.delivered
    }
}

/// A receiver that refuses one event costs that event; one that is down, or wants to be left alone, stops them all. One
/// that does not know our secret, or whose address is wrong, answers like one that refuses.
fn judged(answer: Answer) -> Result<Judged, Trouble> {
    let status = answer.status;
    let refused = |answer: &Answer| Outcome::Refused {
        reason: format!("it answered with HTTP {status}"),
        answer: answer.shown(),
    };
    match status {
        _ if status.is_success() => Ok(Judged::Certain(Outcome::Taken)),
        StatusCode::GONE => Err(Trouble { is_gone: true, ..answer.into_trouble() }),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => {
            Err(answer.into_trouble())
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
            Ok(Judged::Doubted(Doubt { refused: refused(&answer), trouble: answer.into_trouble() }))
        }
        _ if status.is_client_error() => Ok(Judged::Certain(refused(&answer))),
        _ => Err(answer.into_trouble()),
    }
}
