//! Driving a simulator from outside: the control surface, and the program.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use serde_json::Value;
use support::{Program, Running, numbers, start, texts};

async fn control(running: &Running, command: &str) -> u16 {
    let url = format!("{}/_simulator/{command}", running.base);
    running.client.post(url).send().await.unwrap().status().as_u16()
}

async fn read(running: &Running, what: &str) -> Value {
    let url = format!("{}/_simulator/{what}", running.base);
    serde_json::from_str(&running.client.get(url).send().await.unwrap().text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn everything_a_story_does_can_be_done_over_http() {
    let running = start(5).await;
    running.purge(5).await;
    for command in [
        "change?ids=1001,1002",
        "delete?id=1003",
        "delete-silently?id=1004",
        "create?id=9000",
        "enqueue?id=1005",
        "enqueue-text?text=10%3Cb%2F%3E01",
        "change-some?count=1",
        "poison?id=1001&kind=huge-text&value=10",
        "fault?procedure=queue&fault=retry-after&value=503:30&times=1",
    ] {
        assert_eq!(control(&running, command).await, 200, "{command}");
    }
    assert_eq!(running.send(&running.urls.queue, "").await.unwrap().status(), 503);
    assert_eq!(texts(&running.get_details(&[1001]).await, "remarks"), ["xxxxxxxxxx"]);
    assert_eq!(control(&running, "heal?id=1001").await, 200);
    assert!(texts(&running.get_details(&[1001]).await, "remarks").is_empty());

    let state = read(&running, "state").await;
    assert_eq!(state["queue"]["length"], 7);
    assert_eq!(state["customers"], 4);
    assert_eq!(state["purges"], serde_json::json!([5]));
    assert_eq!(state["requests"]["faulted"], 1);
    assert_eq!(state["requests"]["details"], 2);

    assert_eq!(control(&running, "enqueue-all").await, 200);
    let customer = read(&running, "customer?id=1001").await;
    assert_eq!(customer["display_name"].as_str(), running.simulator.display_name(1001).as_deref());
    assert_eq!(customer["email"].as_str(), running.simulator.email(1001).as_deref());
    assert_eq!(read(&running, "customer?id=1003").await["exists"], false);
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
        "error-document&value=e",
        "failure-status&value=e",
        "empty",
        "malformed",
        "not-xml",
        "doctype",
        "duplicates",
        "wrong-dialect",
        "huge&value=1000",
        "wrong-credentials",
        "none",
    ] {
        assert_eq!(control(&running, &format!("fault?procedure=all&fault={fault}")).await, 200, "{fault}");
    }
    for kind in ["no-cust-id", "broken-xml", "server-error", "error-element", "too-deep", "huge-text&value=1"] {
        assert_eq!(control(&running, &format!("poison?id=1001&kind={kind}")).await, 200, "{kind}");
    }
    assert_eq!(numbers(&running.get_queue().await, "cust-id"), [1001]);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_told_so() {
    let running = start(1).await;
    for command in [
        "change",
        "change?ids=1001,x",
        "delete?id=",
        "poison?id=1001&kind=bad",
        "fault?procedure=all&fault=bad",
        "fault?procedure=bad&fault=hang",
        "fault?procedure=all&fault=status",
        "fault?procedure=all&fault=retry-after&value=503",
        "fault?procedure=all&fault=hang&times=often",
    ] {
        assert_eq!(control(&running, command).await, 400, "{command}");
    }
    assert_eq!(control(&running, "explode").await, 404);
}

fn program(port: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aa-simulator"));
    command.args(["--port", port, "--customers", "7", "--password", "it's"]);
    command
}

#[tokio::test]
async fn the_program_prints_what_to_paste_and_names_a_taken_port() {
    let mut started = Program(program("0").stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(started.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let base = lines.next().unwrap().rsplit(' ').next().unwrap().to_owned();
    let printed: Vec<String> = lines.by_ref().take_while(|line| !line.starts_with("export")).collect();
    for expected in ["[[connection]]", "kind = \"association-anywhere\"", "credentials = \"env:AA_CREDENTIALS\""] {
        assert!(printed.iter().any(|line| line == expected), "{printed:#?}");
    }
    assert!(printed.contains(&format!("details_url = \"{base}/demo/CENSSAWEBSVCLIB.GET_CUST_INFO_XML\"")));
    assert!(!printed.iter().any(|line| line.contains("insecure_http")));

    let state = support::client().get(format!("{base}/_simulator/state")).send().await.unwrap().text().await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&state).unwrap()["queue"]["length"], 7);

    let port = base.rsplit(':').next().unwrap();
    let mut second = Program(program(port).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
    let mut message = String::new();
    second.0.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    assert_eq!(second.0.wait().unwrap().code(), Some(1));
    assert!(message.starts_with("aa-simulator: cannot listen on 127.0.0.1:"), "{message}");
    assert_eq!(message.lines().count(), 1);
}
