//! The queue: reading it, purging it, and what gets customers into it.

#![allow(clippy::unwrap_used)]

mod support;

use simulators::association_anywhere::AaSettings;
use support::{QUEUE_REQUEST, QUEUE_REQUEST_CAMEL, numbers, purge_request, start, start_with, texts};

#[tokio::test]
async fn reading_the_queue_takes_nothing_out_of_it() {
    let running = start(3).await;
    let first = running.get_queue().await;
    assert_eq!(texts(&first, "status"), ["SUCCESS"]);
    assert_eq!(numbers(&first, "cust-id"), [1001, 1002, 1003]);
    assert_eq!(numbers(&first, "max-queue-num"), [3]);
    assert_eq!(running.get_queue().await, first);
    assert_eq!(running.simulator.requests().queue, 2);
}

#[tokio::test]
async fn a_purge_spares_what_was_queued_after_the_number_was_read() {
    let running = start(3).await;
    let number = numbers(&running.get_queue().await, "max-queue-num")[0];
    running.simulator.change([1002]);
    let purged = running.purge(number).await;
    assert_eq!(texts(&purged, "status"), ["SUCCESS"]);
    assert_eq!(running.simulator.queue(), [1002]);
    assert_eq!(running.simulator.purges(), [number]);
    // A purge with the same number again finds nothing.
    running.purge(number).await;
    assert_eq!(running.simulator.queue(), [1002]);
}

#[tokio::test]
async fn an_empty_queue_has_no_greatest_number() {
    let running = start_with(AaSettings { customers: 3, all_queued: false, ..AaSettings::default() }).await;
    let hyphen = running.get_queue().await;
    assert_eq!(texts(&hyphen, "status"), ["SUCCESS"]);
    assert!(texts(&hyphen, "max-queue-num").is_empty());
    assert!(texts(&running.get_queue_with_reasons().await, "maxQueueNum").is_empty());
}

#[tokio::test]
async fn the_queue_with_reasons_tells_deletions_and_creations() {
    let running = start_with(AaSettings { customers: 5, all_queued: false, ..AaSettings::default() }).await;
    running.simulator.change([1001]);
    running.simulator.delete(1002);
    running.simulator.delete_silently(1003);
    running.simulator.create(9000);
    running.simulator.enqueue(77);
    let document = running.get_queue_with_reasons().await;
    assert_eq!(numbers(&document, "custId"), [1001, 1002, 1003, 9000, 77]);
    assert_eq!(texts(&document, "action"), ["UPDATE", "DELETE", "UPDATE", "INSERT", "UPDATE"]);
    assert_eq!(texts(&document, "reason").len(), 5);
    assert_eq!(numbers(&document, "maxQueueNum"), [5]);
    // The older form just holds the ids.
    let plain = running.get_queue().await;
    assert_eq!(numbers(&plain, "cust-id"), [1001, 1002, 1003, 9000, 77]);
    assert!(texts(&plain, "action").is_empty());
    assert_eq!(running.simulator.customer_ids(), [1001, 1004, 1005, 9000]);
}

#[tokio::test]
async fn requests_come_in_both_dialects_to_every_procedure() {
    let running = start(2).await;
    for request in [QUEUE_REQUEST, QUEUE_REQUEST_CAMEL] {
        assert_eq!(numbers(&running.post(&running.urls.queue, request).await, "cust-id"), [1001, 1002]);
        assert_eq!(numbers(&running.post(&running.urls.queue_with_reasons, request).await, "custId"), [1001, 1002]);
    }
    let camel = "<purgeRequest><vendorId>demo</vendorId><vendorPassword>demo-password</vendorPassword>\
                 <maxQueueNum>1</maxQueueNum></purgeRequest>";
    let answer = running.post(&running.urls.purge, camel).await;
    assert_eq!(texts(&answer, "status"), ["SUCCESS"]);
    assert!(answer.contains("<purgeStatus>"), "{answer}");
    assert_eq!(running.simulator.queue(), [1002]);
    assert!(running.purge(2).await.contains("<purge-status>"));
    assert!(running.simulator.queue().is_empty());
}

