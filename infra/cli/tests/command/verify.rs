//! `verify`: customers of the shadow against their source.

use serde_json::json;
use simulators::association_anywhere::{AaFault, Fault, Procedure};

use crate::source::{Source, home_with_connection_to};
use crate::support::{Home, PASSWORD, TOKEN, USERNAME};

#[test]
fn drift_is_found_is_told_by_ids_and_fields_and_is_repaired() {
    let source = Source::with_customers(250);
    let home = home_with_connection_to(&source, "");
    home.sync().succeeded();
    let said = home.run("verify aa --sample 250 --data data").succeeded();
    assert_eq!(
        said.stdout,
        "aa: 250 customers compared with the source; the shadow has 250\n  \
         250 agree + 0 differ + 0 on their way + 0 not compared\n"
    );
    assert!(home.run("verify aa --data data").succeeded().stdout.starts_with("aa: 200 customers compared"));

    source.simulator.change_unqueued([1_017]);
    source.simulator.delete_unqueued(1_203);
    let said = home.run("verify aa --sample 1000 --data data").without(source.secrets());
    assert_eq!((said.code, said.stderr.as_str()), (Some(1), ""), "{said:?}");
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{said:?}");
    let line = |begin: &str| lines.iter().find(|line| line.starts_with(begin)).unwrap();
    assert!(line("  aa~1017 differs in ").contains("emails"), "{said:?}");
    assert!(line("  aa~1017 ").contains("name; its record is of 20"), "{said:?}");
    assert!(line("  aa~1203 is missing at the source; its record is of ").ends_with('Z'), "{said:?}");
    assert!(
        line("  248 agree + 2 differ + 0 on their way + 0 not compared, the oldest since ")
            .ends_with("at the earliest")
    );
    assert_eq!(lines[4], "  `customer-sync verify aa --repair --data data` has them fetched again");
    assert_eq!(home.status()["counts"]["tombstoned"], 0, "looking deletes nobody");

    let said = home.run("verify aa --sample 1000 --repair --data data").succeeded();
    assert!(said.stdout.ends_with("\n  2 are fetched again with the next batch\n"), "{said:?}");
    let synced = home.sync().succeeded();
    assert_eq!(synced.in_sync("aa"), (2, [1, 0, 0, 1, 0]), "by the way that every change comes");
    let said = home.run("verify aa --sample 1000 --repair --data data").succeeded();
    assert!(said.stdout.contains("  249 agree + 0 differ + 0 on their way"), "{said:?}");
    assert!(said.stdout.ends_with("  nothing to repair\n"), "{said:?}");
}

#[test]
fn what_can_not_be_compared_is_told_and_why() {
    let source = Source::with_customers(20);
    let home = home_with_connection_to(&source, "");
    home.sync().succeeded();
    assert_eq!(home.run("verify nope --data data").error(), "there is no connection `nope`");
    assert_eq!(home.run("verify aa --sample 0 --data data").code, Some(2));
    home.run("pause aa --data data").succeeded();
    let before = source.simulator.requests();
    assert_eq!(
        home.run("verify aa --data data").error(),
        "connection `aa`: it is paused: nothing is asked of its source"
    );
    assert_eq!(source.simulator.requests(), before);
    home.run("resume aa --data data").succeeded();
    source.simulator.fault(Procedure::Details, Some(Fault::WrongCredentials));
    let said = home.run("verify aa --data data").without(source.secrets());
    assert!(said.error().starts_with("connection `aa`: details: "), "{said:?}");
    source.simulator.fault(Procedure::Details, Some(AaFault::Empty.into()));
    let said = home.run("verify aa --data data");
    assert_eq!((said.code, said.stderr.as_str()), (Some(1), ""), "{said:?}");
    assert!(said.stdout.ends_with("  0 agree + 0 differ + 0 on their way + 20 not compared\n"), "{said:?}");
}

#[test]
fn a_sender_that_pushes_can_not_be_compared() {
    let home = Home::empty();
    home.write("intouch.json", &json!({ "username": USERNAME, "password": PASSWORD }).to_string());
    home.write("reader.json", &json!({ "token": TOKEN }).to_string());
    home.write(
        "connections.toml",
        "[[connection]]\nid = 'intouch'\ntenant = 'acme'\nkind = 'connector'\nclient_id = 'c-1'\nclub_ids = ['k-1']\n\
         providers = ['INTOUCH']\ncredentials = 'file:intouch.json'\n\
         [[reader]]\ntenant = 'acme'\ntoken = 'file:reader.json'\n",
    );
    home.sync().succeeded();
    assert_eq!(
        home.run("verify intouch --data data").error(),
        "connection `intouch`: a connection of the kind connector can't be compared: its sender can't be asked"
    );
}
