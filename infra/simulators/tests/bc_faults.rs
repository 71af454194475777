//! What goes wrong on purpose with Business Catalyst goes wrong as announced.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use simulators::business_catalyst::{BcFault, Fault, Operation, Poison};
use support::{
    business_catalyst::{BEGINNING, CREDENTIALS, listing, record_ids, records, start},
    elements, texts,
};

/// Long enough that only a broken simulator exceeds it.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_fault_concerns_its_operation_until_it_is_changed_and_is_counted() {
    let running = start(2).await;
    running.simulator.fault(Operation::Retrieve, Some(Fault::Status(503)));
    for _ in 0..2 {
        assert_eq!(running.send_retrieve(BEGINNING, 0).await.unwrap().status(), 503);
    }
    running.write("<ContactRecord><fullName>Somebody</fullName></ContactRecord>").await;
    running.simulator.fault(Operation::Retrieve, None);
    assert_eq!(record_ids(&running.retrieve(BEGINNING, 0).await).len(), 3);
    let requests = running.simulator.requests();
    assert_eq!((requests.retrieve, requests.update_insert, requests.faulted), (3, 1, 2));
}

#[tokio::test]
async fn a_fault_can_concern_one_page_only() {
    let running = start(250).await;
    let statuses = async || {
        let mut statuses = Vec::new();
        for record_start in [0, 100, 200] {
            statuses.push(running.send_retrieve(BEGINNING, record_start).await.unwrap().status().as_u16());
        }
        statuses
    };
    running.simulator.fault_on_page_times(200, Fault::RetryAfter { status: 429, seconds: 7 }, 1);
    let response = running.send_retrieve(BEGINNING, 200).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!(statuses().await, [200, 200, 200]);

    running.simulator.fault_on_page(100, Some(Fault::Status(502)));
    assert_eq!(statuses().await, [200, 502, 200]);
    // The page's own fault comes before the one of all pages, and those for the next requests before both.
    running.simulator.fault(Operation::Retrieve, Some(Fault::Status(503)));
    running.simulator.fault_times(Operation::Retrieve, Fault::Status(504), 1);
    assert_eq!(statuses().await, [504, 502, 503]);
    running.simulator.fault_on_page(100, None);
    assert_eq!(statuses().await, [503, 503, 503]);
    running.simulator.fault(Operation::Retrieve, None);
    assert_eq!(statuses().await, [200, 200, 200]);
}

#[tokio::test]
async fn ending_all_faults_of_an_operation_ends_those_of_its_pages() {
    let running = start(1).await;
    running.simulator.fault_on_page(0, Some(Fault::Status(502)));
    running.simulator.fault_on_page_times(0, Fault::Status(504), 3);
    running.simulator.fault(Operation::Retrieve, None);
    running.retrieve(BEGINNING, 0).await;
}

#[tokio::test]
async fn a_delayed_page_was_made_before_the_delay() {
    let running = start(1).await;
    running.simulator.fault_times(Operation::Retrieve, Fault::Delay(Duration::from_millis(300)), 1);
    let name_before = running.simulator.display_name(1001).unwrap();
    let begun = Instant::now();
    let change_meanwhile = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        running.simulator.change([1001]);
    };
    let (document, ()) = tokio::join!(running.retrieve(BEGINNING, 0), change_meanwhile);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(texts(&document, "fullName"), [name_before]);
}

#[tokio::test]
async fn what_hangs_is_answered_once_the_fault_of_its_page_is_cleared() {
    let running = start(1).await;
    running.simulator.fault_on_page(0, Some(Fault::Hang));
    let clear = async {
        while running.simulator.requests().faulted == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running.simulator.fault_on_page(0, None);
    };
    let both = async { tokio::join!(running.retrieve(BEGINNING, 0), clear) };
    let (document, ()) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    assert_eq!(record_ids(&document), [1001]);
}

