//! Measures how fast one machine synchronises, with everything in this process: functions, queue, durable store,
//! simulator.
//!
//! `cargo bench -p customer-sync --bench sync -- [CUSTOMERS]`, 100,000 by default.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on has failed")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use customer_sync::commands::{LocalOptions, LocalRun};

use crate::support::source;

mod support;

/// Until a source is due that was just asked. That is not measured.
const UNTIL_DUE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() {
    let customers = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let directory = tempfile::tempdir().unwrap();
    let (simulator, connection) = source(directory.path(), "aa", "bench", customers).await;
    let connections = directory.path().join("connections.toml");
    fs::write(&connections, connection).unwrap();

    let options =
        LocalOptions { connections: Some(connections), data: directory.path().join("data"), port: 0, once: true };
    println!("{customers} customers, one process, durable store");
    let first = synchronise(&options).await;
    report("first sync", customers, first);
    simulator.enqueue_all();
    tokio::time::sleep(UNTIL_DUE).await;
    let again = synchronise(&options).await;
    report("re-sync, nothing changed", customers, again);
    println!("{:<28} {:>10.1}", "first sync / re-sync", first / again);
    println!("{:<28} {:>8} MB", "peak memory of the process", peak_memory_kb() / 1024);
    let bytes = fs::metadata(options.data.join("dynamodb.sqlite")).unwrap().len();
    println!("{:<28} {:>8} MB", "database", bytes / 1_000_000);
}

/// Seconds until everything is in sync.
async fn synchronise(options: &LocalOptions) -> f64 {
    let started = Instant::now();
    let run = LocalRun::start(options).await.unwrap();
    assert!(run.until_in_sync().await.unwrap(), "the run did not get in sync");
    started.elapsed().as_secs_f64()
}

fn report(what: &str, customers: u64, seconds: f64) {
    println!("{what:<28} {seconds:>8.1} s {:>10.0} customers/s", customers as f64 / seconds);
}

/// The peak memory of this process, in KB, as Linux reports it.
fn peak_memory_kb() -> u64 {
    let status = fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
