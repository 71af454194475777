//! A Connector pushes to the built program: what it was answered is there, however the program ends.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulators::connector::{ConnectorSettings, ConnectorSimulator, Kind, Login};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const TOKEN: &str = "reader-token-of-acme";
const PASSWORD: &str = "correct horse battery staple";
/// Whatever another process has to do is done by then.
const PATIENCE: Duration = Duration::from_secs(120);
/// Our own crates log all that they can.
const EVERYTHING_OF_OURS: &str = "off,connector_api=debug,customer_sync=debug,customers_api=debug,model=debug,\
                                  runtime=debug,store=debug,wire=debug";

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
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
    write("connections.toml", CONNECTIONS);
    write("intouch.json", &json!({ "username": "intouch", "password": PASSWORD }).to_string());
    write("reader.json", &json!({ "token": TOKEN }).to_string());
    home
}

fn command(home: &TempDir, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_customer-sync"));
    command.args(arguments.split_whitespace()).current_dir(home.path()).env_remove("CUSTOMER_SYNC_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A `local` run that goes on until it is killed, and the address of its API.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.by_ref().find_map(|line| line.strip_prefix("The API answers at ").map(str::to_owned));
        // Whoever stops listening ends a program that still has something to say.
        std::thread::spawn(move || lines.for_each(drop));
        let address = address.unwrap_or_else(|| {
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            panic!("it ended before it could answer: {stderr}")
        });
        Self { child, address: address.trim_end_matches(". Try:").to_owned() }
    }

    fn local(home: &TempDir) -> Self {
        Self::start(command(home, "local --connections connections.toml --data data --port 0"))
    }

    /// As `kill -9` does: it can't tidy up. Returns what it logged.
    fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        stderr
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the story went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connector(address: &str, people: usize) -> ConnectorSimulator {
    ConnectorSimulator::new(ConnectorSettings {
        base: address.to_owned(),
        login: Login::Basic { username: "intouch".to_owned(), password: PASSWORD.to_owned() },
        people,
        ..ConnectorSettings::default()
    })
}

/// The records of a kind that were answered with an id: their record ids, and those ids.
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
    let first = Running::local(&home);
    let before = connector(&first.address, people);
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

    let second = Running::local(&home);
    runtime.block_on(async {
        let client = reqwest::Client::new();
        for (record_id, id) in &answered_before {
            let customer = read(&client, &second.address, &format!("/v1/customers/intouch~{id}")).await;
            assert_eq!(customer["external_id"], json!(record_id));
        }
        // The Connector goes on where it was: everybody gets the id that they had, and comes to be there once.
        let after = connector(&second.address, people);
        let report = after.push_everything().await;
        assert!(report.is_clean(), "{report}");
        for (record_id, id) in &answered_before {
            assert_eq!(after.id(Kind::User, record_id).as_ref(), Some(id));
        }
        let mut listed = 0;
        let mut cursor = String::new();
        loop {
            let page =
                read(&client, &second.address, &format!("/v1/customers?connection=intouch&limit=500{cursor}")).await;
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
fn a_connection_that_is_pushed_to_is_in_step_and_ends_a_run_at_once() {
    let home = home();
    let run = command(&home, "local --connections connections.toml --data data --port 0 --once").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert_eq!((run.status.code(), text(run.stderr)), (Some(0), String::new()));
    assert_eq!(text(run.stdout), "customer-sync 0.1.0: 1 connection, data in data\nintouch: takes pushes\n");
    let status = command(&home, "status --data data").output().unwrap();
    assert_eq!(text(status.stdout), "intouch (connector, tenant acme): takes pushes\n");
    let status = command(&home, "status --json --data data").output().unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["connections"][0]["condition"], "in_step");
}

#[test]
fn the_log_tells_what_was_refused_by_its_number_and_nobodys_data() {
    let runtime = Runtime::new().unwrap();
    let home = home();
    let mut command = command(&home, "local --connections connections.toml --data data --port 0");
    command.env("CUSTOMER_SYNC_LOG", EVERYTHING_OF_OURS);
    let running = Running::start(command);
    let connector = connector(&running.address, 30);
    let mut numbers = Vec::new();
    runtime.block_on(async {
        assert!(connector.push_everything().await.is_clean());
        let document = "<user><providerInfo><identifier>INTOUCH</identifier><clientID>c-1</clientID><clubID>k-1</clubID>\
                        <recordID>secret-record</recordID></providerInfo><userInfo><firstname>Secretia</firstname>\
                        <birthdate>secret-date</birthdate></userInfo></user>";
        let url = format!("{}/connector/api/2011-11/user", running.address);
        let client = reqwest::Client::new();
        for (password, document, status) in [
            (PASSWORD, document.to_owned(), 400),
            (PASSWORD, document.replace("k-1", "secret-club"), 403),
            (PASSWORD, document.replace("</userInfo>", "secret & </userInfo>"), 400),
            ("secret-password", document.to_owned(), 401),
        ] {
            let request = client.post(&url).basic_auth("intouch", Some(password)).body(document);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), status);
            let text = answer.text().await.unwrap();
            assert!(!text.to_lowercase().contains("secret"), "{text}");
            let (_, rest) = text.split_once("<errorUUID>").unwrap();
            numbers.push(rest.split_once('<').unwrap().0.to_owned());
        }
    });
    let log = running.kill();
    for number in &numbers {
        assert!(log.contains(number), "{number} is not in the log:\n{log}");
    }
    let people = connector.people();
    let of_people =
        people.iter().flat_map(|person| [Some(person.display_name()), person.email.clone(), person.mobile.clone()]);
    let of_staff = connector.staff().into_iter().map(|trainer| Some(trainer.email));
    for word in of_people.chain(of_staff).flatten().chain([PASSWORD.to_owned(), TOKEN.to_owned(), "ecret".to_owned()]) {
        assert!(!log.contains(&word), "{word:?} is in the log:\n{log}");
    }
}
