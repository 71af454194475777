//! Stories of Association Anywhere at a shell, and of what holds for every kind of connection.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulators::association_anywhere::{AaFault, Fault, Poison, Procedure};

use crate::source::{Source, connection, home_with_connection_to, keys, listed};
use crate::support::{Home, LOG, PASSWORD, PATIENCE, Running, TOKEN, USERNAME, everything_of_ours};

#[test]
fn a_newcomer_sees_a_thousand_simulated_customers_come_in_and_then_nothing_new() {
    let home = Home::empty();
    let first = home.run("local --once --port 0").succeeded();
    assert_eq!(first.in_sync("aa"), (1_000, [1_000, 0, 0, 0, 0]), "{first:?}");
    // It may be listed once more before the destinations have everybody, and finds those of the last minutes unchanged.
    let (_, [written, _, others @ ..]) = first.in_sync("bc");
    assert_eq!((written, others), (500, [0, 0, 0]), "{first:?}");
    for destination in ["website", "loyalty", "hook"] {
        assert!(first.stdout.contains(&format!("to {destination}: in sync: ")), "{first:?}");
    }
    assert!(home.path(".customer-sync").is_dir(), "the directory that the design names");
    let second = home.run("local --once --port 0").succeeded();
    assert_eq!(second.in_sync("aa"), (1_000, [0, 1_000, 0, 0, 0]), "{second:?}");
    let status = home.run("status").succeeded();
    assert!(status.stdout.starts_with("aa (association-anywhere, tenant demo): in sync, "), "{status:?}");
    assert!(status.stdout.contains("\nbc (business-catalyst, tenant demo): in sync, "), "{status:?}");
    let figures = "2000 = 1000 written + 1000 unchanged + 0 stale + 0 tombstoned + 0 failed";
    assert!(status.stdout.contains(figures), "{status:?}");
}

#[test]
fn a_second_run_on_the_same_data_writes_nothing_and_a_change_is_written_alone() {
    let source = Source::with_customers(250);
    let home = home_with_connection_to(&source, "");
    let first = home.sync().succeeded().without(source.secrets());
    assert_eq!(first.in_sync("aa"), (250, [250, 0, 0, 0, 0]));
    assert_eq!(source.simulator.queue_len(), 0);
    let second = home.sync().succeeded().without(source.secrets());
    assert_eq!(second.in_sync("aa"), (0, [0; 5]));
    source.simulator.change([1003, 1004]);
    source.simulator.enqueue(1005);
    source.simulator.delete(1006);
    let third = home.sync().succeeded().without(source.secrets());
    assert_eq!(third.in_sync("aa"), (4, [2, 1, 0, 1, 0]));
}

#[test]
fn status_says_how_every_connection_stands() {
    let source = Source::with_customers(30);
    let home = home_with_connection_to(&source, "");
    home.sync().succeeded();
    let status = home.status();
    let expected = [
        "batch",
        "condition",
        "counts",
        "deletes_withheld",
        "error",
        "failures",
        "fresh_as_of",
        "freshness_seconds",
        "id",
        "kind",
        "last_success_at",
        "paused_at",
        "tenant",
    ];
    assert_eq!(keys(&status), BTreeSet::from(expected));
    assert_eq!(
        status["counts"],
        json!({ "fetched": 30, "written": 30, "unchanged": 0, "stale": 0, "tombstoned": 0, "failed": 0 })
    );
    for (key, value) in [
        ("id", json!("aa")),
        ("tenant", json!("acme")),
        ("kind", json!("association-anywhere")),
        ("condition", json!("in_sync")),
        ("paused_at", Value::Null),
        ("error", Value::Null),
        ("batch", Value::Null),
        ("failures", json!(0)),
        ("deletes_withheld", json!(0)),
    ] {
        assert_eq!(status[key], value, "{key}");
    }
    assert!(status["freshness_seconds"].as_u64().unwrap() < 60, "{status}");
    for key in ["fresh_as_of", "last_success_at"] {
        let at = status[key].as_str().unwrap();
        assert!(at.ends_with('Z') && at.len() == "2026-11-22T03:05:00.000Z".len(), "{key}: {at}");
    }
    let said = home.run("status --data data").succeeded().without(source.secrets());
    assert!(said.stdout.starts_with("aa (association-anywhere, tenant acme): in sync, as of "), "{said:?}");
}

