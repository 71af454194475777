//! The HTTP side: one path that takes forms, and when faults apply.

use std::future::pending;

use axum::{body::Bytes, extract::State, http::HeaderMap, response::Response};

use super::{
    answers::{Answer, Format, WRONG_CREDENTIALS},
    faults,
    requests::{Batch, Fields, credentials_are_right},
    types::{Fault, LoyaltySimulator},
};
use crate::{faults::spoil, server::media_type, simulator::ONLY_OPERATION};

pub(super) async fn call(State(simulator): State<LoyaltySimulator>, headers: HeaderMap, body: Bytes) -> Response {
    let fields = Fields::parse(&body);
    let format = Format::of(&fields);
    let batch = if media_type(&headers) == "application/x-www-form-urlencoded" {
        Batch::read(simulator.settings(), &fields)
    } else {
        Err("the request is no form: application/x-www-form-urlencoded is expected".to_owned())
    };
    let place = {
        let mut state = simulator.state();
        state.counts.batches += 1;
        state.batches.extend(batch.as_ref().ok().map(|batch| batch.seen.clone()));
        state.batches.len()
    };

    let fault = simulator.meet(ONLY_OPERATION, None).await;
    if let Some(response) = fault.as_ref().and_then(|fault| faults::instead_of_answer(fault, format)) {
        return response;
    }

    let failure = batch.as_ref().ok().and_then(|batch| simulator.state().failure_at(batch));
    if failure == Some(Fault::Hang) {
        simulator.state().hung += 1;
        // Until the client goes away.
        return pending().await;
    }
    if let Some(response) = failure.and_then(|fault| faults::instead_of_answer(&fault, format)) {
        return response;
    }
    let mut answer = import(&simulator, &fields, &headers, batch, place).unwrap_or_else(|message| {
        simulator.state().counts.refused += 1;
        Answer::Error(message)
    });
    faults::misstate(fault.as_ref(), &mut answer);
    spoil(fault.as_ref(), format.write(&answer)).await
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
    if !credentials_are_right(simulator.settings(), fields, headers) {
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
