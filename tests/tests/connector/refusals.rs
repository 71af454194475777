//! What is refused, and what is said about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use futures::stream;
use serde_json::json;
use tests::AssociationAnywhereFixture;

use crate::sender::{
    all_lead_sources, all_staff, authorized, basic, customer, customers, fetch, lead_source, path, prospect,
    provider_info, provider_info_of, push, send, staff, user,
};

/// Nothing of any kind is stored.
async fn assert_empty(world: &AssociationAnywhereFixture) {
    assert_eq!(customers(world).await, Vec::<serde_json::Value>::new());
    assert_eq!(all_staff(world).await, Vec::<serde_json::Value>::new());
    assert_eq!(all_lead_sources(world).await, Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn who_has_no_valid_credentials_is_told_so_on_every_route() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let wrong = [
        None,
        Some(String::new()),
        Some("Basic".to_owned()),
        Some("Basic ".to_owned()),
        Some("Basic !!!".to_owned()),
        Some(basic("intouch", "wrong")),
        Some(basic("intouch", "connector-passwor")),
        Some(basic("INTOUCH", "connector-password")),
        Some(basic("", "")),
        Some(basic("intouch:connector-password", "")),
        Some("Bearer connector-password".to_owned()),
        Some("Bearer intouch:connector-password".to_owned()),
        Some("Bearer ".to_owned()),
        Some(format!("Bearer {}", tests::TOKEN)),
        Some(authorized().replace("Basic", "Digest")),
    ];
    for resource in ["user", "staff", "leadsource"] {
        for authorization in &wrong {
            for (method, body) in [("POST", prospect("r-1")), ("POST", "broken <".to_owned()), ("GET", String::new())] {
                let answer = send(&world, method, &path(resource), authorization.as_deref(), body.into_bytes()).await;
                let message = answer.error(StatusCode::UNAUTHORIZED, "VALIDATION");
                assert!(message.starts_with("the request needs `Authorization: Basic`"), "{message}");
                let challenge = answer.headers["www-authenticate"].to_str().unwrap();
                assert!(challenge.contains("Basic realm=") && challenge.contains("Bearer"), "{challenge}");
            }
        }
    }
    assert_empty(&world).await;
}

#[tokio::test]
async fn a_push_for_a_club_that_is_not_ours() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let mut said = Vec::new();
    for (identifier, client, club) in
        [("INTOUCH", "c-1", "k-3"), ("INTOUCH", "c-2", "k-1"), ("OTHER", "c-1", "k-1"), ("intouch", "c-1", "k-1")]
    {
        for (resource, document) in [
            ("user", prospect("r-1")),
            ("staff", staff("r-1", "Ann", "ann@club.example")),
            ("leadsource", lead_source("r-1", "Facebook")),
            // A sender that may not push learns only that.
            ("user", prospect("r-1").replace("PROSPECT", "nonsense")),
        ] {
            let document = document.replace(&provider_info("r-1"), &provider_info_of(identifier, client, club, "r-1"));
            let answer = push(&world, resource, document).await;
            said.push(answer.error(StatusCode::FORBIDDEN, "VALIDATION"));
        }
        for resource in ["user", "staff", "leadsource"] {
            let path = format!("{}?provider={identifier}&client_id={client}&club_id={club}", path(resource));
            let answer = send(&world, "GET", &path, Some(&authorized()), Vec::new()).await;
            said.push(answer.error(StatusCode::FORBIDDEN, "VALIDATION"));
        }
    }
    said.dedup();
    assert_eq!(said, ["the credentials are not for this provider, client and club"], "no hint which of them exist");
    assert_empty(&world).await;
}

