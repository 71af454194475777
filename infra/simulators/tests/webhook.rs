//! The receiver of webhooks: what it verifies, what it keeps, what goes wrong on purpose, and the program.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};
use simulators::webhook::{EventKind, Fault, RequestCounts, Seen, WebhookFault, WebhookSettings, endpoint};
use support::webhook::*;
use support::{Program, client};

/// Long enough that only a broken receiver exceeds it.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn events_are_applied_in_the_order_in_which_they_arrive() {
    let running = start().await;
    let receiver = &running.receiver;
    for (id, action, subject, revision) in [
        ("m1", "added", "aa~1", 1),
        ("m2", "added", "aa~2", 7),
        ("m3", "updated", "aa~1", 3),
        ("m4", "updated", "aa~1", 2),
        ("m5", "updated", "aa~1", 2),
        ("m6", "updated", "aa~1", 3),
    ] {
        assert_eq!(running.status(id, &event(action, subject, revision)).await, 200);
    }
    // What arrived last counts, and is told apart from what should have.
    assert_eq!(receiver.requests().out_of_order, 2);
    assert_eq!(receiver.customer("aa~1").unwrap(), json!({ "id": "aa~1", "revision": 3 }));
    assert_eq!(receiver.ids(), ["aa~1", "aa~2"]);
    assert_eq!(receiver.take_news(), ["aa~1", "aa~2"]);
    assert!(receiver.take_news().is_empty());

    assert_eq!(running.status("m7", &event("deleted", "aa~1", 4)).await, 200);
    assert_eq!((receiver.customer("aa~1"), receiver.ids()), (None, vec!["aa~2".to_owned()]));
    assert_eq!(receiver.data("aa~1").unwrap()["action"], "deleted");
    assert_eq!(receiver.take_news(), ["aa~1"]);
    // A deletion does not make the receiver forget which revisions it has seen.
    running.send("m8", &event("added", "aa~1", 3)).await.unwrap();
    assert_eq!(receiver.requests().out_of_order, 3);
    assert_eq!(receiver.customer("aa~1").unwrap()["revision"], 3);

    let seen = |id: &str, subject: &str, kind, revision| Seen {
        webhook_id: id.to_owned(),
        subject: subject.to_owned(),
        kind,
        revision,
    };
    assert_eq!(
        receiver.events(),
        [
            seen("m1", "aa~1", EventKind::Added, 1),
            seen("m2", "aa~2", EventKind::Added, 7),
            seen("m3", "aa~1", EventKind::Updated, 3),
            seen("m4", "aa~1", EventKind::Updated, 2),
            seen("m5", "aa~1", EventKind::Updated, 2),
            seen("m6", "aa~1", EventKind::Updated, 3),
            seen("m7", "aa~1", EventKind::Deleted, 4),
            seen("m8", "aa~1", EventKind::Added, 3),
        ]
    );
    let expected = RequestCounts { received: 8, accepted: 8, out_of_order: 3, ..RequestCounts::default() };
    assert_eq!(receiver.requests(), expected);
    assert_eq!(receiver.customer("aa~9"), None);
}

#[tokio::test]
async fn the_same_webhook_id_is_acknowledged_and_not_applied_again() {
    let running = start().await;
    running.send("m1", &event("added", "aa~1", 1)).await.unwrap();
    running.send("m2", &event("updated", "aa~1", 2)).await.unwrap();
    running.receiver.take_news();
    assert_eq!(running.status("m1", &event("added", "aa~1", 1)).await, 200);
    assert_eq!(running.receiver.customer("aa~1").unwrap()["revision"], 2);
    assert!(running.receiver.take_news().is_empty());
    assert_eq!(running.receiver.events().len(), 2);
    let expected = RequestCounts { received: 3, accepted: 2, repeated: 1, ..RequestCounts::default() };
    assert_eq!(running.receiver.requests(), expected);
}