#[tokio::test]
async fn an_update_whose_answer_is_spoiled_has_written_and_others_have_not() {
    let spoiled = [Fault::CutBody, Fault::Malformed, Fault::Delay(Duration::ZERO)];
    let refused = [
        Fault::Status(500),
        BcFault::SoapFault("no".to_owned()).into(),
        BcFault::NoContactsFault.into(),
        BcFault::EmptyResult.into(),
        Fault::NotXml,
        Fault::WrongCredentials,
    ];
    let cases = spoiled.into_iter().map(|fault| (fault, 1)).chain(refused.into_iter().map(|fault| (fault, 0)));
    for (fault, written) in cases {
        let running = start(0).await;
        running.simulator.fault_times(Operation::UpdateInsert, fault.clone(), 1);
        let parameters = format!("{CREDENTIALS}<contactsList><ContactRecord/></contactsList>");
        if let Ok(response) = running.send("ContactList_UpdateInsert", &parameters).await {
            let _ = response.text().await;
        }
        assert_eq!(running.simulator.contact_ids().len(), written, "{fault:?}");
    }
}

#[tokio::test]
async fn a_cut_body_promises_all_and_brings_half() {
    let running = start(100).await;
    let whole = running.retrieve(BEGINNING, 0).await;
    running.simulator.fault_times(Operation::Retrieve, Fault::CutBody, 1);
    let mut response = running.send_retrieve(BEGINNING, 0).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.content_length(), Some(whole.len() as u64));
    let mut received = Vec::new();
    while let Ok(chunk) = response.chunk().await {
        let Some(chunk) = chunk else { panic!("the body ended well") };
        received.extend_from_slice(&chunk);
    }
    assert_eq!(received, &whole.as_bytes()[..whole.len() / 2]);
    // The next request is on a new connection.
    assert_eq!(running.retrieve(BEGINNING, 0).await, whole);
}

#[tokio::test]
async fn soap_faults_with_and_without_an_error_come_in_both_versions() {
    let running = start(1).await;
    let parameters = listing(CREDENTIALS, BEGINNING, 0);
    for (fault, expected) in [
        (BcFault::SoapFault("a & b".to_owned()).into(), "Server was unable to process request. ---> ERROR: a & b"),
        (BcFault::NoContactsFault.into(), "Server was unable to process request."),
    ] {
        running.simulator.fault(Operation::Retrieve, Some(fault));
        let response = running.send("ContactList_Retrieve", &parameters).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(texts(&response.text().await.unwrap(), "faultstring"), [expected]);
        let response = running.send_12("ContactList_Retrieve", &parameters).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(texts(&response.text().await.unwrap(), "soap:Text"), [expected]);
    }
    running.simulator.fault(Operation::Retrieve, Some(Fault::WrongCredentials));
    let response = running.send("ContactList_Retrieve", &parameters).await.unwrap();
    assert!(response.text().await.unwrap().contains("ERROR: Invalid username or password"));
    // That is no refusal of the credentials that were sent.
    assert_eq!(running.simulator.requests().refused, 0);
}

#[tokio::test]
async fn no_contacts_can_be_said_with_an_empty_result_and_with_none() {
    let running = start(1).await;
    for (fault, results) in [(BcFault::EmptyResult, 1), (BcFault::NoResult, 0)] {
        running.simulator.fault(Operation::Retrieve, Some(fault.into()));
        let document = running.retrieve(BEGINNING, 100).await;
        assert_eq!(texts(&document, "ContactList_RetrieveResult").len(), results);
        assert!(records(&document).is_empty());
        assert_eq!(texts(&document, "recordStart"), ["100"]);
        assert_eq!(texts(&document, "moreRecords"), ["false"]);
    }
}