#[tokio::test]
async fn another_tenants_client_is_as_forbidden_as_one_that_nobody_has() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let credentials = world.secret("other.json", &json!({ "username": "other", "password": "other-password" }));
    world
        .configure(&format!(
            "[[connection]]\nid = 'theirs'\ntenant = 'other'\nkind = 'connector'\nclient_id = 'c-9'\nclub_ids = ['k-9']\n\
             providers = ['INTOUCH']\ncredentials = '{credentials}'\ncreate_staff = true\ncreate_lead_sources = true\n"
        ))
        .await;
    let theirs = prospect("r-1").replace(&provider_info("r-1"), &provider_info_of("INTOUCH", "c-9", "k-9", "r-1"));
    let others = basic("other", "other-password");
    let uuid = send(&world, "POST", &path("user"), Some(&others), theirs.clone().into_bytes()).await.uuid();

    let refused = push(&world, "user", theirs.clone()).await.error(StatusCode::FORBIDDEN, "VALIDATION");
    let nobodys = push(&world, "user", theirs.replace("c-9", "c-8")).await.error(StatusCode::FORBIDDEN, "VALIDATION");
    assert_eq!(refused, nobodys);
    let query = format!("{}?provider=INTOUCH&client_id=c-9&club_id=k-9&uuid={uuid}", path("user"));
    send(&world, "GET", &query, Some(&authorized()), Vec::new()).await.error(StatusCode::FORBIDDEN, "VALIDATION");
    // Under our own client, their id is unknown.
    let query = format!("{}?provider=INTOUCH&client_id=c-1&club_id=k-1&uuid={uuid}", path("user"));
    send(&world, "GET", &query, Some(&authorized()), Vec::new()).await.error(StatusCode::NOT_FOUND, "VALIDATION");
    assert_empty(&world).await;
}

#[tokio::test]
async fn every_mandatory_field_missing_one_at_a_time_and_all_at_once() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let mandatory = [
        ("providerInfo/identifier", "<identifier>INTOUCH</identifier>"),
        ("providerInfo/clientID", "<clientID>c-1</clientID>"),
        ("providerInfo/clubID", "<clubID>k-1</clubID>"),
        ("providerInfo/recordID", "<recordID>r-1</recordID>"),
        ("userInfo/firstname", "<firstname>Foo</firstname>"),
        ("userInfo/lastname", "<lastname>Bar</lastname>"),
        ("userInfo/userStatus", "<userStatus>ACTIVE</userStatus>"),
        ("userInfo/userType", "<userType>PROSPECT</userType>"),
    ];
    let whole = prospect("r-1");
    for (name, element) in mandatory {
        assert!(whole.contains(element), "{name}");
        let empty = format!("{}/>", element.split_once('>').unwrap().0);
        for document in [whole.replace(element, ""), whole.replace(element, &empty)] {
            assert_eq!(push(&world, "user", document).await.invalid(), format!("`{name}` is missing"));
        }
    }
    let all: Vec<String> = mandatory.iter().map(|(name, _)| format!("`{name}` is missing")).collect();
    let emptied = mandatory.iter().fold(whole, |document, (_, element)| document.replace(element, ""));
    for document in ["<user/>", "<user><providerInfo/><userInfo/></user>", &emptied] {
        assert_eq!(push(&world, "user", document).await.invalid(), all.join("; "), "{document}");
    }
    // Staff are neither prospects nor members.
    assert_eq!(push(&world, "staff", "<user/>").await.invalid(), all[..7].join("; "));
    let of_lead_source = [&all[..4], &["`leadInfo/name` is missing".to_owned()]].concat();
    assert_eq!(push(&world, "leadsource", "<leadSource/>").await.invalid(), of_lead_source.join("; "));
    assert_empty(&world).await;
}

