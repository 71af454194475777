//! How staff and lead sources are matched, and how prospects find them.

use axum::http::StatusCode;
use futures::future::join_all;
use serde_json::{Value, json};
use tests::AssociationAnywhereFixture;

use crate::sender::{
    all_lead_sources, all_staff, customer, fetch, lead_source, prospect, provider_info, provider_info_of, push,
    referring, staff,
};

/// Owner and lead source of a prospect, and what it says matches nothing.
async fn lead_of(world: &AssociationAnywhereFixture, uuid: &str) -> (Value, Value, Value) {
    let mut stored = customer(world, uuid).await;
    (
        stored["owner_staff_id"].take(),
        stored["lead_source_id"].take(),
        stored["attributes"]["leadInfo#unmatched"].take(),
    )
}

#[tokio::test]
async fn staff_without_email() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let one = push(&world, "staff", staff("s-1", "Ann", "")).await.uuid();
    let other = push(&world, "staff", staff("s-2", "Bob", "")).await.uuid();
    assert_ne!(one, other, "without an e-mail address nobody matches");
    assert_eq!(all_staff(&world).await.len(), 2);
    let uuid = push(&world, "user", referring("r-1", "s-2", "")).await.uuid();
    assert_eq!(lead_of(&world, &uuid).await.0, json!(other), "the sender's own id still finds them");
}

#[tokio::test]
async fn two_staff_with_the_same_email() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let one = push(&world, "staff", staff("s-1", "Ann", "Front.Desk@club.example")).await.uuid();
    let in_other_club = staff("s-2", "Anne", " front.desk@CLUB.example ")
        .replace(&provider_info("s-2"), &provider_info_of("INTOUCH", "c-1", "k-2", "s-2"));
    assert_eq!(push(&world, "staff", in_other_club).await.uuid(), one, "the e-mail address says who somebody is");
    let [stored] = &all_staff(&world).await[..] else { panic!("one member of staff") };
    assert_eq!(stored["name"]["first"], json!("Anne"), "the last push says what is known");
    assert_eq!(stored["external_id"], json!("s-1"));
    let known_as: Vec<&Value> = stored["known_as"].as_array().unwrap().iter().map(|key| &key["record_id"]).collect();
    assert_eq!(known_as, ["s-1", "s-2"]);

    // Each record has its id for ever, also once the address is another.
    let moved = staff("s-2", "Anne", "anne@club.example")
        .replace(&provider_info("s-2"), &provider_info_of("INTOUCH", "c-1", "k-2", "s-2"));
    assert_eq!(push(&world, "staff", moved).await.uuid(), one);
    assert_eq!(push(&world, "staff", staff("s-1", "Ann", "anne@club.example")).await.uuid(), one);
    // The address that was given up is free.
    let third = push(&world, "staff", staff("s-3", "Cy", "front.desk@club.example")).await.uuid();
    assert_ne!(third, one);
}

#[tokio::test]
async fn staff_who_take_the_email_of_others_later_stay_themselves_and_it_finds_who_had_it_first() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let ann = push(&world, "staff", staff("s-1", "Ann", "ann@club.example")).await.uuid();
    let bob = push(&world, "staff", staff("s-2", "Bob", "bob@club.example")).await.uuid();
    assert_eq!(push(&world, "staff", staff("s-2", "Bob", "ann@club.example")).await.uuid(), bob);
    assert_eq!(all_staff(&world).await.len(), 2);
    let uuid = push(&world, "user", referring("r-1", "ANN@club.example", "")).await.uuid();
    assert_eq!(lead_of(&world, &uuid).await.0, json!(ann));
    let uuid = push(&world, "user", referring("r-2", "s-2", "")).await.uuid();
    assert_eq!(lead_of(&world, &uuid).await.0, json!(bob));
}

#[tokio::test]
async fn lead_source_facebook_against_facebook() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let one = push(&world, "leadsource", lead_source("l-1", "Facebook")).await.uuid();
    for (record_id, name) in [("l-2", "facebook"), ("l-3", "  FACEBOOK "), ("l-4", "\u{a0}facebooK\u{3000}")] {
        assert_eq!(push(&world, "leadsource", lead_source(record_id, name)).await.uuid(), one, "{name}");
    }
    assert_eq!(all_lead_sources(&world).await.len(), 1);
    let street = push(&world, "leadsource", lead_source("l-5", "Plakat Straße")).await.uuid();
    assert_eq!(push(&world, "leadsource", lead_source("l-6", "PLAKAT STRASSE")).await.uuid(), street);
    assert_eq!(all_lead_sources(&world).await.len(), 2);

    let uuid = push(&world, "user", referring("r-1", "", "faceBook")).await.uuid();
    assert_eq!(lead_of(&world, &uuid).await, (Value::Null, json!(one), Value::Null));
}

