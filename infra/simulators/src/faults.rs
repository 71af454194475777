//! What goes wrong on demand: the faults that simulators have in common, which request meets which, and their answers.

use std::{
    fmt, iter,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use tokio::sync::watch;

use crate::{
    control::{BadRequest, Parameters, not_known},
    server::{Document, plain_status},
    xml::{MAINTENANCE_PAGE, with_wrong_end_tag},
};

/// What goes wrong with a whole request; each simulator has some faults of its `Own`.
///
/// With `Delay`, `CutBody` and `Malformed` a request **is carried out** and only its answer suffers. With the others
/// that all simulators have in common it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault<Own> {
    /// The answer, made at once, arrives this much later: what it says may be out of date by then.
    Delay(Duration),
    /// No answer until the faults are changed (then the normal answer comes) or the client goes away.
    Hang,
    /// This HTTP status with a short plain text.
    Status(u16),
    /// This HTTP status with a `Retry-After` header.
    RetryAfter {
        /// The HTTP status, as a rule 429 or 503.
        status: u16,
        /// What the header says.
        seconds: u32,
    },
    /// The full `Content-Length`, half of the body, and a closed connection.
    CutBody,
    /// The answer with a wrong end tag in its middle.
    Malformed,
    /// An HTML maintenance page with HTTP 200.
    NotXml,
    /// A document type with entities that grow without bounds when expanded.
    Doctype,
    /// A well-formed document of this many bytes, streamed without a `Content-Length`.
    Huge(u64),
    /// The refusal that wrong credentials get.
    WrongCredentials,
    /// One that no other simulator has.
    Own(Own),
}

impl<Own> From<Own> for Fault<Own> {
    fn from(own: Own) -> Self {
        Self::Own(own)
    }
}

/// The faults that one simulator has alone.
pub trait OwnFault: Clone + PartialEq + fmt::Debug + Send + 'static {
    /// The fault of this name; `None` if it is none of these. A name that the simulator refuses is an error.
    fn read(name: &str, parameters: &Parameters) -> Result<Option<Self>, BadRequest>;
}

impl<Own: OwnFault> Fault<Own> {
    /// The fault that a command tells of; `None` if it ends all faults.
    pub(crate) fn read(parameters: &Parameters) -> Result<Option<Self>, BadRequest> {
        let name = parameters.text("fault")?;
        if let Some(own) = Own::read(name, parameters)? {
            return Ok(Some(Self::Own(own)));
        }
        Ok(Some(match name {
            "none" => return Ok(None),
            "delay" => Self::Delay(Duration::from_millis(parameters.number("value")?)),
            "hang" => Self::Hang,
            "status" => Self::Status(parameters.number("value")?),
            "retry-after" => {
                let (status, seconds) = parameters.status_and_seconds("value")?;
                Self::RetryAfter { status, seconds }
            }
            "cut-body" => Self::CutBody,
            "malformed" => Self::Malformed,
            "not-xml" => Self::NotXml,
            "doctype" => Self::Doctype,
            "huge" => Self::Huge(parameters.number("value")?),
            "wrong-credentials" => Self::WrongCredentials,
            other => return Err(not_known("fault", other)),
        }))
    }
}

impl<Own: fmt::Debug> Fault<Own> {
    /// What it is called where faults are counted: what it is, and with which status.
    pub(crate) fn name(&self) -> String {
        let shown = match self {
            Self::Own(own) => format!("{own:?}"),
            Self::Status(status) => format!("Status {status}"),
            Self::RetryAfter { status, .. } => format!("RetryAfter {status}"),
            common => format!("{common:?}"),
        };
        shown.split(['(', '{']).next().unwrap_or_default().trim_end().to_owned()
    }
}

impl<Own> Fault<Own> {
    /// The answer of a fault with which nothing is carried out, if it is the same at every simulator. The documents,
    /// huge or a bomb, come as this media type.
    pub(crate) fn instead_of_answer(
        &self,
        content_type: &'static str,
        bomb: impl FnOnce() -> String,
    ) -> Option<Response> {
        match self {
            Self::Status(status) => Some(plain_status(*status).into_response()),
            Self::RetryAfter { status, seconds } => Some(retry_after(*status, *seconds)),
            Self::NotXml => Some(maintenance_page()),
            Self::Doctype => Some(Document::ok(content_type, bomb()).into_response()),
            Self::Huge(bytes) => Some(huge_document(content_type, *bytes)),
            Self::Delay(_) | Self::Hang | Self::CutBody | Self::Malformed | Self::WrongCredentials | Self::Own(_) => {
                None
            }
        }
    }
}

/// Waits if the answer is to arrive later.
pub(crate) async fn delay<Own>(fault: Option<&Fault<Own>>) {
    if let Some(Fault::Delay(delay)) = fault {
        tokio::time::sleep(*delay).await;
    }
}

/// The answer to a request that was carried out, as the fault leaves it.
pub(crate) async fn spoil<Own>(fault: Option<&Fault<Own>>, answer: Document) -> Response {
    delay(fault).await;
    match fault {
        Some(Fault::CutBody) => cut_body(answer.content_type, answer.text),
        Some(Fault::Malformed) => Document { text: with_wrong_end_tag(&answer.text), ..answer }.into_response(),
        _ => answer.into_response(),
    }
}

