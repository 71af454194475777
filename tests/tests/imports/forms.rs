//! What is posted, in which form, and what it is answered with.

use std::time::Duration;

use model::{Attribute, Stage};
use serde_json::json;
use tests::TOKEN;

use super::support::{
    Form, PASSWORD, all_customers, connection, content, customer, post, post_without_hurry, send, undo, world, writes,
};

#[tokio::test]
async fn the_sources_own_example_is_refused_by_the_name_of_its_typo() {
    let world = world().await;
    let before = writes(&world);
    let answer = post(&world, &Form::example().with("profiles_header_5", "custome_date")).await;
    let error = answer.error();
    assert!(error.starts_with("`profiles_header_5`: there is no column `custome_date`; known are code, "), "{error}");
    assert_eq!(answer.media_type, "text/xml; charset=utf-8");
    assert_eq!((writes(&world), all_customers(&world).await.len()), (before, 0));
}

#[tokio::test]
async fn the_corrected_example_brings_its_customers_and_is_answered_as_the_source_does() {
    let world = world().await;
    let answer = post(&world, &Form::example()).await;
    let sources = "<response status=\"success\"><batch status=\"imported\"><customers><new>3</new><updated>0</updated></customers>";
    assert!(answer.text.starts_with(sources), "{answer:?}");
    assert_eq!(all_customers(&world).await, ["11223344", "22334455", "33445566"]);

    let (status, jane) = world.api("GET", "/v1/customers/imports~11223344", Some(TOKEN), "").await;
    assert_eq!(status, 200);
    assert_eq!(
        (&jane["external_id"], &jane["type"], &jane["status"]),
        (&json!("11223344"), &json!("person"), &json!("active"))
    );
    assert_eq!(jane["name"], json!({ "display": "jane doe", "first": "jane", "last": "doe" }));
    assert_eq!(jane["phones"], json!([{ "number": "555-5555", "type": null, "primary": true }]));
    let attributes = json!({ "campaigns": ["898989889", "13234545", "34534554"], "custom_date": "1970-07-14" });
    assert_eq!(jane["attributes"], attributes);
    assert_eq!(customer(&world, "11223344").await.unwrap().content.stage, None::<Stage>);

    let again = post(&world, &Form::example().with("campaigns_to_include", "898989889")).await;
    assert!(again.text.contains("<new>0</new><updated>3</updated>"), "{again:?}");
}

#[tokio::test]
async fn forms_of_both_kinds_and_versions_do_the_same() {
    let world = world().await;
    let legacy = Form::rows("update", &["code", "custom_field"], &["1|ü & <b>"]);
    let newer = Form::rows("update", &["code", "custom_field_3"], &["1|ü & <b>"])
        .without("user_password")
        .with("API", "1.5")
        .with("user_api_key", PASSWORD)
        .with("campaigns_to_include", "898989889, 13234545");
    assert_eq!(post(&world, &legacy).await.counts(), [1, 0, 0, 0]);
    assert_eq!(post(&world, &newer).await.counts(), [0, 1, 0, 0]);
    let attributes = content(&world, "1").await.attributes;
    for name in ["custom_field", "custom_field_3"] {
        assert_eq!(attributes[name], Attribute::Text("ü & <b>".to_owned()));
    }
    let revision = customer(&world, "1").await.unwrap().revision;
    for form in [&legacy, &newer] {
        let answer = send(&world, "multipart/form-data; boundary=--b-7", &[], form.multipart("--b-7")).await;
        assert_eq!(answer.counts().iter().sum::<u64>(), 1);
    }
    assert_eq!(customer(&world, "1").await.unwrap().revision, revision, "nothing of it is new");
}