#[test]
fn a_poisoned_customer_is_seen_redriven_once_healed_or_dropped() {
    let source = Source::with_customers(120);
    for (id, poison) in [(1005, Poison::NoCustId), (1007, Poison::BrokenXml), (1111, Poison::ErrorElement)] {
        source.simulator.poison(id, poison);
    }
    let home = home_with_connection_to(&source, "");

    let first = home.sync().without(source.secrets());
    assert_eq!(first.code, Some(1), "{first:?}");
    assert_eq!(first.in_sync("aa"), (120, [117, 0, 0, 0, 3]));
    assert!(first.stdout.contains("`customer-sync failures`"), "{first:?}");
    assert_eq!(home.status()["failures"], 3);

    let lines = home.run("failures --data data").succeeded().without(source.secrets());
    let ids: Vec<&str> = lines.stdout.lines().filter_map(|line| line.split("  ").next()).collect();
    assert_eq!(ids, ["aa~1005", "aa~1007", "aa~1111"], "{lines:?}");
    assert_eq!(home.run("failures --connection aa --data data").succeeded().stdout, lines.stdout);

    let records = home.run("failures --json --data data").succeeded();
    let records: Value = serde_json::from_str(&records.stdout).unwrap();
    let records = records["failures"].as_array().unwrap();
    assert_eq!(records.len(), 3);
    for record in records {
        let expected = ["connection", "failed_at", "id", "raw", "reason", "source_id", "tenant"];
        assert_eq!(keys(record), BTreeSet::from(expected));
        assert!(!record["reason"].as_str().unwrap().is_empty(), "{record}");
    }
    assert_eq!((&records[0]["id"], &records[0]["source_id"]), (&json!("aa~1005"), &json!("1005")));
    let email = source.simulator.email(1005).unwrap();
    assert!(records[0]["raw"].as_str().unwrap().contains(&email), "the raw document is asked for, and there");

    // Known failures that do not come up again do not fail a run.
    home.sync().succeeded();
    source.simulator.heal(1005);
    source.simulator.heal(1111);
    let said = home.run("failures redrive aa~1005 aa~1111 --data data").succeeded();
    assert_eq!(said.stdout, "2 customers will be fetched again with the next batch\n");
    let redriven = home.sync().succeeded().without(source.secrets());
    assert_eq!(redriven.in_sync("aa"), (2, [2, 0, 0, 0, 0]));
    let lines = home.run("failures --data data").succeeded();
    assert!(lines.stdout.starts_with("aa~1007  ") && lines.stdout.lines().count() == 1, "{lines:?}");

    // Redriven and still poisoned, it fails anew.
    home.run("failures redrive --all --data data").succeeded();
    let again = home.sync().without(source.secrets());
    assert_eq!((again.code, again.in_sync("aa")), (Some(1), (1, [0, 0, 0, 0, 1])));

    let said = home.run("failures drop aa~1007 --data data").succeeded();
    assert_eq!(said.stdout, "the records of 1 customer were dropped\n");
    assert_eq!(home.run("failures --data data").succeeded().stdout, "no failures\n");
    assert_eq!(home.status()["failures"], 0);
    assert_eq!(home.sync().succeeded().in_sync("aa"), (0, [0; 5]));

    for action in ["redrive", "drop"] {
        let said = home.run(&format!("failures {action} aa~1001 --data data"));
        assert_eq!(said.error(), "there is no failure record of `aa~1001`");
    }
    let said = home.run("failures --connection nope --data data");
    assert_eq!(said.error(), "there is no connection or destination `nope`");
}

#[test]
fn resync_has_the_source_report_one_customer_or_all_again() {
    let source = Source::with_customers(30);
    let home = home_with_connection_to(&source, "");
    home.sync().succeeded();
    let asked = || [source.simulator.requests().queue, source.simulator.requests().enqueue];
    let before = asked();
    // The command needs neither the password nor a way to the source.
    let password = std::fs::read_to_string(home.path("aa.json")).unwrap();
    std::fs::remove_file(home.path("aa.json")).unwrap();
    let one = home.run("resync aa --customer 1003 --data data").succeeded().without(source.secrets());
    assert_eq!(one.stdout, "aa: customer 1003 is fetched again with the next batch\n");
    assert_eq!(asked(), before);
    home.write("aa.json", &password);
    assert_eq!(home.sync().succeeded().in_sync("aa"), (1, [0, 1, 0, 0, 0]));
    let all = home.run("resync aa --data data").succeeded().without(source.secrets());
    assert_eq!(all.stdout, "aa: every customer is put into the source's queue with the next poll\n");
    assert_eq!(source.simulator.queue_len(), 0);
    assert_eq!(home.sync().succeeded().in_sync("aa"), (30, [0, 30, 0, 0, 0]));
    assert_eq!(home.sync().succeeded().in_sync("aa"), (0, [0; 5]), "it is done once");

    assert_eq!(home.run("resync nope --data data").error(), "there is no connection or destination `nope`");
    let without: String = connection(&source.base, "file:aa.json", "");
    let without: Vec<&str> = without.lines().filter(|line| !line.starts_with("enqueue_url")).collect();
    home.write("without.toml", &without.join("\n"));
    home.run("apply without.toml --data data").succeeded();
    let said = home.run("resync aa --data data");
    assert_eq!(said.error(), "connection `aa`: force enqueue: the connection has no `enqueue_url`");
}

