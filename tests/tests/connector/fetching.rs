//! Fetching and listing, by the sender and by readers.

use axum::http::StatusCode;
use serde_json::json;
use tests::{AssociationAnywhereFixture, TOKEN};

use crate::sender::{
    Answer, authorized, fetch, lead_source, path, prospect, provider_info, provider_info_of, push, read, send, staff,
    user,
};

/// The ids in a list, and the cursor to go on with.
fn listed(answer: &Answer) -> (Vec<String>, Option<String>) {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let ids = answer.text.split("<uuid>").skip(1).map(|rest| rest.split_once('<').unwrap().0.to_owned()).collect();
    let cursor = answer.text.split_once("cursor=\"").map(|(_, rest)| rest.split_once('"').unwrap().0.to_owned());
    (ids, cursor)
}

#[tokio::test]
async fn a_record_is_fetched_by_our_id_or_the_senders_whatever_the_parameter_is_called() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    for (resource, document) in [
        ("user", prospect("r-1")),
        ("staff", staff("r-1", "Ann", "ann@club.example")),
        ("leadsource", lead_source("r-1", "Facebook")),
    ] {
        let uuid = push(&world, resource, document).await.uuid();
        let by_uuid = fetch(&world, resource, &format!("&uuid={uuid}")).await;
        assert!(by_uuid.text.contains(&format!("<uuid>{uuid}</uuid>{}", provider_info("r-1"))), "{}", by_uuid.text);
        for query in [
            format!("&recordID={uuid}"),
            format!("&uuid={}", uuid.to_uppercase()),
            "&recordID=r-1".to_owned(),
            "&uuid=r-1".to_owned(),
            "&recordId=r-1".to_owned(),
            "&identifier=r-1".to_owned(),
        ] {
            assert_eq!(fetch(&world, resource, &query).await.text, by_uuid.text, "{query}");
        }
        for query in ["&uuid=r-2", "&uuid=00000000-0000-8000-8000-000000000000", "&recordID=%F0%9F%98%80"] {
            let message = fetch(&world, resource, query).await.error(StatusCode::NOT_FOUND, "VALIDATION");
            assert_eq!(message, "there is no such record");
        }
    }
}

#[tokio::test]
async fn a_record_of_another_club_is_not_found_in_this_one() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    for (resource, document) in [
        ("user", prospect("r-1")),
        ("staff", staff("r-1", "Ann", "ann@club.example")),
        ("leadsource", lead_source("r-1", "Facebook")),
    ] {
        let info = provider_info_of("INTOUCH", "c-1", "k-2", "r-1");
        let uuid = push(&world, resource, document.replace(&provider_info("r-1"), &info)).await.uuid();
        for query in [format!("&uuid={uuid}"), "&recordID=r-1".to_owned()] {
            fetch(&world, resource, &query).await.error(StatusCode::NOT_FOUND, "VALIDATION");
        }
        assert_eq!(listed(&fetch(&world, resource, "").await), (vec![], None));
        let of_club_2 = format!("{}?provider=INTOUCH&client_id=c-1&club_id=k-2", path(resource));
        let list = send(&world, "GET", &of_club_2, Some(&authorized()), Vec::new()).await;
        assert_eq!(listed(&list), (vec![uuid], None));
    }
}

#[tokio::test]
async fn users_are_listed_page_by_page_each_once() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let mut expected = Vec::new();
    for number in 0..450 {
        expected.push(push(&world, "user", prospect(&format!("r-{number}"))).await.uuid());
    }
    let (mut ids, mut cursor) = listed(&fetch(&world, "user", "").await);
    let mut pages = 1;
    while let Some(next) = cursor {
        let (more, next) = listed(&fetch(&world, "user", &format!("&cursor={next}")).await);
        ids.extend(more);
        cursor = next;
        pages += 1;
    }
    ids.sort();
    expected.sort();
    assert_eq!((ids, pages), (expected, 3));
}

