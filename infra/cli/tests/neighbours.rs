//! Bad neighbours, on the real clock and real sockets: `cargo test -p customer-sync --features slow --test neighbours
//! -- --nocapture`. It takes `NEIGHBOURS_SECONDS`, 60 by default; the full run takes 600.
//!
//! | tenant | what it is like |
//! |---|---|
//! | `a` | its source sends a byte every ten seconds, on every request |
//! | `b` | its queue holds a million ids, and each answer takes a second |
//! | `c` | a customer changes every three seconds: **they arrive within `poll_seconds` and five seconds** |
//! | `d` | takes imports with passwords: **each is answered within five seconds** |
//!
//! Memory and threads of the process stay as they are once it has warmed up.
#![cfg(feature = "slow")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a story that fails may panic")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use customer_sync::commands::{LocalOptions, LocalRun};
use model::ConnectionKey;
use simulators::association_anywhere::{AaSettings, AaSimulator, urls};
use store::Shadow;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CUSTOMERS_OF_B: u32 = 1_000_000;
const POLL_SECONDS: u64 = 1;
/// How late a change may arrive, and an import be answered.
const SLACK: Duration = Duration::from_secs(5);

/// The queue of `b`, made before anything is measured.
static MILLION: LazyLock<String> = LazyLock::new(|| {
    let mut document = String::from("<customers>");
    for id in 0..CUSTOMERS_OF_B {
        write!(document, "<cust-id>{id}</cust-id>").unwrap();
    }
    document + "<max-queue-num>1</max-queue-num></customers>"
});

#[derive(Clone, Copy)]
enum Source {
    Dripping,
    Million,
}

/// Serves a source that no simulator covers. Returns its address.
async fn serve(source: Source) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            // A client that closes the connection ends it.
            tokio::spawn(async move { drop(answer(source, socket).await) });
        }
    });
    address
}

async fn answer(source: Source, mut socket: TcpStream) -> std::io::Result<()> {
    let (path, body) = request(&mut socket).await?;
    match source {
        Source::Dripping => {
            socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n<").await?;
            loop {
                socket.write_all(b"a").await?;
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        }
        Source::Million => {
            let mut document;
            match path.as_str() {
                "/queue" => document = MILLION.clone(),
                "/details" => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    document = String::from("<custInfos>");
                    for part in body.split("%3CcustId%3E").skip(1) {
                        let id: String = part.chars().take_while(char::is_ascii_digit).collect();
                        write!(document, "<custInfo><custId>{id}</custId><firstName>Jane</firstName></custInfo>")
                            .unwrap();
                    }
                    document += "</custInfos>";
                }
                _ => document = String::from("<result><status>SUCCESS</status></result>"),
            }
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n", document.len());
            socket.write_all(head.as_bytes()).await?;
            socket.write_all(document.as_bytes()).await
        }
    }
}

/// The path and the body of a request.
async fn request(socket: &mut TcpStream) -> std::io::Result<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase();
            let length = length.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or("0");
            if body.len() >= length.trim().parse().unwrap_or(0) {
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                return Ok((path, body.to_owned()));
            }
        }
        if socket.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn connection(tenant: &str, base: &str, credentials: &Path) -> String {
    format!(
        "[[connection]]\nid = '{tenant}'\ntenant = '{tenant}'\nkind = 'association-anywhere'\nqueue_url = '{base}/queue'\n\
         details_url = '{base}/details'\npurge_url = '{base}/purge'\ncredentials = 'file:{}'\n\
         poll_seconds = {POLL_SECONDS}\n",
        credentials.display()
    )
}

