//! What goes wrong on purpose goes wrong as announced.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use simulators::association_anywhere::{AaFault, Fault, Poison, Procedure};
use support::{details_request, details_request_for, elements, numbers, purge_request, start, texts};

/// Long enough that only a broken simulator exceeds it.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_fault_lasts_until_it_is_changed_and_is_counted() {
    let running = start(2).await;
    running.simulator.fault(Procedure::Queue, Some(Fault::Status(503)));
    for _ in 0..2 {
        assert_eq!(running.send(&running.urls.queue, "").await.unwrap().status(), 503);
    }
    // Other procedures are not concerned.
    running.get_details(&[1001]).await;
    running.simulator.fault(Procedure::Queue, None);
    running.get_queue().await;
    let requests = running.simulator.requests();
    assert_eq!((requests.queue, requests.details, requests.faulted), (3, 1, 2));
}

#[tokio::test]
async fn faults_for_some_requests_come_one_after_another_before_a_lasting_one() {
    let running = start(1).await;
    running.simulator.fault(Procedure::Queue, Some(Fault::Status(504)));
    running.simulator.fault_times(Procedure::Queue, Fault::Status(500), 2);
    running.simulator.fault_times(Procedure::Queue, Fault::RetryAfter { status: 429, seconds: 7 }, 1);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let response = running.send(&running.urls.queue, "").await.unwrap();
        statuses.push(response.status().as_u16());
        if response.status() == 429 {
            assert_eq!(response.headers()["retry-after"], "7");
        }
    }
    assert_eq!(statuses, [500, 500, 429, 504]);
}

#[tokio::test]
async fn a_delayed_answer_was_made_before_the_delay() {
    let running = start(1).await;
    running.simulator.fault_times(Procedure::Details, Fault::Delay(Duration::from_millis(300)), 1);
    let name_before = running.simulator.display_name(1001).unwrap();
    let begun = Instant::now();
    let change_meanwhile = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        running.simulator.change([1001]);
    };
    let ids = [1001];
    let (document, ()) = tokio::join!(running.get_details(&ids), change_meanwhile);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(texts(&document, "displayName"), [name_before]);
}

#[tokio::test]
async fn what_hangs_is_answered_once_the_fault_is_cleared() {
    let running = start(1).await;
    running.simulator.fault(Procedure::Queue, Some(Fault::Hang));
    let clear = async {
        while running.simulator.requests().faulted == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running.simulator.fault(Procedure::Queue, None);
    };
    let (document, ()) =
        tokio::time::timeout(PATIENCE, async { tokio::join!(running.get_queue(), clear) }).await.unwrap();
    assert_eq!(numbers(&document, "cust-id"), [1001]);
}

#[tokio::test]
async fn a_client_gives_up_on_what_hangs() {
    let running = start(1).await;
    running.simulator.fault_times(Procedure::Queue, Fault::Hang, 1);
    let answer = tokio::time::timeout(Duration::from_millis(200), running.get_queue()).await;
    assert!(answer.is_err());
    assert_eq!(numbers(&running.get_queue().await, "cust-id"), [1001]);
}

#[tokio::test]
async fn a_purge_whose_answer_is_spoiled_has_purged_and_others_have_not() {
    let spoiled = [Fault::CutBody, Fault::Malformed, AaFault::WrongDialect.into(), AaFault::Duplicates.into()];
    let refused = [
        Fault::Status(500),
        AaFault::FailureStatus("no".to_owned()).into(),
        AaFault::Empty.into(),
        Fault::NotXml,
        Fault::WrongCredentials,
        AaFault::ErrorDocument("no".to_owned()).into(),
    ];
    let cases = spoiled.into_iter().map(|fault| (fault, true)).chain(refused.into_iter().map(|fault| (fault, false)));
    for (fault, purges) in cases {
        let running = start(3).await;
        running.simulator.fault_times(Procedure::Purge, fault.clone(), 1);
        if let Ok(response) = running.send(&running.urls.purge, &purge_request(2)).await {
            let _ = response.text().await;
        }
        let left = if purges { 1 } else { 3 };
        assert_eq!(running.simulator.queue().len(), left, "{fault:?}");
        assert_eq!(running.simulator.purges().len(), usize::from(purges), "{fault:?}");
    }
}

