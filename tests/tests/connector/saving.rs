//! What becomes of what is pushed.

use std::time::Duration;

use axum::http::StatusCode;
use futures::future::join_all;
use operations::status::Condition;
use serde_json::json;
use tests::{AssociationAnywhereFixture, TOKEN};

use crate::sender::{
    all_staff, authorized, customer, customers, path, prospect, provider_info, provider_info_of, push, read, send,
    staff, user,
};

#[tokio::test]
async fn the_same_push_ten_times_at_once_makes_one_record() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let pushes = join_all((0..10).map(|_| push(&world, "user", prospect("r-1")))).await;
    let uuids: Vec<String> = pushes.iter().map(|answer| answer.uuid()).collect();
    assert!(uuids.iter().all(|uuid| *uuid == uuids[0]), "{uuids:?}");
    let [stored] = &customers(&world).await[..] else { panic!("one customer") };
    assert_eq!((&stored["source_id"], &stored["revision"]), (&json!(uuids[0]), &json!(1)), "written once");

    let pushes = join_all((0..10).map(|_| push(&world, "staff", staff("s-1", "Ann", "ann@club.example")))).await;
    let uuids: Vec<String> = pushes.iter().map(|answer| answer.uuid()).collect();
    assert!(uuids.iter().all(|uuid| *uuid == uuids[0]), "{uuids:?}");
    let [stored] = &all_staff(&world).await[..] else { panic!("one member of staff") };
    assert_eq!((&stored["id"], &stored["revision"]), (&json!(uuids[0]), &json!(1)), "written once");
}

#[tokio::test]
async fn different_pushes_of_one_record_at_once_all_come_to_an_end_and_one_of_them_stands() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let documents: Vec<String> =
        (0..20).map(|number| user("r-1", "PROSPECT", &format!("<city>City {number}</city>"), "")).collect();
    let answers = join_all(documents.iter().map(|document| push(&world, "user", document.as_str()))).await;
    let uuid = answers[0].uuid();
    assert!(answers.iter().all(|answer| answer.uuid() == uuid));
    let stored = customer(&world, &uuid).await;
    assert_eq!(stored["revision"], 20, "each was written, one after the other");
    assert!(stored["addresses"][0]["city"].as_str().unwrap().starts_with("City "), "{stored}");
}

#[tokio::test]
async fn prospect_to_member() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let owner = push(&world, "staff", staff("s-1", "Ann", "ann@club.example")).await.uuid();
    let lead = "<leadInfo><trialStartDate>2026-01-02</trialStartDate><ownerID>s-1</ownerID></leadInfo>";
    let uuid = push(&world, "user", user("r-1", "PROSPECT", "", lead)).await.uuid();
    let before = customer(&world, &uuid).await;
    world.clock.advance(Duration::from_secs(86_400));
    assert_eq!(push(&world, "user", user("r-1", "MEMBER", "<gender>M</gender>", "")).await.uuid(), uuid);
    let after = customer(&world, &uuid).await;
    assert_eq!((&before["stage"], &after["stage"]), (&json!("prospect"), &json!("member")));
    assert_eq!((&after["revision"], &after["gender"]), (&json!(2), &json!("M")));
    assert_eq!(after["first_seen_at"], before["first_seen_at"]);
    assert!(after["version"].as_str() > before["version"].as_str());
    assert_eq!(after["owner_staff_id"], json!(owner), "a member keeps who looked after the prospect");
    assert_eq!(after["attributes"]["leadInfo"], before["attributes"]["leadInfo"]);
    assert_eq!(customers(&world).await.len(), 1);
}

#[tokio::test]
async fn a_push_says_everything_of_a_user_but_what_only_prospects_have() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let lead = "<leadInfo><trialStartDate>2026-01-02</trialStartDate></leadInfo>";
    let uuid = push(&world, "user", user("r-1", "PROSPECT", "<city>Anytown</city>", lead)).await.uuid();
    push(&world, "user", prospect("r-1")).await.uuid();
    let stored = customer(&world, &uuid).await;
    assert_eq!(stored["addresses"], json!([]), "a city that is no longer said is gone");
    assert_eq!(stored["attributes"]["leadInfo"], json!({ "trialStartDate": "2026-01-02" }));
    push(&world, "user", user("r-1", "PROSPECT", "", "<leadInfo/>")).await.uuid();
    assert_eq!(customer(&world, &uuid).await["attributes"]["leadInfo"], json!(null), "until it is said to be gone");
}

#[tokio::test]
async fn a_record_is_told_apart_by_sender_club_and_record_id() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let mut uuids = Vec::new();
    for (identifier, club, record_id) in
        [("INTOUCH", "k-1", "r-1"), ("INTOUCH", "k-1", "r-2"), ("INTOUCH", "k-2", "r-1"), ("PROVIDER_ID", "k-1", "r-1")]
    {
        let info = provider_info_of(identifier, "c-1", club, record_id);
        let document = prospect("r-1").replace(&provider_info("r-1"), &info);
        uuids.push(push(&world, "user", document).await.uuid());
    }
    uuids.sort();
    uuids.dedup();
    assert_eq!((uuids.len(), customers(&world).await.len()), (4, 4));
}

