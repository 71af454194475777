//! Which credentials may import into which account.

use std::time::Duration;

use model::ConnectionKey;
use serde_json::json;

use super::support::{ACCOUNT, Form, PASSWORD, STRANGER, USER, all_customers, customer, post, send, world, writes};

#[tokio::test]
async fn wrong_credentials_get_one_error_whatever_is_wrong_and_nothing_is_written() {
    let world = world().await;
    let before = writes(&world);
    let (user, password, account) = STRANGER;
    for (user, password, account) in [
        (USER, "wrong", ACCOUNT),
        (USER, "1959caadac9b13dcb", ACCOUNT),
        (USER, PASSWORD, "no such account"),
        (USER, PASSWORD, account),
        (user, PASSWORD, ACCOUNT),
        (user, password, ACCOUNT),
        ("nobody", PASSWORD, ACCOUNT),
        ("JOHN1970", PASSWORD, ACCOUNT),
    ] {
        let form = Form::example().with("user_id", user).with("user_password", password).with("account_id", account);
        let answer = post(&world, &form).await;
        assert_eq!(answer.error(), "the user, the password or the account is wrong", "{user} {account}");
        // Other faults of a request are reported only to those that may send one.
        let answer = post(&world, &form.with("delimiter", "none")).await;
        assert_eq!(answer.error(), "the user, the password or the account is wrong", "{user} {account}");
    }
    assert_eq!((writes(&world), all_customers(&world).await.len()), (before, 0));
}

#[tokio::test]
async fn an_unknown_campaign_is_named_and_nothing_is_written() {
    let world = world().await;
    let before = writes(&world);
    let answer = post(&world, &Form::example().with("campaigns_to_include", "898989889|,|4711")).await;
    assert_eq!(answer.error(), "`campaigns_to_include`: the account has no campaign `4711`");
    // With the separator of the other version it is one campaign, which is unknown.
    let answer = post(&world, &Form::example().with("campaigns_to_include", "898989889,13234545")).await;
    assert_eq!(answer.error(), "`campaigns_to_include`: the account has no campaign `898989889,13234545`");
    assert_eq!(writes(&world), before);
}

#[tokio::test]
async fn the_header_wins_over_the_field_in_version_1_5() {
    let world = world().await;
    let form = Form::rows("update", &["code"], &["1"]).without("user_password").with("API", "1.5");
    let encoding = "multipart/form-data; boundary=b";
    let wrong = form.clone().with("user_api_key", "wrong");
    let answer = send(&world, encoding, &[("api_access_key", PASSWORD)], wrong.multipart("b")).await;
    assert_eq!(answer.counts(), [1, 0, 0, 0]);
    let right = form.with("user_api_key", PASSWORD).without("output");
    let answer = send(&world, encoding, &[("api_access_key", "wrong")], right.multipart("b")).await;
    assert_eq!(answer.error(), "the user, the password or the account is wrong");
}

#[tokio::test]
async fn tenants_are_apart_though_they_use_the_same_codes_cards_and_addresses() {
    let world = world().await;
    let (user, password, account) = STRANGER;
    let mine = Form::rows("update", &["code", "card_number", "email", "first_name"], &["1|500|a@x.org|jane"]);
    let theirs = mine.clone().with("user_id", user).with("user_password", password).with("account_id", account);
    assert_eq!(post(&world, &mine).await.counts(), [1, 0, 0, 0]);
    let answer = post(&world, &theirs.with("Profiles_Data", "|500|a@x.org|jim\n1|600|a@x.org|larry")).await;
    assert_eq!(answer.counts(), [2, 0, 0, 0]);
    assert_eq!(customer(&world, "1").await.unwrap().content.name.first.as_deref(), Some("jane"));
    let others = ConnectionKey::new("other", "others");
    let larry = world.shadow().get(&others, "1").await.unwrap().unwrap();
    assert_eq!(larry.content.name.first.as_deref(), Some("larry"));
    assert!(world.imports().list(&others).await.unwrap().iter().all(|record| record.id == answer.import()));
}

#[tokio::test]
async fn a_user_who_is_taken_out_is_shut_out_within_two_minutes() {
    let world = world().await;
    assert_eq!(post(&world, &Form::rows("update", &["code"], &["1"])).await.counts(), [1, 0, 0, 0]);
    world.secret("imports.json", &json!({ "users": [{ "user_id": "another", "user_password": PASSWORD }] }));
    world.clock.advance(Duration::from_secs(121));
    let answer = post(&world, &Form::example()).await;
    assert_eq!(answer.error(), "the user, the password or the account is wrong");
}

#[tokio::test]
async fn outer_blanks_are_no_part_of_credentials_sent_or_configured() {
    let world = world().await;
    let users = json!({ "users": [{ "user_id": " john1970", "user_password": "\t secret of three words \n" }] });
    world.secret("imports.json", &users);
    world.clock.advance(Duration::from_secs(121));
    let form = Form::rows("update", &["code"], &["1"]);
    let answer = post(&world, &form.clone().with("user_password", "secret of three words ")).await;
    assert_eq!(answer.counts(), [1, 0, 0, 0]);
    let newer = form.without("user_password").with("API", "1.5");
    let headers = [("api_access_key", "secret of three words")];
    let answer = send(&world, "multipart/form-data; boundary=b", &headers, newer.multipart("b")).await;
    assert_eq!(answer.counts().iter().sum::<u64>(), 1);
}
