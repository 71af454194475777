//! Which credentials are accepted, which are refused, and what is logged.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tests::{AssociationAnywhereFixture, CONNECTOR_LOGIN, Log, TOKEN};

use crate::support::{IMPORTER, import_as, prospect, push_as, read, read_as, world};

const WRONG: &str = "the user, the password or the account is wrong";

/// A Connector of another tenant, with these credentials.
async fn add_connector(world: &AssociationAnywhereFixture, credentials: &str) {
    world
        .configure(&format!(
            "[[connection]]\nid = 'others'\ntenant = 'other'\nkind = 'connector'\nclient_id = 'c-1'\n\
             club_ids = ['k-1']\nproviders = ['INTOUCH']\ncredentials = '{credentials}'\n"
        ))
        .await;
}

async fn add_reader(world: &AssociationAnywhereFixture, tenant: &str, token: &str) {
    // A file must hold a connection.
    world
        .configure(&format!(
            "[[connection]]\nid = 'of-{tenant}'\ntenant = '{tenant}'\nkind = 'batch-import'\naccount_id = '{tenant}'\n\
             credentials = 'env:NO_SUCH_VARIABLE'\ncampaigns = ['1']\n\
             [[reader]]\ntenant = '{tenant}'\ntoken = '{token}'\n"
        ))
        .await;
}

/// Tenants are apart (invariant 7).
#[tokio::test]
async fn a_token_that_two_tenants_were_given_opens_neither() {
    let world = world().await;
    let same = world.secret("same.json", &json!({ "token": "same-token" }));
    let again = world.secret("again.json", &json!({ "token": "same-token" }));
    add_reader(&world, "one", &same).await;
    add_reader(&world, "two", &again).await;
    assert_eq!(read_as(&world, "same-token", "/v1/connections").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(read(&world, "/v1/connections").await.status, StatusCode::OK);
}

#[tokio::test]
async fn credentials_that_connectors_of_two_tenants_were_given_open_neither() {
    let world = world().await;
    let (username, password) = CONNECTOR_LOGIN;
    let same = world.secret("others.json", &json!({ "username": username, "password": password }));
    add_connector(&world, &same).await;
    let answer = push_as(&world, CONNECTOR_LOGIN, "user", prospect("r-1", "")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(read(&world, "/v1/customers?connection=intouch").await.json()["customers"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_token_that_was_configured_with_blanks_around_it_opens_what_it_should() {
    let world = world().await;
    let token = world.secret("blanks.json", &json!({ "token": "  blanks-around\n" }));
    add_reader(&world, "other", &token).await;
    assert_eq!(read_as(&world, "blanks-around", "/v1/connections").await.status, StatusCode::OK);
}

/// 401 is final for a sender: a push that is given up is lost (invariant 1).
#[tokio::test]
async fn while_a_secret_cannot_be_read_nobody_hears_that_theirs_is_wrong() {
    let world = world().await;
    let token = world.secret("acme.json", &json!({ "token": TOKEN }));
    world.register_undigested("acme", &token).await;
    let secrets = ["acme.json", "intouch.json", "imports.json"].map(|name| world.directory.path().join(name));
    let texts = secrets.clone().map(|path| std::fs::read_to_string(path).unwrap());
    for path in &secrets {
        std::fs::remove_file(path).unwrap();
    }
    assert_eq!(read(&world, "/v1/connections").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let pushed = push_as(&world, CONNECTOR_LOGIN, "user", prospect("r-1", "")).await;
    assert_eq!(pushed.status, StatusCode::SERVICE_UNAVAILABLE, "{}", pushed.text);
    let imported = import_as(&world, IMPORTER).await.text;
    assert!(imported.contains("send the request again") && !imported.contains(WRONG), "{imported}");
    for (path, text) in secrets.iter().zip(texts) {
        std::fs::write(path, text).unwrap();
    }
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(read(&world, "/v1/connections").await.status, StatusCode::OK);
    assert_eq!(push_as(&world, CONNECTOR_LOGIN, "user", prospect("r-1", "")).await.status, StatusCode::OK);
    assert_eq!(import_as(&world, IMPORTER).await.json()["status"], "success");
    // Now that all can be read, what matches none of them is wrong.
    assert_eq!(read_as(&world, "wrong", "/v1/connections").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_secret_that_is_known_goes_on_to_serve_while_it_is_half_written() {
    let world = world().await;
    assert_eq!(push_as(&world, CONNECTOR_LOGIN, "user", prospect("r-1", "")).await.status, StatusCode::OK);
    std::fs::write(world.directory.path().join("intouch.json"), "{\"user").unwrap();
    for _ in 0..10 {
        world.clock.advance(Duration::from_secs(61));
        assert_eq!(push_as(&world, CONNECTOR_LOGIN, "user", prospect("r-1", "")).await.status, StatusCode::OK);
    }
}

/// The operator learns of it (invariant 9), and no secret reaches the log (invariant 8).
#[tokio::test]
async fn whoever_is_refused_leaves_a_warning_with_route_and_request_at_every_door_and_nothing_that_they_presented() {
    let world = world().await;
    let log = Log::begin();
    read_as(&world, "a-guessed-token", "/v1/customers/aa~1001").await;
    push_as(&world, ("intouch", "a-guessed-password"), "user", prospect("r-1", "")).await;
    import_as(&world, (IMPORTER.0, "a-guessed-password", IMPORTER.2)).await;
    let refused: Vec<String> =
        log.lines("WARN").into_iter().filter(|line| line.contains("for its credentials")).collect();
    assert_eq!(refused.len(), 3, "{refused:?}");
    for (line, route) in refused.iter().zip(["GET /v1/customers/{id}", "/connector/api/2011-11", "POST /api.php"]) {
        assert!(line.contains(route) && line.contains("request_id="), "{line}");
    }
    let everything = log.lines("").concat();
    assert!(!everything.contains("guessed") && !everything.contains("1001"), "{everything}");
}

#[tokio::test]
async fn who_read_how_many_records_is_logged() {
    let world = world().await;
    let log = Log::begin();
    push_as(&world, CONNECTOR_LOGIN, "user", prospect("r-1", "")).await;
    read(&world, "/v1/customers?connection=intouch").await;
    let read = log.lines("personal data were read");
    assert_eq!(read.len(), 1);
    assert!(read[0].contains("tenant=\"acme\"") && read[0].contains("records=1"), "{read:?}");
}

#[tokio::test]
async fn after_ten_refusals_the_next_waits_and_nobody_who_may_come_in_does() {
    let world = world().await;
    let begin = world.now();
    for _ in 0..10 {
        read_as(&world, "wrong", "/v1/connections").await;
    }
    assert_eq!(world.now(), begin);
    read_as(&world, "wrong", "/v1/connections").await;
    assert_eq!(world.now(), begin + Duration::from_millis(200));
    assert_eq!(read_as(&world, TOKEN, "/v1/connections").await.status, StatusCode::OK);
    assert_eq!(world.now(), begin + Duration::from_millis(200));
}
