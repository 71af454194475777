//! Batch imports at a shell: an account to import into, what was imported, and the undo.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{Home, LOG, Running, TOKEN, everything_of_ours};

const CONNECTIONS: &str = "
[[connection]]
id = 'imports'
tenant = 'acme'
kind = 'batch-import'
account_id = 'greatwidgets'
credentials = 'file:imports.json'
campaigns = ['1']

[[reader]]
tenant = 'acme'
token = 'file:reader.json'
";

/// The secrets and the personal data of the import below.
const IMPORTED: [&str; 4] = ["import-password-of-acme", "larrabee", "larrabee@example.org", "31415926"];

/// A user's directory with an account for imports.
fn home() -> Home {
    let home = Home::empty();
    home.write("connections.toml", CONNECTIONS);
    let users = json!({ "users": [{ "user_id": "importer", "user_password": IMPORTED[0] }] });
    home.write("imports.json", &users.to_string());
    home.write("reader.json", &json!({ "token": TOKEN }).to_string());
    home
}

/// Posts rows of code, last name, address and PIN to a running `local`.
fn post(address: &str, rows: &str) -> Value {
    let fields = [
        ("user_id", "importer"),
        ("user_password", IMPORTED[0]),
        ("account_id", "greatwidgets"),
        ("type", "customers_batch"),
        ("delimiter", "pipe"),
        ("overwrite_duplicates", "update"),
        ("campaigns_to_include", "1"),
        ("profiles_header_1", "code"),
        ("profiles_header_2", "last_name"),
        ("profiles_header_3", "email"),
        ("profiles_header_4", "customer_PIN"),
        ("profiles_data", rows),
        ("output", "JSON"),
    ];
    Runtime::new().unwrap().block_on(async {
        let request = simulators::http_client().build().unwrap().post(format!("{address}/api.php")).form(&fields);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    })
}

#[test]
fn imports_are_shown_and_undone_beside_a_run_and_without_one() {
    let home = home();
    // A connection that takes imports is always in sync.
    let said = home.sync().succeeded();
    assert_eq!(said.stdout, "customer-sync 0.1.0: 1 connection, data in data\nimports: takes pushes\n");
    let status = home.run("status --data data").succeeded();
    assert_eq!(status.stdout, "imports (batch-import, tenant acme): takes pushes\n");
    assert_eq!(home.run("imports --data data").succeeded().stdout, "no imports\n");

    let mut command = home.command("local --connections connections.toml --data data --port 0");
    let mut running = Running::new(command.env(LOG, everything_of_ours()).spawn().unwrap());
    let address = running.address();
    let row = format!("1|{}|{}|{}", IMPORTED[1], IMPORTED[2], IMPORTED[3]);
    let first = post(&address, &format!("{row}\n2|smith||\n3|jones||"));
    let first = first["batch"]["import"]["id"].as_str().unwrap().to_owned();
    post(&address, "2|smithee||\nbad row");

    expect_both_listed(&home, &first);
    let figures =
        "0 restored, 2 removed, 0 back already, 1 changed since and left alone\n  imports~2 has changed since\n";
    let said = home.run(&format!("imports undo {first} --dry-run --data data")).succeeded();
    assert_eq!(said.stdout, format!("{first}: would be: {figures}"));
    let said = home.run(&format!("imports undo {first} --data data")).succeeded();
    assert_eq!(said.stdout, format!("{first}: {figures}"), "the dry run changed nothing");
    let said = home.run("where imports~2 --json --data data").succeeded();
    let found: Value = serde_json::from_str(&said.stdout).unwrap();
    let outcomes: Vec<(&Value, &Value)> =
        found["imports"].as_array().unwrap().iter().map(|import| (&import["row"], &import["outcome"])).collect();
    assert_eq!(outcomes, [(&json!(1), &json!("updated")), (&json!(2), &json!("new"))], "{found}");
    assert!(found["imports"][0]["undone_at"].is_null() && found["imports"][1]["undone_at"].is_string(), "{found}");
    let said = home.run("where imports~1 --data data").succeeded();
    assert!(said.stdout.contains(&format!("  import         {first} of 2")), "{said:?}");
    assert!(IMPORTED.iter().all(|secret| !said.stdout.contains(secret)), "{said:?}");
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for text in [&ended.stdout, &ended.stderr] {
        assert!(IMPORTED.iter().all(|secret| !text.contains(secret)), "{text}");
    }
    assert!(ended.stderr.contains("imported"), "the log is on: {ended:?}");

    let said = home.run(&format!("imports undo {first} --json --data data")).succeeded();
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(report["already_back"], json!(["imports~1", "imports~3"]));
    assert_eq!((&report["changed_since"], &report["dry_run"]), (&json!(["imports~2"]), &json!(false)));
    assert!(home.run("imports --data data").succeeded().stdout.contains("; undone 20"));
    home.write("next.toml", &CONNECTIONS.replace("'imports'", "'others'"));
    home.run("apply next.toml --data data").succeeded();
    let said = home.run("forget imports --yes --data data").succeeded();
    assert!(said.stdout.contains("\n  customers            3\n  items of imports     "), "{said:?}");
    home.run("apply connections.toml --data data").succeeded();
    assert_eq!(home.run("imports --data data").succeeded().stdout, "no imports\n");
    let said = home.run("imports undo 0123456789abcdef-1 --data data");
    assert_eq!(said.error(), "there is no import `0123456789abcdef-1`; imports are kept for 90 days");
}

/// Two imports are listed, for people and as JSON: the second, then the first.
fn expect_both_listed(home: &Home, first: &str) {
    let listed = home.run("imports --data data").succeeded();
    let lines: Vec<&str> = listed.stdout.lines().collect();
    assert!(
        lines[0].contains("  imports  ")
            && lines[0].ends_with("2 rows = 0 new + 1 updated + 0 ignored + 1 failed; can be undone")
    );
    assert!(lines[1].starts_with(first) && lines[1].contains("3 rows = 3 new + 0 updated"), "{listed:?}");
    let listed = home.run("imports --json --data data").succeeded();
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let expected = [
        "began_at",
        "can_be_undone",
        "connection",
        "failed",
        "finished_at",
        "id",
        "ignored",
        "new",
        "rows",
        "tenant",
        "undone_at",
        "updated",
    ];
    let keys: BTreeSet<&str> = listed["imports"][1].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(expected));
    assert_eq!((&listed["imports"][1]["id"], &listed["imports"][1]["undone_at"]), (&json!(first), &Value::Null));
}
