//! Measures how fast one machine takes batch imports: the function through the gateway, on a durable store, in this
//! process.
//!
//! `cargo bench -p tests --bench imports -- [ROWS]`, 20,000 by default, which is the most that one call takes.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on has failed")]

use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use config::{Configuration, Deployment};
use destinations::DestinationHttp;
use lambda::{Clients, Metrics};
use local_aws::TEMPLATE;
use local_aws::{EmbeddedDynamoDb, Engine, LocalSqs, Template};
use sources::SourceHttp;
use store::{Clock, Random, Secrets, TableNames, Tables};
use tower::ServiceExt;
use wire::customers_batch::MOST_SECRETS;

#[tokio::main]
async fn main() {
    let rows: usize = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(20_000);
    let directory = tempfile::tempdir().unwrap();
    let mut template = Template::parse(TEMPLATE).unwrap();
    for function in &mut template.functions {
        // Calls that take longer than API Gateway allows are measured, not cut off.
        function.timeout = Duration::from_secs(600);
    }
    let database = EmbeddedDynamoDb::open(&directory.path().join("dynamodb.sqlite")).unwrap();
    for table in &template.tables {
        database.create_table(table).await.unwrap();
    }
    let clock = Clock::system();
    let queues = LocalSqs::new(&template.queues, clock.clone());
    let clients = Clients {
        dynamodb: database.client(),
        sqs: queues.client(),
        secrets: Secrets::new(None, clock.clone()),
        http: SourceHttp::new(clock.clone()),
        destinations: DestinationHttp::new(clock.clone()),
        clock,
        random: Random::from_entropy(),
        metrics: Metrics::off(),
    };
    let users = directory.path().join("users.json");
    std::fs::write(&users, r#"{"users":[{"user_id":"u","user_password":"p"}]}"#).unwrap();
    let configuration = format!(
        "[[connection]]\nid = 'imports'\ntenant = 'bench'\nkind = 'batch-import'\naccount_id = 'a'\n\
         credentials = 'file:{}'\ncampaigns = ['1']\n",
        users.display()
    );
    let names = TableNames {
        control: tests::CONTROL_TABLE.to_owned(),
        shadow: tests::SHADOW_TABLE.to_owned(),
        imports: tests::IMPORT_TABLE.to_owned(),
        feed: tests::FEED_TABLE.to_owned(),
    };
    let tables = Tables::new(clients.dynamodb.clone(), &names, clients.clock.clone(), clients.random.clone());
    for registration in Configuration::parse(&configuration, Deployment::Local).unwrap().to_registrations() {
        tables.registry.put(&registration).await.unwrap();
    }
    let engine = Engine::new(&template, &clients, queues, database.clone()).unwrap();

    println!("{rows} rows in one call, one process, durable store");
    import(&engine, "new customers", rows, "", |_| String::new()).await;
    import(&engine, "the same request again", rows, "", |_| String::new()).await;
    import(&engine, "every customer changed", rows, "city", |_| "Anytown".to_owned()).await;
    // No more passwords come in one call.
    let with_passwords = rows.min(MOST_SECRETS);
    import(&engine, "changed, with passwords", with_passwords, "customer_password", |row| format!("secret {row}"))
        .await;
    import(&engine, "nothing changed", rows, "city", |_| "Anytown ".to_owned()).await;
}

/// Posts rows of code, card number, address, name, and one column more.
async fn import(engine: &Engine, what: &str, rows: usize, column: &str, value: impl Fn(usize) -> String) {
    let more = if column.is_empty() { String::new() } else { format!("&profiles_header_6={column}") };
    let mut body = format!(
        "user_id=u&user_password=p&account_id=a&type=customers_batch&delimiter=pipe&overwrite_duplicates=update\
         &campaigns_to_include=1&profiles_header_1=code&profiles_header_2=card_number&profiles_header_3=email\
         &profiles_header_4=first_name&profiles_header_5=last_name{more}&output=JSON&profiles_data="
    );
    for row in 0..rows {
        body.push_str(&format!("c{row}|{row:010}|jane.{row}@example.org|Jane|Doe"));
        if !column.is_empty() {
            body.push('|');
            body.push_str(&value(row));
        }
        body.push('\n');
    }
    let request = Request::post("/api.php").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let began = Instant::now();
    let response = engine.gateway().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let answer = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("\"failed\": 0"), "{answer}");
    println!("{what:<28} {seconds:>8.1} s {:>10.0} rows/s", rows as f64 / seconds);
}
