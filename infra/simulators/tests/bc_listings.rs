//! `ContactList_Retrieve`: which contacts are listed, in which order, and what a contact looks like.

#![allow(clippy::unwrap_used)]

mod support;

use std::{collections::HashSet, sync::Arc};

use jiff::{SignedDuration, Timestamp, civil::date, tz::TimeZone};
use simulators::business_catalyst::{
    Action, BcSettings, Clock, ListingOrder, ListingRequest, NAMESPACE, PASSWORD_MARK,
};
use support::{
    business_catalyst::{
        BEGINNING, CREDENTIALS, SOAP_11, SOAP_12, envelope, listing, record, record_ids, records, start, start_with,
    },
    elements, texts,
};

#[tokio::test]
async fn a_listing_comes_in_pages_until_there_are_no_more_records() {
    let running = start(230).await;
    let (ids, documents) = running.retrieve_all(BEGINNING).await;
    assert_eq!(documents.iter().map(|document| records(document).len()).collect::<Vec<_>>(), [100, 100, 30]);
    assert_eq!(ids.iter().copied().collect::<HashSet<_>>(), (1001..1231).collect());
    let starts: Vec<String> = documents.iter().flat_map(|document| texts(document, "recordStart")).collect();
    assert_eq!(starts, ["0", "100", "200"]);
    // Asking for what is behind the end is no error.
    let behind = running.retrieve(BEGINNING, 300).await;
    assert!(behind.contains("<ContactList_RetrieveResult />"), "{behind}");
    assert_eq!(texts(&behind, "moreRecords"), ["false"]);
    let asked: Vec<u64> = running.simulator.listings().iter().map(|listing| listing.record_start).collect();
    assert_eq!(asked, [0, 100, 200, 300]);
}

#[tokio::test]
async fn a_page_that_ends_the_listing_exactly_says_so() {
    let running = start(200).await;
    assert_eq!(texts(&running.retrieve(BEGINNING, 0).await, "moreRecords"), ["true"]);
    assert_eq!(texts(&running.retrieve(BEGINNING, 100).await, "moreRecords"), ["false"]);
}

#[tokio::test]
async fn a_listing_is_in_the_order_of_dates_and_begins_with_the_date_asked_for() {
    let running = start(300).await;
    let (ids, documents) = running.retrieve_all(BEGINNING).await;
    let dates: Vec<String> = documents.iter().flat_map(|document| texts(document, "lastUpdateDate")).collect();
    let pairs: Vec<(&String, &u64)> = dates.iter().zip(&ids).collect();
    assert!(pairs.is_sorted());
    // An import gave many contacts one second, so there is a page border inside of one.
    assert!(dates.iter().collect::<HashSet<_>>().len() < 250);

    let since = &dates[250];
    let first = dates.iter().position(|date| date == since).unwrap();
    assert_eq!(running.retrieve_all(since).await.0, ids[first..]);
    assert_eq!(
        running.simulator.listings().last(),
        Some(&ListingRequest { last_update_date: since.parse().unwrap(), record_start: 0 })
    );
}

#[tokio::test]
async fn a_listing_can_be_in_the_order_of_ids() {
    let running =
        start_with(BcSettings { contacts: 150, order: ListingOrder::EntityId, ..BcSettings::default() }).await;
    assert_eq!(running.retrieve_all(BEGINNING).await.0, (1001..1151).collect::<Vec<_>>());
    running.simulator.set_time(date(2024, 6, 1).at(0, 0, 0, 0));
    running.simulator.change([1100, 1003]);
    assert_eq!(running.retrieve_all("2024-06-01T00:00:00").await.0, [1003, 1100]);
}

