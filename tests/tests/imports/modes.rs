//! What becomes of customers: three modes, ids and card numbers that are generated, amounts, secrets.

use axum::http::StatusCode;
use model::Attribute;
use operations::status::Condition;
use serde_json::Value;
use tests::{AssociationAnywhereFixture, IMPORT_TABLE, SHADOW_TABLE, TOKEN};

use super::support::{Form, all_customers, content, customer, post, world};

const HEADERS: [&str; 4] = ["code", "first_name", "city", "custom_field"];

/// A world with one customer that has every column.
async fn world_with_jane() -> AssociationAnywhereFixture {
    let world = world().await;
    post(&world, &Form::rows("update", &HEADERS, &["1|jane|Anytown|blue"])).await;
    world
}

/// First name, city, custom field.
async fn columns(world: &AssociationAnywhereFixture, source_id: &str) -> [Option<String>; 3] {
    let content = content(world, source_id).await;
    let custom = match content.attributes.get("custom_field") {
        Some(Attribute::Text(text)) => Some(text.clone()),
        _ => None,
    };
    [content.name.first, content.addresses.first().and_then(|address| address.city.clone()), custom]
}

#[tokio::test]
async fn the_modes_by_given_blank_and_absent_for_new_and_matched_customers() {
    // The first name is given, the city is blank, the custom field is absent.
    let cases = [
        ("yes", [0, 1, 0, 0], [Some("janet"), None, None]),
        ("update", [0, 1, 0, 0], [Some("janet"), Some("Anytown"), Some("blue")]),
        ("ignore", [0, 0, 1, 0], [Some("jane"), Some("Anytown"), Some("blue")]),
    ];
    for (mode, counts, expected) in cases {
        let world = world_with_jane().await;
        let answer = post(&world, &Form::rows(mode, &["code", "first_name", "city"], &["1|janet|"])).await;
        assert_eq!(answer.counts(), counts, "{mode}");
        assert_eq!(columns(&world, "1").await, expected.map(|text| text.map(str::to_owned)), "{mode}");
        let answer = post(&world, &Form::rows(mode, &["code", "first_name", "city"], &["2|jim|"])).await;
        assert_eq!(answer.counts(), [1, 0, 0, 0], "{mode}");
        assert_eq!(columns(&world, "2").await, [Some("jim".to_owned()), None, None], "{mode}");
    }
}

#[tokio::test]
async fn an_import_and_its_customers_keep_their_json() {
    let world = world().await;
    let answer = post(&world, &Form::rows("update", &HEADERS, &["11223344|jane|Anytown|blue", "|jim||"])).await;
    insta::assert_json_snapshot!("import", serde_json::from_str::<Value>(&answer.text).unwrap());
    let (_, customer) = world.api("GET", "/v1/customers/imports~11223344", Some(TOKEN), "").await;
    insta::assert_json_snapshot!("imported-customer", customer);
}

#[tokio::test]
async fn a_match_is_ignored_where_nothing_is_said_of_it() {
    let world = world_with_jane().await;
    let form = Form::rows("ignore", &HEADERS, &["1|janet|Otherville|red"]).without("overwrite_duplicates");
    assert_eq!(post(&world, &form).await.counts(), [0, 0, 1, 0]);
    assert_eq!(customer(&world, "1").await.unwrap().revision, 1);
}

#[tokio::test]
async fn what_changes_nothing_is_not_written() {
    let world = world_with_jane().await;
    let puts = world.database.operations("PutItem");
    let form = Form::rows("update", &["code", "city"], &["1|Anytown"]);
    assert_eq!(post(&world, &form).await.counts(), [0, 1, 0, 0]);
    assert_eq!(world.database.operations("PutItem"), puts);
}

#[tokio::test]
async fn customers_without_a_code_get_an_id_and_are_told_it() {
    let world = world().await;
    let form = Form::rows("update", &["first_name", "email"], &["jane|jane@x.org", "jim|"]);
    let answer = post(&world, &form).await;
    let generated = answer.batch()["generated"].clone();
    let codes: Vec<String> =
        generated.as_array().unwrap().iter().map(|entry| entry["code"].as_str().unwrap().to_owned()).collect();
    assert!(codes.iter().all(|code| code.len() == 16 && code.bytes().all(|byte| byte.is_ascii_digit())), "{codes:?}");
    let mut sorted = codes.clone();
    sorted.sort();
    assert_eq!(all_customers(&world).await, sorted);
    // From now on it goes as the code.
    let row = format!("{}|janet", codes[0]);
    assert_eq!(post(&world, &Form::rows("update", &["code", "first_name"], &[&row])).await.counts(), [0, 1, 0, 0]);
    assert_eq!(content(&world, &codes[0]).await.name.first.as_deref(), Some("janet"));
}

