//! What each operation does with a request, and when faults apply.

use axum::response::Response;

use super::{
    faults,
    requests::{ListingRequest, number, required, text},
    responses::{WRONG_CREDENTIALS, empty_response, listing_response},
    soap::SoapVersion,
    state::Page,
    types::{BcFault, BcSimulator, Fault, Operation},
    updates::{self, Refusal},
};
use crate::{faults::spoil, server::Document, xml::Element};

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
    let fault = simulator.meet(operation as usize, record_start).await;
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
    spoil(fault.as_ref(), carried_out.unwrap_or_else(|refusal| refusal)).await
}

/// Either a user name with its password, or no user name and the site's token in place of the password.
fn check_credentials(simulator: &BcSimulator, version: SoapVersion, request: &Element) -> Result<(), Document> {
    let refusal = |message: &str| {
        simulator.state().counts.refused += 1;
        Err(version.error(message))
    };
    let settings = simulator.settings();
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

fn retrieve(simulator: &BcSimulator, version: SoapVersion, listing: ListingRequest, fault: Option<&Fault>) -> Document {
    let since = listing.last_update_date;
    let record_start = usize::try_from(listing.record_start).unwrap_or(usize::MAX);
    let page = {
        let mut state = simulator.state();
        if state.begin_page(listing.record_start) && listing.record_start > 0 {
            simulator.note_met("edit between two pages");
        }
        let page = match fault {
            Some(Fault::Own(BcFault::RepeatPages)) => Page { more_records: true, ..state.page(since, 0) },
            Some(Fault::Own(BcFault::Endless)) => state.page_without_end(since, record_start),
            _ => state.page(since, record_start),
        };
        if page.contacts.iter().any(|listed| listed.poison.is_some()) {
            state.counts.poisoned += 1;
        }
        for poison in page.contacts.iter().filter_map(|listed| listed.poison) {
            simulator.note_met(format!("poison {}", poison.name()));
        }
        page
    };
    version.answer(&listing_response(Some(&page.contacts), listing.record_start, page.more_records))
}

fn update_or_insert(simulator: &BcSimulator, version: SoapVersion, request: &Element) -> Result<Document, Document> {
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
