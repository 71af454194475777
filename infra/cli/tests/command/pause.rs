//! Connections that an operator pauses: what is told to those that push, and what is shown.

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{Home, PASSWORD, TOKEN, USERNAME};

const CONNECTIONS: &str = "
[[connection]]
id = 'intouch'
tenant = 'acme'
kind = 'connector'
client_id = 'c-1'
club_ids = ['k-1']
providers = ['INTOUCH']
credentials = 'file:intouch.json'
create_lead_sources = true

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
const LEAD_SOURCE: &str = "<leadSource><providerInfo><identifier>INTOUCH</identifier><clientID>c-1</clientID>\
    <clubID>k-1</clubID><recordID>7</recordID></providerInfo><leadInfo><name>Web</name></leadInfo></leadSource>";
const IMPORT: [(&str, &str); 10] = [
    ("user_id", "importer"),
    ("user_password", PASSWORD),
    ("account_id", "greatwidgets"),
    ("type", "customers_batch"),
    ("delimiter", "pipe"),
    ("campaigns_to_include", "1"),
    ("profiles_header_1", "code"),
    ("profiles_header_2", "last_name"),
    ("profiles_data", "1|smith"),
    ("output", "JSON"),
];

fn home() -> Home {
    let home = Home::empty();
    home.write("connections.toml", CONNECTIONS);
    home.write("intouch.json", &json!({ "username": USERNAME, "password": PASSWORD }).to_string());
    let users = json!({ "users": [{ "user_id": "importer", "user_password": PASSWORD }] });
    home.write("imports.json", &users.to_string());
    home.write("reader.json", &json!({ "token": TOKEN }).to_string());
    home
}

/// What a Connector and an importer are answered: a status and a document, and the first import's or an error's text.
fn sent(address: &str) -> ((u16, String), Value) {
    Runtime::new().unwrap().block_on(async {
        let client = simulators::http_client().build().unwrap();
        let push = client.post(format!("{address}/connector/api/2011-11/leadsource"));
        let push = push.basic_auth(USERNAME, Some(PASSWORD)).body(LEAD_SOURCE).send().await.unwrap();
        let pushed = (push.status().as_u16(), push.text().await.unwrap());
        let import = client.post(format!("{address}/api.php")).form(&IMPORT).send().await.unwrap();
        assert_eq!(import.status(), 200);
        (pushed, serde_json::from_str(&import.text().await.unwrap()).unwrap())
    })
}

/// The connections as the API shows them: id, condition, and whether it says since when they are paused.
fn connections(address: &str) -> Vec<(String, String, bool)> {
    let answer: Value = Runtime::new().unwrap().block_on(async {
        let request =
            simulators::http_client().build().unwrap().get(format!("{address}/v1/connections")).bearer_auth(TOKEN);
        serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
    });
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = answer["connections"].as_array().unwrap().iter();
    all.map(|one| (text(&one["id"]), text(&one["condition"]), one["paused_at"].is_string())).collect()
}

#[test]
fn what_is_paused_takes_nothing_says_so_and_goes_on() {
    let home = home();
    let mut running = home.start("local --connections connections.toml --data data --port 0");
    let address = running.address();
    let said = home.run("pause intouch --data data").succeeded();
    assert_eq!(said.stdout, "intouch: paused, until `customer-sync resume intouch --data data`\n");
    home.run("pause imports --data data").succeeded();
    let since = home.status()["paused_at"].clone();
    home.run("pause intouch --data data").succeeded();
    assert_eq!(home.status()["paused_at"], since, "it is paused since it was paused first");

    let ((status, document), import) = sent(&address);
    assert_eq!(status, 503, "{document}");
    let message = "the connection is paused: nothing is lost if the request is sent again later";
    assert!(document.contains(message), "{document}");
    let message = "imports of this account are paused, and nothing was imported: send the request again later";
    assert!(import.to_string().contains(message), "{import}");
    let paused = |id: &str| (id.to_owned(), "paused".to_owned(), true);
    assert_eq!(connections(&address), [paused("intouch"), paused("imports")]);
    let status = home.run("status --data data").succeeded();
    for id in ["imports (batch-import", "intouch (connector"] {
        assert!(status.stdout.contains(&format!("{id}, tenant acme): paused\n  paused since   2")), "{status:?}");
    }

    home.run("resume intouch --data data").succeeded();
    home.run("resume imports --data data").succeeded();
    let ((status, document), import) = sent(&address);
    assert_eq!(status, 200, "{document}");
    assert!(import["batch"]["import"]["id"].is_string(), "{import}");
    let goes_on = |id: &str| (id.to_owned(), "in_sync".to_owned(), false);
    assert_eq!(connections(&address), [goes_on("intouch"), goes_on("imports")]);
    for command in ["pause nope", "resume nope"] {
        assert_eq!(home.run(&format!("{command} --data data")).error(), "there is no connection or destination `nope`");
    }
}

/// Nobody who waits for all to be in sync waits for a paused connection.
#[test]
fn a_run_until_all_is_in_sync_passes_over_what_is_paused() {
    let home = home();
    home.sync().succeeded();
    home.run("pause intouch --data data").succeeded();
    let said = home.sync().succeeded();
    assert!(said.stdout.contains("\nintouch: paused\n"), "{said:?}");
}