#[tokio::test]
async fn the_published_example_of_a_signature_verifies() {
    // From the tests of the Standard Webhooks libraries.
    let running = start_with("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1_614_265_330).await;
    let send = async |id: &str, timestamp: i64, signature: &str, body: &str| {
        running.request(id, timestamp, signature, body).send().await.unwrap().status().as_u16()
    };
    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    let good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let body = "{\"test\": 2432232314}";
    // It is no event, but that is said only after it is verified.
    assert_eq!(send(id, 1_614_265_330, good, body).await, 400);
    assert_eq!(send(id, 1_614_265_330, &format!("v1,AAAA v1a,x {good}"), body).await, 400);
    assert_eq!((running.receiver.requests().unreadable, running.receiver.requests().unverified), (2, 0));

    for (id, timestamp, signature, body) in [
        ("msg_other", 1_614_265_330, good, body),
        (id, 1_614_265_331, good, body),
        (id, 1_614_265_330, good, "{\"test\": 2432232315}"),
        (id, 1_614_265_330, &good.replace("g0", "h0"), body),
        (id, 1_614_265_330, good.strip_prefix("v1,").unwrap(), body),
        (id, 1_614_265_330, &good.replace("v1,", "v2,"), body),
        (id, 1_614_265_330, &good[..20], body),
        (id, 1_614_265_330, "", body),
        ("", 1_614_265_330, good, body),
    ] {
        assert_eq!(send(id, timestamp, signature, body).await, 401, "{id} {timestamp} {signature} {body}");
    }
    for missing in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut request = running.request(id, 1_614_265_330, good, body).build().unwrap();
        request.headers_mut().remove(missing);
        assert_eq!(running.client.execute(request).await.unwrap().status(), 401, "{missing}");
    }
    assert_eq!(running.receiver.requests().unverified, 12);
}

