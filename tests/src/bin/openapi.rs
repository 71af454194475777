//! Writes `infra/openapi.yaml` and the examples in it: `cargo run -p tests --bin openapi`.

#![allow(clippy::unwrap_used, reason = "a tool of the developers, that may panic")]

use std::fs;

use tests::openapi;

#[tokio::main]
async fn main() {
    let examples = openapi::examples().await;
    fs::write(openapi::examples_file(), openapi::written(&examples)).unwrap();
    fs::write(openapi::document_file(), openapi::document(&examples)).unwrap();
}
