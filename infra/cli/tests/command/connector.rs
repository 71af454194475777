//! A Connector pushes to the built program: what was answered is stored, however the program ends.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulators::connector::{ConnectorSettings, ConnectorSimulator, Kind, Login};
use tokio::runtime::Runtime;

use crate::support::{Home, LOG, PASSWORD, PATIENCE, Running, TOKEN, USERNAME, everything_of_ours};

/// How a run is started that goes on until it is ended.
const LOCAL: &str = "local --connections connections.toml --data data --port 0";

const CONNECTIONS: &str = "
[[connection]]
id = 'intouch'
tenant = 'acme'
kind = 'connector'
client_id = 'c-1'
club_ids = ['k-1', 'k-2']
providers = ['INTOUCH']
credentials = 'file:intouch.json'
create_staff = true
create_lead_sources = true

[[reader]]
tenant = 'acme'
token = 'file:reader.json'
";

/// A user's directory with a connection that is pushed to.
fn home() -> Home {
    let home = Home::empty();
    home.write("connections.toml", CONNECTIONS);
    home.write("intouch.json", &json!({ "username": USERNAME, "password": PASSWORD }).to_string());
    home.write("reader.json", &json!({ "token": TOKEN }).to_string());
    home
}

fn connector(address: &str, people: usize) -> ConnectorSimulator {
    ConnectorSimulator::new(ConnectorSettings {
        base: address.to_owned(),
        login: Login::Basic { username: USERNAME.to_owned(), password: PASSWORD.to_owned() },
        people,
        ..ConnectorSettings::default()
    })
}

/// The records of a kind that were answered with an id: their record ids, and the ids from the answers.
fn answered(connector: &ConnectorSimulator) -> Vec<(String, String)> {
    let people = connector.people().into_iter();
    people.filter_map(|person| Some((person.record_id.clone(), connector.id(Kind::User, &person.record_id)?))).collect()
}

async fn read(client: &reqwest::Client, address: &str, path: &str) -> Value {
    let request = client.get(format!("{address}{path}")).header("Authorization", format!("Bearer {TOKEN}"));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

#[test]
fn a_push_that_got_its_uuid_is_readable_at_once_and_survives_kill_9() {
    let runtime = Runtime::new().unwrap();
    let home = home();
    let people = 400;
    let mut first = home.start(LOCAL);
    let before = connector(&first.address(), people);
    let pushing = runtime.spawn({
        let connector = before.clone();
        async move { connector.push_everything().await }
    });
    let until = Instant::now() + PATIENCE;
    while answered(&before).len() < 100 {
        assert!(Instant::now() < until && !pushing.is_finished(), "nothing is answered");
        std::thread::sleep(Duration::from_millis(1));
    }
    first.kill();
    pushing.abort();
    let answered_before = answered(&before);
    assert!((100..people).contains(&answered_before.len()), "killed too late: {}", answered_before.len());

    let mut second = home.start(LOCAL);
    let address = second.address();
    runtime.block_on(async {
        let client = simulators::http_client().build().unwrap();
        for (record_id, id) in &answered_before {
            let customer = read(&client, &address, &format!("/v1/customers/intouch~{id}")).await;
            assert_eq!(customer["external_id"], json!(record_id));
        }
        // The Connector continues: every record keeps the id that it had, and is stored once.
        let after = connector(&address, people);
        let report = after.push_everything().await;
        assert!(report.is_clean(), "{report}");
        for (record_id, id) in &answered_before {
            assert_eq!(after.id(Kind::User, record_id).as_ref(), Some(id));
        }
        let mut listed = 0;
        let mut cursor = String::new();
        loop {
            let page = read(&client, &address, &format!("/v1/customers?connection=intouch&limit=500{cursor}")).await;
            let customers = page["customers"].as_array().unwrap();
            listed += customers.len();
            assert!(customers.iter().all(|customer| customer["attributes"]["leadInfo#unmatched"].is_null()), "{page}");
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(listed, people);
    });
}

#[test]
fn a_connection_that_is_pushed_to_is_in_sync_and_ends_a_run_at_once() {
    let home = home();
    let said = home.sync().succeeded();
    assert_eq!(said.stdout, "customer-sync 0.1.0: 1 connection, data in data\nintouch: takes pushes\n");
    let said = home.run("status --data data").succeeded();
    assert_eq!(said.stdout, "intouch (connector, tenant acme): takes pushes\n");
    assert_eq!(home.status()["condition"], "in_sync");
}

#[test]
fn the_log_tells_what_was_refused_by_its_number_and_nobodys_data() {
    let runtime = Runtime::new().unwrap();
    let home = home();
    let mut running = Running::new(home.command(LOCAL).env(LOG, everything_of_ours()).spawn().unwrap());
    let address = running.address();
    let connector = connector(&address, 30);
    let mut numbers = Vec::new();
    runtime.block_on(async {
        assert!(connector.push_everything().await.is_clean());
        let document = "<user><providerInfo><identifier>INTOUCH</identifier><clientID>c-1</clientID><clubID>k-1</clubID>\
                        <recordID>secret-record</recordID></providerInfo><userInfo><firstname>Secretia</firstname>\
                        <birthdate>secret-date</birthdate></userInfo></user>";
        let url = format!("{address}/connector/api/2011-11/user");
        let client = simulators::http_client().build().unwrap();
        for (password, document, status) in [
            (PASSWORD, document.to_owned(), 400),
            (PASSWORD, document.replace("k-1", "secret-club"), 403),
            (PASSWORD, document.replace("</userInfo>", "secret & </userInfo>"), 400),
            ("secret-password", document.to_owned(), 401),
        ] {
            let request = client.post(&url).basic_auth(USERNAME, Some(password)).body(document);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), status);
            let text = answer.text().await.unwrap();
            assert!(!text.to_lowercase().contains("secret"), "{text}");
            let (_, rest) = text.split_once("<errorUUID>").unwrap();
            numbers.push(rest.split_once('<').unwrap().0.to_owned());
        }
    });
    let said = running.kill();
    let log = &said.stderr;
    for number in &numbers {
        assert!(log.contains(number), "{number} is not in the log:\n{log}");
    }
    let people = connector.people();
    let of_people =
        people.iter().flat_map(|person| [Some(person.display_name()), person.email.clone(), person.mobile.clone()]);
    let of_staff = connector.staff().into_iter().map(|trainer| Some(trainer.email));
    let secrets = [PASSWORD, TOKEN, "ecret"].map(str::to_owned);
    said.without(of_people.chain(of_staff).flatten().chain(secrets));
}
