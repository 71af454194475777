//! Erasing a person, and printing what is stored of one.

use std::path::Path;

use serde_json::Value;
use simulators::association_anywhere::Poison;

use crate::source::{Source, home_with_connection_to};

/// Whether any file below a directory holds a text.
fn holds(directory: &Path, text: &str) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, text);
        }
        let content = std::fs::read(path).unwrap();
        content.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()))
    })
}

#[test]
fn a_person_is_printed_erased_kept_away_and_let_back() {
    let source = Source::with_customers(40);
    let home = home_with_connection_to(&source, "");
    home.sync();
    let address = source.simulator.email(1007).unwrap();
    source.simulator.poison(1008, Poison::NoCustId);
    let data = home.path("data");
    assert!(holds(&data, &address), "{address}");

    let exported = home.run(&format!("export --tenant acme --email {address} --data data")).succeeded();
    let exported: Value = serde_json::from_str(&exported.stdout).unwrap();
    assert_eq!(exported["customers"][0]["id"], "aa~1007");
    assert_eq!(exported["customers"][0]["record"]["emails"][0]["address"], address.as_str());

    let erase = format!("erase --tenant acme --email {} --data data", address.to_uppercase());
    assert_eq!(home.run(&erase).error(), "acme: nobody was erased; --yes agrees");
    let said = home.run(&format!("{erase} --yes")).succeeded().without([address.clone()]);
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert_eq!(lines[..2], ["acme: erased aa~1007", "  records                      1"], "{said:?}");
    // Its next run ends the stream.
    home.sync().succeeded();
    assert!(!holds(&data, &address), "{address} is in a file");

    source.simulator.enqueue_all();
    home.sync();
    home.run("resync aa --customer 1007 --data data").succeeded();
    home.sync();
    assert!(!holds(&data, &source.simulator.email(1007).unwrap()));
    let whereabouts = home.run("where aa~1007 --data data").succeeded();
    assert!(whereabouts.stdout.contains("  record         erased, revision 2"), "{whereabouts:?}");

    let again = home.run("erase --tenant acme --again --json --data data").succeeded();
    let report: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&report["customers"], &report["removed"]["records"]), (&Value::Array(vec![]), &Value::from(0)));

    let lift = "erase --tenant acme --customer aa~1007 --lift --data data";
    let lifted = home.run(lift).succeeded();
    assert_eq!(
        lifted.stdout,
        "acme: the customer aa~1007 comes back with the next change at a source, or after a resync\n"
    );
    assert_eq!(home.run(lift).error(), "acme: the customer aa~1007 is not erased");
    let lift = format!("erase --tenant acme --email {address} --lift --data data");
    home.run(&lift).succeeded();
    source.simulator.change([1007]);
    home.sync();
    assert!(holds(&data, &source.simulator.email(1007).unwrap()), "it is back");
}

#[test]
fn a_run_that_is_ended_as_a_service_is_or_killed_leaves_nothing_of_who_was_erased() {
    let source = Source::with_customers(40);
    let home = home_with_connection_to(&source, "");
    home.sync();
    let data = home.path("data");
    for id in [1007, 1008] {
        let address = source.simulator.email(id).unwrap();
        assert!(holds(&data, &address), "{address}");
        home.run(&format!("erase --tenant acme --customer aa~{id} --yes --data data")).succeeded();
        let start = || {
            let mut running = home.start("local --connections connections.toml --data data --port 0");
            running.address();
            running
        };
        if id == 1007 {
            start().terminate().succeeded();
        } else {
            start().kill();
            // What the run before has left, the next one removes as it starts.
            let running = start();
            assert!(!holds(&data, &address), "{address} is in a file");
            running.kill();
        }
        assert!(!holds(&data, &address), "{address} is in a file");
    }
}

#[test]
fn who_is_meant_has_to_be_said() {
    let source = Source::with_customers(2);
    let home = home_with_connection_to(&source, "");
    home.sync();
    for (command, error) in [
        ("erase --tenant acme --email jane --yes --data data", "--email: this is no address"),
        (
            "erase --tenant acme --customer 1001 --yes --data data",
            "--customer: this is no customer's id, CONNECTION~ID",
        ),
        ("export --tenant other --email jane@example.org --data data", "there is no tenant `other`"),
    ] {
        assert_eq!(home.run(command).error(), error, "{command}");
    }
    assert_eq!(home.run("erase --tenant acme --yes --data data").code, Some(2));
}
