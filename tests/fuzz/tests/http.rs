//! Every route of the HTTP functions over requests that are made from good ones: each is answered, and none with an
//! error of ours. `FUZZ_SECONDS` makes more of them for so long.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use base64::prelude::{BASE64_STANDARD, Engine};
use fuzz::Target;
use fuzz::budget::PEAK;
use fuzz::corpus::inputs;
use fuzz::generate::{Numbers, enlarged, hash, mutated};
use fuzz::meter::measured;
use tests::{CONNECTOR_LOGIN, TOKEN, TestDeployment};

/// How many requests are made of each route's.
const MADE: u64 = 250;
/// What the function, the client of DynamoDB and the store's own buffers hold for any request.
const BESIDE: u64 = PEAK.1 + 1024 * 1024;

const IMPORT: &str = "user_id=u&user_password=p&account_id=a&type=customers_batch&delimiter=pipe&output=JSON&\
                      campaigns_to_include=1&overwrite_duplicates=update&profiles_header_1=code&\
                      profiles_header_2=first_name&profiles_data=1|Jane%0A2|Jos%C3%A9%0A3";

async fn deployment() -> TestDeployment {
    let world = TestDeployment::new(1).await;
    let (username, password) = CONNECTOR_LOGIN;
    let login = world.secret("intouch.json", &serde_json::json!({ "username": username, "password": password }));
    let users = serde_json::json!({ "users": [{ "user_id": "u", "user_password": "p" }] });
    let users = world.secret("users.json", &users);
    let file = format!(
        "[[connection]]\nid = 'intouch'\ntenant = 'acme'\nkind = 'connector'\ncredentials = '{login}'\n\
         providers = ['INTOUCH']\nclient_id = 'c-1'\nclub_ids = ['k-1', 'k-2']\ncreate_staff = true\ncreate_lead_sources = true\n\
         [[connection]]\nid = 'shop'\ntenant = 'acme'\nkind = 'batch-import'\naccount_id = 'a'\ncampaigns = ['1']\n\
         credentials = '{users}'\n"
    );
    world.configure(&file).await;
    world
}

/// A request: its method and its target in the first line, then its body. `None` if no client could send it.
fn request(input: &[u8]) -> Option<Request<Body>> {
    let at = input.iter().position(|byte| *byte == b'\n')?;
    let line = &input[..at];
    let space = line.iter().position(|byte| *byte == b' ')?;
    let method = &line[..space];
    // A client writes what no target may hold as `%` and two digits.
    let target: String = line[space + 1..]
        .iter()
        .map(|byte| match byte {
            b'!'..=b'~' if !b"\"<>\\^`{|}".contains(byte) => char::from(*byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let (username, password) = CONNECTOR_LOGIN;
    let authorization = match target.starts_with("/connector") {
        true => format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}"))),
        false => format!("Bearer {TOKEN}"),
    };
    let request = Request::builder().method(method).uri(target).header(header::AUTHORIZATION, authorization);
    request.body(Body::from(input[at + 1..].to_vec())).ok()
}

/// Sends a request; whether there was one.
fn send(runtime: &tokio::runtime::Runtime, world: &TestDeployment, input: &[u8]) -> bool {
    let Some(request) = request(input) else { return false };
    let shown = || String::from_utf8_lossy(&input[..input.len().min(2_000)]).into_owned();
    let ((status, headers, body), usage) = measured(|| runtime.block_on(world.request(request)));
    assert!(!status.is_server_error(), "{status} {body}\n{}", shown());
    let allowed = PEAK.0 * (input.len() + body.len()) as u64 + BESIDE;
    assert!(usage.peak <= allowed, "{} bytes held at once, {allowed} are allowed\n{}", usage.peak, shown());
    let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|value| value.to_str().unwrap().contains("json"));
    if is_json && status != StatusCode::NO_CONTENT {
        serde_json::from_str::<serde_json::Value>(&body).unwrap_or_else(|_| panic!("no JSON: {body}\n{}", shown()));
    }
    true
}

/// The good requests that others are made from.
fn seeds(route: &str) -> Vec<Vec<u8>> {
    let pushed = |target: &str, path: &str| -> Vec<Vec<u8>> {
        let documents = inputs("corpus", Target::named(target).unwrap());
        let line = format!("POST /connector/api/2011-11/{path}\n");
        documents.into_iter().map(|(_, document)| [line.as_bytes(), &document].concat()).collect()
    };
    let plain = |requests: &[&str]| requests.iter().map(|request| request.as_bytes().to_vec()).collect();
    match route {
        "user" => pushed("connector-user", "user"),
        "staff" => pushed("connector-staff", "staff"),
        "lead-source" => pushed("connector-lead-source", "leadsource"),
        "fetch" => plain(&[
            "GET /connector/api/2011-11/user?provider=INTOUCH&client_id=c-1&club_id=k-1\n",
            "GET /connector/api/2011-11/staff?provider=INTOUCH&clientID=c-1&clubID=k-1&recordID=r-1\n",
            "GET /connector/api/2011-11/leadsource?provider=INTOUCH&client_id=c-1&club_id=k-1&cursor=MzoxMH4wMQ\n",
            "GET /connector/api/2011-11/user?provider=INTOUCH&client_id=c-1&club_id=k-1&uuid=681c3c33-16f6-89e7-9c25-72fc59421237\n",
        ]),
        "batch-get" => plain(&[
            "POST /v1/customers/batch-get\n{\"ids\":[\"shop~1\",\"shop~2\",\"intouch~681c3c33-16f6-89e7-9c25-72fc59421237\"]}",
            "POST /v1/customers/batch-get\n{\"ids\":[]}",
        ]),
        "read" => plain(&[
            "GET /v1/customers/shop~1\n",
            "GET /v1/customers/shop~a%2Fb%20c\n",
            "GET /v1/customers?id=shop~1\n",
            "GET /v1/customers?connection=shop&limit=3&cursor=MzoxMH4wMQ\n",
            "GET /v1/staff?connection=intouch&limit=1&cursor=681c3c33-16f6-89e7-9c25-72fc59421237\n",
            "GET /v1/lead-sources?connection=intouch\n",
            "GET /v1/connections\n",
        ]),
        _ => plain(&[&format!("POST /api.php\n{IMPORT}")]),
    }
}

fn run(route: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(deployment());
    let seeds = seeds(route);
    let mut sent = 0_u64;
    for seed in &seeds {
        assert!(send(&runtime, &world, seed), "a seed is no request");
        send(&runtime, &world, &enlarged(seed, hash(seed), 100_000));
    }
    let until = std::env::var("FUZZ_SECONDS").ok().map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    let began = Instant::now();
    let mut numbers = Numbers::of(1);
    let mut made = 0;
    while made < MADE || until.is_some_and(|until| began.elapsed() < until) {
        sent += u64::from(send(&runtime, &world, &mutated(&seeds, &mut numbers)));
        made += 1;
    }
    assert!(sent > MADE / 4, "only {sent} of {made} could be sent");
    if until.is_some() {
        println!("http-{route}: {sent} inputs, {} s, 0 crashes", began.elapsed().as_secs());
    }
}

#[test]
fn pushed_users() {
    run("user");
}

#[test]
fn pushed_staff() {
    run("staff");
}

#[test]
fn pushed_lead_sources() {
    run("lead-source");
}

#[test]
fn fetched_records() {
    run("fetch");
}

#[test]
fn customers_by_their_ids() {
    run("batch-get");
}

#[test]
fn customers_and_lists() {
    run("read");
}

#[test]
fn imports() {
    run("import");
}
