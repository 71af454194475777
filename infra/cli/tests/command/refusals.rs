//! Runs that can't begin, or fail: one line for each fault, with its place, and without secrets.

use std::fs;
use std::net::TcpListener;

use serde_json::json;
use simulators::association_anywhere::{AaFault, Fault, Procedure};

use crate::source::{Source, connection, home_with_connection_to};
use crate::support::{Home, PASSWORD, Running, USERNAME};

#[test]
fn what_can_not_begin_says_what_and_where_and_leaves_nothing_behind() {
    let home = Home::empty();
    let said = home.run("local --connections nowhere.toml --data data --port 0 --once");
    assert!(said.error().starts_with("nowhere.toml: no such file"), "{said:?}");

    home.write(
        "bad.toml",
        &connection("http://aa.example.org", "hunter2", "bulk_size = 0\nbulksize = 1")
            .replace("'file:reader.json'", "7"),
    );
    let said = home.run("local --connections bad.toml --data data --port 0 --once");
    let errors = said.errors();
    assert!(errors[0].starts_with("bad.toml: connection `aa`: key `queue_url`: plain http needs"), "{errors:?}");
    let keys = ["queue_url", "details_url", "purge_url", "enqueue_url", "credentials", "bulk_size", "bulksize"];
    for (error, key) in errors.iter().zip(keys) {
        assert!(error.starts_with(&format!("bad.toml: connection `aa`: key `{key}`: ")), "{key}: {error}");
    }
    assert_eq!(errors[keys.len()..], ["bad.toml: reader 1: key `token`: must be a text"]);
    assert!(!said.stderr.contains("hunter2"), "{said:?}");

    home.write("syntax.toml", "[[connection]]\nid = \"aa\"\ntenant = = \"acme\"\n");
    let said = home.run("local --connections syntax.toml --data data --port 0 --once");
    assert!(said.error().starts_with("syntax.toml: the file, line 3: is not TOML: "), "{said:?}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let said = home.run(&format!("local --data data --port {port} --once"));
    assert!(said.error().starts_with(&format!("port {port}: address already in use; ")), "{said:?}");
    assert!(!home.path("data").exists());

    home.write("file", "");
    let said = home.run("local --data file --port 0 --once");
    assert!(said.error().starts_with("file: "), "{said:?}");

    for command in ["status", "status --json", "failures", "imports", "imports undo 1", "resync aa", "apply bad.toml"] {
        let said = home.run(&format!("{command} --data data"));
        assert!(said.error().starts_with("data: there is no data of a run here"), "{command}: {said:?}");
    }
    assert!(!home.path("data").exists());
}

#[test]
fn wrong_use_is_told_apart_from_failure() {
    let home = Home::empty();
    for arguments in [
        "nonsense",
        "local --nonsense",
        "local --port x",
        "local --port 65536",
        "local extra",
        "status --data data --stack name",
        "apply",
        "resync",
        "status --profile name",
        "where",
        "forget",
        "pause",
        "failures redrive",
        "failures redrive aa~1 --all",
        "failures drop",
        "failures --json drop aa~1",
        "imports undo",
        "imports --json undo 1",
        "imports undo 1 2",
    ] {
        let said = home.run(arguments);
        assert_eq!(said.code, Some(2), "{arguments}: {said:?}");
        assert!(said.stdout.is_empty() && said.stderr.starts_with("error: "), "{arguments}: {said:?}");
    }
    assert_eq!(fs::read_dir(home.directory.path()).unwrap().count(), 0);
    let help = home.run("--help").succeeded();
    for command in ["local", "status", "apply", "resync", "where", "pause", "resume", "forget", "failures", "imports"] {
        assert!(help.stdout.contains(&format!("\n  {command} ")), "{help:?}");
    }
}

/// A connection that can't get in sync ends a `--once` after twenty seconds: these runs wait side by side.
#[test]
fn a_connection_that_fails_is_told_in_one_line_without_secrets() {
    let source = Source::with_customers(3);
    let maintenance = Source::with_customers(3);
    maintenance.simulator.fault(Procedure::Queue, Some(Fault::NotXml));
    let talkative = Source::with_customers(3);
    let refusal = format!("{USERNAME} can't log in with {PASSWORD}");
    talkative.simulator.fault(Procedure::Queue, Some(AaFault::FailureStatus(refusal).into()));
    let nobody = "http://does-not-exist.invalid";
    let runs: Vec<(&str, &str, Home, Running)> = [
        (
            "a variable",
            &source.base[..],
            "env:NO_SUCH_VARIABLE",
            "",
            "env:NO_SUCH_VARIABLE: the environment variable is not set",
        ),
        ("a file", &source.base, "file:no-such.json", "", "file:no-such.json: the file can't be read"),
        (
            "not JSON",
            &source.base,
            "file:connections.toml",
            "",
            "must be a JSON object with \"username\" and \"password\"",
        ),
        ("a host", nobody, "file:aa.json", "insecure_http = true", "the source could not be reached"),
        ("credentials", &source.base, "file:wrong.json", "", "Invalid username or password"),
        ("not XML", &maintenance.base, "file:aa.json", "", "a DOCTYPE at / (byte 0): none is accepted"),
        ("a talkative source", &talkative.base, "file:aa.json", "", "… can't log in with …"),
    ]
    .into_iter()
    .map(|(name, base, credentials, extra, expected)| {
        let home = home_with_connection_to(&source, "");
        home.write("wrong.json", &json!({ "username": USERNAME, "password": "wrong but secret" }).to_string());
        home.write("connections.toml", &connection(base, credentials, extra));
        let mut command = home.command("local --connections connections.toml --data data --port 0 --once");
        let running = Running::new(command.env_remove("NO_SUCH_VARIABLE").spawn().unwrap());
        (name, expected, home, running)
    })
    .collect();
    let mut not_one_line = Vec::new();
    for (name, expected, home, running) in runs {
        let said = running.ended().without(source.secrets());
        assert_eq!(said.code, Some(1), "{name}: {said:?}");
        let message = home.status()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.starts_with("queue: ") && message.contains(expected), "{name}: {message:?}");
        for text in [&said.stdout, &said.stderr, &message] {
            assert!(!text.contains("wrong but secret") && !text.contains(PASSWORD), "{name}: {text}");
        }
        let one_line = said.stderr.lines().count() == 1 && said.stderr.starts_with("customer-sync: ");
        let what_and_where =
            said.stderr.contains(&message) && ["`aa`", " aa: "].iter().any(|id| said.stderr.contains(id));
        if !one_line || !what_and_where {
            not_one_line.push((name, said.stderr));
        }
    }
    assert!(not_one_line.is_empty(), "stderr does not say what failed and where: {not_one_line:?}");
}
