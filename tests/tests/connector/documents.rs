//! The documents that the source's guides show, byte for byte.

use serde_json::json;
use tests::AssociationAnywhereFixture;

use crate::sender::{all_lead_sources, customer, fetch, provider_info, push, send};
use crate::sender::{authorized, path};

/// The request to save a user, as the source's guide shows it: the mandatory elements alone.
const SAVE_USER: &str = "<user><providerInfo><identifier>PROVIDER_ID</identifier><clientID>c-1</clientID><clubID>k-1</clubID><recordID>r-1</recordID></providerInfo>
  <userInfo><firstname>Foo</firstname><lastname>Bar</lastname><userStatus>ACTIVE</userStatus><userType>PROSPECT</userType></userInfo></user>";

/// The request to save a lead source, likewise.
const SAVE_LEAD_SOURCE: &str = "<leadSource> <providerInfo> <identifier>PROVIDER_ID</identifier> \
    <clientID>c-1</clientID> <clubID>k-1</clubID> <recordID>9d4c9e3a-6d2c-4f7e-8d53-0d2cf1f0a001</recordID> \
    </providerInfo> <leadInfo> <name>Facebook</name> <active>true</active> </leadInfo> </leadSource>";

#[tokio::test]
async fn a_user_is_saved_as_the_guide_shows_it() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let answer = push(&world, "user", SAVE_USER).await;
    let uuid = answer.uuid();
    assert_eq!(
        answer.text,
        format!("<response xmlns=\"http://www.intouchfollowup.com/api/2011-11\"><uuid>{uuid}</uuid></response>")
    );
    let stored = customer(&world, &uuid).await;
    for (key, value) in [
        ("source_id", json!(uuid)),
        ("external_id", json!("r-1")),
        ("type", json!("person")),
        ("status", json!("active")),
        ("stage", json!("prospect")),
        ("name", json!({ "display": "Foo Bar", "first": "Foo", "last": "Bar" })),
        ("attributes", json!({ "providerInfo": { "identifier": "PROVIDER_ID", "clientID": "c-1", "clubID": "k-1" } })),
    ] {
        assert_eq!(stored[key], value, "{key}");
    }
}

#[tokio::test]
async fn a_lead_source_is_saved_as_the_guide_shows_it() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let uuid = push(&world, "leadsource", SAVE_LEAD_SOURCE).await.uuid();
    let [stored] = &all_lead_sources(&world).await[..] else { panic!("one lead source") };
    assert_eq!((&stored["id"], &stored["name"], &stored["active"]), (&json!(uuid), &json!("Facebook"), &json!(true)));
    assert_eq!(stored["external_id"], json!("9d4c9e3a-6d2c-4f7e-8d53-0d2cf1f0a001"));
}

/// A user with every element that the guide lists.
fn everything() -> String {
    format!(
        "<user>{}<userInfo><firstname>Zoë</firstname><lastname>O&apos;Brien &amp; Sons</lastname>\
         <birthdate>1980-02-29</birthdate><gender>F</gender><userStatus>INACTIVE</userStatus><userType>MEMBER</userType>\
         <address1>1 Main St</address1><address2>Floor 2</address2><city>Anytown</city><zipcode>22000</zipcode>\
         <state>VA</state><country>US</country><mobile>555-0100</mobile><email>zoe@example.org</email>\
         <homePhone>555-0101</homePhone><workPhone>555-0102</workPhone><company>Acme</company></userInfo>\
         <leadInfo><trialStartDate>2026-01-02</trialStartDate><trialEndDate>2026-01-09</trialEndDate></leadInfo></user>",
        provider_info("r-9")
    )
}

