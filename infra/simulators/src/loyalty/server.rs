//! The HTTP side: one path that takes forms, and when faults apply.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};

use super::{
    ENDPOINT_PATH, Fault, LoyaltySimulator, ONLY_OPERATION,
    answers::{Answer, Format, WRONG_CREDENTIALS},
    faults,
    requests::{Batch, Fields, credentials_are_right},
};

/// Many thousand customers still fit.
const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;

pub(super) fn router(simulator: &LoyaltySimulator) -> Router {
    Router::new()
        .route(ENDPOINT_PATH, post(call))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(simulator.clone())
}

async fn call(State(simulator): State<LoyaltySimulator>, headers: HeaderMap, body: Bytes) -> Response {
    let fields = Fields::parse(&body);
    let format = Format::of(&fields);
    let batch = if is_form(&headers) {
        Batch::read(&simulator.shared.settings, &fields)
    } else {
        Err("the request is no form: application/x-www-form-urlencoded is expected".to_owned())
    };
    let place = {
        let mut state = simulator.state();
        state.counts.batches += 1;
        state.batches.extend(batch.as_ref().ok().map(|batch| batch.seen.clone()));
        state.batches.len()
    };

    let (mut fault, mut fault_changes) = simulator.shared.faults.take(ONLY_OPERATION, None);
    if fault.is_some() {
        simulator.state().counts.faulted += 1;
    }
    if fault == Some(Fault::Hang) {
        // The sender lives as long as the simulator, which this request holds.
        let _ = fault_changes.changed().await;
        fault = None;
    }
    if let Some(response) = fault.as_ref().and_then(|fault| faults::instead_of_answer(fault, format)) {
        return response;
    }

    if batch.as_ref().is_ok_and(|batch| simulator.state().fails_at(batch)) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let mut answer = import(&simulator, &fields, &headers, batch, place).unwrap_or_else(|message| {
        simulator.state().counts.refused += 1;
        Answer::Error(message)
    });
    faults::misstate(fault.as_ref(), &mut answer);
    faults::spoil(fault.as_ref(), format.write(&answer)).await
}

/// `place` is how many batches had been seen with this one.
fn import(
    simulator: &LoyaltySimulator,
    fields: &Fields,
    headers: &HeaderMap,
    batch: Result<Batch, String>,
    place: usize,
) -> Result<Answer, String> {
    let mut state = simulator.state();
    if !credentials_are_right(&simulator.shared.settings, fields, headers) {
        state.counts.unauthorized += 1;
        return Err(WRONG_CREDENTIALS.to_owned());
    }
    let batch = batch?;
    let imported = state.import(&batch)?;
    if let Some(seen) = place.checked_sub(1).and_then(|place| state.batches.get_mut(place)) {
        seen.imported = true;
    }
    Ok(Answer::Imported { imported, account: None })
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}