#[tokio::test]
async fn what_happens_to_a_contact_dates_it_with_the_sites_clock() {
    let running = start(4).await;
    running.simulator.set_time(date(2024, 6, 1).at(12, 0, 0, 0));
    let name = running.simulator.display_name(1001);
    let name_touched = running.simulator.display_name(1002);
    running.simulator.change([1001]);
    running.simulator.touch(1002);
    running.simulator.delete(1003);
    running.simulator.remove_silently(1004);
    let created = running.simulator.create(None);

    let (ids, documents) = running.retrieve_all(BEGINNING).await;
    assert_eq!(ids, [1001, 1002, 1003, created]);
    assert_eq!(texts(&documents[0], "deleted"), ["false", "false", "true", "false"]);
    let dates = ["2024-06-01T12:00:00", "2024-06-01T12:00:01", "2024-06-01T12:00:02", "2024-06-01T12:00:03"];
    assert_eq!(texts(&documents[0], "lastUpdateDate"), dates);
    assert_eq!(texts(&record(&documents[0], created), "createDate"), [dates[3]]);
    assert_ne!(running.simulator.display_name(1001), name);
    assert_eq!(running.simulator.display_name(1002), name_touched);
    assert_eq!(running.simulator.contact_ids(), [1001, 1002, created]);
    assert_eq!(running.simulator.deleted_ids(), [1003]);

    // Once more, all at one second.
    running.simulator.set_step(SignedDuration::ZERO);
    running.simulator.set_time(date(2024, 6, 2).at(0, 0, 0, 0));
    running.simulator.change([created, 1001]);
    running.simulator.create(Some(1003));
    let again = running.retrieve("2024-06-02T00:00:00", 0).await;
    assert_eq!(record_ids(&again), [1001, 1003, created]);
    assert_eq!(texts(&again, "deleted"), ["false"; 3]);
}

#[tokio::test]
async fn a_clock_that_follows_another_shows_the_sites_local_time() {
    // Half an hour before, and half an hour after, clocks in Sydney went back from 03:00 to 02:00.
    let time_zone = TimeZone::get("Australia/Sydney").unwrap();
    for (now, local) in
        [("2024-04-06T15:30:00.9Z", "2024-04-07T02:30:00"), ("2024-04-06T16:30:00Z", "2024-04-07T02:30:00")]
    {
        let now: Timestamp = now.parse().unwrap();
        let clock = Clock::Following(Arc::new(move || now));
        let settings = BcSettings { contacts: 1, time_zone: time_zone.clone(), clock, ..BcSettings::default() };
        let running = start_with(settings).await;
        running.simulator.change([1001]);
        assert_eq!(texts(&running.retrieve(BEGINNING, 0).await, "lastUpdateDate"), [local]);
    }
}

#[tokio::test]
async fn a_contact_that_changes_between_two_pages_moves_to_the_end_and_another_is_missed() {
    let running = start(150).await;
    let before = running.retrieve_all(BEGINNING).await.0;
    running.simulator.on_page(100, Action::Change(vec![before[0]]));
    let during = running.retrieve_all(BEGINNING).await.0;
    assert_eq!(during.len(), 150);
    assert_eq!(during.first(), during.last());
    assert!(!during.contains(&before[100]));
    // It happens once.
    let after = running.retrieve_all(BEGINNING).await.0;
    assert_eq!(after.into_iter().collect::<HashSet<_>>().len(), 150);
}

#[tokio::test]
async fn a_contact_has_the_documented_elements_in_order() {
    let order = [
        "entityId",
        "externalId",
        "emailAddress",
        "contactTitle",
        "deleted",
        "fullName",
        "firstName",
        "lastName",
        "username",
        "password",
        "dateOfBirth",
        "createDate",
        "lastUpdateDate",
        "customerType",
        "industryType",
        "leadSourceType",
        "ratingType",
        "relationships",
        "addresses",
        "phoneNos",
        "crmForms",
        "MasterOptIn",
    ];
    let running = start(100).await;
    let document = running.retrieve(BEGINNING, 0).await;
    let mut seen = HashSet::new();
    for id in record_ids(&document) {
        let children: Vec<String> = elements(&record(&document, id))
            .unwrap()
            .into_iter()
            .filter(|(_, depth, _)| *depth == 1)
            .map(|(name, ..)| name)
            .collect();
        let places: Vec<usize> =
            children.iter().map(|child| order.iter().position(|name| name == child).unwrap()).collect();
        assert!(places.is_sorted_by(|one, next| one < next), "{children:?}");
        seen.extend(children);
    }
    // All but the one that only counts in what is written.
    assert_eq!(seen.len(), order.len() - 1);
    assert!(!seen.contains("emailAddress"));
    for text in elements(&document).unwrap().into_iter().filter(|(name, ..)| name == "firstName") {
        assert!(!text.2.is_empty());
    }
}

