use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_secretsmanager::config::{BehaviorVersion, Region};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
struct Token {
    token: String,
}

struct World {
    clock: Clock,
    secrets: Secrets,
    directory: TempDir,
}

impl World {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        Self { secrets: Secrets::new(None, clock.clone()), clock, directory: tempfile::tempdir().unwrap() }
    }

    fn write(&self, text: &str) {
        std::fs::write(self.directory.path().join("token"), text).unwrap();
    }

    fn remove(&self) {
        std::fs::remove_file(self.directory.path().join("token")).unwrap();
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn read(&self) -> Option<String> {
        let reference = SecretRef::File(self.directory.path().join("token").display().to_string());
        self.secrets.read::<Token>(&reference, "\"token\"").await.ok().map(|token| token.token)
    }
}

const ONE: &str = r#"{"token":"one"}"#;
const TWO: &str = r#"{"token":"two"}"#;

#[tokio::test]
async fn a_secret_that_is_replaced_is_in_use_within_a_minute() {
    let world = World::new();
    world.write(ONE);
    assert_eq!(world.read().await.as_deref(), Some("one"));
    world.write(TWO);
    world.pass(54);
    assert_eq!(world.read().await.as_deref(), Some("one"));
    world.pass(1);
    assert_eq!(world.read().await.as_deref(), Some("two"));
}

#[tokio::test]
async fn while_a_secret_is_half_written_the_last_good_one_serves_for_an_hour_and_no_longer() {
    let world = World::new();
    world.write(ONE);
    assert_eq!(world.read().await.as_deref(), Some("one"));
    world.write("{\"tok");
    for _ in 0..59 {
        world.pass(60);
        assert_eq!(world.read().await.as_deref(), Some("one"));
    }
    world.pass(60);
    assert_eq!(world.read().await, None);
    world.write(TWO);
    world.pass(2);
    assert_eq!(world.read().await.as_deref(), Some("two"));
}

#[tokio::test]
async fn a_secret_that_is_deleted_serves_for_two_minutes_and_no_longer() {
    let world = World::new();
    world.write(ONE);
    assert_eq!(world.read().await.as_deref(), Some("one"));
    world.remove();
    world.pass(119);
    assert_eq!(world.read().await.as_deref(), Some("one"));
    world.pass(1);
    assert_eq!(world.read().await, None);
}

#[tokio::test]
async fn a_secret_that_could_not_be_read_is_tried_again_after_two_seconds_and_not_before() {
    let world = World::new();
    assert_eq!(world.read().await, None);
    world.write(ONE);
    world.pass(1);
    assert_eq!(world.read().await, None);
    world.pass(1);
    assert_eq!(world.read().await.as_deref(), Some("one"));
}

/// A stand-in for AWS Secrets Manager that answers each request with the text of that moment, and counts.
async fn secrets_manager(text: Arc<Mutex<&'static str>>, asked: Arc<AtomicUsize>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                connection.read_buf(&mut request).await.unwrap();
            }
            asked.fetch_add(1, Ordering::SeqCst);
            let body = serde_json::json!({ "SecretString": *text.lock().unwrap() }).to_string();
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            connection.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("local"))
        .endpoint_url(format!("http://{address}"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .allow_no_auth()
        .build();
    Client::from_conf(config)
}

#[tokio::test]
async fn a_secret_that_a_source_takes_is_read_once_in_a_quarter_of_an_hour_and_one_that_it_refuses_after_a_minute() {
    let (text, asked) = (Arc::new(Mutex::new(ONE)), Arc::new(AtomicUsize::new(0)));
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let secrets = Secrets::new(Some(secrets_manager(text.clone(), asked.clone()).await), clock.clone());
    let reference = SecretRef::SecretsManager("customer-sync/aa".to_owned());
    let read = async || secrets.read_for_source::<Token>(&reference, "\"token\"").await.unwrap().token;
    assert_eq!(read().await, "one");
    *text.lock().unwrap() = TWO;
    clock.advance(Duration::from_secs(14 * 60));
    assert_eq!((read().await.as_str(), asked.load(Ordering::SeqCst)), ("one", 1));
    secrets.doubt(&reference);
    assert_eq!((read().await.as_str(), asked.load(Ordering::SeqCst)), ("two", 2));
    secrets.doubt(&reference);
    assert_eq!((read().await.as_str(), asked.load(Ordering::SeqCst)), ("two", 2), "it was read a moment ago");
    clock.advance(Duration::from_secs(60));
    assert_eq!((read().await.as_str(), asked.load(Ordering::SeqCst)), ("two", 3));
    clock.advance(Duration::from_secs(14 * 60));
    assert_eq!((read().await.as_str(), asked.load(Ordering::SeqCst)), ("two", 3), "what was read anew is not doubted");
}