#[tokio::test]
async fn bad_dates_gender_and_country() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let date = "must be a date of the form YYYY-MM-DD";
    for (element, values, problem) in [
        ("birthdate", &["1980-02-30", "02/29/1980", "1980-2-9", "80-02-09", "soon"][..], date),
        ("gender", &["X", "MALE", "m f"], "must be M or F"),
        ("country", &["USA", "XX", "Germany", "U", "12"], "must be a country code of two letters as in ISO 3166-1"),
    ] {
        for value in values {
            let document = user("r-1", "MEMBER", &format!("<{element}>{value}</{element}>"), "");
            let message = push(&world, "user", document).await.invalid();
            assert_eq!(message, format!("`userInfo/{element}` {problem}"), "{value}");
            assert!(!message.contains(value) || problem.contains(value), "{message}");
        }
    }
    for element in ["trialStartDate", "trialEndDate"] {
        let lead = format!("<leadInfo><{element}>tomorrow</{element}></leadInfo>");
        let message = push(&world, "user", user("r-1", "PROSPECT", "", &lead)).await.invalid();
        assert_eq!(message, format!("`leadInfo/{element}` {date}"));
    }
    let everything = user("r-1", "LEAD", "<birthdate>x</birthdate><gender>x</gender><country>x</country>", "")
        .replace("ACTIVE", "DEAD")
        .replace("<lastname>Bar</lastname>", "");
    assert_eq!(
        push(&world, "user", everything).await.invalid(),
        "`userInfo/lastname` is missing; `userInfo/birthdate` must be a date of the form YYYY-MM-DD; \
         `userInfo/gender` must be M or F; `userInfo/userStatus` must be ACTIVE or INACTIVE; \
         `userInfo/userType` must be PROSPECT or MEMBER; \
         `userInfo/country` must be a country code of two letters as in ISO 3166-1"
    );
    let inactive = lead_source("l-1", "Facebook").replace("true", "perhaps");
    assert_eq!(push(&world, "leadsource", inactive).await.invalid(), "`leadInfo/active` must be true or false");
    assert_empty(&world).await;
}

#[tokio::test]
async fn a_document_that_says_twice_whose_it_is_is_nobodys() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let twice = prospect("r-1").replace("<clubID>k-1</clubID>", "<clubID>k-1</clubID><clubID>k-2</clubID>");
    assert_eq!(push(&world, "user", twice).await.invalid(), "`providerInfo/clubID` is given twice");
    let twice = prospect("r-1").replacen("<user>", &format!("<user>{}", provider_info("r-2")), 1);
    assert_eq!(push(&world, "user", twice).await.invalid(), "`providerInfo` is given twice");
    let lead = "<leadInfo><ownerID>a</ownerID></leadInfo>";
    let twice = user("r-1", "PROSPECT", lead, lead);
    assert_eq!(push(&world, "user", twice).await.invalid(), "`leadInfo` is given twice");
    assert_empty(&world).await;
}

#[tokio::test]
async fn a_5_mb_body() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let padded = |bytes: usize| {
        let document = prospect("r-1");
        document.replace("</user>", &format!("{}</user>", " ".repeat(bytes - document.len())))
    };
    for bytes in [1024 * 1024 + 1, 5 * 1024 * 1024, 20 * 1024 * 1024] {
        let answer = push(&world, "user", padded(bytes)).await;
        let message = answer.error(StatusCode::PAYLOAD_TOO_LARGE, "VALIDATION");
        assert_eq!(message, "the body has more than 1048576 bytes");
    }
    assert_empty(&world).await;
    push(&world, "user", padded(1024 * 1024)).await.uuid();
}

#[tokio::test]
async fn a_record_that_no_item_can_hold_is_too_large() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let note = format!("<note>{}</note>", "x".repeat(500_000));
    for (resource, document) in [
        ("user", user("r-1", "PROSPECT", &note, "")),
        ("staff", user("s-1", "MEMBER", &note, "")),
        ("leadsource", lead_source("l-1", "Facebook").replace("</leadInfo>", &format!("{note}</leadInfo>"))),
    ] {
        push(&world, resource, document).await.error(StatusCode::PAYLOAD_TOO_LARGE, "VALIDATION");
    }
    assert_empty(&world).await;
}