#[tokio::test]
async fn among_many_contacts_there_is_everything_that_a_client_must_cope_with() {
    let running = start(1000).await;
    let whole: String = running.retrieve_all(BEGINNING).await.1.concat();
    for expected in [
        "<dateOfBirth>0001-01-01T00:00:00</dateOfBirth>",
        "9999-12-31T23:59:59",
        "<Relationship xsi:nil=\"true\" />",
        "<PhoneNo xsi:nil=\"true\" />",
        "<phoneNoTypeID>7</phoneNoTypeID>",
        "<phoneNoTypeID>9</phoneNoTypeID>",
        "<addressTypeID>8</addressTypeID>",
        "<MasterOptIn>true</MasterOptIn>",
        "<MasterOptIn>false</MasterOptIn>",
        "<externalId>M-",
        PASSWORD_MARK,
        "&amp;",
        "&lt;",
    ] {
        assert!(whole.contains(expected), "{expected}");
    }
    for field_type in 1..=11 {
        assert!(whole.contains(&format!("<fieldTypeId>{field_type}</fieldTypeId>")), "{field_type}");
    }
    let two_addresses = records(&whole).iter().filter(|record| record.matches("<Address>").count() == 2).count();
    assert!(two_addresses > 50, "{two_addresses}");
    let bytes_a_contact = whole.len() / 1000;
    assert!((1000..2000).contains(&bytes_a_contact), "{bytes_a_contact} bytes a contact");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_site() {
    let first = start(120).await.retrieve_all(BEGINNING).await;
    assert_eq!(start(120).await.retrieve_all(BEGINNING).await, first);
    let other = start_with(BcSettings { contacts: 120, seed: 2, ..BcSettings::default() }).await;
    assert_ne!(other.retrieve_all(BEGINNING).await, first);
}

#[tokio::test]
async fn both_versions_of_soap_say_the_same() {
    let running = start(5).await;
    let parameters = listing(CREDENTIALS, BEGINNING, 0);
    let response = running.send_12("ContactList_Retrieve", &parameters).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/soap+xml; charset=utf-8");
    let document = response.text().await.unwrap();
    assert_eq!(document.replace(SOAP_12, SOAP_11), running.retrieve(BEGINNING, 0).await);
}

#[tokio::test]
async fn either_login_opens_the_site_and_nothing_else_does() {
    let running = start(1).await;
    let login = |username: &str, password: &str, site_id: &str| {
        format!("<username>{username}</username><password>{password}</password><siteId>{site_id}</siteId>")
    };
    let ask = async |credentials: String| {
        let parameters = listing(&credentials, BEGINNING, 0);
        running.send("ContactList_Retrieve", &parameters).await.unwrap().status().as_u16()
    };
    assert_eq!(ask(login("demo@example.com", "demo-password", "12345")).await, 200);
    assert_eq!(ask(login("", "demo-site-token", "12345")).await, 200);
    assert_eq!(ask("<password>demo-site-token</password><siteId>12345</siteId>".to_owned()).await, 200);
    for (username, password, site_id) in [
        ("demo@example.com", "wrong", "12345"),
        ("someone@example.com", "demo-password", "12345"),
        ("", "demo-password", "12345"),
        ("demo@example.com", "demo-site-token", "12345"),
        ("demo@example.com", "demo-password", "54321"),
    ] {
        assert_eq!(ask(login(username, password, site_id)).await, 500, "{username} {password} {site_id}");
    }
    assert_eq!(running.simulator.requests().refused, 5);
}

#[tokio::test]
async fn a_refusal_is_a_fault_in_the_version_of_the_request() {
    let running = start(1).await;
    let parameters = listing("<siteId>12345</siteId>", BEGINNING, 0);
    let message = "Server was unable to process request. ---> ERROR: Invalid username or password";

    let response = running.send("ContactList_Retrieve", &parameters).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/xml; charset=utf-8");
    let document = response.text().await.unwrap();
    assert_eq!(texts(&document, "faultcode"), ["soap:Server"]);
    assert_eq!(texts(&document, "faultstring"), [message]);

    let response = running.send_12("ContactList_Retrieve", &parameters).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/soap+xml; charset=utf-8");
    let document = response.text().await.unwrap();
    assert_eq!(texts(&document, "soap:Value"), ["soap:Receiver"]);
    assert_eq!(texts(&document, "soap:Text"), [message]);
}

#[tokio::test]
async fn requests_that_cannot_be_read_are_told_so() {
    let running = start(1).await;
    let page = |since: &str, record_start: &str| {
        format!(
            "{CREDENTIALS}<lastUpdateDate>{since}</lastUpdateDate><recordStart>{record_start}</recordStart>\
             <moreRecords>false</moreRecords>"
        )
    };
    for (parameters, reason) in [
        (CREDENTIALS.to_owned(), "lacks its <lastUpdateDate>"),
        (page("yesterday", "0"), "is not a dateTime"),
        (page("2024-05-01T00:00:00Z", "0"), "is not a dateTime without a zone"),
        (page("2024-05-01T00:00:00+10:00", "0"), "is not a dateTime without a zone"),
        (page("2024-05-01", "0"), "is not a dateTime"),
        (page(BEGINNING, "-1"), "is not an int"),
        (page(BEGINNING, "&amp;0"), "is not an int"),
        (page(BEGINNING, "&unknown;"), "the entity &unknown; is not known"),
        (page(BEGINNING, "0").replace("false", "maybe"), "is not a boolean"),
        (page(BEGINNING, "0").replace("12345", "x"), "siteId"),
    ] {
        let response = running.send("ContactList_Retrieve", &parameters).await.unwrap();
        assert_eq!(response.status(), 500);
        let text = texts(&response.text().await.unwrap(), "faultstring").concat();
        assert!(text.starts_with("Server was unable to read request.") && text.contains(reason), "{text}");
    }
}

#[tokio::test]
async fn transport_and_envelope_must_fit_the_operation() {
    let running = start(1).await;
    let parameters = listing(CREDENTIALS, BEGINNING, 0);
    let ask = async |content_type: &str, soap_action: &str, body: String| {
        let request = running.client.post(&running.endpoint);
        let request = request.header("Content-Type", content_type).header("SOAPAction", soap_action);
        let response = request.body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let action = format!("{NAMESPACE}/ContactList_Retrieve");
    let right = envelope(SOAP_11, "ContactList_Retrieve", &parameters);

    assert_eq!(ask("text/xml", &action, right.clone()).await.0, 200);
    // Other prefixes, and a declaration, change nothing.
    let prefixed = right.replace("soap:", "SOAP-ENV:").replace("xmlns:soap=", "xmlns:SOAP-ENV=");
    assert_eq!(ask("text/xml", &action, format!("<?xml version=\"1.0\"?>{prefixed}")).await.0, 200);

    let (status, document) = ask("text/xml", "", right.clone()).await;
    assert!(status == 500 && document.contains("did not recognize"), "{document}");
    let other_action = format!("{NAMESPACE}/ContactList_UpdateInsert");
    assert_eq!(ask("text/xml", &other_action, right.clone()).await.0, 500);

    let (status, document) = ask("application/soap+xml", &action, right.clone()).await;
    assert!(status == 500 && document.contains("Possible SOAP version mismatch"), "{document}");
    assert_eq!(ask("application/json", &action, right.clone()).await.0, 415);

    let elsewhere = right.replace(NAMESPACE, "http://tempuri.org/");
    assert!(ask("text/xml", &action, elsewhere).await.1.contains("is no operation of this service"));
    assert!(ask("text/xml", &action, "<soap:Envelope".to_owned()).await.1.contains("unable to read request"));
    let bomb = format!("<!DOCTYPE x [<!ENTITY e \"e\">]>{right}");
    assert!(ask("text/xml", &action, bomb).await.1.contains("a document type is not allowed"));
    // None of these counts as a request of the operation but the two that were answered.
    assert_eq!(running.simulator.requests().retrieve, 2);
}

#[tokio::test]
async fn the_service_describes_itself_where_it_is_found_whatever_the_case_of_its_path() {
    let running = start(1).await;
    let path = "/CatalystWebService/CatalystCRMWebService.asmx";
    let ask = async |what: String| running.client.get(what).send().await.unwrap();
    let description = ask(format!("{}{path}?WSDL", running.base)).await.text().await.unwrap();
    assert_eq!(description.matches(&format!("location=\"{}\"", running.endpoint)).count(), 2);
    elements(&description).unwrap();
    assert_eq!(ask(running.endpoint.clone()).await.status(), 405);
    assert_eq!(ask(format!("{}/elsewhere", running.base)).await.status(), 404);
}
