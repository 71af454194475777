//! What is measured beside our own code, and how.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use quick_xml::Reader;
use quick_xml::events::Event;

/// The bare event loop: how many events a document has.
pub fn events(document: &str) -> usize {
    let mut reader = Reader::from_reader(document.as_bytes());
    let mut buffer = Vec::new();
    let mut events = 0;
    while !matches!(black_box(reader.read_event_into(&mut buffer).unwrap()), Event::Eof) {
        events += 1;
        buffer.clear();
    }
    events
}

/// What a program in Python takes for the same documents, in seconds; `None` if it, or what it needs, is not there.
pub fn python(program: &str, documents: &[&str], arguments: &[&str]) -> Option<f64> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = std::env::temp_dir().join(format!("customer-sync-figures-{}.xml", std::process::id()));
    // One document a line: none of them has a line break within.
    let lines: Vec<String> = documents.iter().map(|document| document.replace('\n', "")).collect();
    std::fs::write(&file, lines.join("\n")).ok()?;
    let python =
        Command::new(root.join(".venv/bin/python")).arg(root.join(program)).arg(&file).args(arguments).output();
    let _ = std::fs::remove_file(&file);
    String::from_utf8(python.ok()?.stdout).ok()?.trim().parse().ok()
}

/// Seconds that something takes.
pub fn time(what: impl FnOnce()) -> f64 {
    let began = Instant::now();
    what();
    Duration::as_secs_f64(&began.elapsed())
}

/// The middle one of some times.
pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