/// The faults in force for each operation of a simulator.
///
/// A fault can concern every request of an operation, or only those for one place, such as one page of a listing.
pub(crate) struct FaultPlans<Own> {
    /// In the order in which they were planned.
    plans: Mutex<Vec<Vec<Planned<Own>>>>,
    /// Hears of every change of an operation's lasting faults, so that requests that hang look again.
    releases: Vec<watch::Sender<()>>,
}

struct Planned<Own> {
    place: Option<u64>,
    fault: Fault<Own>,
    /// `None` if it lasts: there is at most one of these for each place, and one for all.
    times_left: Option<u32>,
}

impl<Own: Clone> FaultPlans<Own> {
    pub(crate) fn new(operations: usize) -> Self {
        Self {
            plans: Mutex::new((0..operations).map(|_| Vec::new()).collect()),
            releases: (0..operations).map(|_| watch::Sender::new(())).collect(),
        }
    }

    /// From now on requests meet this fault; with `times` only so many of the next, before any lasting one. `None` ends
    /// every fault of this place, or of all places if none is given.
    pub(crate) fn plan(&self, operation: usize, place: Option<u64>, fault: Option<Fault<Own>>, times: Option<u32>) {
        let mut plans = self.plans();
        let plan = &mut plans[operation];
        match (fault, times) {
            (Some(_), Some(0)) => return,
            (Some(fault), Some(_)) => {
                plan.push(Planned { place, fault, times_left: times });
                return;
            }
            (Some(fault), None) => {
                plan.retain(|planned| planned.times_left.is_some() || planned.place != place);
                plan.push(Planned { place, fault, times_left: None });
            }
            (None, _) => plan.retain(|planned| place.is_some() && planned.place != place),
        }
        self.releases[operation].send_replace(());
    }

    /// The fault that this request meets, and a receiver that hears when the faults of this operation are changed: made
    /// under the same lock, so that no change is missed in between.
    pub(crate) fn take(&self, operation: usize, place: Option<u64>) -> (Option<Fault<Own>>, watch::Receiver<()>) {
        let mut plans = self.plans();
        let plan = &mut plans[operation];
        let concerning = plan.iter_mut().filter(|planned| planned.place.is_none() || planned.place == place);
        // Of the lasting ones, the one for this very place comes before the one for all.
        let first = concerning.min_by_key(|planned| match planned.times_left {
            Some(_) => 0,
            None if planned.place.is_some() => 1,
            None => 2,
        });
        let fault = first.map(|planned| {
            planned.times_left = planned.times_left.map(|times| times - 1);
            planned.fault.clone()
        });
        plan.retain(|planned| planned.times_left != Some(0));
        (fault, self.releases[operation].subscribe())
    }

    fn plans(&self) -> MutexGuard<'_, Vec<Vec<Planned<Own>>>> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A status with a `Retry-After` header.
fn retry_after(status: u16, seconds: u32) -> Response {
    ([(header::RETRY_AFTER, seconds.to_string())], plain_status(status)).into_response()
}

/// A page for people, with HTTP 200.
fn maintenance_page() -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=UTF-8")], MAINTENANCE_PAGE).into_response()
}

/// The full `Content-Length`, half of the body, and a closed connection.
fn cut_body(content_type: &'static str, document: String) -> Response {
    let full_length = document.len();
    let half = Bytes::from(document).slice(..full_length / 2);
    let first = stream::once(async move { Ok(half) });
    // Giving way once lets the server send what it has before it meets the error and closes the connection.
    let then_gone = stream::once(async {
        tokio::task::yield_now().await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
    });
    let headers = [(header::CONTENT_TYPE, content_type.to_owned()), (header::CONTENT_LENGTH, full_length.to_string())];
    (headers, Body::from_stream(first.chain(then_gone))).into_response()
}

const HUGE_START: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<hugeAnswer>";
const HUGE_END: &str = "</hugeAnswer>";
const HUGE_FILLER: &str = "<filler>0123456789abcdef</filler>";
const HUGE_FILLERS_A_CHUNK: usize = 2000;

/// A well-formed document, exactly as long as asked for if that is enough for its two tags, and streamed without a
/// `Content-Length`. Only one chunk of it is ever in memory.
pub(crate) fn huge_document(content_type: &'static str, bytes: u64) -> Response {
    let between = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_sub(HUGE_START.len() + HUGE_END.len());
    let chunk = Bytes::from(HUGE_FILLER.repeat(HUGE_FILLERS_A_CHUNK));
    let (chunks, rest) = (between / chunk.len(), between % chunk.len());
    // Less than a chunk is left: whole fillers, then spaces.
    let fillers = HUGE_FILLER.repeat(rest / HUGE_FILLER.len());
    let spaces = " ".repeat(rest % HUGE_FILLER.len());
    let end = Bytes::from(fillers + &spaces + HUGE_END);
    let pieces = iter::once(Bytes::from_static(HUGE_START.as_bytes())).chain(iter::repeat_n(chunk, chunks));
    let whole = pieces.chain(iter::once(end)).map(Ok::<_, std::io::Error>);
    ([(header::CONTENT_TYPE, content_type)], Body::from_stream(stream::iter(whole))).into_response()
}
