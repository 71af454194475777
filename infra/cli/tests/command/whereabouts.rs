//! Where a customer is.

use serde_json::{Value, json};
use simulators::association_anywhere::{Fault, Poison, Procedure};

use crate::source::{Source, home_with_connection_to};
use crate::support::Home;

fn whereabouts(home: &Home, id: &str) -> Value {
    let said = home.run(&format!("where {id} --json --data data")).succeeded();
    serde_json::from_str(&said.stdout).unwrap()
}

#[test]
fn an_operator_sees_the_record_the_chunk_the_failure_and_the_redrive_of_one_customer() {
    let source = Source::with_customers(20);
    source.simulator.poison(1005, Poison::NoCustId);
    let home = home_with_connection_to(&source, "");
    home.sync();

    let stored = whereabouts(&home, "aa~1001");
    for (key, value) in [("id", json!("aa~1001")), ("tenant", json!("acme")), ("kind", json!("association-anywhere"))] {
        assert_eq!(stored[key], value);
    }
    assert_eq!((&stored["record"]["status"], &stored["record"]["revision"]), (&json!("active"), &json!(1)));
    assert!(stored["record"]["batch"].is_number(), "{stored}");
    for key in ["chunks", "waits_for", "imports"] {
        assert_eq!(stored[key], json!([]), "{key}");
    }
    assert_eq!((&stored["failure"], &stored["redrive"]), (&Value::Null, &Value::Null));

    home.run("failures redrive aa~1005 --data data").succeeded();
    let failed = whereabouts(&home, "aa~1005");
    assert_eq!((&failed["record"], &failed["failure"]["withheld"]), (&Value::Null, &Value::Null));
    assert!(failed["failure"]["reason"].is_string() && failed["failure"].get("raw").is_none(), "{failed}");
    assert_eq!(failed["redrive"]["taken_by_batch"], Value::Null, "{failed}");

    // A batch that does not come on holds them in its chunks.
    source.simulator.heal(1005);
    source.simulator.enqueue(1001);
    source.simulator.fault(Procedure::Details, Some(Fault::Status(503)));
    let mut running = home.start("local --connections connections.toml --data data --port 0");
    running.line_with("aa: ");
    while whereabouts(&home, "aa~1001")["chunks"] == json!([]) {}
    running.interrupt();
    let said = home.run("where aa~1005 --data data").succeeded().without(source.secrets());
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert_eq!(lines[..2], ["aa~1005 (association-anywhere, tenant acme)", "  record         none"], "{said:?}");
    assert!(lines[2].starts_with("  chunk          1000000 of batch "), "{said:?}");
    assert!(lines[3].starts_with("  failure        2") && lines[4].contains(", in batch "), "{said:?}");

    let unknown = home.run("where aa~7 --data data").succeeded();
    assert_eq!(unknown.stdout, "aa~7 (association-anywhere, tenant acme)\n  record         none\n");
    assert_eq!(home.run("where b~7 --data data").error(), "there is no connection `b`");
    let said = home.run("where 7 --data data");
    assert_eq!(said.error(), "`7` is no customer's id: it must be CONNECTION~ID");
}
