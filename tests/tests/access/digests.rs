//! Readers by the digests of their tokens, which `apply` stores: the API needs no secret to let them in.

use std::time::Duration;

use axum::http::StatusCode;
use model::ConnectionKey;
use serde_json::json;
use tests::{AssociationAnywhereFixture, TOKEN};

use crate::support::{read_as, world};

/// Applies a file with one more connection, and these readers of the tenant before that with [`TOKEN`].
async fn apply(world: &AssociationAnywhereFixture, tenant: &str, tokens: &[&str]) {
    let readers = tokens.iter().map(|token| format!("[[reader]]\ntenant = '{tenant}'\ntoken = '{token}'\n"));
    world
        .configure(&format!(
            "[[connection]]\nid = 'more'\ntenant = 'acme'\nkind = 'batch-import'\naccount_id = 'more'\n\
             credentials = 'env:NO_SUCH_VARIABLE'\ncampaigns = ['1']\n{}",
            readers.collect::<String>()
        ))
        .await;
}

async fn status(world: &AssociationAnywhereFixture, token: &str) -> StatusCode {
    read_as(world, token, "/v1/connections").await.status
}

#[tokio::test]
async fn a_reader_is_let_in_and_a_stranger_refused_while_no_secret_can_be_read() {
    let world = world().await;
    std::fs::remove_file(world.directory.path().join("acme.json")).unwrap();
    for _ in 0..3 {
        assert_eq!(status(&world, TOKEN).await, StatusCode::OK);
        assert_eq!(status(&world, "wrong").await, StatusCode::UNAUTHORIZED);
        world.clock.advance(Duration::from_secs(3_600));
    }
}

#[tokio::test]
async fn what_the_store_keeps_of_a_token_opens_nothing() {
    let world = world().await;
    let registrations = world.connections().of_kind(config::READER).await.unwrap();
    let document: serde_json::Value = serde_json::from_str(&registrations[0].document).unwrap();
    let digest = document["token_sha256"].as_str().unwrap();
    // `printf acme-token | sha256sum`
    assert_eq!(digest, "28daa606f54b368209e11244fd3d5612b41212e822258df22e55afe06a7bdae1");
    assert_eq!(status(&world, digest).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_that_is_replaced_stops_a_minute_after_the_file_is_applied_and_not_before() {
    let world = world().await;
    let statuses = async || [status(&world, "old").await, status(&world, "new").await];
    let (old_opens, new_opens) =
        ([StatusCode::OK, StatusCode::UNAUTHORIZED], [StatusCode::UNAUTHORIZED, StatusCode::OK]);
    let token = world.secret("other.json", &json!({ "token": "old" }));
    apply(&world, "other", &[&token]).await;
    world.secret("other.json", &json!({ "token": "new" }));
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(statuses().await, old_opens);
    apply(&world, "other", &[&token]).await;
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(statuses().await, old_opens);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(statuses().await, new_opens);
}

#[tokio::test]
async fn a_tenant_has_two_tokens_while_one_replaces_the_other() {
    let world = world().await;
    let second = world.secret("second.json", &json!({ "token": "second-token" }));
    apply(&world, "acme", &[&second]).await;
    for token in [TOKEN, "second-token"] {
        assert_eq!(status(&world, token).await, StatusCode::OK, "{token}");
    }
}

/// The release before registered a reader without a digest (invariant 11).
#[tokio::test]
async fn a_reader_that_the_release_before_registered_is_read_from_its_secret_until_the_file_is_applied() {
    let world = world().await;
    let path = world.directory.path().join("acme.json");
    world.register_undigested("acme", &format!("file:{}", path.display())).await;
    assert_eq!(status(&world, TOKEN).await, StatusCode::OK);
    std::fs::remove_file(&path).unwrap();
    world.clock.advance(Duration::from_secs(200));
    assert_eq!(status(&world, TOKEN).await, StatusCode::SERVICE_UNAVAILABLE);
    apply(&world, "acme", &[]).await;
    // `apply` of this story wrote the secret again, and removes nothing.
    world.connections().remove(&ConnectionKey::new("acme", "reader/1")).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(status(&world, TOKEN).await, StatusCode::OK);
    assert_eq!(status(&world, "wrong").await, StatusCode::UNAUTHORIZED);
}