#[tokio::test]
async fn broken_xml() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let whole = prospect("r-1");
    for (document, expected) in [
        (whole.replace("</user>", ""), "not well-formed XML at /user (byte"),
        (whole.replace("</lastname>", "</firstname>"), "not well-formed XML at /user/userInfo/lastname (byte"),
        (whole.replace("Bar", "Bar & Co"), "not well-formed XML at /user/userInfo/lastname (byte"),
        (String::new(), "the document is empty"),
        ("{\"user\":{}}".to_owned(), "this is no XML document"),
        (whole.replace("Bar", "&company;"), "a reference to an entity at /user/userInfo/lastname"),
        (format!("<!DOCTYPE user [<!ENTITY company 'x'>]>{whole}"), "a DOCTYPE at / (byte 0): none is accepted"),
        (lead_source("l-1", "Facebook"), "the document&apos;s own element must be `user`"),
        ("<html/>".to_owned(), "an HTML page"),
        (
            format!("<?xml version='1.0' encoding='EBCDIC'?>{whole}"),
            "the declared encoding &quot;EBCDIC&quot; is not known",
        ),
        (whole.replace("Bar", &"<a>".repeat(40)), "more than depth = 32 allows"),
    ] {
        let message = push(&world, "user", document.clone()).await.invalid();
        assert!(message.contains(expected), "{document}: {message}");
    }
    let mut not_utf_8 = whole.into_bytes();
    let position = not_utf_8.iter().position(|byte| *byte == b'B').unwrap();
    not_utf_8[position] = 0xFC;
    let message = push(&world, "user", not_utf_8).await.invalid();
    assert_eq!(message, "encoding: the document has bytes that are not valid UTF-8");
    assert_empty(&world).await;
}

#[tokio::test]
async fn a_document_that_was_taken_for_utf_8_on_its_way_is_refused_before_it_is_stored_without_its_characters() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let document = |encoding: &str| {
        format!("<?xml version='1.0' encoding='{encoding}'?>{}", prospect("r-1").replace("Foo", "Zoë"))
    };
    let latin: Vec<u8> =
        document("ISO-8859-1").chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect();
    let utf_16 = |mark: &str| {
        let text = format!("{mark}{}", document("UTF-16"));
        text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    };
    for bytes in [latin, utf_16("\u{feff}"), utf_16("")] {
        // What API Gateway makes of it if it comes as `application/xml`.
        let mangled = String::from_utf8_lossy(&bytes).into_owned();
        let message = push(&world, "user", mangled).await.invalid();
        assert!(message.ends_with("it must come as `application/octet-stream`"), "{message}");
        assert_empty(&world).await;
    }
    // A replacement character that the sender wrote is kept.
    push(&world, "user", document("UTF-8").replace("Zoë", "Zo\u{fffd}")).await.uuid();
}

#[tokio::test]
async fn a_query_says_what_is_wrong_with_it() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let all = "the query parameter `provider` is missing; the query parameter `client_id` is missing; \
               the query parameter `club_id` is missing";
    for (resource, query, expected) in [
        ("user", "", all),
        ("staff", "?uuid=1", all),
        ("leadsource", "", all),
        ("leadsource", "?identifier=1", "the query parameter `provider` is missing"),
        ("user", "?provider=INTOUCH&client_id=c-1", "the query parameter `club_id` is missing"),
        ("user", "?provider=&client_id=c-1&club_id=k-1", "the query parameter `provider` is missing"),
        ("user", "?provider=INTOUCH&client_id=c-1&club_id=k-1&name=Foo", "the query has a parameter that is not known"),
        (
            "user",
            "?provider=INTOUCH&client_id=c-1&club_id=k-1&uuid=1&recordID=2",
            "the query parameter `uuid` is given twice",
        ),
        (
            "staff",
            "?provider=INTOUCH&client_id=c-1&club_id=k-1&cursor=nonsense",
            "the query parameter `cursor` is not one that this API gave out",
        ),
        (
            "user",
            "?provider=INTOUCH&client_id=c-1&club_id=k-1&cursor=nonsense",
            "the query parameter `cursor` is not one that this API gave out",
        ),
    ] {
        let path = format!("{}{query}", path(resource));
        let answer = send(&world, "GET", &path, Some(&authorized()), Vec::new()).await;
        assert_eq!(answer.invalid(), expected, "{path}");
    }
}

