//! Anything that takes signed events: CloudEvents in the structured mode, signed as Standard Webhooks says, one a
//! request.

use std::collections::BTreeMap;
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
use crate::{Context, Delivered, NO_ACCIDENT, Outcome, Outgoing, Trouble, is_widened};

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
            taken: None,
            doubted: BTreeMap::new(),
            delivered: Delivered { outcomes, trouble: None },
        };
        let all: Vec<usize> = (0..changes.len()).collect();
        let most_doubted = if is_widened(context.attempts) { usize::MAX } else { MOST_DOUBTED };
        let left = sending.send(&all, most_doubted).await;
        if sending.works().await {
            sending.send(&left, usize::MAX).await;
            sending.clear_up().await;
        }
        sending.delivered
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
/// **Doubt.** An event that the receiver refuses, or fails at again and again, may be to blame, or the receiver may be:
/// it may not know us, or take nothing. So it is sent once more, alone, and after it a witness: one that the receiver
/// took before. Only if the receiver takes that one the event is to blame. If there is none, one that it refuses is,
/// unless there are others: it may refuse them all.
struct Sending<'a> {
    hook: &'a Hook<'a>,
    changes: &'a [Outgoing],
    context: Context<'a>,
    secrets: Vec<SigningSecret>,
    /// The place of one that the receiver took.
    taken: Option<usize>,
    /// By place, those that the receiver may be to blame for.
    doubted: BTreeMap<usize, Doubt>,
    delivered: Delivered,
}

/// What a receiver did with an event that it did not take, if the event is to blame, and if the receiver is.
struct Doubt {
    refused: Outcome,
    trouble: Trouble,
    /// Whether the event is to blame if there is no witness and no other event.
    is_refusal: bool,
}

impl Sending<'_> {
    /// Sends some of the events, until there is trouble, or until so many are in doubt and none was taken that it has
    /// to be cleared up first. Returns those that were not begun.
    async fn send(&mut self, places: &[usize], most_doubted: usize) -> Vec<usize> {
        let is_stopped = AtomicBool::new(false);
        let (hook, changes, secrets, attempts) = (self.hook, self.changes, &self.secrets, self.context.attempts);
        // It may bear no more than one at a time.
        let at_once = if (1..NO_ACCIDENT).contains(&attempts) { 1 } else { AT_ONCE };
        let sending = places.iter().map(|place| {
            let is_stopped = &is_stopped;
            async move {
                if is_stopped.load(Ordering::Relaxed) {
                    return (*place, None);
                }
                (*place, Some(hook.send(&changes[*place], secrets).await.and_then(judged)))
            }
        });
        let mut sending = stream::iter(sending.collect::<Vec<_>>()).buffer_unordered(at_once);
        let mut left = Vec::new();
        while let Some((place, sent)) = sending.next().await {
            match sent {
                None => left.push(place),
                Some(Ok(None)) => {
                    self.taken = Some(place);
                    self.delivered.outcomes[place] = Some(Outcome::Taken);
                }
                Some(Ok(Some(doubt))) => {
                    self.doubted.insert(place, doubt);
                }
                Some(Err(trouble)) if trouble.blames_content(attempts) => {
                    let refused = Outcome::Refused { reason: trouble.message.clone(), answer: String::new() };
                    self.doubted.insert(place, Doubt { refused, trouble, is_refusal: false });
                }
                Some(Err(trouble)) => self.delivered.meets(trouble),
            }
            let is_in_doubt = self.taken.is_none() && self.doubted.len() >= most_doubted;
            is_stopped.fetch_or(is_in_doubt || self.delivered.trouble.is_some(), Ordering::Relaxed);
        }
        left.sort_unstable();
        left
    }

    /// If none of the events was taken so far, whether the receiver takes one that it took before. If not, there is
    /// trouble, and nobody is to blame.
    async fn works(&mut self) -> bool {
        if let Some((_, doubt)) = self.doubted.first_key_value()
            && self.taken.is_none()
            && self.delivered.trouble.is_none()
            && let Err(down) = self.ask_the_witness(doubt).await
        {
            self.delivered.meets(down);
        }
        self.delivered.trouble.is_none()
    }

    /// Finds out who is to blame for those in doubt, the first ones first, and one at a time: a receiver may not take
    /// those that come while it takes another.
    async fn clear_up(&mut self) {
        let mut blamed = 0;
        for place in std::mem::take(&mut self.doubted).into_keys() {
            self.send(&[place], usize::MAX).await;
            if self.delivered.trouble.is_some() {
                return;
            }
            let Some(doubt) = self.doubted.remove(&place) else { continue };
            if let Err(down) = self.ask_the_witness(&doubt).await {
                return self.delivered.meets(down);
            }
            // A receiver may know what it took before, and take nothing that is new; or put some of them off.
            if (self.taken.is_none() || doubt.trouble.stops_all) && blamed >= self.context.most_blamed {
                return self.delivered.meets(doubt.trouble);
            }
            self.delivered.outcomes[place] = Some(doubt.refused);
            blamed += 1;
        }
    }

    /// Sends one that the receiver took.
    ///
    /// # Errors
    /// If it does not take it now, or the event can't be blamed without one: then the receiver is in trouble.
    async fn ask_the_witness(&self, doubt: &Doubt) -> Result<(), Trouble> {
        let witness = self.taken.map(|place| &self.changes[place]).or(self.context.witnesses.first());
        let Some(witness) = witness else {
            return if doubt.is_refusal && self.changes.len() == 1 { Ok(()) } else { Err(doubt.trouble.clone()) };
        };
        // As another event: one that it remembers it may acknowledge though it can store nothing.
        let occasion = format!("witness {}", self.hook.clock.now().as_millisecond());
        let witness = Outgoing { occasion, ..witness.clone() };
        match judged(self.hook.send(&witness, &self.secrets).await?)? {
            None => Ok(()),
            Some(_) => Err(doubt.trouble.clone()),
        }
    }
}

/// What is in doubt of an event; nothing if the receiver has taken it. One that is down, or wants to be left alone,
/// stops all events. One that does not know us, or whose address is wrong, answers like one that refuses an event.
fn judged(answer: Answer) -> Result<Option<Doubt>, Trouble> {
    let status = answer.status;
    match status {
        _ if status.is_success() => Ok(None),
        StatusCode::GONE => Err(Trouble { is_gone: true, ..answer.into_trouble() }),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => {
            Err(answer.into_trouble())
        }
        _ if status.is_client_error() => {
            let reason = format!("it answered with HTTP {status}");
            let is_refusal =
                !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
            let refused = Outcome::Refused { reason, answer: answer.shown() };
            Ok(Some(Doubt { refused, trouble: answer.into_trouble(), is_refusal }))
        }
        _ => Err(answer.into_trouble()),
    }
}