#[tokio::test]
async fn any_text_is_a_record_id() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let ids =
        ["1", " 1 ", "R/1~x", "明 O'Brien &amp; Sons", "9d4c9e3a-6d2c-4f7e-8d53-0d2cf1f0a001", &"x".repeat(5_000)];
    let mut uuids = Vec::new();
    for id in ids {
        uuids.push(push(&world, "user", prospect(id)).await.uuid());
    }
    assert_eq!(uuids[0], uuids[1], "blanks around it are none of it");
    let stored = customer(&world, &uuids[3]).await;
    assert_eq!(stored["external_id"], json!("明 O'Brien & Sons"));
    assert_eq!(customers(&world).await.len(), 5);
}

#[tokio::test]
async fn an_unchanged_push_costs_reads_and_never_a_write() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let staff = staff("s-1", "Ann", "ann@club.example");
    push(&world, "staff", staff.clone()).await.uuid();
    push(&world, "user", prospect("r-1")).await.uuid();
    let puts = world.database.operations("PutItem");
    push(&world, "user", prospect("r-1")).await.uuid();
    push(&world, "staff", staff).await.uuid();
    assert_eq!(world.database.operations("PutItem"), puts);
}

#[tokio::test]
async fn what_was_answered_is_readable_at_once_everywhere() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    for number in 0..20 {
        let uuid = push(&world, "user", prospect(&format!("r-{number}"))).await.uuid();
        customer(&world, &uuid).await;
        let body = json!({ "ids": [format!("intouch~{uuid}")] }).to_string();
        let (_, answer) = world.api("POST", "/v1/customers/batch-get", Some(TOKEN), &body).await;
        assert_eq!(answer["missing"], json!([]));
        assert_eq!(customers(&world).await.len(), number + 1);
    }
}

#[tokio::test]
async fn a_document_may_come_in_utf_16_or_iso_8859_1_by_its_declaration() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let document = |encoding: &str| {
        let user = user("r-1", "PROSPECT", "<city>Zürich</city>", "").replace("Foo", "Zoë");
        format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>{user}")
    };
    let latin: Vec<u8> =
        document("ISO-8859-1").chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect();
    let utf_16 = |bytes: fn(u16) -> [u8; 2]| {
        let text = format!("\u{feff}{}", document("UTF-16"));
        text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()
    };
    let documents = [document("UTF-8").into_bytes(), latin, utf_16(u16::to_le_bytes), utf_16(u16::to_be_bytes)];
    for (number, bytes) in documents.into_iter().enumerate() {
        let uuid = push(&world, "user", bytes).await.uuid();
        let stored = customer(&world, &uuid).await;
        assert_eq!(stored["name"]["first"], json!("Zoë"), "{number}");
        assert_eq!(stored["addresses"][0]["city"], json!("Zürich"), "{number}");
        assert_eq!(stored["revision"], 1, "{number}: the same in every encoding");
    }
}

#[tokio::test]
async fn a_connection_that_is_pushed_to_is_in_sync_without_ever_being_polled() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    push(&world, "user", prospect("r-1")).await.uuid();
    world.run_for(3).await;
    let connections = read(&world, "/v1/connections").await;
    let [_, intouch] = &connections["connections"].as_array().unwrap()[..] else { panic!("{connections}") };
    assert_eq!((&intouch["id"], &intouch["kind"]), (&json!("intouch"), &json!("connector")));
    assert_eq!(intouch["condition"], serde_json::to_value(Condition::InSync).unwrap());
    assert_eq!((&intouch["freshness_seconds"], &intouch["error"]), (&json!(0), &json!(null)));
    assert_eq!(intouch["counts"]["fetched"], 0, "pushes are counted by the metrics");
}

#[tokio::test]
async fn a_bearer_token_does_as_well_as_a_password() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let credentials = world.secret("other.json", &json!({ "token": "connector-token" }));
    world
        .configure(&format!(
            "[[connection]]\nid = 'other'\ntenant = 'acme'\nkind = 'connector'\nclient_id = 'c-2'\nclub_ids = ['k-9']\n\
             providers = ['INTOUCH']\ncredentials = '{credentials}'\n"
        ))
        .await;
    let document = prospect("r-1").replace("c-1", "c-2").replace("k-1", "k-9");
    for authorization in ["Bearer connector-token", "bearer connector-token"] {
        let answer = send(&world, "POST", &path("user"), Some(authorization), document.clone().into_bytes()).await;
        let uuid = answer.uuid();
        read(&world, &format!("/v1/customers/other~{uuid}")).await;
    }
    let answer = send(&world, "POST", &path("user"), Some(&authorized()), document.into_bytes()).await;
    answer.error(StatusCode::FORBIDDEN, "VALIDATION");
}
