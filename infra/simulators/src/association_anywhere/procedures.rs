//! What each procedure does with a request, and when faults and poisons apply.

use axum::response::{IntoResponse, Response};

use super::{
    details,
    documents::{self, Dialect},
    faults,
    requests::{child, folded, text, texts},
    types::{AaFault, AaSimulator, Fault, Poison, Procedure},
};
use crate::{
    faults::spoil,
    server::plain_status,
    xml::{self, Element},
};

/// A request by the path it came on.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) procedure: Procedure,
    /// Which of the two procedures that read the queue.
    pub(super) with_reasons: bool,
}

pub(super) async fn answer(simulator: &AaSimulator, call: Call, document: &str) -> Response {
    let request = xml::parse(document);
    let dialect = dialect_of_answer(call, request.as_ref().ok());
    simulator.state().count_request(call.procedure);
    if let (Procedure::Details, Ok(request)) = (call.procedure, &request) {
        note_details_ids(simulator, request);
    }

    let fault = simulator.meet(call.procedure as usize, None).await;
    if let Some(response) = fault.as_ref().and_then(|fault| faults::instead_of_answer(fault, call.procedure, dialect)) {
        return response;
    }

    let carried_out = match request {
        Ok(request) => carry_out(simulator, call, dialect, &request, fault.as_ref()),
        Err(message) => {
            let message = format!("p_input_xml_doc cannot be read: {message}");
            Ok(dialect.spelled(documents::refusal(call.procedure, &message)))
        }
    };
    match carried_out {
        Ok(document) => spoil(fault.as_ref(), documents::xml(document)).await,
        Err(InternalError) => plain_status(500).into_response(),
    }
}

/// The procedure failed on a customer with [`Poison::ServerError`].
struct InternalError;

/// Details always come in camelCase. The form of the queue decides its spelling. The others answer as they are asked.
fn dialect_of_answer(call: Call, request: Option<&Element>) -> Dialect {
    match call.procedure {
        Procedure::Details => Dialect::Camel,
        Procedure::Queue if call.with_reasons => Dialect::Camel,
        Procedure::Queue => Dialect::Hyphen,
        Procedure::Purge | Procedure::Enqueue => match request {
            Some(request) if !request.name.contains('-') => Dialect::Camel,
            _ => Dialect::Hyphen,
        },
    }
}

fn note_details_ids(simulator: &AaSimulator, request: &Element) {
    let ids: Vec<String> = texts(request, "custid").map(str::to_owned).collect();
    let mut state = simulator.state();
    state.counts.detail_ids += ids.len() as u64;
    state.counts.most_asked = state.counts.most_asked.max(ids.len() as u64);
    state.last_details_ids = ids;
}

fn carry_out(
    simulator: &AaSimulator,
    call: Call,
    dialect: Dialect,
    request: &Element,
    fault: Option<&Fault>,
) -> Result<String, InternalError> {
    let procedure = call.procedure;
    let expected_root = match procedure {
        Procedure::Queue => "custrequest",
        Procedure::Details => "custinforequest",
        Procedure::Purge => "purgerequest",
        Procedure::Enqueue => "enqueuerequest",
    };
    if folded(&request.name) != expected_root {
        let message = format!("<{}> is not what this procedure takes", request.name);
        return Ok(dialect.spelled(documents::refusal(procedure, &message)));
    }
    if !credentials_are_right(simulator, procedure, request) {
        simulator.state().counts.refused += 1;
        return Ok(dialect.spelled(documents::refusal(procedure, documents::WRONG_CREDENTIALS)));
    }

    let duplicates = fault == Some(&AaFault::Duplicates.into());
    let document = match procedure {
        Procedure::Queue => queue(simulator, call.with_reasons, duplicates),
        Procedure::Purge => purge(simulator, request),
        Procedure::Enqueue => enqueue(simulator, request),
        Procedure::Details if names_a_server_error(simulator, request) => return Err(InternalError),
        Procedure::Details => details::answer(simulator, request, duplicates),
    };
    let dialect = if fault == Some(&AaFault::WrongDialect.into()) { dialect.other() } else { dialect };
    Ok(dialect.spelled(document))
}

fn credentials_are_right(simulator: &AaSimulator, procedure: Procedure, request: &Element) -> bool {
    let (username, password) = match procedure {
        Procedure::Details => ("integratorusername", "integratorpassword"),
        Procedure::Queue | Procedure::Purge | Procedure::Enqueue => ("vendorid", "vendorpassword"),
    };
    let settings = simulator.settings();
    text(request, username) == settings.username && text(request, password) == settings.password
}

fn queue(simulator: &AaSimulator, with_reasons: bool, duplicates: bool) -> String {
    let (mut entries, greatest_number, texts, zeros) = {
        let mut state = simulator.state();
        state.note_shown();
        let (entries, greatest_number) = state.queue_snapshot();
        let zeros = if state.habits.queues_with_zeros { "000" } else { "" };
        (entries, greatest_number, state.queued_texts(), zeros)
    };
    if duplicates {
        entries = entries.into_iter().flat_map(|entry| [entry, entry]).collect();
    }
    documents::queue(with_reasons, &entries, &texts, zeros, greatest_number)
}

fn purge(simulator: &AaSimulator, request: &Element) -> String {
    let Ok(number) = text(request, "maxqueuenum").parse::<u64>() else {
        return documents::status(Procedure::Purge, "FAILURE", "max-queue-num must be a number");
    };
    let mut state = simulator.state();
    if state.habits.refuses_empty_purges && !state.has_up_to(number) {
        simulator.note_met("purge that finds nothing");
        return documents::status(Procedure::Purge, "FAILURE", "no rows");
    }
    let queued = state.queue_len();
    state.purge(number);
    if state.queue_len() == queued {
        simulator.note_met("purge of a queue that was built anew");
    } else if state.queue_len() > 0 {
        simulator.note_met("purge of a queue that has grown");
    }
    documents::status(Procedure::Purge, "SUCCESS", "")
}

fn enqueue(simulator: &AaSimulator, request: &Element) -> String {
    if child(request, "custid").is_none() {
        simulator.enqueue_all();
        return documents::status(Procedure::Enqueue, "SUCCESS", "");
    }
    let Ok(id) = text(request, "custid").parse::<u64>() else {
        return documents::status(Procedure::Enqueue, "FAILURE", "cust-id must be a number");
    };
    simulator.enqueue(id);
    documents::status(Procedure::Enqueue, "SUCCESS", "")
}

fn names_a_server_error(simulator: &AaSimulator, request: &Element) -> bool {
    let mut state = simulator.state();
    let found = texts(request, "custid")
        .filter_map(|text| text.parse::<u64>().ok())
        .any(|id| state.poisons.get(&id) == Some(&Poison::ServerError));
    if found {
        state.counts.poisoned += 1;
        simulator.note_met("poison ServerError");
    }
    found
}