#[tokio::test]
async fn readers_see_staff_and_lead_sources_page_by_page() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    for number in 0..7 {
        let email = format!("staff-{number}@club.example");
        push(&world, "staff", staff(&format!("s-{number}"), "Ann", &email)).await.uuid();
        push(&world, "leadsource", lead_source(&format!("l-{number}"), &format!("Source {number}"))).await.uuid();
    }
    for (path, list) in [("/v1/staff", "staff"), ("/v1/lead-sources", "lead_sources")] {
        let mut ids = Vec::new();
        let mut query = format!("{path}?connection=intouch&limit=3");
        loop {
            let page = read(&world, &query).await;
            ids.extend(page[list].as_array().unwrap().iter().map(|record| record["id"].as_str().unwrap().to_owned()));
            assert_eq!(page["more"], json!(page["cursor"].is_string()));
            match page["cursor"].as_str() {
                Some(cursor) => query = format!("{path}?connection=intouch&limit=3&cursor={cursor}"),
                None => break,
            }
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 7, "{path}");
        assert_eq!(read(&world, &format!("{path}?connection=aa")).await[list], json!([]), "aa has none");
        for (query, status) in [
            ("", StatusCode::BAD_REQUEST),
            ("?connection=intouch&limit=0", StatusCode::BAD_REQUEST),
            ("?connection=intouch&cursor=nonsense", StatusCode::BAD_REQUEST),
            ("?connection=intouch&tenant=other", StatusCode::BAD_REQUEST),
            ("?connection=nope", StatusCode::NOT_FOUND),
            ("?connection=reader/1", StatusCode::NOT_FOUND),
        ] {
            assert_eq!(world.api("GET", &format!("{path}{query}"), Some(TOKEN), "").await.0, status, "{query}");
        }
        let (status, _) = world.api("GET", &format!("{path}?connection=intouch"), None, "").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_reader_sees_every_field_of_staff_and_lead_sources_and_another_tenant_none() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let token = world.secret("other-reader.json", &json!({ "token": "other-token" }));
    let credentials = world.secret("theirs.json", &json!({ "token": "other-connector" }));
    world
        .configure(&format!(
            "[[connection]]\nid = 'theirs'\ntenant = 'other'\nkind = 'connector'\nclient_id = 'c-1'\nclub_ids = ['k-1']\n\
             providers = ['INTOUCH']\ncredentials = '{credentials}'\n[[reader]]\ntenant = 'other'\ntoken = '{token}'\n"
        ))
        .await;
    let ann = push(&world, "staff", staff("s-1", "Ann", "ann@club.example")).await.uuid();
    let source = push(&world, "leadsource", lead_source("l-1", "Facebook")).await.uuid();
    let known_as = |record_id: &str| json!([{ "identifier": "INTOUCH", "client_id": "c-1", "club_id": "k-1", "record_id": record_id }]);
    let at = "2026-01-01T00:00:00.000Z";
    assert_eq!(
        read(&world, "/v1/staff?connection=intouch").await,
        json!({ "staff": [{
            "id": ann, "tenant": "acme", "connection": "intouch", "external_id": "s-1", "known_as": known_as("s-1"),
            "status": "active", "name": { "display": "Ann Staff", "first": "Ann", "last": "Staff" },
            "emails": [{ "address": "ann@club.example", "type": null, "primary": true, "bad": false }],
            "phones": [], "addresses": [], "birth_date": null, "gender": null, "organization": null, "attributes": {},
            "first_seen_at": at, "changed_at": at, "revision": 1,
        }], "cursor": null, "more": false, "fresh_as_of": { "intouch": at } })
    );
    assert_eq!(
        read(&world, "/v1/lead-sources?connection=intouch").await,
        json!({ "lead_sources": [{
            "id": source, "tenant": "acme", "connection": "intouch", "external_id": "l-1", "known_as": known_as("l-1"),
            "name": "Facebook", "active": true, "attributes": {},
            "first_seen_at": at, "changed_at": at, "revision": 1,
        }], "cursor": null, "more": false, "fresh_as_of": { "intouch": at } })
    );
    for path in ["/v1/staff", "/v1/lead-sources"] {
        for (connection, status) in [("intouch", StatusCode::NOT_FOUND), ("theirs", StatusCode::OK)] {
            let path = format!("{path}?connection={connection}");
            let (answered, list) = world.api("GET", &path, Some("other-token"), "").await;
            assert_eq!(answered, status, "{path}: {list}");
            assert!(!list.to_string().contains(&ann) && !list.to_string().contains(&source), "{path}: {list}");
        }
    }
}

/// What Lambda answers at most, with room for what stands around it.
const LARGEST_ANSWER: usize = 5_000_000;

/// Every page of a list, from the first.
async fn pages(world: &AssociationAnywhereFixture, resource: &str) -> Vec<Answer> {
    let mut pages = vec![fetch(world, resource, "").await];
    while let (_, Some(cursor)) = listed(&pages[pages.len() - 1]) {
        pages.push(fetch(world, resource, &format!("&cursor={cursor}")).await);
    }
    pages
}

