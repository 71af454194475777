//! `cargo run -p simulation -- --seed N`: one seed, with what happened; `--seeds A..B`: many.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool of the developers, that may panic")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::Instant;

use simulation::{Outcome, Simulation, Trouble};

const USAGE: &str = "simulation [--seed N | --seeds FROM..TO] [--events N] [--no-shrink]";

struct Arguments {
    seeds: Range<u64>,
    is_traced: bool,
    events: usize,
    shrinks: bool,
}

fn arguments() -> Option<Arguments> {
    let mut found = Arguments { seeds: 0..20, is_traced: false, events: 500, shrinks: true };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seed" => {
                let seed = arguments.next()?.parse().ok()?;
                (found.seeds, found.is_traced) = (seed..seed + 1, true);
            }
            "--seeds" => {
                let text = arguments.next()?;
                let (from, to) = text.split_once("..")?;
                found.seeds = from.parse().ok()?..to.parse().ok()?;
            }
            "--events" => found.events = arguments.next()?.parse().ok()?,
            "--no-shrink" => found.shrinks = false,
            _ => return None,
        }
    }
    Some(found)
}

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let began = Instant::now();
    let http = Simulation::http();
    let next = AtomicU64::new(arguments.seeds.start);
    let sum = Mutex::new((Outcome::default(), Vec::<u64>::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| loop {
                let seed = next.fetch_add(1, Ordering::SeqCst);
                if !arguments.seeds.contains(&seed) {
                    return;
                }
                let simulation = Simulation::new(seed, arguments.events, &http);
                let outcome = simulation.run(arguments.is_traced);
                for line in &outcome.trace {
                    println!("{line}");
                }
                if std::env::var_os("FP").is_some() {
                    println!("{seed} {:x}", outcome.fingerprint);
                }
                if !outcome.violations.is_empty() {
                    report(seed, &simulation, &outcome, arguments.shrinks);
                }
                let mut sum = sum.lock().unwrap();
                add(&mut sum.0.fired, &outcome.fired);
                add(&mut sum.0.figures, &outcome.figures);
                if !outcome.violations.is_empty() {
                    sum.1.push(seed);
                }
            });
        }
    });
    let (outcome, failed) = sum.into_inner().unwrap();
    let seeds = arguments.seeds.end - arguments.seeds.start;
    println!("{seeds} seeds of {} events in {:.0?}, {} failed {failed:?}", arguments.events, began.elapsed(), failed.len());
    for (what, count) in &outcome.figures {
        println!("{count:>12} {what}");
    }
    for trouble in Trouble::ALL {
        println!("{:>12} {trouble:?}", outcome.fired.get(&trouble).copied().unwrap_or(0));
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn add<K: Ord + Copy>(sum: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (what, count) in more {
        *sum.entry(*what).or_default() += count;
    }
}

fn report(seed: u64, simulation: &Simulation, outcome: &Outcome, shrinks: bool) {
    println!("seed {seed} fails:");
    for violation in &outcome.violations {
        println!("  {violation}");
    }
    if !shrinks {
        return;
    }
    let shrunk = simulation.shrunk();
    println!("seed {seed}, the shortest history that fails, of {} events:", shrunk.events().len());
    let outcome = shrunk.run(true);
    for line in outcome.trace.iter().chain(&outcome.violations) {
        println!("  {line}");
    }
}