#[tokio::test]
async fn a_user_is_fetched_with_every_element_in_the_guides_order() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let uuid = push(&world, "user", everything()).await.uuid();
    let answer = fetch(&world, "user", &format!("&uuid={uuid}")).await;
    assert_eq!(answer.headers["content-type"], "application/xml; charset=utf-8");
    assert_eq!(
        answer.text,
        format!(
            "<user xmlns=\"http://www.intouchfollowup.com/api/2011-11\"><uuid>{uuid}</uuid>{}<userInfo>\
             <firstname>Zoë</firstname><lastname>O&apos;Brien &amp; Sons</lastname><birthdate>1980-02-29</birthdate>\
             <gender>F</gender><userStatus>INACTIVE</userStatus><userType>MEMBER</userType><address1>1 Main St</address1>\
             <address2>Floor 2</address2><city>Anytown</city><zipcode>22000</zipcode><state>VA</state><country>US</country>\
             <mobile>555-0100</mobile><email>zoe@example.org</email><homePhone>555-0101</homePhone>\
             <workPhone>555-0102</workPhone><company>Acme</company><createdBy>INTOUCH</createdBy>\
             <createdDate>2026-01-01T00:00:00.000Z</createdDate><modifiedBy>INTOUCH</modifiedBy>\
             <modifiedDate>2026-01-01T00:00:00.000Z</modifiedDate></userInfo><leadInfo>\
             <trialStartDate>2026-01-02</trialStartDate><trialEndDate>2026-01-09</trialEndDate></leadInfo></user>",
            provider_info("r-9")
        )
    );
}

#[tokio::test]
async fn what_was_fetched_can_be_pushed_again_and_changes_nothing() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let uuid = push(&world, "user", everything()).await.uuid();
    let query = format!("&uuid={uuid}");
    let fetched = fetch(&world, "user", &query).await.text;
    let (begin, rest) = fetched.split_once("<createdBy>").unwrap();
    let (_, end) = rest.split_once("</modifiedDate>").unwrap();
    assert_eq!(push(&world, "user", format!("{begin}{end}")).await.uuid(), uuid);
    assert_eq!(fetch(&world, "user", &query).await.text, fetched);
    assert_eq!(customer(&world, &uuid).await["revision"], 1);
}

#[tokio::test]
async fn every_element_has_its_field() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let uuid = push(&world, "user", everything()).await.uuid();
    let stored = customer(&world, &uuid).await;
    for (key, value) in [
        ("status", json!("inactive")),
        ("stage", json!("member")),
        ("name", json!({ "display": "Zoë O'Brien & Sons", "first": "Zoë", "last": "O'Brien & Sons" })),
        ("emails", json!([{ "address": "zoe@example.org", "type": null, "primary": true, "bad": false }])),
        (
            "phones",
            json!([
                { "number": "555-0100", "type": "mobile", "primary": true },
                { "number": "555-0101", "type": "homePhone", "primary": false },
                { "number": "555-0102", "type": "workPhone", "primary": false },
            ]),
        ),
        (
            "addresses",
            json!([{
                "lines": ["1 Main St", "Floor 2"], "city": "Anytown", "region": "VA", "postal_code": "22000",
                "country": "US", "type": null, "primary": true,
            }]),
        ),
        ("birth_date", json!("1980-02-29")),
        ("gender", json!("F")),
        ("organization", json!("Acme")),
        (
            "attributes",
            json!({
                "leadInfo": { "trialStartDate": "2026-01-02", "trialEndDate": "2026-01-09" },
                "providerInfo": { "identifier": "INTOUCH", "clientID": "c-1", "clubID": "k-1" },
            }),
        ),
    ] {
        assert_eq!(stored[key], value, "{key}");
    }
}

#[tokio::test]
async fn a_request_may_carry_the_namespace_with_a_prefix_or_without() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let plain = push(&world, "user", SAVE_USER).await.uuid();
    let namespace = "http://www.intouchfollowup.com/api/2011-11";
    let with_default = SAVE_USER.replacen("<user>", &format!("<user xmlns=\"{namespace}\">"), 1);
    let with_prefix = SAVE_USER.replace("</", "</in:").replace('<', "<in:").replace("<in:/in:", "</in:").replacen(
        "<in:user>",
        &format!("<in:user xmlns:in=\"{namespace}\">"),
        1,
    );
    for document in [with_default, with_prefix] {
        assert_eq!(push(&world, "user", document.clone()).await.uuid(), plain, "{document}");
    }
    assert_eq!(customer(&world, &plain).await["revision"], 1, "it is the same to us");
}