/// Memory in MB and threads of this process, as Linux reports them.
fn process() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    (of("VmRSS:") / 1024, of("Threads:"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_drips_and_one_with_a_million_changes_hold_up_nobody() {
    let seconds = std::env::var("NEIGHBOURS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    LazyLock::force(&MILLION);
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let settings = AaSettings { customers: 20, ..AaSettings::default() };
    let well = AaSimulator::new(settings.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let of_well = urls(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn({
        let well = well.clone();
        async move { well.serve(listener).await }
    });
    let login = serde_json::json!({ "username": settings.username, "password": settings.password });
    let credentials = file("aa.json", login.to_string());
    let users = serde_json::json!({ "users": [{ "user_id": "john1970", "user_password": "imp-password-1" }] });
    let users = file("imports.json", users.to_string());
    let mut text = connection("a", &serve(Source::Dripping).await, &credentials);
    text += &connection("b", &serve(Source::Million).await, &credentials);
    write!(
        text,
        "[[connection]]\nid = 'aa'\ntenant = 'c'\nkind = 'association-anywhere'\nqueue_url = '{}'\ndetails_url = '{}'\n\
         purge_url = '{}'\ncredentials = 'file:{}'\npoll_seconds = {POLL_SECONDS}\n\
         [[connection]]\nid = 'imports'\ntenant = 'd'\nkind = 'batch-import'\naccount_id = 'greatwidgets'\n\
         credentials = 'file:{}'\ncampaigns = ['898989889']\n",
        of_well.queue,
        of_well.details,
        of_well.purge,
        credentials.display(),
        users.display()
    )
    .unwrap();
    let connections = file("connections.toml", text);
    let options =
        LocalOptions { connections: Some(connections), data: directory.path().join("data"), port: 0, once: false };
    let run = LocalRun::start(&options).await.unwrap();
    let api = format!("http://{}/api.php", run.address());
    let shadow = run.tables().shadow;
    let running = tokio::spawn(run.run());

    let began = Instant::now();
    let end = began + Duration::from_secs(seconds);
    let changes = follow_changes(&well, &shadow, end);
    let imports = send_imports(&api, end);
    let flat = watch_process(began, end);
    let (late, slow, grown) = tokio::join!(changes, imports, flat);
    assert!(!running.is_finished(), "the run has ended");
    running.abort();
    println!("changes of c: {late:.1?} at most; imports of d: {slow:.1?} at most; {grown}");
    assert!(late <= Duration::from_secs(POLL_SECONDS) + SLACK, "a change arrived after {late:?}");
    assert!(slow <= SLACK, "an import was answered after {slow:?}");
}

/// Changes a customer every three seconds, and returns how long the slowest took to arrive.
async fn follow_changes(well: &AaSimulator, shadow: &Shadow, end: Instant) -> Duration {
    let key = ConnectionKey::new("c", "aa");
    let mut worst = Duration::ZERO;
    // Its own first synchronisation, beside the others'.
    while shadow.get(&key, "1001").await.unwrap().is_none() {
        assert!(Instant::now() < end, "it was never synchronised");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    while Instant::now() < end {
        let before = shadow.get(&key, "1001").await.unwrap().unwrap().revision;
        let changed_at = Instant::now();
        well.change([1001]);
        while shadow.get(&key, "1001").await.unwrap().unwrap().revision == before {
            assert!(changed_at.elapsed() < Duration::from_secs(120), "a change did not arrive within two minutes");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        worst = worst.max(changed_at.elapsed());
        if changed_at.elapsed() > Duration::from_secs(2) {
            println!("a change of c took {:.1?}", changed_at.elapsed());
        }
        tokio::time::sleep(Duration::from_secs(3).saturating_sub(changed_at.elapsed())).await;
    }
    worst
}

/// Imports a customer with a password every two seconds, and returns how long the slowest answer took.
async fn send_imports(api: &str, end: Instant) -> Duration {
    let client = simulators::http_client().build().unwrap();
    let mut worst = Duration::ZERO;
    for number in 0_u32.. {
        if Instant::now() >= end {
            break;
        }
        let rows = format!("code-{number}|Jane|password-{number}");
        let form = HashMap::from([
            ("user_id", "john1970"),
            ("user_password", "imp-password-1"),
            ("account_id", "greatwidgets"),
            ("type", "customers_batch"),
            ("delimiter", "pipe"),
            ("overwrite_duplicates", "update"),
            ("campaigns_to_include", "898989889"),
            ("output", "JSON"),
            ("profiles_header_1", "code"),
            ("profiles_header_2", "first_name"),
            ("profiles_header_3", "customer_password"),
            ("profiles_data", rows.as_str()),
        ]);
        let sent_at = Instant::now();
        let answer = client.post(api).form(&form).timeout(Duration::from_secs(60)).send().await.unwrap();
        let status = answer.status();
        let body = answer.text().await.unwrap();
        assert!(status.is_success() && body.contains("success"), "{status}: {body}");
        worst = worst.max(sent_at.elapsed());
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    worst
}

/// Watches memory and threads of the process, which includes the sources: after half the time they stay as they are.
async fn watch_process(began: Instant, end: Instant) -> String {
    let warm_up = (end - began) / 2;
    let (mut memory, mut threads) = (0, 0);
    while Instant::now() < end {
        let (memory_now, threads_now) = process();
        println!("{:>4} s: {memory_now} MB, {threads_now} threads", began.elapsed().as_secs());
        if began.elapsed() <= warm_up {
            (memory, threads) = (memory.max(memory_now), threads.max(threads_now));
        } else {
            assert!(memory_now <= memory + memory / 4 + 32, "{memory} MB have become {memory_now}");
            assert!(threads_now <= threads + 16, "{threads} threads have become {threads_now}");
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    format!("at most {memory} MB and {threads} threads after half of the time")
}