#[tokio::test]
async fn many_lead_sources_of_one_name_at_once_are_one() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let documents: Vec<String> = (0..8).map(|number| lead_source(&format!("l-{number}"), "Facebook")).collect();
    let answers = join_all(documents.iter().map(|document| push(&world, "leadsource", document.as_str()))).await;
    let uuid = answers[0].uuid();
    assert!(answers.iter().all(|answer| answer.uuid() == uuid));
    let [stored] = &all_lead_sources(&world).await[..] else { panic!("one lead source") };
    assert_eq!(stored["known_as"].as_array().unwrap().len(), 8, "{stored}");
}

#[tokio::test]
async fn a_prospect_that_names_an_unknown_owner() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let uuid = push(&world, "user", referring("r-1", "ann@club.example", "l-1")).await.uuid();
    assert_eq!(lead_of(&world, &uuid).await, (Value::Null, Value::Null, json!(["ownerID", "leadSourceID"])));
    let fetched = fetch(&world, "user", &format!("&uuid={uuid}")).await.text;
    assert!(fetched.contains("<ownerID>ann@club.example</ownerID><leadSourceID>l-1</leadSourceID>"), "{fetched}");

    let owner = push(&world, "staff", staff("s-1", "Ann", "Ann@Club.example")).await.uuid();
    assert_eq!(lead_of(&world, &uuid).await, (json!(owner), Value::Null, json!(["leadSourceID"])));
    let source = push(&world, "leadsource", lead_source("l-1", "Facebook")).await.uuid();
    assert_eq!(lead_of(&world, &uuid).await, (json!(owner), json!(source), Value::Null));
    let fetched = fetch(&world, "user", &format!("&uuid={uuid}")).await.text;
    let ids = format!("<ownerID>{owner}</ownerID><leadSourceID>{source}</leadSourceID>");
    assert!(fetched.contains(&ids), "{fetched}");
    assert_eq!(customer(&world, &uuid).await["revision"], 3);
    let attributes = customer(&world, &uuid).await["attributes"].take();
    assert_eq!(attributes["leadInfo"], json!({ "ownerID": "ann@club.example", "leadSourceID": "l-1" }));
}

#[tokio::test]
async fn a_reference_means_our_id_or_the_senders_or_what_is_matched() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let owner = push(&world, "staff", staff("s-1", "Ann", "ann@club.example")).await.uuid();
    let source = push(&world, "leadsource", lead_source("l-1", "Facebook")).await.uuid();
    let upper = owner.to_uppercase();
    for (number, (owner_id, source_id)) in
        [(owner.as_str(), source.as_str()), (&upper, "l-1"), ("s-1", "FACEBOOK"), ("ANN@club.example", " facebook ")]
            .into_iter()
            .enumerate()
    {
        let uuid = push(&world, "user", referring(&format!("r-{number}"), owner_id, source_id)).await.uuid();
        assert_eq!(lead_of(&world, &uuid).await, (json!(owner), json!(source), Value::Null), "{owner_id} {source_id}");
    }
}

#[tokio::test]
async fn whatever_the_reference_the_prospect_is_completed_when_it_arrives() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    // The id that the member of staff will get is known only from another world.
    let elsewhere = AssociationAnywhereFixture::with_connector(true).await;
    let future_id = push(&elsewhere, "staff", staff("s-1", "Ann", "ann@club.example")).await.uuid();
    let mut waiting = Vec::new();
    for (number, reference) in [future_id.as_str(), "s-1", "Ann@club.example"].into_iter().enumerate() {
        waiting.push(push(&world, "user", referring(&format!("r-{number}"), reference, "")).await.uuid());
    }
    let owner = push(&world, "staff", staff("s-1", "Ann", "ann@club.example")).await.uuid();
    for uuid in waiting {
        assert_eq!(lead_of(&world, &uuid).await, (json!(owner), Value::Null, Value::Null));
    }
}