#[tokio::test]
async fn what_is_not_known_is_kept_by_its_own_name() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let document = format!(
        "<user version='7'>{}<userInfo><firstname>Foo</firstname><lastname>Bar</lastname>\
         <userStatus>ACTIVE</userStatus><userType>PROSPECT</userType><nickname lang='fr'>Foufou</nickname>\
         <company>Acme</company><company>Other</company></userInfo>\
         <leadInfo><score>7</score></leadInfo><consents><consent>email</consent><consent>sms</consent></consents></user>",
        provider_info("r-1").replace("</providerInfo>", "<region>EU</region></providerInfo>")
    );
    let uuid = push(&world, "user", document).await.uuid();
    let stored = customer(&world, &uuid).await;
    assert_eq!(stored["organization"], json!("Acme"));
    assert_eq!(
        stored["attributes"],
        json!({
            "@version": "7",
            "consents": ["email", "sms"],
            "leadInfo": { "score": "7" },
            "providerInfo": { "identifier": "INTOUCH", "clientID": "c-1", "clubID": "k-1", "region": "EU" },
            "userInfo": { "nickname": { "@lang": "fr", "#text": "Foufou" }, "company": "Other" },
        })
    );
}

#[tokio::test]
async fn a_lead_source_is_fetched_by_provider_and_identifier_and_listed_by_club() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let uuid = push(&world, "leadsource", SAVE_LEAD_SOURCE).await.uuid();
    let content = format!(
        "<uuid>{uuid}</uuid><providerInfo><identifier>PROVIDER_ID</identifier><clientID>c-1</clientID>\
         <clubID>k-1</clubID><recordID>9d4c9e3a-6d2c-4f7e-8d53-0d2cf1f0a001</recordID></providerInfo>\
         <leadInfo><name>Facebook</name><active>true</active></leadInfo>"
    );
    let namespace = "xmlns=\"http://www.intouchfollowup.com/api/2011-11\"";
    for identifier in [uuid.as_str(), "9d4c9e3a-6d2c-4f7e-8d53-0d2cf1f0a001"] {
        let path = format!("{}?provider=PROVIDER_ID&identifier={identifier}", path("leadsource"));
        let answer = send(&world, "GET", &path, Some(&authorized()), Vec::new()).await;
        assert_eq!(answer.text, format!("<leadSource {namespace}>{content}</leadSource>"), "{identifier}");
    }
    let path = format!("{}?provider=PROVIDER_ID&client_id=c-1&club_id=k-1", path("leadsource"));
    let answer = send(&world, "GET", &path, Some(&authorized()), Vec::new()).await;
    let list = format!("<leadSources {namespace}><leadSource>{content}</leadSource></leadSources>");
    assert_eq!(answer.text, list);
}

#[tokio::test]
async fn staff_are_listed_with_id_and_email_in_a_users_document() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let document = crate::sender::staff("s-1", "Ann", "ann@club.example");
    let uuid = push(&world, "staff", document).await.uuid();
    let content = format!(
        "<uuid>{uuid}</uuid>{}<userInfo><firstname>Ann</firstname><lastname>Staff</lastname>\
         <userStatus>ACTIVE</userStatus><email>ann@club.example</email><createdBy>INTOUCH</createdBy>\
         <createdDate>2026-01-01T00:00:00.000Z</createdDate><modifiedBy>INTOUCH</modifiedBy>\
         <modifiedDate>2026-01-01T00:00:00.000Z</modifiedDate></userInfo>",
        provider_info("s-1")
    );
    let namespace = "xmlns=\"http://www.intouchfollowup.com/api/2011-11\"";
    let list = fetch(&world, "staff", "").await;
    assert_eq!(list.text, format!("<users {namespace}><user>{content}</user></users>"));
    let one = fetch(&world, "staff", &format!("&uuid={uuid}")).await;
    assert_eq!(one.text, format!("<user {namespace}>{content}</user>"));
}

#[tokio::test]
async fn an_error_names_its_reason_and_a_number_for_support() {
    let world = AssociationAnywhereFixture::with_connector(false).await;
    let answer = push(&world, "user", SAVE_USER.replace("PROSPECT", "LEAD")).await;
    let message = answer.invalid();
    assert_eq!(message, "`userInfo/userType` must be PROSPECT or MEMBER");
    let (_, rest) = answer.text.split_once("<errorUUID>").unwrap();
    let (error_uuid, _) = rest.split_once("</errorUUID>").unwrap();
    assert_eq!(
        answer.text,
        format!(
            "<error xmlns=\"http://www.intouchfollowup.com/api/2011-11\"><reason>VALIDATION</reason>\
             <errorUUID>{error_uuid}</errorUUID><message>{message}</message></error>"
        )
    );
}
