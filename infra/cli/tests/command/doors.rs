//! What other users of the machine can see of a run, and what it says of a file that holds a secret.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::json;
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

[[reader]]
tenant = 'acme'
token = 'file:reader.json'
";

const WITH_A_SECRET: &str = "
[[connection]]
id = 'bc'
tenant = 'acme'
kind = 'business-catalyst'
endpoint = 'https://name:hunter2@bc.example.org/'
site_id = 1
credentials = 'env:BC'
time_zone = 'UTC'
";

fn home(more: &str) -> Home {
    let home = Home::empty();
    home.write("connections.toml", &format!("{CONNECTIONS}{more}"));
    home.write("intouch.json", &json!({ "username": USERNAME, "password": PASSWORD }).to_string());
    home.write("reader.json", &json!({ "token": TOKEN }).to_string());
    home
}

fn mode(home: &Home, name: &str) -> u32 {
    fs::metadata(home.path(name)).unwrap().permissions().mode() & 0o777
}

/// No other user of this machine can read the customers (invariant 8), or have a link of theirs followed.
#[test]
fn the_data_are_for_their_owner_alone_also_where_the_directory_was_there_before() {
    let home = home("");
    home.write("victim", "precious");
    fs::create_dir(home.path("data")).unwrap();
    fs::set_permissions(home.path("data"), PermissionsExt::from_mode(0o755)).unwrap();
    symlink(home.path("victim"), home.path("data/lock")).unwrap();
    home.sync().succeeded();
    assert_eq!(mode(&home, "data"), 0o700);
    for entry in fs::read_dir(home.path("data")).unwrap() {
        let name = format!("data/{}", entry.unwrap().file_name().to_str().unwrap());
        assert_eq!(mode(&home, &name), 0o600, "{name}");
    }
    assert_eq!(fs::read_to_string(home.path("victim")).unwrap(), "precious");
}

#[test]
fn a_connection_with_a_password_in_its_url_is_left_out_and_the_others_run() {
    let home = home(WITH_A_SECRET);
    let refusal =
        "connection `bc`: key `endpoint`: must not hold a user name or a password: they would be stored in clear";
    let said = home.sync();
    assert!(said.stdout.contains("intouch: takes pushes") && !said.stdout.contains("bc:"), "{said:?}");
    assert_eq!(said.error(), format!("connections.toml: {refusal}; the connection is left out"));
    for entry in fs::read_dir(home.path("data")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
    }
    // `apply` takes a file that is right as a whole, or changes nothing.
    let said = home.run("apply connections.toml --data data");
    assert_eq!(said.error(), format!("connections.toml: {refusal}"));
}

/// The page and its parts are in the program: a browser loads nothing from elsewhere.
#[test]
fn the_page_of_the_api_comes_with_the_program() {
    let home = home("");
    let mut running = home.start("local --connections connections.toml --data data --port 0");
    let address = running.address();
    let get = |path: &str| {
        let url = format!("{address}{path}");
        Runtime::new().unwrap().block_on(async move {
            let answer = simulators::http_client().build().unwrap().get(&url).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    };
    let (status, page) = get("/docs");
    assert_eq!(status, 200, "{page}");
    let parts: Vec<&str> = page
        .split(['"', '\''])
        .filter(|text| [".js", ".css"].iter().any(|kind| text.ends_with(kind)))
        .map(|part| part.trim_start_matches("./"))
        .collect();
    assert!(parts.len() >= 4, "{page}");
    for part in parts {
        assert!(!part.contains("//"), "{part}");
        assert_eq!(get(&format!("/docs/{part}")).0, 200, "{part}");
    }
    assert!(get("/docs/swagger-initializer.js").1.contains("\"url\": \"/openapi.json\""));
    assert!(get("/openapi.json").1.contains("\"openapi\": \"3.1.0\""));
    assert_eq!(get("/v1/connections").0, 401);
    running.kill();
}
