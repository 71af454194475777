//! Forgetting a connection that was taken out of the file.

use simulators::association_anywhere::Poison;

use crate::source::{Source, connection, home_with_connection_to};
use crate::support::TOKEN;

const READER: &str = "[[reader]]\ntenant = 'acme'\ntoken = 'file:reader.json'\n";

#[test]
fn what_was_taken_out_of_the_file_is_forgotten_whole_and_nothing_else_is() {
    let source = Source::with_customers(40);
    source.simulator.poison(1005, Poison::NoCustId);
    let home = home_with_connection_to(&source, "");
    let one = connection(&source.base, "file:aa.json", "").replace(READER, "");
    // Its name begins like the other's.
    let other_source = Source::with_customers(38);
    let other = connection(&other_source.base, "file:aa.json", "").replace("'aa'", "'aa-2'");
    home.write("connections.toml", &format!("{one}{other}"));
    home.sync();
    source.simulator.delete(1007);
    home.sync().succeeded();

    let said = home.run("forget aa --yes --data data");
    let refusal = "connection `acme/aa`: it is still registered: take it out of the file, and `customer-sync apply` \
                   that, before it is forgotten";
    assert_eq!(said.error(), refusal);
    home.write("next.toml", &other);
    home.run("apply next.toml --data data").succeeded();
    let said = home.run("forget aa --data data");
    assert_eq!(said.error(), "connection `acme/aa`: nothing was removed; --yes agrees");
    // Such keys hold the lists of who was erased.
    for name in ["acme/!erased", "!erased", "acme/", "acme/aa#listed/01"] {
        let said = home.run(&format!("forget {name} --yes --data data"));
        assert_eq!(said.error(), format!("`{name}` is no id of a connection or a destination"));
    }

    let said = home.run("forget aa --yes --data data").succeeded().without(source.secrets());
    let lines: Vec<&str> = said.stdout.lines().collect();
    // Of 40, one failed and one is a tombstone.
    let expected = ["acme/aa: removed, with tombstones", "  customers            39", "  failure records      1"];
    assert_eq!(lines[..3], expected, "{said:?}");
    let again = home.run("forget acme/aa --yes --data data").succeeded();
    assert_eq!(again.stdout, "acme/aa: nothing is left\n");
    let said = home.run("forget aa --yes --data data");
    let unknown = "nothing is left of `aa`, unless of pushed customers: name it as TENANT/aa";
    assert_eq!(said.error(), unknown);
    assert!(home.run("forget aa-2 --yes --data data").error().contains("`acme/aa-2`: it is still registered"));

    let mut running = home.start("local --connections next.toml --data data --port 0");
    let address = running.address();
    let client = simulators::http_client().build().unwrap();
    source.runtime.block_on(async {
        for (connection, status, count) in [("aa", 404, 0), ("aa-2", 200, 38)] {
            let url = format!("{address}/v1/customers?connection={connection}&limit=500");
            let answer = client.get(url).bearer_auth(TOKEN).send().await.unwrap();
            assert_eq!(answer.status(), status, "{connection}");
            let text = answer.text().await.unwrap();
            assert_eq!(text.matches("\"source_id\"").count(), count, "{connection}: {text}");
        }
    });
    // Taken into the file again, it begins anew.
    running.interrupt();
    source.simulator.heal(1005);
    source.simulator.enqueue_all();
    home.run("apply connections.toml --data data").succeeded();
    let said = home.sync();
    assert!(said.stdout.contains("aa: in sync: "), "{said:?}");
}