#[tokio::test]
async fn card_numbers_are_generated_where_none_is_given_and_stay() {
    let world = world().await;
    let form =
        Form::rows("update", &["code", "card_number"], &["1|", "2|777", "3|"]).with("card_number_generate", "10");
    let answer = post(&world, &form).await;
    let generated = answer.batch()["generated"].clone();
    assert_eq!((&generated[0]["row"], &generated[1]["row"]), (&Value::from(1), &Value::from(3)));
    for (place, source_id) in [(0, "1"), (1, "3")] {
        let card = generated[place]["card_number"].as_str().unwrap();
        assert_eq!((card.len(), generated[place].get("code")), (10, None));
        assert_eq!(content(&world, source_id).await.external_id.as_deref(), Some(card));
        // The card finds its customer.
        let row = format!("{card}|Anytown");
        assert_eq!(post(&world, &Form::rows("update", &["card_number", "city"], &[&row])).await.counts(), [0, 1, 0, 0]);
    }
    assert_eq!(content(&world, "2").await.external_id.as_deref(), Some("777"));
    assert_eq!(post(&world, &form).await.batch()["generated"], generated, "the same request, the same numbers");
}

#[tokio::test]
async fn amounts_go_to_the_first_campaign_and_say_where_they_came_from() {
    let world = world().await;
    let form = Form::rows("update", &["code", "auto_add"], &["1|25", "2|", "1|a free coffee"])
        .with("campaigns_to_include", "13234545|,|898989889");
    let answer = post(&world, &form).await;
    let (_, jane) = world.api("GET", "/v1/customers/imports~1", Some(TOKEN), "").await;
    let entry = |amount: &str, row: &str| serde_json::json!({ "campaign": "13234545", "amount": amount, "import": answer.import(), "row": row });
    assert_eq!(jane["attributes"]["auto_add"], serde_json::json!([entry("25", "1"), entry("a free coffee", "3")]));
    assert!(!content(&world, "2").await.attributes.contains_key("auto_add"));
}

#[tokio::test]
async fn secrets_are_kept_as_hashes_and_shown_to_nobody() {
    let world = world().await;
    let headers = ["code", "customer_username", "customer_password", "customer_PIN"];
    let form = Form::rows("update", &headers, &["1|jane_d|hunter2-and-more|471100815"]);
    let answer = post(&world, &form).await;
    let hidden = content(&world, "1").await.hidden;
    for name in ["customer_password", "customer_PIN"] {
        assert!(hidden[name].starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hidden[name]);
    }
    // An image of them, too.
    post(&world, &Form::rows("yes", &["code", "customer_PIN"], &["1|999888777"])).await;
    assert_eq!(content(&world, "1").await.hidden.keys().collect::<Vec<_>>(), ["customer_PIN", "origin"]);
    let mut everything = vec![answer.text];
    for table in [SHADOW_TABLE, IMPORT_TABLE] {
        let items = world.clients.dynamodb.scan().table_name(table).send().await.unwrap();
        assert!(items.count() > 0);
        everything.push(format!("{items:?}"));
    }
    for path in ["/v1/customers/imports~1", "/v1/customers?connection=imports"] {
        let (status, shown) = world.api("GET", path, Some(TOKEN), "").await;
        assert_eq!(status, StatusCode::OK);
        assert!(!shown.to_string().contains("argon2"), "{shown}");
        everything.push(shown.to_string());
    }
    for text in everything {
        for secret in ["hunter2-and-more", "471100815", "999888777"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    let puts = world.database.operations("PutItem");
    post(&world, &Form::rows("update", &["code", "customer_PIN"], &["1|999888777"])).await;
    assert_eq!(world.database.operations("PutItem"), puts, "the same secret is no change");
}

#[tokio::test]
async fn a_connection_that_others_import_into_is_always_in_sync() {
    let world = world().await;
    let (_, answer) = world.api("GET", "/v1/connections", Some(TOKEN), "").await;
    let imports = answer["connections"].as_array().unwrap().iter().find(|status| status["id"] == "imports").unwrap();
    assert_eq!(imports["condition"], serde_json::to_value(Condition::InSync).unwrap());
    assert_eq!((&imports["kind"], &imports["error"]), (&Value::from("batch-import"), &Value::Null));
}