#[test]
fn apply_shows_the_difference_and_makes_it() {
    let source = Source::with_customers(3);
    let home = home_with_connection_to(&source, "");
    home.sync().succeeded();
    let said = home.run("apply connections.toml --data data").succeeded();
    assert_eq!(said.stdout, "nothing to change\n");

    let first = connection(&source.base, "file:aa.json", "poll_seconds = 60");
    let second =
        connection("https://b.example.org", "file:aa.json", "").replace("'aa'", "'b'").replace("[[reader]]", "");
    let second = second.split("\ntenant = 'acme'\ntoken").next().unwrap().to_owned();
    home.write("next.toml", &format!("{first}\n{second}"));
    let difference = "~ acme/aa (association-anywhere)\n+ acme/b (association-anywhere)\n";
    let said = home.run("apply next.toml --dry-run --data data").succeeded().without(source.secrets());
    assert_eq!(said.stdout, difference);
    let said = home.run("apply next.toml --data data").succeeded();
    assert_eq!(said.stdout, difference, "the dry run changed nothing");
    assert_eq!(home.run("apply next.toml --data data").succeeded().stdout, "nothing to change\n");
    let status = home.run("status --data data").succeeded();
    assert!(status.stdout.contains("\nb (association-anywhere, tenant acme): waiting, never in sync"), "{status:?}");

    let said = home.run("apply connections.toml --data data").succeeded();
    assert_eq!(said.stdout, "- acme/b (association-anywhere)\n~ acme/aa (association-anywhere)\n");

    home.write("bad.toml", &first.replace("purge_url", "purge"));
    let said = home.run("apply bad.toml --data data");
    assert_eq!(
        said.errors(),
        [
            "bad.toml: connection `aa`: key `purge_url`: is missing",
            "bad.toml: connection `aa`: key `purge`: is not known",
        ]
    );
    assert_eq!(home.run("apply connections.toml --data data").succeeded().stdout, "nothing to change\n");
    let said = home.run("apply nowhere.toml --data data");
    assert!(said.error().to_lowercase().starts_with("nowhere.toml: no such file"), "{said:?}");
}

#[test]
fn a_run_holds_its_data_answers_and_ends_with_an_interrupt() {
    let source = Source::with_customers(60);
    let home = home_with_connection_to(&source, "poll_seconds = 1");
    let mut running = home.start("local --connections connections.toml --data data --port 0");
    let address = running.address();
    assert_eq!(listed(&source, &address).len(), 60);

    let said = home.sync();
    assert!(said.error().starts_with("data: another `customer-sync local` uses this directory"), "{said:?}");
    assert_eq!(home.status()["counts"]["written"], 60, "other commands work beside it");

    // Changes during a run arrive by themselves, and so do those that `resync` asks for.
    source.simulator.change([1007]);
    // Names of a user's own customers are personal data: only the id is shown.
    assert!(running.line_with("aa~1007 ").starts_with("aa~1007 changed: "));
    home.run("resync aa --customer 1001 --data data").succeeded();
    let begun = Instant::now();
    while home.status()["counts"]["unchanged"] != 1 {
        assert!(begun.elapsed() < PATIENCE, "it was not fetched again: {}", home.status());
    }

    let said = running.interrupt().without(source.secrets());
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.stdout.ends_with("stopped; the next run goes on from here\n"), "{said:?}");
    let next = home.sync().succeeded();
    assert_eq!(next.in_sync("aa"), (0, [0; 5]), "the data were given back, and nothing is done twice");
}