/// Invariant 1: a list that no answer can hold ends before it is too large, and continues from there.
#[tokio::test]
async fn lists_of_large_records_end_before_an_answer_is_too_large_and_go_on() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    // An ampersand takes five characters in the document.
    let large = "&amp;".repeat(200_000);
    let mut expected = [Vec::new(), Vec::new(), Vec::new()];
    for number in 0..10 {
        let name = format!("{number} {large}");
        let document = user(&format!("r-{number}"), "PROSPECT", &format!("<company>{name}</company>"), "");
        expected[0].push(push(&world, "user", document).await.uuid());
        let document = staff(&format!("s-{number}"), "Ann", &format!("staff-{number}@club.example"));
        let document = document.replace("<email>", &format!("<company>{name}</company><email>"));
        expected[1].push(push(&world, "staff", document).await.uuid());
        expected[2].push(push(&world, "leadsource", lead_source(&format!("l-{number}"), &name)).await.uuid());
        // And small ones between them.
        expected[0].push(push(&world, "user", prospect(&format!("small-{number}"))).await.uuid());
    }
    for (resource, mut expected) in ["user", "staff", "leadsource"].into_iter().zip(expected) {
        let pages = pages(&world, resource).await;
        assert!(pages.iter().all(|page| page.text.len() < LARGEST_ANSWER), "{resource}");
        let mut ids: Vec<String> = pages.iter().flat_map(|page| listed(page).0).collect();
        ids.sort();
        expected.sort();
        assert_eq!(ids, expected, "{resource}");
        assert!((3..=5).contains(&pages.len()), "{resource}: {} pages", pages.len());
    }
}

/// Invariant 1: a record that is larger than a page is a page.
#[tokio::test]
async fn a_record_as_large_as_can_be_is_listed_and_fetched() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let large = "&amp;".repeat(190_000);
    let company = format!("<company>{large}</company><address1>{large}</address1>");
    let uuid = push(&world, "user", user("r-1", "PROSPECT", &company, "")).await;
    // Two of these are more than a pushed document may have.
    assert_eq!(uuid.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", uuid.text);
    let large = "\"".repeat(190_000);
    let uuid = push(&world, "user", user("r-1", "PROSPECT", &format!("<company>{large}</company>"), "")).await.uuid();
    assert!(fetch(&world, "user", &format!("&uuid={uuid}")).await.text.len() > 1_000_000);
    assert_eq!(listed(&fetch(&world, "user", "").await), (vec![uuid], None));
}

/// The store is read in pages: whatever the size of a list, only so much of it is in memory.
#[tokio::test]
async fn a_list_reads_no_more_of_the_store_than_it_answers() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let note = format!("<note>{}</note>", "x".repeat(300_000));
    for number in 0..30 {
        let document = staff(&format!("s-{number}"), "Ann", &format!("staff-{number}@club.example"));
        push(&world, "staff", document.replace("<email>", &format!("{note}<email>"))).await.uuid();
    }
    let staff = world.tables().reference::<model::Staff>();
    let (records, more) = staff.list(&model::ConnectionKey::new("acme", "intouch"), None, 500).await.unwrap();
    assert!(more && (5..=12).contains(&records.len()), "{}", records.len());
    // What is not shown in a list is no reason to end a page.
    assert_eq!(listed(&fetch(&world, "staff", "").await).0.len(), 30);
}

#[tokio::test]
async fn no_answer_is_kept_on_its_way_or_taken_for_a_page() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let answers = [
        push(&world, "user", prospect("r-1")).await,
        push(&world, "user", "<user/>").await,
        fetch(&world, "user", "").await,
        fetch(&world, "staff", "&uuid=1").await,
        send(&world, "GET", &path("leadsource"), None, Vec::new()).await,
    ];
    for answer in answers {
        assert_eq!(answer.headers["cache-control"], "no-store", "{}", answer.text);
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{}", answer.text);
    }
}

#[tokio::test]
async fn what_was_pushed_keeps_its_json() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    push(&world, "staff", staff("r-1", "Ann", "ann@club.example")).await;
    push(&world, "leadsource", lead_source("r-1", "Facebook")).await;
    let uuid = push(&world, "user", prospect("r-1")).await.uuid();
    insta::assert_json_snapshot!("pushed-customer", read(&world, &format!("/v1/customers/intouch~{uuid}")).await);
    insta::assert_json_snapshot!("staff", read(&world, "/v1/staff?connection=intouch").await);
    insta::assert_json_snapshot!("lead-sources", read(&world, "/v1/lead-sources?connection=intouch").await);
}
