//! What each operation does with a request, and when faults apply.

use axum::response::Response;

use super::{
    BcSimulator, Fault, ListingRequest, Operation, faults,
    requests::{number, required, text},
    responses::{WRONG_CREDENTIALS, empty_response, listing_response},
    soap::{Answer, SoapVersion},
    state::Page,
    updates::{self, Refusal},
};
use crate::xml::Element;

pub(super) async fn answer(
    simulator: &BcSimulator,
    version: SoapVersion,
    operation: Operation,
    request: &Element,
) -> Response {
    simulator.state().count_request(operation);
    let listing = match operation {
        Operation::Retrieve => Some(ListingRequest::read(request)),
        Operation::UpdateInsert => None,
    };
    let well_formed_listing = listing.as_ref().and_then(|listing| listing.as_ref().ok()).copied();
    simulator.state().listings.extend(well_formed_listing);

    let record_start = well_formed_listing.map(|listing| listing.record_start);
    let (mut fault, mut fault_changes) = simulator.shared.faults.take(operation as usize, record_start);
    if fault.is_some() {
        simulator.state().counts.faulted += 1;
    }
    if fault == Some(Fault::Hang) {
        // The sender lives as long as the simulator, which this request holds.
        let _ = fault_changes.changed().await;
        fault = None;
    }
    let instead = fault
        .as_ref()
        .and_then(|fault| faults::instead_of_answer(fault, version, operation, record_start.unwrap_or(0)));
    if let Some(response) = instead {
        return response;
    }

    let carried_out = check_credentials(simulator, version, request).and_then(|()| match listing {
        Some(listing) => {
            let listing = listing.map_err(|reason| version.unreadable(&reason))?;
            Ok(retrieve(simulator, version, listing, fault.as_ref()))
        }
        None => update_or_insert(simulator, version, request),
    });
    faults::spoil(fault.as_ref(), carried_out.unwrap_or_else(|refusal| refusal)).await
}

/// Either a user name with its password, or no user name and the site's token in place of the password.
fn check_credentials(simulator: &BcSimulator, version: SoapVersion, request: &Element) -> Result<(), Answer> {
    let refusal = |message: &str| {
        simulator.state().counts.refused += 1;
        Err(version.error(message))
    };
    let settings = &simulator.shared.settings;
    let username = text(request, "username").unwrap_or_default();
    let password = text(request, "password").unwrap_or_default();
    let expected = if username.is_empty() { &settings.site_token } else { &settings.password };
    if password != expected || !(username.is_empty() || username == settings.username) {
        return refusal(WRONG_CREDENTIALS);
    }
    match required(request, "siteId").and_then(|text| number::<i32>("siteId", text)) {
        Ok(site_id) if site_id == settings.site_id => Ok(()),
        Ok(_) => refusal("User does not have access to this site"),
        Err(reason) => Err(version.unreadable(&reason)),
    }
}

fn retrieve(simulator: &BcSimulator, version: SoapVersion, listing: ListingRequest, fault: Option<&Fault>) -> Answer {
    let since = listing.last_update_date;
    let record_start = usize::try_from(listing.record_start).unwrap_or(usize::MAX);
    let page = {
        let mut state = simulator.state();
        state.begin_page(listing.record_start);
        let page = match fault {
            Some(Fault::RepeatPages) => Page { more_records: true, ..state.page(since, 0) },
            Some(Fault::Endless) => state.page_without_end(since, record_start),
            _ => state.page(since, record_start),
        };
        if page.contacts.iter().any(|listed| listed.poison.is_some()) {
            state.counts.poisoned += 1;
        }
        page
    };
    version.answer(&listing_response(Some(&page.contacts), listing.record_start, page.more_records))
}

fn update_or_insert(simulator: &BcSimulator, version: SoapVersion, request: &Element) -> Result<Answer, Answer> {
    let mut state = simulator.state();
    let written = updates::update_or_insert(&mut state, request).map_err(|refusal| match refusal {
        Refusal::Unreadable(reason) => version.unreadable(&reason),
        Refusal::Rejected => {
            state.counts.rejected += 1;
            version.error("A contact of the list cannot be saved")
        }
    })?;
    state.counts.written += written as u64;
    Ok(version.answer(&empty_response(Operation::UpdateInsert)))
}