#[tokio::test]
async fn a_cut_body_promises_all_and_brings_half() {
    let running = start(100).await;
    let ids = running.simulator.customer_ids();
    let whole = running.get_details(&ids).await;
    running.simulator.fault_times(Procedure::Details, Fault::CutBody, 1);
    let mut response = running.send(&running.urls.details, &details_request(&ids)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.content_length(), Some(whole.len() as u64));
    let mut received = Vec::new();
    let error = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => received.extend_from_slice(&chunk),
            Ok(None) => panic!("the body ended well"),
            Err(error) => break error,
        }
    };
    assert!(error.is_body() || error.is_decode() || error.is_request(), "{error:?}");
    assert_eq!(received, &whole.as_bytes()[..whole.len() / 2]);
    // The next request is on a new connection.
    assert_eq!(running.get_details(&ids).await, whole);
}

#[tokio::test]
async fn errors_inside_documents_come_with_http_200() {
    let running = start(1).await;
    for procedure in [Procedure::Queue, Procedure::Details] {
        let url = if procedure == Procedure::Queue { &running.urls.queue } else { &running.urls.details };
        running.simulator.fault_times(procedure, AaFault::ErrorDocument("tables & chairs".to_owned()).into(), 1);
        running.simulator.fault_times(procedure, AaFault::FailureStatus("<none>".to_owned()).into(), 1);
        let error = running.post(url, "").await;
        assert_eq!(texts(&error, "error"), ["tables & chairs"]);
        let failure = running.post(url, "").await;
        assert_eq!(texts(&failure, "status"), ["FAILURE"]);
        assert_eq!(texts(&failure, "message"), ["<none>"]);
    }
    running.simulator.fault_times(Procedure::Queue, Fault::WrongCredentials, 1);
    running.simulator.fault_times(Procedure::Details, Fault::WrongCredentials, 1);
    assert_eq!(texts(&running.get_queue().await, "status"), ["FAILURE"]);
    assert_eq!(texts(&running.get_details(&[1001]).await, "error").len(), 1);
}

#[tokio::test]
async fn an_empty_answer_is_well_formed() {
    let running = start(1).await;
    for procedure in Procedure::ALL {
        running.simulator.fault(procedure, Some(AaFault::Empty.into()));
    }
    for url in [&running.urls.queue, &running.urls.details, &running.urls.purge, &running.urls.enqueue] {
        let document = running.post(url, "").await;
        let names: Vec<String> = elements(&document).unwrap().into_iter().map(|(name, ..)| name).collect();
        assert!(
            !names.iter().any(|name| name.contains("max") || name.contains("ust-id") || name == "custId"),
            "{document}"
        );
    }
}

