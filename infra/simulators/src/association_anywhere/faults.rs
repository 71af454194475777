//! Which request meets which fault, and what its answer looks like then.

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

use super::{Fault, Procedure, documents, documents::Dialect};

/// The faults in force for each procedure.
pub(super) struct Faults {
    plans: Mutex<[Plan; 4]>,
    /// Grows with every change, so that requests that hang look again.
    releases: [watch::Sender<u64>; 4],
}

#[derive(Default)]
struct Plan {
    next: VecDeque<(Fault, u32)>,
    lasting: Option<Fault>,
}

impl Faults {
    pub(super) fn new() -> Self {
        Self { plans: Mutex::default(), releases: std::array::from_fn(|_| watch::Sender::new(0)) }
    }

    pub(super) fn set(&self, procedure: Procedure, fault: Option<Fault>) {
        let mut plans = self.plans();
        let plan = &mut plans[procedure as usize];
        if fault.is_none() {
            plan.next.clear();
        }
        plan.lasting = fault;
        self.releases[procedure as usize].send_modify(|count| *count += 1);
    }

    pub(super) fn add(&self, procedure: Procedure, fault: Fault, times: u32) {
        if times > 0 {
            self.plans()[procedure as usize].next.push_back((fault, times));
        }
    }

    /// The fault that this request meets, and a receiver that hears when the faults of this procedure are changed: made
    /// under the same lock, so that no change is missed in between.
    pub(super) fn take(&self, procedure: Procedure) -> (Option<Fault>, watch::Receiver<u64>) {
        let mut plans = self.plans();
        let receiver = self.releases[procedure as usize].subscribe();
        let plan = &mut plans[procedure as usize];
        let Some((fault, times_left)) = plan.next.front_mut() else {
            return (plan.lasting.clone(), receiver);
        };
        let fault = fault.clone();
        *times_left -= 1;
        if *times_left == 0 {
            plan.next.pop_front();
        }
        (Some(fault), receiver)
    }

    fn plans(&self) -> MutexGuard<'_, [Plan; 4]> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer of a fault with which the procedure is not carried out; `None` for the others.
pub(super) fn instead_of_answer(fault: &Fault, procedure: Procedure, dialect: Dialect) -> Option<Response> {
    let document = match fault {
        Fault::Delay(_) | Fault::Hang | Fault::CutBody | Fault::Malformed | Fault::Duplicates | Fault::WrongDialect => {
            return None;
        }
        Fault::Status(status) => return Some(plain_status(*status).into_response()),
        Fault::RetryAfter { status, seconds } => {
            return Some(([(header::RETRY_AFTER, seconds.to_string())], plain_status(*status)).into_response());
        }
        Fault::NotXml => {
            return Some(
                ([(header::CONTENT_TYPE, "text/html; charset=UTF-8")], documents::MAINTENANCE_PAGE).into_response(),
            );
        }
        Fault::Huge(bytes) => return Some(huge_document(*bytes)),
        Fault::Doctype => documents::entity_bomb(),
        Fault::Empty => documents::empty(procedure, dialect),
        Fault::ErrorDocument(message) => documents::error(procedure, dialect, message),
        Fault::FailureStatus(message) => documents::status(procedure, dialect, "FAILURE", message),
        Fault::WrongCredentials => documents::refusal(procedure, dialect, documents::WRONG_CREDENTIALS),
    };
    Some(xml(document))
}

/// The answer of a procedure that was carried out, as the fault leaves it. Names and entries were seen to before.
pub(super) async fn spoil(fault: Option<&Fault>, document: String) -> Response {
    match fault {
        Some(Fault::Delay(delay)) => {
            tokio::time::sleep(*delay).await;
            xml(document)
        }
        Some(Fault::CutBody) => cut_body(document),
        Some(Fault::Malformed) => xml(documents::with_wrong_end_tag(&document)),
        _ => xml(document),
    }
}

/// An XML document as it comes on a good day.
pub(super) fn xml(document: String) -> Response {
    ([(header::CONTENT_TYPE, XML_TYPE)], document).into_response()
}

/// A status with a short plain text.
pub(super) fn plain_status(status: u16) -> (StatusCode, String) {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, format!("{status}\n"))
}

const XML_TYPE: &str = "text/xml; charset=UTF-8";

fn cut_body(document: String) -> Response {
    let full_length = document.len();
    let half = Bytes::from(document).slice(..full_length / 2);
    let first = stream::once(async move { Ok(half) });
    // Giving way once lets the server send what it has before it meets the error and closes the connection.
    let then_gone = stream::once(async {
        tokio::task::yield_now().await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
    });
    let headers = [(header::CONTENT_TYPE, XML_TYPE.to_owned()), (header::CONTENT_LENGTH, full_length.to_string())];
    (headers, Body::from_stream(first.chain(then_gone))).into_response()
}

const HUGE_START: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<hugeAnswer>";
const HUGE_END: &str = "</hugeAnswer>";
const HUGE_FILLER: &str = "<filler>0123456789abcdef</filler>";
const HUGE_FILLERS_A_CHUNK: usize = 2000;

/// Exactly as long as asked for, if that is enough for its two tags. Only one chunk of it is ever in memory.
fn huge_document(bytes: u64) -> Response {
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
    ([(header::CONTENT_TYPE, XML_TYPE)], Body::from_stream(whole)).into_response()
}
