//! Which request meets which fault, and the answers that faults of all simulators have in common.

use std::{
    iter,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use tokio::sync::watch;

use crate::xml::MAINTENANCE_PAGE;

/// The faults in force for each operation of a simulator.
///
/// A fault can concern every request of an operation, or only those for one place, such as one page of a listing.
pub(crate) struct FaultPlans<Fault> {
    /// In the order in which they were planned.
    plans: Mutex<Vec<Vec<Planned<Fault>>>>,
    /// Hears of every change of an operation's lasting faults, so that requests that hang look again.
    releases: Vec<watch::Sender<()>>,
}

struct Planned<Fault> {
    place: Option<u64>,
    fault: Fault,
    /// `None` if it lasts: there is at most one of these for each place, and one for all.
    times_left: Option<u32>,
}

impl<Fault: Clone> FaultPlans<Fault> {
    pub(crate) fn new(operations: usize) -> Self {
        Self {
            plans: Mutex::new((0..operations).map(|_| Vec::new()).collect()),
            releases: (0..operations).map(|_| watch::Sender::new(())).collect(),
        }
    }

    /// From now on requests meet this fault; with `times` only so many of the next, before any lasting one. `None` ends
    /// every fault of this place, or of all places if none is given.
    pub(crate) fn plan(&self, operation: usize, place: Option<u64>, fault: Option<Fault>, times: Option<u32>) {
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
    pub(crate) fn take(&self, operation: usize, place: Option<u64>) -> (Option<Fault>, watch::Receiver<()>) {
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

    fn plans(&self) -> MutexGuard<'_, Vec<Vec<Planned<Fault>>>> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A status with a short plain text.
pub(crate) fn plain_status(status: u16) -> (StatusCode, String) {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, format!("{status}\n"))
}

/// The same, with a `Retry-After` header.
pub(crate) fn retry_after(status: u16, seconds: u32) -> Response {
    ([(header::RETRY_AFTER, seconds.to_string())], plain_status(status)).into_response()
}

/// A page for people, with HTTP 200.
pub(crate) fn maintenance_page() -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=UTF-8")], MAINTENANCE_PAGE).into_response()
}

/// The full `Content-Length`, half of the body, and a closed connection.
pub(crate) fn cut_body(content_type: &'static str, document: String) -> Response {
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
