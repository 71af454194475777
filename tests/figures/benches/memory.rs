//! How much memory a queue's answer takes that names a million customers: read as it comes in, made a batch, and cut
//! into chunks, as `poll-queue` does. `cargo figures --bench memory`.

#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::fs;
use std::hint::black_box;
use std::io::Read;
use std::process::ExitCode;

use figures::{Better, Figures};
use model::{FIRST_CHUNK, dedupe_queue, split_into_chunks};
use wire::Limits;
use wire::association_anywhere::QueueReader;

const CUSTOMERS: u64 = 1_000_000;
/// What a poller may take.
const ALLOWED_MB: f64 = 128.0;

fn main() -> ExitCode {
    let before = peak_memory();
    let mut customers = Vec::new();
    let mut reader = QueueReader::new(Answer::default(), None, Limits::of_queue(), |customer| customers.push(customer));
    let number = reader.read().unwrap();
    drop(reader);
    let customers = dedupe_queue(customers, Vec::new());
    let chunks = split_into_chunks(&customers, 100, FIRST_CHUNK).map(black_box).count();
    assert_eq!((customers.len() as u64, chunks, number.as_deref()), (CUSTOMERS, 10_000, Some("1000000")));
    let after = peak_memory();
    println!("{CUSTOMERS} ids: {after:.1} MB at most, {before:.1} MB before");
    let mut figures = Figures::of("memory");
    figures.add("a queue of 1,000,000 / 128 MB", after / ALLOWED_MB, Better::Less);
    figures.end()
}

/// The answer, made as it is read.
#[derive(Default)]
struct Answer {
    next: u64,
    piece: Vec<u8>,
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.piece.len() < buffer.len() && self.next <= CUSTOMERS + 1 {
            let piece = match self.next {
                0 => format!("<custIds><maxQueueNum>{CUSTOMERS}</maxQueueNum>"),
                number if number <= CUSTOMERS => format!("<custId>{}</custId>", 10_000_000 + number),
                _ => "</custIds>".to_owned(),
            };
            self.piece.extend(piece.into_bytes());
            self.next += 1;
        }
        let length = self.piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.piece[..length]);
        self.piece.drain(..length);
        Ok(length)
    }
}

/// The most memory that this process had, in MB, as Linux tells it.
fn peak_memory() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
