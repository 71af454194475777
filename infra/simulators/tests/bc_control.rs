//! Driving Business Catalyst from outside: the control surface, and the program.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use jiff::civil::date;
use serde_json::{Value, json};
use support::{
    Program,
    business_catalyst::{BEGINNING, CREDENTIALS, Running, record_ids, start},
};

async fn read(running: &Running, what: &str) -> Value {
    let url = format!("{}/_simulator/{what}", running.base);
    serde_json::from_str(&running.client.get(url).send().await.unwrap().text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn everything_a_story_does_can_be_done_over_http() {
    let running = start(5).await;
    for (command, ids) in [
        ("set-time?to=2024-06-01T12:00:00", None),
        ("set-step?seconds=60", None),
        ("change?ids=1001,%201002,77", Some(vec![1001, 1002])),
        ("touch?ids=1003", Some(vec![1003])),
        ("delete?id=1004", Some(vec![1004])),
        ("remove-silently?id=1005", Some(vec![1005])),
        ("create", Some(vec![1006])),
        ("create?id=9000", Some(vec![9000])),
        ("on-page?record_start=0&action=delete&id=9000", None),
        ("fault?operation=retrieve&fault=retry-after&value=503:30&times=1&record_start=0", None),
    ] {
        let expected = ids.map_or(json!({ "done": true }), |ids| json!({ "ids": ids }));
        assert_eq!(running.control(command).await, (200, expected.to_string()), "{command}");
    }
    assert_eq!(running.send_retrieve(BEGINNING, 0).await.unwrap().status(), 503);
    // What was to be done before the page is done before the page that is made.
    assert_eq!(running.simulator.deleted_ids(), [1004]);
    assert_eq!(record_ids(&running.retrieve("2024-06-01T12:00:00", 0).await), [1001, 1002, 1003, 1004, 1006, 9000]);
    assert_eq!(running.simulator.deleted_ids(), [1004, 9000]);
    let changed: Value = serde_json::from_str(&running.control("change-some?count=2").await.1).unwrap();
    assert_eq!(changed["ids"].as_array().unwrap().len(), 2);

    let state = read(&running, "state").await;
    // Eight things happened, each a minute after the one before.
    assert_eq!(state["time"], "2024-06-01T12:09:00");
    assert_eq!(running.simulator.time(), date(2024, 6, 1).at(12, 9, 0, 0));
    assert_eq!((&state["contacts"], &state["deleted"]), (&json!(4), &json!(2)));
    assert_eq!((&state["requests"]["retrieve"], &state["requests"]["faulted"]), (&json!(2), &json!(1)));
    assert_eq!(state["listings"]["last"][1], json!({ "last_update_date": "2024-06-01T12:00:00", "record_start": 0 }));

    let contact = read(&running, "contact?id=1001").await;
    assert_eq!(contact["display_name"].as_str(), running.simulator.display_name(1001).as_deref());
    assert_eq!(contact["email"].as_str(), running.simulator.email(1001).as_deref());
    assert_eq!(contact["last_update_date"], running.simulator.last_update(1001).unwrap().to_string());
    assert_eq!(read(&running, "contact?id=1004").await["exists"], false);

    let written = "<ContactRecord><externalId>aa~1</externalId><firstName>Ann</firstName></ContactRecord>";
    let request = format!("{CREDENTIALS}<contactsList>{written}</contactsList>");
    assert_eq!(running.control("refuse?external_id=aa~1").await.0, 200);
    assert_eq!(running.send("ContactList_UpdateInsert", &request).await.unwrap().status(), 500);
    assert_eq!(running.control("accept?external_id=aa~1").await.0, 200);
    running.write(written).await;
    assert_eq!(running.control("take-news").await, (200, json!({ "external_ids": ["aa~1"] }).to_string()));
    let contact = read(&running, "contact?external_id=aa~1").await;
    assert_eq!((&contact["exists"], &contact["contact"]["first_name"]), (&json!(true), &json!("Ann")));
    let unknown = json!({ "external_id": "aa~2", "exists": false, "contact": null });
    assert_eq!(read(&running, "contact?external_id=aa~2").await, unknown);
}

#[tokio::test]
async fn every_fault_and_poison_has_a_name() {
    let running = start(1).await;
    for fault in [
        "delay&value=1",
        "hang",
        "status&value=500",
        "retry-after&value=429:1",
        "cut-body",
        "malformed",
        "not-xml",
        "doctype",
        "huge&value=1000",
        "soap-fault&value=e",
        "no-contacts-fault",
        "empty-result",
        "no-result",
        "repeat-pages",
        "endless",
        "wrong-credentials",
        "none",
    ] {
        let command = format!("fault?operation=all&fault={fault}");
        assert_eq!(running.control(&command).await.0, 200, "{fault}");
    }
    for kind in ["no-entity-id", "bad-date", "broken-xml", "too-deep", "huge-text&value=1"] {
        assert_eq!(running.control(&format!("poison?id=1001&kind={kind}")).await.0, 200, "{kind}");
    }
    assert_eq!(running.control("heal?id=1001").await.0, 200);
    assert_eq!(record_ids(&running.retrieve(BEGINNING, 0).await), [1001]);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_told_so() {
    let running = start(1).await;
    for command in [
        "change",
        "change?ids=1001,x",
        "delete?id=",
        "create?id=new",
        "on-page?record_start=0&action=explode",
        "on-page?action=delete&id=1001",
        "poison?id=1001&kind=bad",
        "fault?operation=all&fault=bad",
        "fault?operation=bad&fault=hang",
        "fault?operation=all&fault=hang&record_start=0",
        "fault?operation=retrieve&fault=status",
        "fault?operation=retrieve&fault=retry-after&value=503",
        "set-time?to=noon",
        "set-time?to=2024-06-01T12:00:00Z",
        "set-step?seconds=one",
        "refuse?id=1001",
        "accept",
    ] {
        assert_eq!(running.control(command).await.0, 400, "{command}");
    }
    assert_eq!(running.control("explode").await.0, 404);
}

fn program(port: &str, time_zone: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bc-simulator"));
    command.args(["--port", port, "--contacts", "7", "--password", "it's", "--time-zone", time_zone]);
    command
}

fn one_line_of_failure(command: &mut Command) -> String {
    let mut program = Program(command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
    let mut message = String::new();
    program.0.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    assert_eq!(program.0.wait().unwrap().code(), Some(1));
    assert_eq!(message.lines().count(), 1);
    message
}

#[tokio::test]
async fn the_program_prints_what_to_paste_and_names_what_it_cannot_use() {
    let mut started = Program(program("0", "Europe/Berlin").stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(started.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let base = lines.next().unwrap().rsplit(' ').next().unwrap().to_owned();
    let printed: Vec<String> = lines.by_ref().take_while(|line| !line.contains("demo-site-token")).collect();
    let endpoint = format!("endpoint = \"{base}/catalystwebservice/catalystcrmwebservice.asmx\"");
    for expected in [
        "[[connection]]",
        "kind = \"business-catalyst\"",
        &endpoint,
        "site_id = 12345",
        "time_zone = \"Europe/Berlin\"",
        "soap = \"1.1\"",
        r#"export BC_CREDENTIALS='{"password":"it'\''s","username":"demo@example.com"}'"#,
    ] {
        assert!(printed.iter().any(|line| line == expected), "{expected} is not in {printed:#?}");
    }
    assert!(!printed.iter().any(|line| line.contains("insecure_http")));

    // It follows the real clock, in its zone.
    let state = support::client().get(format!("{base}/_simulator/state")).send().await.unwrap().text().await.unwrap();
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["contacts"], 7);
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let time: jiff::civil::DateTime = state["time"].as_str().unwrap().parse().unwrap();
    let minutes = (zone.to_datetime(jiff::Timestamp::now()).duration_since(time)).as_mins();
    assert!(minutes.abs() < 5, "{time}");

    let taken = one_line_of_failure(&mut program(base.rsplit(':').next().unwrap(), "Europe/Berlin"));
    assert!(taken.starts_with("bc-simulator: cannot listen on 127.0.0.1:"), "{taken}");
    let unknown = one_line_of_failure(&mut program("0", "Mars/Olympus"));
    assert!(unknown.contains("Mars/Olympus"), "{unknown}");
}