#[tokio::test]
async fn documents_that_are_not_to_be_parsed() {
    let running = start(10).await;
    let ids = running.simulator.customer_ids();
    for procedure in [Procedure::Queue, Procedure::Details] {
        running.simulator.fault(procedure, Some(Fault::Malformed));
    }
    let details = running.get_details(&ids).await;
    assert!(elements(&details).is_err());
    let place = details.find("</mismatched").unwrap();
    assert!(place >= details.len() / 3 && place <= details.len() * 2 / 3);
    assert!(elements(&running.get_queue().await).is_err());
    assert!(elements(&running.get_queue_with_reasons().await).is_err());

    running.simulator.fault(Procedure::Details, Some(Fault::Doctype));
    assert!(running.get_details(&ids).await.contains("<!DOCTYPE bomb ["));

    running.simulator.fault(Procedure::Details, Some(Fault::NotXml));
    let response = running.send(&running.urls.details, &details_request(&ids)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/html; charset=UTF-8");
    assert!(elements(&response.text().await.unwrap()).is_err());
}

#[tokio::test]
async fn duplicates_double_every_entry() {
    let running = start(2).await;
    running.simulator.fault(Procedure::Queue, Some(AaFault::Duplicates.into()));
    running.simulator.fault(Procedure::Details, Some(AaFault::Duplicates.into()));
    assert_eq!(numbers(&running.get_queue().await, "cust-id"), [1001, 1001, 1002, 1002]);
    assert_eq!(numbers(&running.get_details(&[1001, 1002]).await, "custId"), [1001, 1001, 1002, 1002]);
}

#[tokio::test]
async fn the_wrong_dialect_says_the_same_in_other_names() {
    let running = start(30).await;
    let ids = running.simulator.customer_ids();
    let right = running.get_details(&ids).await;
    for procedure in Procedure::ALL {
        running.simulator.fault(procedure, Some(AaFault::WrongDialect.into()));
    }
    assert_eq!(numbers(&running.get_queue().await, "custId").len(), 30);
    assert_eq!(numbers(&running.get_queue_with_reasons().await, "cust-id").len(), 30);
    let details = running.get_details(&ids).await;
    assert_eq!(numbers(&details, "cust-id"), ids);
    assert_eq!(texts(&details, "display-name"), texts(&right, "displayName"));
    assert!(running.purge(1).await.contains("<purgeStatus><status>SUCCESS</status>"));
}

#[tokio::test]
async fn a_huge_answer_is_streamed_to_the_byte() {
    let running = start(1).await;
    for bytes in [100, 200_000, 30_000_000] {
        running.simulator.fault(Procedure::Details, Some(Fault::Huge(bytes)));
        let response = running.send(&running.urls.details, &details_request(&[1001])).await.unwrap();
        assert_eq!(response.content_length(), None);
        let document = response.text().await.unwrap();
        assert_eq!(document.len() as u64, bytes);
        elements(&document).unwrap();
    }
    // As good as endless: a client reads some of it and goes.
    running.simulator.fault(Procedure::Details, Some(Fault::Huge(u64::MAX)));
    let mut response = running.send(&running.urls.details, "").await.unwrap();
    let mut received = 0;
    while received < 1_000_000 {
        received += response.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn a_poisoned_customer_spoils_only_answers_that_hold_it() {
    let running = start(3).await;
    let others = running.get_details(&[1001, 1003]).await;
    let ids = [1001, 1002, 1003];

    running.simulator.poison(1002, Poison::NoCustId);
    let document = running.get_details(&ids).await;
    assert_eq!(numbers(&document, "custId"), [1001, 1003]);
    assert_eq!(texts(&document, "custInfo").len(), 3);

    running.simulator.poison(1002, Poison::BrokenXml);
    assert!(elements(&running.get_details(&ids).await).is_err());

    running.simulator.poison(1002, Poison::ServerError);
    let response = running.send(&running.urls.details, &details_request(&ids)).await.unwrap();
    assert_eq!(response.status(), 500);

    running.simulator.poison(1002, Poison::ErrorElement);
    let document = running.get_details(&ids).await;
    assert_eq!(numbers(&document, "custId"), ids);
    assert_eq!(texts(&document, "error").len(), 1);
    let single = details_request_for(&[1002], false, "");
    assert_eq!(texts(&running.post(&running.urls.details, &single).await, "error").len(), 1);

    running.simulator.poison(1002, Poison::TooDeep);
    let deepest = elements(&running.get_details(&ids).await).unwrap().into_iter().map(|(_, depth, _)| depth).max();
    assert!(deepest > Some(9_999));

    running.simulator.poison(1002, Poison::HugeText(3_000_000));
    let document = running.get_details(&ids).await;
    assert_eq!(texts(&document, "remarks")[0].len(), 3_000_000);

    assert_eq!(running.simulator.requests().poisoned, 7);
    assert_eq!(running.get_details(&[1001, 1003]).await, others);
    running.simulator.heal(1002);
    let document = running.get_details(&ids).await;
    assert_eq!(numbers(&document, "custId"), ids);
    assert_eq!(running.simulator.requests().poisoned, 7);
}

#[tokio::test]
async fn a_simulator_that_is_stopped_answers_nobody_any_more() {
    let running = start(1).await;
    // Leaves an open connection behind.
    running.get_queue().await;
    let url = running.urls.queue.clone();
    let client = running.stop().await;
    assert!(client.post(url).form(&[("p_input_xml_doc", support::QUEUE_REQUEST)]).send().await.is_err());
}