#[tokio::test]
async fn a_signature_is_good_for_five_minutes_either_way() {
    let running = start().await;
    let secret = WebhookSettings::default().secret;
    for (offset, status) in [(-301, 401), (-300, 200), (300, 200), (301, 401)] {
        let id = format!("m{offset}");
        let body = event("added", "aa~1", 1).to_string();
        let signature = signature(&secret, &id, NOW + offset, &body);
        let answer = running.request(&id, NOW + offset, &signature, &body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{offset}");
    }
    // The receiver's clock moves with the story's.
    running.clock.store(NOW + 1000, Ordering::Relaxed);
    assert_eq!(running.status("m1", &event("updated", "aa~1", 2)).await, 200);
}

#[tokio::test]
async fn a_secret_can_be_rotated_with_two_signatures_in_between() {
    let running = start().await;
    let old = WebhookSettings::default().secret;
    let new = format!("whsec_{}", BASE64_STANDARD.encode([7; 32]));
    let send = async |id: &str, secrets: &[&str]| {
        let body = event("updated", "aa~1", 1).to_string();
        let signatures: Vec<String> = secrets.iter().map(|secret| signature(secret, id, NOW, &body)).collect();
        running.request(id, NOW, &signatures.join(" "), &body).send().await.unwrap().status().as_u16()
    };
    assert_eq!(send("m1", &[&new]).await, 401);
    assert_eq!(send("m2", &[&new, &old]).await, 200);
    running.receiver.set_secret(&new);
    assert_eq!(send("m3", &[&new, &old]).await, 200);
    assert_eq!(send("m4", &[&old]).await, 401);
    assert_eq!(send("m5", &[&new]).await, 200);
    running.receiver.set_secret("no secret");
    assert_eq!(send("m6", &[&new, &old]).await, 401);
}

#[tokio::test]
async fn an_event_that_lacks_something_or_contradicts_itself_is_not_applied() {
    let running = start().await;
    let good = event("added", "aa~1", 1);
    let changed = |pointer: &str, value: Value| {
        let mut event = good.clone();
        *event.pointer_mut(pointer).unwrap() = value;
        event
    };
    let mut without_data = good.clone();
    without_data.as_object_mut().unwrap().remove("data");
    let mut with_odd_name = good.clone();
    with_odd_name["my_attribute"] = json!("x");
    for (number, event) in [
        changed("/specversion", json!("0.3")),
        changed("/id", json!("")),
        changed("/source", json!(null)),
        changed("/time", json!("yesterday")),
        changed("/datacontenttype", json!("text/plain")),
        changed("/type", json!("com.example.customer.touched")),
        changed("/type", json!("added")),
        changed("/type", json!("com.example.customer.updated")),
        changed("/subject", json!("aa~2")),
        changed("/data/id", json!("aa~2")),
        changed("/data/action", json!("deleted")),
        changed("/data/changed_at", json!("2025-06-15")),
        changed("/data/revision", json!("1")),
        changed("/data/customer", json!("Ann")),
        changed("/data", json!("text")),
        without_data,
        with_odd_name,
        json!([good.clone()]),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(running.status(&format!("m{number}"), event).await, 400, "{event}");
    }
    let body = good.to_string();
    let signature = signature(&WebhookSettings::default().secret, "m", NOW, &body);
    let mut as_json = running.request("m", NOW, &signature, &body).build().unwrap();
    as_json.headers_mut().insert("content-type", "application/json".parse().unwrap());
    assert_eq!(running.client.execute(as_json).await.unwrap().status(), 415);
    assert_eq!(running.client.get(endpoint(&running.base)).send().await.unwrap().status(), 405);

    let expected = RequestCounts { received: 19, unreadable: 19, ..RequestCounts::default() };
    assert_eq!(running.receiver.requests(), expected);
    assert!(running.receiver.ids().is_empty());

    // Not everything has to be there: what is optional, and the customer itself.
    let mut least = good;
    for optional in ["time", "datacontenttype"] {
        least.as_object_mut().unwrap().remove(optional);
    }
    least["data"].as_object_mut().unwrap().remove("customer");
    assert_eq!(running.status("least", &least).await, 200);
    assert_eq!((running.receiver.ids(), running.receiver.customer("aa~1")), (vec!["aa~1".to_owned()], None));
    assert_eq!(running.receiver.data("aa~1").unwrap()["revision"], 1);
}

#[tokio::test]
async fn a_subject_can_be_refused_and_the_same_event_be_taken_later() {
    let running = start().await;
    running.send("m0", &event("added", "aa~1", 1)).await.unwrap();
    running.receiver.refuse("aa~1", 422);
    assert_eq!(running.status("m1", &event("updated", "aa~1", 2)).await, 422);
    assert_eq!(running.status("m2", &event("added", "aa~2", 1)).await, 200);
    // It has this one already, so there is nothing to refuse.
    assert_eq!(running.status("m0", &event("added", "aa~1", 1)).await, 200);
    assert_eq!(running.receiver.customer("aa~1").unwrap()["revision"], 1);
    running.receiver.accept("aa~1");
    assert_eq!(running.status("m1", &event("updated", "aa~1", 2)).await, 200);
    assert_eq!(running.receiver.customer("aa~1").unwrap()["revision"], 2);
    let expected = RequestCounts { received: 5, accepted: 3, repeated: 1, refused: 1, ..RequestCounts::default() };
    assert_eq!(running.receiver.requests(), expected);
}

#[tokio::test]
async fn an_event_whose_answer_is_spoiled_is_applied_and_others_are_not() {
    let spoiled = [Fault::Delay(Duration::ZERO), Fault::CutBody, Fault::Huge(1000)];
    let refused = [
        Fault::Status(500),
        Fault::RetryAfter { status: 503, seconds: 1 },
        WebhookFault::Redirect("http://127.0.0.1:9/".to_owned()).into(),
    ];
    let cases = spoiled.into_iter().map(|fault| (fault, 1)).chain(refused.into_iter().map(|fault| (fault, 0)));
    for (fault, applied) in cases {
        let running = start().await;
        running.receiver.fault_times(fault.clone(), 1);
        if let Ok(response) = running.send("m1", &event("added", "aa~1", 1)).await {
            let _ = response.bytes().await;
        }
        let requests = running.receiver.requests();
        assert_eq!((requests.received, requests.faulted, requests.accepted), (1, 1, applied), "{fault:?}");
        // Sent again, it is there once.
        assert_eq!(running.status("m1", &event("added", "aa~1", 1)).await, 200);
        assert_eq!((running.receiver.events().len(), running.receiver.requests().repeated), (1, applied), "{fault:?}");
    }
}

#[tokio::test]
async fn every_spoiled_answer_is_spoiled_as_announced() {
    let running = start().await;
    let receiver = &running.receiver;
    let good = event("added", "aa~1", 1);

    receiver.fault(Some(Fault::Status(410)));
    assert_eq!(running.status("m1", &good).await, 410);
    receiver.fault(Some(Fault::RetryAfter { status: 429, seconds: 7 }));
    let response = running.send("m1", &good).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    receiver.fault(Some(WebhookFault::Redirect("http://localhost/elsewhere".to_owned()).into()));
    let response = running.send("m1", &good).await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["location"], "http://localhost/elsewhere");
    assert!(receiver.events().is_empty());

    receiver.fault(Some(Fault::CutBody));
    let response = running.send("m1", &good).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.content_length().is_some() && response.bytes().await.is_err());
    receiver.fault(Some(Fault::Huge(500_000)));
    let response = running.send("m2", &good).await.unwrap();
    assert_eq!((response.status().as_u16(), response.content_length()), (200, None));
    assert_eq!(response.bytes().await.unwrap().len(), 500_000);
    // What is not acknowledged is not spoiled.
    let unsigned = running.request("m3", NOW, "", &good.to_string()).send().await.unwrap();
    assert_eq!(unsigned.status(), 401);

    receiver.fault(None);
    receiver.fault_times(Fault::Delay(Duration::from_millis(300)), 1);
    let begun = Instant::now();
    running.send("m4", &good).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300));

    receiver.fault(Some(Fault::Hang));
    let faulted = receiver.requests().faulted;
    let clear = async {
        while receiver.requests().faulted == faulted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        receiver.fault(None);
    };
    let second = event("updated", "aa~1", 2);
    let both = async { tokio::join!(running.status("m5", &second), clear) };
    assert_eq!(tokio::time::timeout(PATIENCE, both).await.unwrap().0, 200);
    assert_eq!(receiver.customer("aa~1").unwrap()["revision"], 2);
}

