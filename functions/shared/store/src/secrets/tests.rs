use serde::Deserialize;
use tempfile::TempDir;

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
