//! Writes what the API says of itself: `cargo run -p tests --bin openapi`.

#![allow(clippy::unwrap_used, reason = "a tool of the developers, that may panic")]

use std::fs;

use tests::openapi;

#[tokio::main]
async fn main() {
    for (file, document) in openapi::documents(&openapi::examples().await) {
        fs::write(file, document).unwrap();
    }
}