#[tokio::test]
async fn the_last_request_is_kept_as_it_was_sent() {
    let running = start().await;
    assert_eq!(running.receiver.last_request(), None);
    running.receiver.fault_times(Fault::Status(500), 1);
    let sent = event("added", "aa~ü", 1);
    running.send("m1", &sent).await.unwrap();
    let (headers, body) = running.receiver.last_request().unwrap();
    assert_eq!(body, sent.to_string());
    let header = |name: &str| headers.iter().find(|(given, _)| given == name).unwrap().1.clone();
    assert_eq!((header("webhook-id"), header("webhook-timestamp")), ("m1".to_owned(), NOW.to_string()));
    let expected = signature(&WebhookSettings::default().secret, "m1", NOW, &body);
    assert_eq!(header("webhook-signature"), expected);
}

#[tokio::test]
async fn everything_a_story_does_can_be_done_over_http() {
    let running = start().await;
    assert_eq!(running.read("last-request").await, Value::Null);
    for fault in [
        "delay&value=1",
        "hang",
        "status&value=500",
        "retry-after&value=429:1",
        "redirect&value=http://localhost/",
        "cut-body",
        "huge&value=1000",
        "none",
        "status&value=503&times=1",
    ] {
        assert_eq!(running.control(&format!("fault?fault={fault}")).await.0, 200, "{fault}");
    }
    assert_eq!(running.status("m1", &event("added", "aa~1", 1)).await, 503);
    assert_eq!(running.control("refuse?subject=aa~1&status=400").await.0, 200);
    assert_eq!(running.status("m1", &event("added", "aa~1", 1)).await, 400);
    assert_eq!(running.control("accept?subject=aa~1").await, (200, json!({ "done": true }).to_string()));
    assert_eq!(running.status("m1", &event("added", "aa~1", 1)).await, 200);
    assert_eq!(running.control("take-news").await, (200, json!({ "ids": ["aa~1"] }).to_string()));

    let customer = running.read("customer?id=aa~1").await;
    assert_eq!((&customer["exists"], &customer["data"]["revision"]), (&json!(true), &json!(1)));
    assert_eq!(running.read("customer?id=aa~9").await, json!({ "id": "aa~9", "exists": false, "data": null }));
    let seen = json!([{ "webhook_id": "m1", "subject": "aa~1", "kind": "added", "revision": 1 }]);
    assert_eq!(running.read("events").await, seen);
    let state = running.read("state").await;
    assert_eq!((&state["customers"], &state["requests"]["received"]), (&json!(1), &json!(3)));
    let last_request = running.read("last-request").await;
    assert_eq!(last_request["body"], event("added", "aa~1", 1).to_string());
    assert!(last_request["headers"].as_array().unwrap().contains(&json!(["webhook-id", "m1"])));

    assert_eq!(running.control("set-secret?secret=whsec_AAAA").await.0, 200);
    assert_eq!(running.status("m2", &event("updated", "aa~1", 2)).await, 401);
    for command in [
        "refuse?subject=aa~1",
        "refuse?status=400",
        "accept",
        "set-secret?secret=AAAA",
        "set-secret?secret=whsec_!",
        "fault?fault=bad",
        "fault?fault=redirect&value=a%0Ab",
    ] {
        assert_eq!(running.control(command).await.0, 400, "{command}");
    }
    assert_eq!(running.control("explode").await.0, 404);
}

