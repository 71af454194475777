//! `apply --check`: every source and destination is reached before anything is written.

use serde_json::json;
use simulators::association_anywhere::{AaFault, Fault, Procedure};
use simulators::business_catalyst::{BcSettings, BcSimulator, Fault as BcFault, Operation, endpoint};
use simulators::loyalty::{self, LoyaltySettings, LoyaltySimulator};

use crate::source::{Source, home_with_connection_to};
use crate::support::{Home, PASSWORD, USERNAME};

/// A home with a file of every kind of connection and destination, of which only `intouch` is applied yet.
struct World {
    source: Source,
    site: BcSimulator,
    loyalty: LoyaltySimulator,
    home: Home,
    file: String,
}

const WELL: [&str; 7] = [
    "aa: credentials accepted, queue readable, 3 customers wait, details readable",
    "bc: credentials accepted, contact list readable",
    "intouch: credentials readable; its sender pushes to http://127.0.0.1:8787/connector/api/2011-11/",
    "imports: credentials readable; its sender pushes to http://127.0.0.1:8787/api.php",
    "website: credentials accepted, contact list readable",
    "loyalty: reachable (HEAD is answered with HTTP ",
    "hook: reachable (HEAD is answered with HTTP ",
];

fn world() -> World {
    let source = Source::with_customers(3);
    let home = home_with_connection_to(&source, "");
    let listen = || source.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = |listener: &tokio::net::TcpListener| format!("http://{}", listener.local_addr().unwrap());
    let settings = BcSettings { contacts: 5, ..BcSettings::default() };
    home.write("bc.json", &json!({ "username": settings.username, "password": settings.password }).to_string());
    let (site_id, site, listener) = (settings.site_id, BcSimulator::new(settings), listen());
    let bc = endpoint(&address(&listener));
    let serving = site.clone();
    source.runtime.spawn(async move { serving.serve(listener).await });
    let settings = LoyaltySettings::default();
    let LoyaltySettings { user_id, user_password, account_id, campaigns, .. } = settings.clone();
    let access = json!({ "user_id": user_id, "user_password": user_password, "account_id": account_id });
    home.write("loyalty.json", &access.to_string());
    let (loyalty, listener) = (LoyaltySimulator::new(settings), listen());
    let url = loyalty::endpoint(&address(&listener));
    let serving = loyalty.clone();
    source.runtime.spawn(async move { serving.serve(listener).await });
    home.write("intouch.json", &json!({ "token": PASSWORD }).to_string());
    home.write("imports.json", &json!({ "users": [{ "user_id": USERNAME, "user_password": PASSWORD }] }).to_string());
    home.write("hook.json", &json!({ "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }).to_string());
    let intouch = "[[connection]]\nid = 'intouch'\ntenant = 'acme'\nkind = 'connector'\nclient_id = 'c-1'\n\
                   club_ids = ['k-1']\nproviders = ['INTOUCH']\ncredentials = 'file:intouch.json'\n";
    let first = std::fs::read_to_string(home.path("connections.toml")).unwrap();
    let reader = "[[reader]]\ntenant = 'acme'\ntoken = 'file:reader.json'\n";
    let to = |id: &str, kind: &str| {
        format!(
            "[[destination]]\nid = '{id}'\ntenant = 'acme'\nkind = '{kind}'\nfrom = ['aa']\n\
             allow_private_addresses = true\n"
        )
    };
    let file = format!(
        "{first}\n[[connection]]\nid = 'bc'\ntenant = 'acme'\nkind = 'business-catalyst'\nendpoint = '{bc}'\n\
         site_id = {site_id}\ncredentials = 'file:bc.json'\ntime_zone = 'UTC'\n{intouch}\
         [[connection]]\nid = 'imports'\ntenant = 'acme'\nkind = 'batch-import'\naccount_id = 'widgets'\n\
         credentials = 'file:imports.json'\ncampaigns = ['1']\n\
         {}endpoint = '{bc}'\nsite_id = {site_id}\ncredentials = 'file:bc.json'\n\
         {}url = '{url}'\ncredentials = 'file:loyalty.json'\ncampaigns = {campaigns:?}\n\
         {}url = '{url}/hook'\ncredentials = 'file:hook.json'\n",
        to("website", "business-catalyst"),
        to("loyalty", "customers-batch"),
        to("hook", "webhook"),
    );
    home.write("connections.toml", &format!("{intouch}{reader}"));
    home.sync().succeeded();
    home.write("connections.toml", &file);
    World { source, site, loyalty, home, file }
}

#[test]
fn every_source_and_destination_is_reached_and_nothing_is_changed_there() {
    let World { source, site, loyalty, home, .. } = world();
    let said = home.run("apply connections.toml --check --dry-run --data data").succeeded().without(source.secrets());
    let lines: Vec<&str> = said.stdout.lines().collect();
    for (line, expected) in lines.iter().zip(WELL) {
        assert!(line.starts_with(expected), "{expected}: {said:?}");
    }
    assert!(lines[5].ends_with("credentials readable, and not tried: the dialect has no request that changes nothing"));
    assert!(lines[6].ends_with("secret readable, and not tried: no event is made up"), "{said:?}");
    assert_eq!(lines[7], "+ acme/aa (association-anywhere)", "then the difference: {said:?}");
    let requests = source.simulator.requests();
    assert_eq!((requests.queue, requests.details, requests.purge, requests.enqueue), (1, 1, 0, 0));
    assert_eq!((source.simulator.queue_len(), site.requests().update_insert), (3, 0));
    assert_eq!(loyalty.requests().batches, 0);
    assert_eq!(home.status()["id"], "intouch", "--dry-run writes nothing");
    home.run("apply connections.toml --check --data data").succeeded();
    assert_eq!(home.status()["id"], "aa", "all were well, so the file is the configuration");
}

#[test]
fn what_is_not_well_is_named_with_its_key_and_nothing_is_written() {
    let World { source, site, loyalty: _loyalty, home, file } = world();
    let check = || {
        let said = home.run("apply connections.toml --check --data data").without(source.secrets());
        assert_eq!(home.status()["id"], "intouch", "nothing is written: {said:?}");
        said
    };
    let is = |said: &crate::support::Said, expected: &str| {
        let errors = said.errors();
        assert!(errors.iter().any(|error| error.starts_with(&format!("connections.toml: {expected}"))), "{said:?}");
        errors.len()
    };
    source.simulator.fault(Procedure::Queue, Some(Fault::WrongCredentials));
    site.fault(Operation::Retrieve, Some(BcFault::WrongCredentials));
    let said = check();
    assert_eq!(is(&said, "connection `aa`: key `queue_url`: "), 3);
    is(&said, "connection `bc`: key `endpoint`: ");
    is(&said, "destination `website`: key `endpoint`: ");
    assert!(said.stdout.starts_with("intouch: credentials readable"), "those that are well are told: {said:?}");
    source.simulator.fault(Procedure::Queue, None);
    site.fault(Operation::Retrieve, None);

    source.simulator.fault(Procedure::Details, Some(Fault::Status(404)));
    assert_eq!(is(&check(), "connection `aa`: key `details_url`: "), 1);
    source.simulator.fault(Procedure::Details, Some(AaFault::Empty.into()));
    let said = check();
    is(&said, "connection `aa`: key `details_url`: the answer has none of the 3 customers that were asked for");
    source.simulator.fault(Procedure::Details, None);

    home.write("hook.json", &json!({ "secret": "hunter2" }).to_string());
    home.write("imports.json", "{}");
    let said = check().without(["hunter2".to_owned()]);
    assert_eq!(is(&said, "destination `hook`: key `credentials`: "), 2);
    is(&said, "connection `imports`: key `credentials`: file:imports.json: must be a JSON object with \"users\"");

    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let elsewhere = file.replacen(&source.base, &format!("http://{gone}"), 1);
    let (before, hook) = elsewhere.split_at(elsewhere.rfind("url = '").unwrap());
    let (_, rest) = hook.split_once('\n').unwrap();
    home.write("connections.toml", &format!("{before}url = 'http://{gone}/hook'\n{rest}"));
    home.write("imports.json", &json!({ "users": [{ "user_id": USERNAME, "user_password": PASSWORD }] }).to_string());
    home.write("hook.json", &json!({ "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }).to_string());
    let said = check();
    assert_eq!(is(&said, "connection `aa`: key `queue_url`: the source could not be reached: "), 2);
    is(&said, "destination `hook`: key `url`: it could not be reached: ");
}

#[test]
fn both_logins_of_a_source_are_read_and_named_and_a_paused_one_is_not_asked() {
    let source = Source::with_customers(0);
    let home = home_with_connection_to(&source, "queue_credentials = 'file:queue.json'\n");
    let login = std::fs::read_to_string(home.path("aa.json")).unwrap();
    home.write("queue.json", &login);
    home.sync();
    let check = || home.run("apply connections.toml --check --dry-run --data data").without(source.secrets());
    let expected = "aa: queue_credentials accepted, queue readable, 0 customers wait, credentials readable, \
                    details not tried, because no customer is known";
    assert_eq!(check().succeeded().stdout.lines().next(), Some(expected));
    home.write("aa.json", "{}");
    let said = check();
    assert!(said.error().contains("connection `aa`: key `credentials`: file:aa.json: "), "{said:?}");
    home.write("aa.json", &login);
    source.simulator.create(1_001);
    let expected = "aa: queue_credentials accepted, queue readable, 1 customer waits, credentials accepted, \
                    details readable";
    assert_eq!(check().succeeded().stdout.lines().next(), Some(expected));
    home.sync();
    home.run("pause aa --data data").succeeded();
    let before = source.simulator.requests();
    assert_eq!(check().succeeded().stdout.lines().next(), Some("aa: paused, and not asked"));
    assert_eq!(source.simulator.requests(), before);
}