#[test]
fn changes_shows_the_last_ten_and_follows_those_that_come() {
    let source = Source::with_customers(30);
    let home = home_with_connection_to(&source, "poll_seconds = 1");
    let mut running = home.start("local --connections connections.toml --data data --port 0");
    running.address();
    let begun = Instant::now();
    while home.run("changes --data data").succeeded().stdout.lines().count() < 10 {
        assert!(begun.elapsed() < PATIENCE, "the feed is empty");
    }
    let last = home.run("changes --data data --connection aa").succeeded().without(source.secrets());
    assert_eq!(last.stdout.lines().count(), 10);
    assert!(last.stdout.lines().all(|line| line.contains("  acme  aa~1") && line.ends_with("  added, revision 1")));

    let mut following = home.start("changes --data data --follow --json");
    for _ in 0..10 {
        following.line_with("\"added\"");
    }
    source.simulator.change([1007]);
    let line: Value = serde_json::from_str(&following.line_with("aa~1007\",\"revision\":2")).unwrap();
    assert_eq!(keys(&line), BTreeSet::from(["action", "at", "connection", "id", "revision", "tenant"]));
    assert_eq!((&line["action"], &line["tenant"]), (&json!("updated"), &json!("acme")));
    following.kill();
    let said = home.run("changes --data data --connection zz");
    assert_eq!((said.code, said.error()), (Some(1), "there is no connection `zz`"));
    running.interrupt().without(source.secrets());
}

#[test]
fn a_run_that_is_killed_in_the_middle_of_a_sync_loses_nothing() {
    let source = Source::with_customers(3_000);
    source.simulator.fault(Procedure::Details, Some(Fault::Delay(Duration::from_millis(200))));
    let home = home_with_connection_to(&source, "bulk_size = 50");
    let mut running = home.start("local --connections connections.toml --data data --port 0");
    running.line_with("aa: batch ");
    let until = Instant::now() + PATIENCE;
    let fetched = |home: &Home| home.status()["counts"]["fetched"].as_u64().unwrap();
    while fetched(&home) == 0 {
        assert!(Instant::now() < until, "nothing is fetched");
    }
    let said = running.kill().without(source.secrets());
    assert_eq!(said.code, None, "ended by a signal: {said:?}");
    let before = fetched(&home);
    assert!(0 < before && before < 3_000, "killed too late: {before}");
    assert!(source.simulator.purges().is_empty());

    source.simulator.fault(Procedure::Details, None);
    source.simulator.change([1001, 3_500]);
    let mut running = home.start("local --connections connections.toml --data data --port 0");
    let address = running.address();
    let mut ids = listed(&source, &address);
    ids.sort();
    let expected: Vec<String> = source.simulator.customer_ids().iter().map(|id| format!("aa~{id}")).collect();
    assert_eq!(ids, expected);
    let status = home.status();
    assert_eq!(status["counts"]["fetched"], 3_002, "every customer comes to one end: {status}");
    for count in ["stale", "tombstoned", "failed"] {
        assert_eq!(status["counts"][count], 0, "{status}");
    }
    assert_eq!(source.simulator.queue_len(), 0);
    assert_eq!(source.simulator.purges().len(), 2);
    assert_eq!(running.interrupt().without(source.secrets()).code, Some(0));
}

#[test]
fn not_even_the_log_tells_secrets_or_personal_data() {
    let source = Source::with_customers(150);
    let poisons = [
        (1005, Poison::NoCustId),
        (1007, Poison::BrokenXml),
        (1009, Poison::ErrorElement),
        (1011, Poison::TooDeep),
        (1013, Poison::HugeText(100_000)),
    ];
    for (id, poison) in poisons {
        source.simulator.poison(id, poison);
    }
    source.simulator.fault_times(Procedure::Queue, Fault::Status(503), 1);
    let refusal = format!("not now, {USERNAME}: {PASSWORD}");
    source.simulator.fault_times(Procedure::Details, AaFault::ErrorDocument(refusal.clone()).into(), 1);
    source.simulator.fault_times(Procedure::Purge, AaFault::FailureStatus(refusal).into(), 1);
    let home = home_with_connection_to(&source, "poll_seconds = 1");
    let mut command = home.command("local --connections connections.toml --data data --port 0");
    let mut running = Running::new(command.env(LOG, everything_of_ours()).spawn().unwrap());
    let address = running.address();
    let mut ids = listed(&source, &address);
    assert!(ids.len() >= 145, "{}", ids.len());
    ids.truncate(1);
    source.runtime.block_on(async {
        let client = simulators::http_client().build().unwrap();
        let one = format!("/v1/customers/{}", ids[0]);
        for (path, token, status) in [(one.as_str(), TOKEN, 200), ("/v1/connections", PASSWORD, 401)] {
            let request = client.get(format!("{address}{path}")).header("Authorization", format!("Bearer {token}"));
            assert_eq!(request.send().await.unwrap().status(), status, "{path}");
        }
    });
    let said = running.interrupt().without(source.secrets());
    assert_eq!(said.code, Some(0), "{said:?}");
    for line in ["the source could not be asked", "a customer became a failure record", "opened a batch"] {
        assert!(said.stderr.contains(line), "the log is on: {}", said.stderr);
    }
    assert!(!said.stderr.contains(USERNAME), "{}", said.stderr);
}
