//! Customer details: in bulk, alone, and what customers are made of.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashSet;

use simulators::association_anywhere::{AaSettings, AaSimulator};
use support::{details_request, details_request_for, elements, numbers, start, start_with, texts};

const ALL_SECTIONS: &str = "<roles include=\"true\"/><addresses include=\"true\" includeBad=\"true\"/>\
    <phones include=\"true\"/><emails include=\"true\"/><websites include=\"true\"/><jobs include=\"true\"/>\
    <committeePositions include=\"true\"/><memberships include=\"true\" includeInactive=\"true\"/>\
    <subscriptions include=\"true\"/><communicationPreferences include=\"true\"/><customerAttributes include=\"true\"/>\
    <bio include=\"true\"/><aliases include=\"true\"/><certifications include=\"true\"/><files include=\"true\"/>";

#[tokio::test]
async fn a_bulk_answer_holds_each_customer_that_exists_once() {
    let running = start(5).await;
    running.simulator.delete(1003);
    let document = running.get_details(&[1002, 1003, 9999, 1002, 1001]).await;
    assert_eq!(numbers(&document, "custId"), [1002, 1001]);
    let customers =
        elements(&document).unwrap().into_iter().filter(|(name, depth, _)| name == "custInfo" && *depth == 1);
    assert_eq!(customers.count(), 2);
    let asked = ["1002", "1003", "9999", "1002", "1001"];
    assert_eq!(running.simulator.last_details_ids(), asked);
    assert_eq!(running.simulator.requests().detail_ids, 5);
}

#[tokio::test]
async fn names_and_addresses_are_those_that_the_simulator_tells() {
    let running = start(200).await;
    running.simulator.change([1005, 1006]);
    let ids = running.simulator.customer_ids();
    let document = running.post(&running.urls.details, &details_request_for(&ids, true, ALL_SECTIONS)).await;
    let expected: Vec<String> = ids.iter().map(|&id| running.simulator.display_name(id).unwrap()).collect();
    assert_eq!(texts(&document, "displayName"), expected);
    for id in ids {
        let address = format!("<address>{}</address>", running.simulator.email(id).unwrap());
        assert!(document.contains(&address), "{address}");
    }
}

#[tokio::test]
async fn only_sections_that_are_asked_for_come() {
    let running = start(50).await;
    let ids = running.simulator.customer_ids();
    let sections = "<emails include=\"true\"/><phones include=\"false\"/><memberships/>";
    let document = running.post(&running.urls.details, &details_request_for(&ids, true, sections)).await;
    assert_eq!(texts(&document, "emails").len(), 50);
    for absent in ["phones", "memberships", "addresses", "bio"] {
        assert!(texts(&document, absent).is_empty(), "{absent}");
    }
}

#[tokio::test]
async fn a_single_request_has_the_customer_as_its_root() {
    let running = start(3).await;
    let single = |ids: &[u64]| details_request_for(ids, false, "<emails include=\"true\"/>");
    let document = running.post(&running.urls.details, &single(&[1002])).await;
    let found = elements(&document).unwrap();
    assert!(found.iter().any(|(name, depth, text)| name == "custId" && *depth == 1 && text == "1002"), "{document}");
    for refused in [single(&[4711]), single(&[]), single(&[1001, 1002])] {
        let document = running.post(&running.urls.details, &refused).await;
        let found = elements(&document).unwrap();
        assert!(found.iter().any(|(name, depth, _)| name == "error" && *depth == 1), "{document}");
    }
}

#[tokio::test]
async fn wrong_credentials_get_an_error_element() {
    let running = start(1).await;
    let request = details_request(&[1001]).replace("demo-password", "guess");
    let document = running.post(&running.urls.details, &request).await;
    assert_eq!(texts(&document, "error").len(), 1);
    assert!(texts(&document, "custId").is_empty());
}

#[tokio::test]
async fn element_names_of_a_request_come_in_both_dialects() {
    let running = start(2).await;
    let request = "<cust-info-request><cust-id>1001</cust-id><integrator-username>demo</integrator-username>\
        <integrator-password>demo-password</integrator-password><bulk-request>true</bulk-request>\
        <details><committee-positions include=\"true\"/><emails include=\"true\"/></details></cust-info-request>";
    let document = running.post(&running.urls.details, request).await;
    assert_eq!(numbers(&document, "custId"), [1001]);
    assert_eq!(texts(&document, "emails").len(), 1);
}

#[tokio::test]
async fn the_seed_decides_everything() {
    let settings = |seed| AaSettings { customers: 300, seed, ..AaSettings::default() };
    let mut documents = Vec::new();
    for seed in [7, 7, 8] {
        let running = start_with(settings(seed)).await;
        let changed = running.simulator.change_some(20);
        assert_eq!(changed.iter().collect::<HashSet<_>>().len(), 20);
        let ids = running.simulator.customer_ids();
        documents.push(running.post(&running.urls.details, &details_request_for(&ids, true, ALL_SECTIONS)).await);
    }
    assert_eq!(documents[0], documents[1]);
    assert_ne!(documents[0], documents[2]);
}

#[test]
fn every_revision_has_a_name_and_an_address_of_its_own() {
    let simulator = AaSimulator::new(AaSettings { customers: 30, ..AaSettings::default() });
    for id in simulator.customer_ids() {
        let mut names = HashSet::new();
        let mut addresses = HashSet::new();
        for revision in 1..800 {
            assert_eq!(simulator.revision(id), Some(revision));
            assert!(names.insert(simulator.display_name(id).unwrap()));
            assert!(addresses.insert(simulator.email(id).unwrap()));
            // What is deleted and created anew counts on.
            if revision % 3 == 0 {
                simulator.delete(id);
                assert_eq!(simulator.display_name(id), None);
                simulator.create(id);
            } else {
                simulator.change([id]);
            }
        }
    }
}

#[tokio::test]
async fn customers_are_as_varied_as_real_ones() {
    let running = start(1000).await;
    let ids = running.simulator.customer_ids();
    let document = running.post(&running.urls.details, &details_request_for(&ids, true, ALL_SECTIONS)).await;
    let companies = texts(&document, "custType").iter().filter(|kind| *kind == "C").count();
    assert!((50..120).contains(&companies), "{companies} companies");
    let statuses = texts(&document, "statusCode");
    let active = statuses.iter().filter(|status| *status == "ACTIVE").count();
    assert!(active > statuses.len() * 3 / 4 && active < statuses.len(), "{active} of {}", statuses.len());
    let dates = texts(&document, "expirationDate");
    assert!(dates.iter().any(|date| date.contains('/')) && dates.iter().any(|date| date.contains('-')));
    let addresses = texts(&document, "address");
    let reserved =
        |text: &&String| ["@example.org", "@example.com", "@example.net"].iter().any(|end| text.ends_with(end));
    assert!(addresses.iter().filter(|text| text.contains('@')).all(|text| reserved(&text)));
    assert!(texts(&document, "number").iter().any(|number| number.starts_with("555-01")));
    let names = texts(&document, "displayName");
    assert!(names.iter().any(|name| name.contains('&')) && names.iter().any(|name| name.contains('\'')));
    assert!(names.iter().any(|name| !name.is_ascii()));
    assert!(document.contains("<displayName><![CDATA[") && document.contains("<bio><![CDATA[<p>"));
    for section in ["jobs", "committeePositions", "subscriptions", "customerAttributes", "websites", "aliases"] {
        assert!(!texts(&document, section).is_empty(), "{section}");
    }
}
