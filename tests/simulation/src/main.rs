//! `cargo run --profile simulation -p simulation -- --seed N`: one seed, with what happened; `--seeds A..B`: many;
//! `--sweep`: a process dies at every call of some stories; `--planted FAULT`: a protection is missing, and `--planted
//! all`: each of them in turn, until a seed objects.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool of the developers, that may panic")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use simulation::{KINDS, Outcome, PlantedFault, Simulation, SourceHttp, Swept, Trouble, stories};

const USAGE: &str =
    "simulation [--seed N | --seeds FROM..TO | --sweep] [--events N] [--planted FAULT|all] [--no-shrink]";

/// In so many seeds everything happens that can.
const ENOUGH: u64 = 100;

struct Arguments {
    seeds: Range<u64>,
    is_traced: bool,
    events: usize,
    planted: Option<PlantedFault>,
    finds_all: bool,
    sweeps: bool,
    shrinks: bool,
}

fn arguments() -> Option<Arguments> {
    let mut found = Arguments {
        seeds: 0..20,
        is_traced: false,
        events: 500,
        planted: None,
        finds_all: false,
        sweeps: false,
        shrinks: true,
    };
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
            "--sweep" => found.sweeps = true,
            "--planted" => {
                let name = arguments.next()?;
                if name == "all" {
                    found.finds_all = true;
                    continue;
                }
                found.planted = Some(PlantedFault::ALL.into_iter().find(|fault| format!("{fault:?}") == name)?);
            }
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
    let http = Simulation::http();
    let is_well = match (arguments.sweeps, arguments.finds_all) {
        (true, _) => sweep(&http),
        (_, true) => find_all(&arguments, &http),
        _ => run(&arguments, &http),
    };
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Has a process die at every call of every story.
fn sweep(http: &SourceHttp) -> bool {
    let began = Instant::now();
    let swept = std::thread::scope(|scope| {
        let sweeps: Vec<_> =
            stories().into_iter().map(|story| (story.functions, scope.spawn(move || story.sweep(http)))).collect();
        let joined = sweeps.into_iter().map(|(functions, swept)| (functions, swept.join().unwrap()));
        joined.collect::<Vec<_>>()
    });
    for (functions, Swept { calls, deaths, violations }) in &swept {
        println!("{functions}: {calls} calls, {deaths} deaths, {} violations", violations.len());
        for violation in violations {
            println!("  {violation}");
        }
    }
    println!("swept in {:.0?}", began.elapsed());
    swept.iter().all(|(_, swept)| swept.violations.is_empty())
}

/// Takes each protection away, until a seed objects.
fn find_all(arguments: &Arguments, http: &SourceHttp) -> bool {
    let next = Mutex::new(PlantedFault::ALL.into_iter());
    let is_well = AtomicBool::new(true);
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                loop {
                    let Some(fault) = next.lock().unwrap().next() else { return };
                    let objection = arguments.seeds.clone().find_map(|seed| {
                        let simulation = Simulation::new(seed, arguments.events, http).with_planted(Some(fault));
                        simulation.run(false).violations.into_iter().next().map(|violation| (seed, violation))
                    });
                    match objection {
                        Some((seed, violation)) => println!("{fault:?}: seed {seed} objects: {violation}"),
                        None => {
                            is_well.store(false, Ordering::SeqCst);
                            println!("{fault:?}: no seed of {:?} objects", arguments.seeds);
                        }
                    }
                }
            });
        }
    });
    is_well.into_inner()
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Runs seeds.
fn run(arguments: &Arguments, http: &SourceHttp) -> bool {
    let began = Instant::now();
    let next = AtomicU64::new(arguments.seeds.start);
    let sum = Mutex::new((Outcome::default(), Vec::<u64>::new(), BTreeMap::<String, u64>::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if !arguments.seeds.contains(&seed) {
                        return;
                    }
                    let simulation = Simulation::new(seed, arguments.events, http).with_planted(arguments.planted);
                    let outcome = simulation.run(arguments.is_traced);
                    for line in &outcome.trace {
                        println!("{line}");
                    }
                    if !outcome.violations.is_empty() {
                        report(seed, &simulation, &outcome, arguments.shrinks);
                    }
                    let mut sum = sum.lock().unwrap();
                    add(&mut sum.0.fired, &outcome.fired);
                    add(&mut sum.0.figures, &outcome.figures);
                    for event in simulation.events() {
                        *sum.2.entry(event.kind()).or_default() += 1;
                    }
                    if !outcome.violations.is_empty() {
                        sum.1.push(seed);
                    }
                }
            });
        }
    });
    let (outcome, failed, events) = sum.into_inner().unwrap();
    let seeds = arguments.seeds.end - arguments.seeds.start;
    println!(
        "{seeds} seeds of {} events in {:.0?}, {} failed {failed:?}",
        arguments.events,
        began.elapsed(),
        failed.len()
    );
    for (what, count) in &outcome.figures {
        println!("{count:>12} {what}");
    }
    for trouble in Trouble::ALL {
        println!("{:>12} {trouble:?}", outcome.fired.get(&trouble).copied().unwrap_or(0));
    }
    for (kind, count) in &events {
        println!("{count:>12} {kind}");
    }
    // What never happens proves nothing.
    let happened = events.len() == KINDS && Trouble::ALL.iter().all(|trouble| outcome.fired.contains_key(trouble));
    failed.is_empty() && (happened || seeds < ENOUGH)
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