#[tokio::test]
async fn pages_that_repeat_never_say_that_they_end() {
    let running = start(150).await;
    running.simulator.fault(Operation::Retrieve, Some(BcFault::RepeatPages.into()));
    let first = record_ids(&running.retrieve(BEGINNING, 0).await);
    for record_start in [100, 200, 100_000] {
        let document = running.retrieve(BEGINNING, record_start).await;
        assert_eq!(record_ids(&document), first);
        assert_eq!(texts(&document, "moreRecords"), ["true"]);
    }
}

#[tokio::test]
async fn an_endless_listing_goes_on_with_contacts_of_its_own() {
    let running = start(150).await;
    running.simulator.fault(Operation::Retrieve, Some(BcFault::Endless.into()));
    let mut ids = Vec::new();
    for record_start in [0, 100, 200, 300] {
        let document = running.retrieve(BEGINNING, record_start).await;
        assert_eq!(texts(&document, "moreRecords"), ["true"]);
        ids.extend(record_ids(&document));
    }
    assert_eq!(ids.len(), 400);
    ids.sort_unstable();
    assert_eq!(ids, (1001..1401).collect::<Vec<_>>());
    // They are in no other listing.
    running.simulator.fault(Operation::Retrieve, None);
    assert_eq!(running.retrieve_all(BEGINNING).await.0.len(), 150);
}

#[tokio::test]
async fn documents_that_are_not_to_be_parsed() {
    let running = start(100).await;
    running.simulator.fault(Operation::Retrieve, Some(Fault::Malformed));
    let document = running.retrieve(BEGINNING, 0).await;
    assert!(elements(&document).is_err());
    let place = document.find("</mismatched>").unwrap();
    assert!(place >= document.len() / 3 && place <= document.len() * 2 / 3);

    running.simulator.fault(Operation::Retrieve, Some(Fault::Doctype));
    assert!(running.retrieve(BEGINNING, 0).await.contains("<!DOCTYPE bomb ["));

    running.simulator.fault(Operation::Retrieve, Some(Fault::NotXml));
    let response = running.send_retrieve(BEGINNING, 0).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/html; charset=UTF-8");
    assert!(elements(&response.text().await.unwrap()).is_err());

    running.simulator.fault(Operation::Retrieve, Some(Fault::Huge(2_000_000)));
    let document = running.retrieve(BEGINNING, 0).await;
    assert_eq!(document.len(), 2_000_000);
    elements(&document).unwrap();
}

#[tokio::test]
async fn a_poisoned_contact_spoils_only_pages_that_hold_it() {
    let running = start(150).await;
    let before = running.retrieve_all(BEGINNING).await;
    let culprit = before.0[120];

    running.simulator.poison(culprit, Poison::NoEntityId);
    let document = running.retrieve(BEGINNING, 100).await;
    assert_eq!(records(&document).iter().filter(|record| !record.starts_with("<entityId>")).count(), 1);

    running.simulator.poison(culprit, Poison::BadDate);
    let document = running.retrieve(BEGINNING, 100).await;
    let is_odd = |date: &&String| date.parse::<jiff::civil::DateTime>().is_err();
    assert_eq!(texts(&document, "lastUpdateDate").iter().filter(is_odd).count(), 1);

    running.simulator.poison(culprit, Poison::BrokenXml);
    assert!(elements(&running.retrieve(BEGINNING, 100).await).is_err());

    running.simulator.poison(culprit, Poison::TooDeep);
    let document = running.retrieve(BEGINNING, 100).await;
    let deepest = elements(&document).unwrap().into_iter().map(|(_, depth, _)| depth).max();
    assert!(deepest > Some(9_999));

    running.simulator.poison(culprit, Poison::HugeText(3_000_000));
    let document = running.retrieve(BEGINNING, 100).await;
    assert!(texts(&document, "leadSourceType").iter().any(|text| text.len() == 3_000_000));

    assert_eq!(running.simulator.requests().poisoned, 5);
    assert_eq!(running.retrieve(BEGINNING, 0).await, before.1[0]);
    running.simulator.heal(culprit);
    assert_eq!(running.retrieve_all(BEGINNING).await, before);
}