#[tokio::test]
async fn hundreds_of_prospects_are_completed_by_one_member_of_staff() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let documents: Vec<String> =
        (0..250).map(|number| referring(&format!("r-{number}"), "ann@club.example", "")).collect();
    let uuids: Vec<String> = join_all(documents.iter().map(|document| push(&world, "user", document.as_str())))
        .await
        .iter()
        .map(|answer| answer.uuid())
        .collect();
    let owner = push(&world, "staff", staff("s-1", "Ann", "ann@club.example")).await.uuid();
    for uuid in uuids {
        assert_eq!(lead_of(&world, &uuid).await.0, json!(owner));
    }
    let reads = world.database.operations("GetItem");
    push(&world, "staff", staff("s-1", "Ann", "ann@club.example")).await.uuid();
    assert!(world.database.operations("GetItem") < reads + 10, "nobody waits any more");
}

#[tokio::test]
async fn prospects_and_their_owner_who_arrive_at_once_find_each_other() {
    for round in 0..20 {
        let world = AssociationAnywhereFixture::with_connector(true).await;
        let documents: Vec<String> =
            (0..4).map(|number| referring(&format!("r-{number}"), "ann@club.example", "facebook")).collect();
        let (users, owner, source) = futures::join!(
            join_all(documents.iter().map(|document| push(&world, "user", document.as_str()))),
            push(&world, "staff", staff("s-1", "Ann", "ann@club.example")),
            push(&world, "leadsource", lead_source("l-1", "Facebook")),
        );
        for answer in users {
            let lead = lead_of(&world, &answer.uuid()).await;
            assert_eq!(lead, (json!(owner.uuid()), json!(source.uuid()), Value::Null), "round {round}");
        }
    }
}

#[tokio::test]
async fn a_prospect_that_no_longer_names_somebody_is_not_given_to_them() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let uuid = push(&world, "user", referring("r-1", "ann@club.example", "")).await.uuid();
    push(&world, "user", referring("r-1", "bob@club.example", "")).await.uuid();
    push(&world, "staff", staff("s-1", "Ann", "ann@club.example")).await.uuid();
    assert_eq!(lead_of(&world, &uuid).await, (Value::Null, Value::Null, json!(["ownerID"])));
    let bob = push(&world, "staff", staff("s-2", "Bob", "bob@club.example")).await.uuid();
    assert_eq!(lead_of(&world, &uuid).await, (json!(bob), Value::Null, Value::Null));
}

#[tokio::test]
async fn what_a_prospect_waits_for_is_kept_by_a_push_that_says_nothing_of_it() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let uuid = push(&world, "user", referring("r-1", "ann@club.example", "")).await.uuid();
    push(&world, "user", prospect("r-1")).await.uuid();
    assert_eq!(lead_of(&world, &uuid).await, (Value::Null, Value::Null, json!(["ownerID"])));
    let owner = push(&world, "staff", staff("s-1", "Ann", "ann@club.example")).await.uuid();
    assert_eq!(lead_of(&world, &uuid).await, (json!(owner), Value::Null, Value::Null));
}

#[tokio::test]
async fn staff_are_created_only_as_the_connection_allows() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let ann = push(&world, "staff", staff("s-1", "Ann", "ann@club.example")).await.uuid();
    let connection = world.connections().of_kind("connector").await.unwrap().remove(0);
    let document = connection.document.replace("\"create_staff\":true", "\"create_staff\":false");
    world.connections().put(&store::Registration { document, ..connection }).await.unwrap();
    world.clock.advance(std::time::Duration::from_secs(61));

    let refused = push(&world, "staff", staff("s-2", "Bob", "bob@club.example")).await;
    let message = refused.error(StatusCode::FORBIDDEN, "VALIDATION");
    assert_eq!(message, "`userInfo/email` matches no member of staff, and this connection lets no push create one");
    push(&world, "staff", staff("s-3", "Cy", "")).await.error(StatusCode::FORBIDDEN, "VALIDATION");
    assert_eq!(all_staff(&world).await.len(), 1);
    // Existing staff can be changed, under the same id and, by e-mail address, under another.
    assert_eq!(push(&world, "staff", staff("s-1", "Anna", "ann@club.example")).await.uuid(), ann);
    assert_eq!(push(&world, "staff", staff("s-4", "Annie", "ANN@club.example")).await.uuid(), ann);
    assert_eq!(all_staff(&world).await[0]["name"]["first"], json!("Annie"));
    // A prospect of an owner that can't be created is taken all the same.
    let uuid = push(&world, "user", referring("r-1", "bob@club.example", "")).await.uuid();
    assert_eq!(lead_of(&world, &uuid).await, (Value::Null, Value::Null, json!(["ownerID"])));
}