#[tokio::test]
async fn names_in_the_path_and_of_the_parameter_ignore_case() {
    let running = start(1).await;
    let url = format!("{}/other_env/cencustintegratesyncwebsvclib.Get_Queue_Custs_Xml", running.base);
    let response = running.client.post(&url).form(&[("P_Input_XML_Doc", QUEUE_REQUEST)]).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/xml; charset=UTF-8");
    assert_eq!(numbers(&response.text().await.unwrap(), "cust-id"), [1001]);
}

#[tokio::test]
async fn the_document_also_comes_in_the_query_string() {
    let running = start(1).await;
    let mut url = reqwest::Url::parse(&running.urls.queue).unwrap();
    url.query_pairs_mut().append_pair("p_input_xml_doc", QUEUE_REQUEST);
    let document = running.client.get(url).send().await.unwrap().text().await.unwrap();
    assert_eq!(numbers(&document, "cust-id"), [1001]);
}

#[tokio::test]
async fn an_unknown_procedure_and_a_missing_parameter_are_not_found() {
    let running = start(1).await;
    let unknown = format!("{}/demo/CENCUSTINTEGRATESYNCWEBSVCLIB.DROP_ALL_XML", running.base);
    assert_eq!(running.send(&unknown, QUEUE_REQUEST).await.unwrap().status(), 404);
    let response = running.client.post(&running.urls.queue).form(&[("document", QUEUE_REQUEST)]).send().await.unwrap();
    assert_eq!(response.status(), 404);
}

#[tokio::test]
async fn wrong_credentials_and_wrong_documents_are_refused_with_http_200() {
    let running = start(2).await;
    let requests = [
        (&running.urls.queue, QUEUE_REQUEST.to_owned()),
        (&running.urls.purge, purge_request(1)),
        (&running.urls.enqueue, QUEUE_REQUEST.replace("cust-request", "enqueue-request")),
    ];
    for (url, request) in requests {
        let answer = running.post(url, &request.replace("demo-password", "guess")).await;
        assert_eq!(texts(&answer, "status"), ["FAILURE"]);
        assert!(!texts(&answer, "message")[0].is_empty());
    }
    assert_eq!(running.simulator.requests().refused, 3);
    for wrong in
        ["", "<cust-request>", "<purge-request/>", "<!DOCTYPE a [<!ENTITY b \"c\">]><cust-request>&b;</cust-request>"]
    {
        assert_eq!(texts(&running.post(&running.urls.queue, wrong).await, "status"), ["FAILURE"], "{wrong}");
    }
    assert_eq!(running.simulator.queue(), [1001, 1002]);
}

#[tokio::test]
async fn force_enqueue_takes_one_customer_or_all() {
    let running = start_with(AaSettings { customers: 3, all_queued: false, ..AaSettings::default() }).await;
    let all = QUEUE_REQUEST.replace("cust-request", "enqueue-request");
    let one = all.replace("</enqueue", "<cust-id>1003</cust-id></enqueue");
    assert_eq!(texts(&running.post(&running.urls.enqueue, &one).await, "status"), ["SUCCESS"]);
    assert_eq!(running.simulator.queue(), [1003]);
    assert_eq!(texts(&running.post(&running.urls.enqueue, &all).await, "status"), ["SUCCESS"]);
    assert_eq!(running.simulator.queue(), [1001, 1002, 1003]);
    let nonsense = one.replace("1003", "everyone");
    assert_eq!(texts(&running.post(&running.urls.enqueue, &nonsense).await, "status"), ["FAILURE"]);
    assert_eq!(running.simulator.requests().enqueue, 3);
}

#[tokio::test]
async fn a_queue_of_very_many_is_one_well_formed_answer() {
    let customers = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let running = start_with(AaSettings { customers, all_queued: false, ..AaSettings::default() }).await;
    running.simulator.enqueue_all();
    running.simulator.enqueue_all();
    let document = running.get_queue_with_reasons().await;
    assert_eq!(numbers(&document, "custId").len() as u64, customers);
    assert_eq!(numbers(&document, "maxQueueNum"), [customers * 2]);
    running.purge(customers * 2).await;
    assert_eq!(running.simulator.queue_len(), 0);
}
