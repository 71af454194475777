//! Events and their signatures.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use model::{ChangeAction, Content, CustomerId};
use serde_json::{Value, json};
use wire::webhook::{Event, MEDIA_TYPE, SecretProblem, SigningSecret, event_id, signatures};

use crate::sample::record;

/// The secret of the example in the standard's libraries.
const EXAMPLE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn secret(text: &str) -> SigningSecret {
    SigningSecret::parse(text).unwrap()
}

#[test]
fn the_example_of_the_standard_is_signed_as_it_says() {
    let signed =
        signatures(&[secret(EXAMPLE)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
    assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn each_secret_signs_in_its_order() {
    // The second was computed with Python's `hmac`.
    let secrets = [secret(EXAMPLE), secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")];
    let signed = |secrets: &[SigningSecret]| signatures(secrets, "evt_1", 1_790_000_000, "{\"name\":\"José\"}");
    let both = signed(&secrets);
    assert_eq!(both.split(' ').collect::<Vec<_>>(), [signed(&secrets[..1]), signed(&secrets[1..])]);
    assert!(both.ends_with(" v1,tJtP1vbOLyu+IBYO1DLgOHbPgDY51OqgVZ5s3BUSP1k="), "{both}");
    assert_eq!(signed(&[]), "");
}

#[test]
fn a_secret_may_come_without_its_prefix() {
    let bare = secret(EXAMPLE.strip_prefix("whsec_").unwrap());
    assert_eq!(signatures(&[bare], "a", 1, "b"), signatures(&[secret(EXAMPLE)], "a", 1, "b"));
}

#[test]
fn what_is_no_secret_is_refused_without_being_repeated() {
    let of_length = |length| SigningSecret::parse(&BASE64_STANDARD.encode(vec![7; length])).map(|_| ());
    for length in [24, 32, 64] {
        assert_eq!(of_length(length), Ok(()), "{length}");
    }
    for length in [0, 23, 65] {
        assert_eq!(of_length(length), Err(SecretProblem::Length { bytes: length }));
    }
    for text in [
        "whsec_hunter2",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS-",
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        " whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ] {
        assert_eq!(SigningSecret::parse(text).unwrap_err(), SecretProblem::NotBase64, "{text}");
    }
    let problems = [SecretProblem::NotBase64, SecretProblem::Length { bytes: 7 }].map(|problem| problem.to_string());
    assert_eq!(
        problems,
        [
            "a signing secret is `whsec_` and standard base64 with its padding; this is not",
            "a signing secret has 24 to 64 bytes as base64; this has 7",
        ]
    );
    assert_eq!(format!("{:?}", secret(EXAMPLE)), "SigningSecret { .. }");
}

fn id() -> CustomerId {
    CustomerId { connection: "aa".to_owned(), source_id: "10~\"01".to_owned() }
}

#[test]
fn an_event_is_a_cloud_event_with_a_change_as_its_data() {
    let customer = record("10~\"01", Content::default());
    let id = id();
    let event = Event {
        tenant: "acme",
        id: &id,
        action: ChangeAction::Updated,
        changed_at: customer.changed_at,
        revision: customer.revision,
        customer: Some(&customer),
        with_state: true,
        event_id: "evt_1",
    };
    let read = |event: &Event| serde_json::from_str::<Value>(&event.to_json()).unwrap();
    let expected = json!({
        "specversion": "1.0",
        "id": "evt_1",
        "source": "/tenants/acme/connections/aa",
        "type": "customer-sync.customer.updated",
        "subject": "aa~10~\"01",
        "time": "2026-09-21T14:13:20.123Z",
        "datacontenttype": "application/json",
        "data": {
            "id": "aa~10~\"01",
            "action": "updated",
            "changed_at": "2026-09-21T14:13:20.123Z",
            "revision": 7,
            "customer": customer,
        },
    });
    assert_eq!(read(&event), expected);
    assert_eq!(MEDIA_TYPE, "application/cloudevents+json; charset=utf-8");
    assert_eq!(format!("{event:?}"), "Event { event_id: \"evt_1\", .. }");

    let gone = read(&Event { action: ChangeAction::Deleted, customer: None, ..event });
    assert_eq!(gone["type"], "customer-sync.customer.deleted");
    assert_eq!(gone["data"].as_object().unwrap().get("customer"), Some(&Value::Null));

    for customer in [Some(&customer), None] {
        let without = read(&Event { action: ChangeAction::Added, with_state: false, customer, ..event });
        assert_eq!(without["type"], "customer-sync.customer.added");
        let data = without["data"].as_object().unwrap();
        assert_eq!(data.keys().collect::<Vec<_>>(), ["action", "changed_at", "id", "revision"]);
    }
}

#[test]
fn an_event_is_written_letter_by_letter_the_same() {
    let id = id();
    let event = Event {
        tenant: "acme",
        id: &id,
        action: ChangeAction::Deleted,
        changed_at: Timestamp::UNIX_EPOCH,
        revision: 9,
        customer: None,
        with_state: true,
        event_id: "evt_1",
    };
    assert_eq!(
        event.to_json(),
        concat!(
            r#"{"specversion":"1.0","id":"evt_1","source":"/tenants/acme/connections/aa","#,
            r#""type":"customer-sync.customer.deleted","subject":"aa~10~\"01","time":"1970-01-01T00:00:00.000Z","#,
            r#""datacontenttype":"application/json","data":{"id":"aa~10~\"01","action":"deleted","#,
            r#""changed_at":"1970-01-01T00:00:00.000Z","revision":9,"customer":null}}"#,
        )
    );
}

#[test]
fn an_event_has_an_id_that_no_other_has() {
    let id = |connection: &str, source_id: &str| CustomerId {
        connection: connection.to_owned(),
        source_id: source_id.to_owned(),
    };
    let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let aa = id("aa", "1");
    let first = event_id("hook", "acme", &aa, false, at, 7, "1");
    assert_eq!(first, event_id("hook", "acme", &aa, false, at, 7, "1"), "another attempt");
    let digits = first.strip_prefix("evt_").unwrap();
    assert!(digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    // It may never change: receivers keep ids. Computed with Python's `hashlib`.
    assert_eq!(first, "evt_4010a3dc4d84123c06a66e81b2b2d735");
    let later = at + std::time::Duration::from_millis(1);
    let all = [
        first,
        event_id("other", "acme", &aa, false, at, 7, "1"),
        event_id("hook", "globex", &aa, false, at, 7, "1"),
        event_id("hook", "acme", &id("bc", "1"), false, at, 7, "1"),
        event_id("hook", "acme", &id("aa", "2"), false, at, 7, "1"),
        event_id("hook", "acme", &aa, true, at, 7, "1"),
        event_id("hook", "acme", &aa, false, later, 7, "1"),
        event_id("hook", "acme", &aa, false, at, 8, "1"),
        event_id("hook", "acme", &aa, false, at, 7, "2"),
        event_id("hook", "acme", &id("aa", "1\",7"), false, at, 7, "1"),
        event_id("hook", "acme", &aa, false, at, 70, "1"),
    ];
    let different: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(different.len(), all.len());
}
