//! Which request meets which fault, and the answers that faults of all simulators have in common.

use std::{
    collections::VecDeque,
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
    plans: Mutex<Vec<Plan<Fault>>>,
    /// Grows with every change of an operation's lasting faults, so that requests that hang look again.
    releases: Vec<watch::Sender<u64>>,
}

struct Plan<Fault> {
    next: VecDeque<Limited<Fault>>,
    /// At most one for each place, and one for all.
    lasting: Vec<(Option<u64>, Fault)>,
}

struct Limited<Fault> {
    place: Option<u64>,
    fault: Fault,
    times_left: u32,
}

impl<Fault: Clone> FaultPlans<Fault> {
    pub(crate) fn new(operations: usize) -> Self {
        let plans = (0..operations).map(|_| Plan { next: VecDeque::new(), lasting: Vec::new() }).collect();
        let releases = (0..operations).map(|_| watch::Sender::new(0)).collect();
        Self { plans: Mutex::new(plans), releases }
    }

    /// From now on requests meet this fault. `None` ends every fault of this place, or of all places if none is given.
    pub(crate) fn set(&self, operation: usize, place: Option<u64>, fault: Option<Fault>) {
        let mut plans = self.plans();
        let plan = &mut plans[operation];
        match fault {
            Some(fault) => {
                plan.lasting.retain(|(other_place, _)| *other_place != place);
                plan.lasting.push((place, fault));
            }
            None => {
                plan.lasting.retain(|(other_place, _)| place.is_some() && *other_place != place);
                plan.next.retain(|limited| place.is_some() && limited.place != place);
            }
        }
        self.releases[operation].send_modify(|count| *count += 1);
    }

    /// The next requests meet this fault, before any lasting one.
    pub(crate) fn add(&self, operation: usize, place: Option<u64>, fault: Fault, times: u32) {
        if times > 0 {
            self.plans()[operation].next.push_back(Limited { place, fault, times_left: times });
        }
    }

    /// The fault that this request meets, and a receiver that hears when the faults of this operation are changed: made
    /// under the same lock, so that no change is missed in between.
    pub(crate) fn take(&self, operation: usize, place: Option<u64>) -> (Option<Fault>, watch::Receiver<u64>) {
        let mut plans = self.plans();
        let receiver = self.releases[operation].subscribe();
        let plan = &mut plans[operation];
        let concerns_it = |of_fault: Option<u64>| of_fault.is_none() || of_fault == place;
        let Some(first) = plan.next.iter().position(|limited| concerns_it(limited.place)) else {
            let mut lasting: Vec<_> = plan.lasting.iter().filter(|(of_fault, _)| concerns_it(*of_fault)).collect();
            // The one for this very place comes before the one for all.
            lasting.sort_by_key(|(of_fault, _)| of_fault.is_none());
            return (lasting.first().map(|(_, fault)| fault.clone()), receiver);
        };
        let limited = &mut plan.next[first];
        limited.times_left -= 1;
        let fault = limited.fault.clone();
        if limited.times_left == 0 {
            plan.next.remove(first);
        }
        (Some(fault), receiver)
    }

    fn plans(&self) -> MutexGuard<'_, Vec<Plan<Fault>>> {
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
    let between = bytes.saturating_sub((HUGE_START.len() + HUGE_END.len()) as u64);
    let chunk = Bytes::from(HUGE_FILLER.repeat(HUGE_FILLERS_A_CHUNK));
    let middle = stream::unfold(between, move |left| {
        let chunk = chunk.clone();
        async move {
            if left == 0 {
                return None;
            }
            if left >= chunk.len() as u64 {
                return Some((chunk.clone(), left - chunk.len() as u64));
            }
            // Less than a chunk is left: whole fillers, then spaces.
            let left = usize::try_from(left).unwrap_or(0);
            let fillers_length = left - left % HUGE_FILLER.len();
            let mut last = chunk[..fillers_length].to_vec();
            last.resize(left, b' ');
            Some((Bytes::from(last), 0))
        }
    });
    let start = stream::once(async { Bytes::from_static(HUGE_START.as_bytes()) });
    let end = stream::once(async { Bytes::from_static(HUGE_END.as_bytes()) });
    let whole = start.chain(middle).chain(end).map(Ok::<_, std::io::Error>);
    ([(header::CONTENT_TYPE, content_type)], Body::from_stream(whole)).into_response()
}
