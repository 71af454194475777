//! Destinations, as an operator sees them.

use simulators::loyalty::{LoyaltySettings, LoyaltySimulator, Poison, endpoint};

use crate::source::{Source, home_with_connection_to};

#[test]
fn an_operator_adds_a_destination_and_sends_again_what_it_did_not_take() {
    let source = Source::with_customers(30);
    let home = home_with_connection_to(&source, "");
    home.sync().succeeded();
    let settings = LoyaltySettings::default();
    let LoyaltySettings { user_id, user_password, account_id, campaigns, .. } = settings.clone();
    let loyalty = LoyaltySimulator::new(settings);
    let listener = source.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = endpoint(&format!("http://{}", listener.local_addr().unwrap()));
    let serving = loyalty.clone();
    source.runtime.spawn(async move { serving.serve(listener).await });
    let access = serde_json::json!({ "user_id": user_id, "user_password": user_password, "account_id": account_id });
    home.write("loyalty.json", &access.to_string());
    let file = std::fs::read_to_string(home.path("connections.toml")).unwrap();
    let destination = format!(
        "[[destination]]\nid = 'loyalty'\ntenant = 'acme'\nkind = 'customers-batch'\nfrom = ['aa']\nurl = '{url}'\n\
         credentials = 'file:loyalty.json'\ncampaigns = {campaigns:?}\nallow_private_addresses = true\n"
    );
    home.write("connections.toml", &format!("{file}{destination}"));

    let said = home.run("apply connections.toml --dry-run --data data").succeeded();
    assert_eq!(said.stdout, "+ acme/loyalty (destination): is sent 30 customers first\n");
    loyalty.poison("aa~1007", Poison::RowDropped);
    let said = home.sync().without(source.secrets());
    assert_eq!(said.code, Some(1), "something failed: {said:?}");
    // A change of the last minute may be sent twice.
    let line = said.stdout.lines().find(|line| line.starts_with("to loyalty: in sync: ")).unwrap();
    assert!(line.contains(" failed + ") && !line.contains(" 0 failed + "), "{said:?}");
    let said = home.run("status --data data").succeeded();
    assert!(said.stdout.contains("\nloyalty (to customers-batch, tenant acme): in sync, as of "), "{said:?}");
    assert!(said.stdout.contains("\n  failures       1: see `customer-sync failures --data data`\n"), "{said:?}");
    let said = home.run("failures --data data").succeeded();
    assert!(said.stdout.starts_with("loyalty~aa~1007  ") && said.stdout.contains("neither as new"), "{said:?}");
    let said = home.run("where aa~1007 --data data").succeeded();
    assert!(said.stdout.contains("\n  to loyalty     was refused: "), "{said:?}");

    loyalty.heal("aa~1007");
    let said = home.run("failures redrive loyalty~aa~1007 --data data").succeeded();
    assert_eq!(said.stdout, "1 customer will be sent again within a minute\n");
    home.sync().succeeded();
    assert_eq!(loyalty.codes().len(), 30);
    assert_eq!(home.run("failures --data data").succeeded().stdout, "no failures\n");
    let said = home.run("where aa~1007 --data data").succeeded();
    assert!(said.stdout.contains("\n  to loyalty     has it, or it is not for it\n"), "{said:?}");
    let said = home.run("resync loyalty --data data").succeeded();
    assert_eq!(said.stdout, "loyalty: every customer is sent again, from within a minute on\n");

    // What it was not sent, because it got the original, it is not sent by itself.
    let imports = "[[connection]]\nid = 'imports'\ntenant = 'acme'\nkind = 'batch-import'\naccount_id = 'acme'\n\
                   credentials = 'file:imports.json'\ncampaigns = ['1']\n";
    let others = destination.replace("['aa']", "['imports']");
    home.write("others.toml", &format!("{file}{imports}{others}"));
    let said = home.run("apply others.toml --dry-run --data data").succeeded();
    let hint = "; if it is to have copies of customers of `aa`, ask for `resync loyalty`\n";
    assert!(
        said.stdout.ends_with(&format!("~ acme/loyalty (destination): is sent 0 customers first{hint}")),
        "{said:?}"
    );

    home.write("connections.toml", &file);
    let said = home.run("apply connections.toml --data data").succeeded();
    assert_eq!(said.stdout, "- acme/loyalty (destination)\n");
    let said = home.run("forget acme/loyalty --yes --data data").succeeded();
    assert!(said.stdout.starts_with("acme/loyalty: removed"), "{said:?}");
    assert_eq!(loyalty.codes().len(), 30, "what it has it keeps");
}
