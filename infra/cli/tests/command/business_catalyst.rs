//! Business Catalyst at a shell.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use simulators::business_catalyst::{BcSettings, BcSimulator, Clock, Fault, Operation, Poison, endpoint};
use tokio::runtime::Runtime;

use crate::support::{Home, PASSWORD, TOKEN, USERNAME};

/// A site that listens in this process.
struct Site {
    simulator: BcSimulator,
    home: Home,
    _runtime: Runtime,
}

impl Site {
    /// A site with contacts, and a home whose `connections.toml` has the connection `bc` to it.
    fn with_contacts(contacts: u64) -> Self {
        let runtime = Runtime::new().unwrap();
        let settings = BcSettings {
            contacts,
            username: USERNAME.to_owned(),
            password: PASSWORD.to_owned(),
            time_zone: TimeZone::get("America/New_York").unwrap(),
            clock: Clock::Following(Arc::new(Timestamp::now)),
            ..BcSettings::default()
        };
        let site_id = settings.site_id;
        let simulator = BcSimulator::new(settings);
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = endpoint(&format!("http://{}", listener.local_addr().unwrap()));
        let serving = simulator.clone();
        runtime.spawn(async move { serving.serve(listener).await });
        let home = Home::empty();
        home.write("bc.json", &json!({ "username": USERNAME, "password": PASSWORD }).to_string());
        home.write("reader.json", &json!({ "token": TOKEN }).to_string());
        home.write(
            "connections.toml",
            &format!(
                "[[connection]]\nid = 'bc'\ntenant = 'acme'\nkind = 'business-catalyst'\nendpoint = '{endpoint}'\n\
                 site_id = {site_id}\ncredentials = 'file:bc.json'\ntime_zone = 'America/New_York'\npoll_seconds = 1\n\
                 [[reader]]\ntenant = 'acme'\ntoken = 'file:reader.json'\n"
            ),
        );
        Self { simulator, home, _runtime: runtime }
    }

    fn secrets(&self) -> Vec<String> {
        let ids = self.simulator.contact_ids();
        let emails = ids.iter().filter_map(|id| self.simulator.email(*id));
        let names = ids.iter().filter_map(|id| self.simulator.display_name(*id));
        emails.chain(names).chain([PASSWORD, TOKEN].map(str::to_owned)).collect()
    }
}

#[test]
fn a_sites_contacts_come_in_once_and_its_changes_after_them() {
    let site = Site::with_contacts(230);
    let first = site.home.sync().succeeded().without(site.secrets());
    assert_eq!(first.in_sync("bc"), (230, [230, 0, 0, 0, 0]));
    let (_, second) = site.home.sync().succeeded().in_sync("bc");
    assert_eq!(second[0], 0, "a second run writes nothing");
    site.simulator.change([1003, 1004]);
    site.simulator.delete(1006);
    let (_, [written, _, stale, tombstoned, failed]) = site.home.sync().succeeded().in_sync("bc");
    assert_eq!([written, stale, tombstoned, failed], [2, 0, 1, 0]);
}

#[test]
fn ten_thousand_contacts_come_in_then_their_changes_and_listed_again_nothing_is_written() {
    let site = Site::with_contacts(10_000);
    let first = site.home.sync().succeeded();
    assert_eq!(first.in_sync("bc"), (10_000, [10_000, 0, 0, 0, 0]));
    let changed = site.simulator.change_some(250).len() as u64;
    let (_, [written, _, stale, tombstoned, failed]) = site.home.sync().succeeded().in_sync("bc");
    assert_eq!([written, stale, tombstoned, failed], [changed, 0, 0, 0]);
    site.home.run("resync bc --data data").succeeded();
    assert_eq!(site.home.sync().succeeded().in_sync("bc"), (10_000, [0, 10_000, 0, 0, 0]));
}

#[test]
fn a_resync_finds_out_who_is_gone_without_a_word() {
    let site = Site::with_contacts(120);
    site.home.sync().succeeded();
    site.simulator.remove_silently(1007);
    let said = site.home.run("resync bc --data data").succeeded();
    assert_eq!(said.stdout, "bc: every contact is listed again with the next poll\n");
    let (_, [written, unchanged, stale, tombstoned, failed]) = site.home.sync().succeeded().in_sync("bc");
    assert_eq!([written, stale, tombstoned, failed], [0, 0, 1, 0]);
    assert!(unchanged >= 119, "{unchanged}");
    let said = site.home.run("resync bc --customer 1007 --data data");
    assert_eq!(said.error(), "connection `bc`: Business Catalyst can't be asked for one contact; leave out --customer");
}

#[test]
fn a_contact_that_cant_be_read_is_a_failure_record_until_it_is_redriven() {
    let site = Site::with_contacts(120);
    site.simulator.poison(1010, Poison::BadDate);
    let said = site.home.sync();
    assert_eq!(said.code, Some(1), "{said:?}");
    let said = site.home.run("failures --data data").succeeded().without(site.secrets());
    assert!(said.stdout.starts_with("bc~1010  ") && said.stdout.contains("lastUpdateDate"), "{said:?}");
    site.simulator.heal(1010);
    site.home.run("failures redrive bc~1010 --data data").succeeded();
    let (_, [written, .., failed]) = site.home.sync().succeeded().in_sync("bc");
    assert_eq!((written, failed), (1, 0));
    assert_eq!(site.home.run("failures --data data").succeeded().stdout, "no failures\n");
}

#[test]
fn wrong_credentials_end_a_run_with_an_error_that_repeats_no_secret() {
    let site = Site::with_contacts(20);
    site.simulator.fault(Operation::Retrieve, Some(Fault::WrongCredentials));
    let said = site.home.sync();
    assert!(said.error().starts_with("connection `bc`: contact list: the source answered with an error: "), "{said:?}");
    said.without(site.secrets());
}