#[tokio::test]
async fn the_program_prints_what_to_paste_and_follows_the_real_clock() {
    let program = || Command::new(env!("CARGO_BIN_EXE_webhook-receiver"));
    let secret = format!("whsec_{}", BASE64_STANDARD.encode([5; 24]));
    let mut command = program();
    command.args(["--port", "0", "--secret", &secret]);
    let mut started = Program(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(started.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let base = lines.next().unwrap().rsplit(' ').next().unwrap().to_owned();
    let url = format!("url = \"{base}/hook\"");
    let credentials = format!("export HOOK_CREDENTIALS='{{\"secret\":\"{secret}\"}}'");
    let mut printed = Vec::new();
    while !printed.last().is_some_and(|line: &String| line.starts_with("export")) {
        printed.extend(lines.next());
    }
    for expected in
        ["[[destination]]", "id = \"hook\"", "kind = \"webhook\"", &url, "allow_private_addresses = true", &credentials]
    {
        assert!(printed.iter().any(|line| line == expected), "{expected} is not in {printed:#?}");
    }

    let now = Timestamp::now().as_second();
    let body = event("added", "aa~1", 1).to_string();
    let answer = client()
        .post(endpoint(&base))
        .header("Content-Type", "application/cloudevents+json")
        .header("webhook-id", "m1")
        .header("webhook-timestamp", now)
        .header("webhook-signature", signature(&secret, "m1", now, &body))
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);

    let wrong = program().args(["--secret", "hunter2"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    let help = String::from_utf8(program().arg("--help").output().unwrap().stdout).unwrap();
    assert!(help.contains("[default: 8794]") && help.contains("/_simulator/last-request"), "{help}");
}