#[tokio::test]
async fn the_answer_comes_in_the_form_that_is_asked_for() {
    let world = world().await;
    let form = Form::rows("update", &["code", "city"], &["1|Anytown"]);
    let condensed = post(&world, &form).await;
    assert_eq!(condensed.media_type, "application/json; charset=utf-8");
    assert!(
        condensed
            .text
            .starts_with(r#"{"status":"success","batch":{"status":"imported","customers":{"new":1,"updated":0},"#)
    );
    let spaced = post(&world, &form.clone().without("condensed")).await;
    assert_eq!(spaced.batch(), condensed.batch());
    assert!(spaced.text.contains("{\n  \"status\": \"success\",\n"), "{spaced:?}");
    let script = post(&world, &form.clone().with("callback", "shop.imported")).await;
    assert_eq!(script.text, format!("shop.imported({});", condensed.text));
    assert_eq!(script.media_type, "text/javascript; charset=utf-8");
    let error = post(&world, &form.clone().with("callback", "shop.imported").without("delimiter")).await;
    assert_eq!(error.text, r#"shop.imported({"status":"error","error":"`delimiter`: is missing"});"#);
    let before = writes(&world);
    for callback in ["alert(1)//", "a.b;c", "<script>", "a b"] {
        let refused = post(&world, &form.clone().with("callback", callback)).await;
        let error =
            r#"{"status":"error","error":"`callback`: must be the name of a JavaScript function, such as a.b_1"}"#;
        assert_eq!((refused.media_type.as_str(), refused.text.as_str()), ("application/json; charset=utf-8", error));
    }
    assert_eq!(writes(&world), before);
}

#[tokio::test]
async fn a_bad_row_costs_itself_and_is_told_by_number_and_reason() {
    let world = world().await;
    let mut data =
        b"1|jane|1970-07-14\n2|too few\n3|a|b|c|too many\n4|a de|imiter|1970-07-14\n5|jim|04-06-05\n\n|| \n".to_vec();
    data.extend(b"6|nul\0|1970-07-14\n7|\xff\xfe|1970-07-14\n8|larry|\n");
    let form = Form::rows("update", &["code", "first_name", "custom_date"], &[]).with("Profiles_Data", &data);
    let answer = post(&world, &form).await;
    assert_eq!(answer.counts(), [2, 0, 0, 7]);
    let columns = |count: u8| format!("has {count} columns, and the headers name 3");
    let expected = [
        (2, columns(2)),
        (3, columns(5)),
        (4, columns(4)),
        (5, "column `custom_date`: must be a date written as YYYY-MM-DD".to_owned()),
        (6, "every column is blank".to_owned()),
        (7, "column `first_name`: holds a control character".to_owned()),
        (8, "is not UTF-8".to_owned()),
    ];
    assert_eq!(answer.failures(), expected);
    assert_eq!(all_customers(&world).await, ["1", "8"]);
    let xml = post(&world, &form.without("output")).await;
    assert!(
        xml.text.contains("<failure><row>2</row><reason>has 2 columns, and the headers name 3</reason></failure>"),
        "{xml:?}"
    );
}

#[tokio::test]
async fn a_row_that_matches_two_customers_fails_alone() {
    let world = world().await;
    let headers = ["code", "card_number", "email"];
    post(&world, &Form::rows("update", &headers, &["1|500|a@x.org", "2|600|a@x.org"])).await;
    let answer =
        post(&world, &Form::rows("update", &headers, &["1|600|", "||A@X.org", "2|600|b@x.org", "|500|"])).await;
    assert_eq!(answer.counts(), [0, 2, 0, 2]);
    let failures = answer.failures();
    assert_eq!(failures.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 2]);
    assert!(failures.iter().all(|(_, reason)| reason.contains("two customers")), "{failures:?}");
    assert_eq!(content(&world, "1").await.external_id.as_deref(), Some("500"));
    // The address has one customer left, and finds it.
    let answer =
        post(&world, &Form::rows("update", &["email", "city"], &["a@x.org|Anytown", "B@X.ORG|Otherville"])).await;
    assert_eq!(answer.counts(), [0, 2, 0, 0]);
    assert_eq!(content(&world, "1").await.addresses[0].city.as_deref(), Some("Anytown"));
    assert_eq!(content(&world, "2").await.addresses[0].city.as_deref(), Some("Otherville"));
}

#[tokio::test]
async fn a_gap_of_one_header_is_allowed_and_two_are_not() {
    let world = world().await;
    let form = Form::rows("update", &["code", "first_name"], &["1|jane"]);
    let gap = form.clone().without("profiles_header_2").with("profiles_header_3", "first_name");
    assert_eq!(post(&world, &gap).await.counts(), [1, 0, 0, 0]);
    assert_eq!(content(&world, "1").await.name.first.as_deref(), Some("jane"));
    let before = writes(&world);
    let gaps = form.without("profiles_header_2").with("profiles_header_4", "first_name").without("output");
    let answer = post(&world, &gaps).await;
    assert_eq!(answer.error(), "`profiles_header_4`: more than one number is left out before it, from 2");
    assert_eq!(writes(&world), before);
}

#[tokio::test]
async fn what_is_no_request_gets_the_dialects_error() {
    let world = world().await;
    let before = writes(&world);
    let form = "application/x-www-form-urlencoded";
    let empty = send(&world, form, &[], "").await;
    assert_eq!(empty.error(), "`type`: is missing");
    let unknown = post(&world, &Form::example().with("type", "record_activity")).await;
    assert_eq!(unknown.error(), "`type`: there is no `record_activity` here; known is `customers_batch`");
    let json = send(&world, "application/json", &[], "{}").await;
    assert!(json.error().starts_with("the request must be a form: "), "{json:?}");
    let nothing = post(&world, &Form::example().with("Profiles_Data", "\r\n")).await;
    assert_eq!(nothing.error(), "`profiles_data`: holds no row");
    let garbage: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    assert_eq!(send(&world, form, &[], garbage).await.error(), "the form has a field twice");
    let text = Form::example().with("user_id", b"john\0");
    assert_eq!(post(&world, &text).await.error(), "`user_id`: holds a control character");
    let bytes = Form::example().with("account_id", b"\xff");
    assert_eq!(post(&world, &bytes).await.error(), "`account_id`: is not UTF-8");
    assert_eq!(writes(&world), before);
}

#[tokio::test]
async fn more_than_fits_is_told_how_to_be_split() {
    let world = world().await;
    let before = writes(&world);
    let large = send(&world, "application/x-www-form-urlencoded", &[], vec![b'x'; 6 * 1024 * 1024]).await;
    assert_eq!(large.error(), "the request has more than 4500000 bytes: split its rows over several requests");
    let rows: Vec<String> = (0..20_001).map(|number| number.to_string()).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let many = post(&world, &Form::rows("update", &["code"], &rows).without("output")).await;
    let expected = "`profiles_data`: has 20001 rows; one request takes at most 20000: send it as 2 requests";
    assert_eq!(many.error(), expected);
    assert_eq!(writes(&world), before);
}

#[tokio::test]
async fn twenty_thousand_rows_come_in_one_call() {
    let world = world().await;
    let rows: Vec<String> = (0..20_000).map(|number| format!("c{number}|{number:010}|c{number}@x.org|Jane")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let form = Form::rows("update", &["code", "card_number", "email", "first_name"], &rows).with("no_undo", "yes");
    let answer = post_without_hurry(&world, &form).await;
    assert_eq!(answer.counts(), [20_000, 0, 0, 0]);
    for id in ["c0", "c19999"] {
        assert_eq!(content(&world, id).await.name.first.as_deref(), Some("Jane"));
    }
    let found = post(&world, &Form::rows("update", &["email", "city"], &["C19999@x.org|Anytown"])).await;
    assert_eq!(found.counts(), [0, 1, 0, 0]);
}

/// Invariant: one customer per identity, however a file was saved.
#[tokio::test]
async fn marks_that_nobody_sees_make_no_second_customer() {
    let world = world().await;
    let headers = ["code", "email", "first_name"];
    post(&world, &Form::rows("update", &headers, &["7001|ann@x.org|Ann"])).await;
    let answer =
        post(&world, &Form::rows("update", &headers, &["\u{feff}7001|ann@x.org|Anna", "7002|bo@x.org|Bo"])).await;
    assert_eq!(answer.counts(), [1, 1, 0, 0]);
    let rows = ["\u{feff}ann@x.org|Annie", "\u{202a}bo@x.org\u{202c}|Bob"];
    assert_eq!(post(&world, &Form::rows("update", &headers[1..], &rows)).await.counts(), [0, 2, 0, 0]);
    assert_eq!(all_customers(&world).await, ["7001", "7002"]);
    assert_eq!(content(&world, "7001").await.name.first.as_deref(), Some("Annie"));
}

#[tokio::test]
async fn addresses_match_whatever_their_case_and_encoding() {
    let world = world().await;
    let headers = ["code", "email", "first_name"];
    let rows = ["8001|jos\u{e9}@x.org|First", "8002|stra\u{df}e@x.org|First"];
    post(&world, &Form::rows("update", &headers, &rows)).await;
    let rows = ["jose\u{301}@x.org|Second", "STRASSE@x.org|Second"];
    assert_eq!(post(&world, &Form::rows("update", &headers[1..], &rows)).await.counts(), [0, 2, 0, 0]);
}

#[tokio::test]
async fn a_first_row_that_repeats_the_headers_is_ignored_and_said() {
    let world = world().await;
    let form = Form::rows("update", &["code", "first_name"], &["code|First_Name", "1|jane", "x"]);
    let answer = post(&world, &form).await;
    assert_eq!((answer.counts(), all_customers(&world).await), ([1, 0, 1, 1], vec!["1".to_owned()]));
    assert_eq!(answer.batch()["ignored_rows"], json!([{ "row": 1, "reason": "repeats the headers" }]));
    assert_eq!(post(&world, &form).await.text, answer.text);
}

#[tokio::test]
async fn errors_come_in_the_form_that_is_asked_for() {
    let world = world().await;
    let doubled = "output=JSON&condensed=yes&type=customers_batch&Type=customers_batch";
    let answer = send(&world, "application/x-www-form-urlencoded", &[], doubled).await;
    assert_eq!(answer.text, r#"{"status":"error","error":"the form has a field twice `type`"}"#);
    let form = Form::rows("update", &["code"], &["1"]).with("campaigns_to_include", "a\u{2028}b").with("callback", "f");
    let script = post(&world, &form).await.text;
    assert_eq!(
        script,
        r#"f({"status":"error","error":"`campaigns_to_include`: the account has no campaign `a\u2028b`"});"#
    );
}

/// Invariant: a claim is a hint; a customer that has lost an address does not count, however many once had it.
#[tokio::test]
async fn an_address_that_many_once_had_finds_who_has_it_now() {
    let world = world().await;
    let headers = ["code", "email"];
    let desk = |codes: std::ops::Range<u32>| codes.map(|code| format!("m{code}|desk@x.org")).collect::<Vec<_>>();
    let post_all = async |rows: Vec<String>| {
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        post(&world, &Form::rows("update", &headers, &rows)).await
    };
    // After an undo no customer has it.
    let mistake = post_all(desk(0..250)).await;
    undo(&world, &mistake.import()).await;
    let by_address = |name: &str| Form::rows("update", &["email", "first_name"], &[&format!("desk@x.org|{name}")]);
    let found = post(&world, &by_address("Frank")).await;
    assert_eq!(found.counts(), [1, 0, 0, 0]);
    undo(&world, &found.import()).await;
    // Of very many all but one move on.
    post_all(desk(300..850)).await;
    assert_eq!(post(&world, &by_address("Nobody")).await.counts(), [0, 0, 0, 1]);
    post_all((300..849).map(|code| format!("m{code}|own{code}@x.org")).collect()).await;
    assert_eq!(post(&world, &by_address("Changed")).await.counts(), [0, 1, 0, 0]);
    assert_eq!(content(&world, "m849").await.name.first.as_deref(), Some("Changed"));
    // What is remembered of them does not grow without end.
    let claim = model::import::Claim::email("desk@x.org");
    let deadline = world.now() + Duration::from_secs(60);
    let mut claimants = world.imports().claimants(&connection(), [claim.clone()], deadline).await.unwrap();
    let claimants = claimants.remove(&claim).unwrap();
    assert!(claimants.page_count <= 1 && claimants.ids().eq(["m849"]), "{claimants:?}");
}

/// Invariant: one customer per identity, also if so many once had an address that most of them are about to be
/// forgotten.
#[tokio::test]
async fn who_gets_back_an_address_that_many_once_had_is_found_by_it() {
    let world = world().await;
    let headers = ["code", "email", "first_name"];
    let post_all = async |rows: Vec<String>| {
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        post(&world, &Form::rows("update", &headers, &rows)).await
    };
    post_all((0..150).map(|code| format!("m{code}|desk@x.org|")).collect()).await;
    post_all((0..150).map(|code| format!("m{code}|own{code}@x.org|")).collect()).await;
    let back = post_all(vec!["m1|desk@x.org|".to_owned(), "|desk@x.org|Frank".to_owned()]).await;
    assert_eq!(back.counts(), [0, 2, 0, 0]);
    let found = post_all(vec!["|desk@x.org|Francis".to_owned()]).await;
    assert_eq!((found.counts(), all_customers(&world).await.len()), ([0, 1, 0, 0], 150));
    assert_eq!(content(&world, "m1").await.name.first.as_deref(), Some("Francis"));
}

#[tokio::test]
async fn more_rows_of_one_customer_than_one_record_takes_fail_by_number() {
    let world = world().await;
    let rows: Vec<String> = (0..502).map(|amount| format!("1|{amount}")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let answer = post(&world, &Form::rows("update", &["code", "auto_add"], &rows)).await;
    assert_eq!(answer.counts(), [1, 499, 0, 2]);
    assert_eq!(answer.failures()[0].0, 501);
}