/// Invariant 8: source bytes are hostile. A character that XML forbids would make every list of the club unreadable.
#[tokio::test]
async fn a_character_that_xml_does_not_allow_is_refused_as_it_is_and_as_a_reference() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    for character in ['\u{1}', '\0', '\u{b}', '\u{1b}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
        let said = [character.to_string(), format!("<![CDATA[{character}]]>"), format!("&#{};", u32::from(character))];
        for said in said {
            let whole = prospect("r-1");
            for (document, place) in [
                (whole.replace("Foo", &format!("A{said}B")), "/user/userInfo/firstname"),
                (whole.replace("r-1", &format!("r{said}")), "/user/providerInfo/recordID"),
            ] {
                let message = push(&world, "user", document).await.invalid();
                assert!(message.contains(place), "{character:?}: {message}");
                assert!(!message.contains(character), "{message:?}");
            }
            let document = staff("s-1", &said, "ann@club.example");
            assert!(push(&world, "staff", document).await.invalid().contains("/user/userInfo/firstname"));
            let document = lead_source("l-1", &said);
            assert!(push(&world, "leadsource", document).await.invalid().contains("/leadSource/leadInfo/name"));
        }
        let attribute = prospect("r-1").replace("<lastname>", &format!("<lastname kind=\"a{character}\">"));
        push(&world, "user", attribute).await.invalid();
    }
    assert_empty(&world).await;
}

/// What an earlier release stored is still shown, without such characters.
#[tokio::test]
async fn a_character_that_xml_does_not_allow_and_that_is_stored_leaves_lists_readable() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let uuid = push(&world, "user", prospect("r-1").replace("Foo", "A#B")).await.uuid();
    let (client, table) = (&world.clients.dynamodb, tests::SHADOW_TABLE);
    let item = client.scan().table_name(table).send().await.unwrap().items.unwrap().remove(0);
    let document = item["doc"].as_s().unwrap().replace("A#B", "A\\u0001\\uffffB");
    let mut stored = item.clone();
    stored.insert("doc".to_owned(), aws_sdk_dynamodb::types::AttributeValue::S(document));
    client.put_item().table_name(table).set_item(Some(stored)).send().await.unwrap();
    assert_eq!(customer(&world, &uuid).await["name"]["first"], json!("A\u{1}\u{ffff}B"));
    for query in ["", &format!("&uuid={uuid}")] {
        let text = fetch(&world, "user", query).await.text;
        assert!(text.contains("<firstname>AB</firstname>"), "{text}");
    }
}

/// A client without credentials costs no memory.
#[tokio::test]
async fn a_body_is_not_read_before_it_is_known_who_sends_it() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    for resource in ["user", "staff", "leadsource"] {
        for (authorization, reads) in
            [(None, false), (Some(basic("intouch", "wrong")), false), (Some(authorized()), true)]
        {
            let is_read = Arc::new(AtomicBool::new(false));
            let note = is_read.clone();
            let body = stream::once(async move {
                note.store(true, Ordering::SeqCst);
                Ok::<_, std::io::Error>(Bytes::from_static(b"<user/>"))
            });
            let mut request = Request::builder().method("POST").uri(path(resource));
            if let Some(authorization) = authorization {
                request = request.header("Authorization", authorization);
            }
            let (status, ..) = world.request(request.body(Body::from_stream(body)).unwrap()).await;
            let expected = if reads { StatusCode::BAD_REQUEST } else { StatusCode::UNAUTHORIZED };
            assert_eq!((status, is_read.load(Ordering::SeqCst)), (expected, reads), "{resource}");
        }
    }
}
