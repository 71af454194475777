//! `cargo run --profile simulation -p simulation -- --seed N`: one seed, with what happened; `--seeds A..B`: many;
//! `--sweep`: a process dies at every call of some stories; `--planted FAULT`: a protection is missing, and `--planted
//! all`: each of them in turn, until a seed objects.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool of the developers, that may panic")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use simulation::{Http, LONGEST_RECOVERY, Outcome, PlantedFault, REQUIRED, Simulation, Swept, stories};

/// A world makes and drops many small things: this saves an eighth of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// In so many seeds everything happens that can.
const ENOUGH: u64 = 500;

/// Worlds in which everything goes wrong, by seed.
#[derive(Parser)]
struct Arguments {
    /// One seed, with what happens in it.
    #[arg(long)]
    seed: Option<u64>,
    /// These seeds, as FROM..TO.
    #[arg(long, default_value = "0..20", value_parser = range)]
    seeds: Range<u64>,
    /// How many events a world has.
    #[arg(long, default_value_t = 500)]
    events: usize,
    /// No more seeds are begun after so many seconds.
    #[arg(long, default_value_t = u64::MAX)]
    seconds: u64,
    /// A protection that is missing; `all`: each in turn, until a seed objects.
    #[arg(long, value_parser = planted)]
    planted: Option<Planted>,
    /// Has a process die at every call of some stories instead.
    #[arg(long)]
    sweep: bool,
    /// Does not look for a shorter history that fails.
    #[arg(long)]
    no_shrink: bool,
}

#[derive(Clone, Copy)]
enum Planted {
    All,
    One(PlantedFault),
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let parsed = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parsed.ok_or_else(|| "must be FROM..TO".to_owned())
}

fn planted(name: &str) -> Result<Planted, String> {
    if name == "all" {
        return Ok(Planted::All);
    }
    let fault = PlantedFault::ALL.into_iter().find(|fault| format!("{fault:?}") == name);
    fault.map(Planted::One).ok_or_else(|| format!("must be `all` or one of {:?}", PlantedFault::ALL))
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if let Some(seed) = arguments.seed {
        arguments.seeds = seed..seed + 1;
    }
    let http = Simulation::http();
    let is_well = match arguments.planted {
        _ if arguments.sweep => sweep(&http),
        Some(Planted::All) => find_all(&arguments, &http),
        Some(Planted::One(fault)) => run(&arguments, Some(fault), &http),
        None => run(&arguments, None, &http),
    };
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Has a process die at every call of every story.
fn sweep(http: &Http) -> bool {
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
fn find_all(arguments: &Arguments, http: &Http) -> bool {
    let next = Mutex::new(PlantedFault::ALL.into_iter());
    let is_well = AtomicBool::new(true);
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                loop {
                    let Some(fault) = next.lock().unwrap().next() else { return };
                    let objection = arguments.seeds.clone().find_map(|seed| {
                        let simulation = Simulation::planted(seed, arguments.events, fault, http);
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
fn run(arguments: &Arguments, planted: Option<PlantedFault>, http: &Http) -> bool {
    let began = Instant::now();
    let next = AtomicU64::new(arguments.seeds.start);
    let done = AtomicU64::new(0);
    let sum = Mutex::new((Outcome::default(), Vec::<u64>::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if !arguments.seeds.contains(&seed) || began.elapsed() > Duration::from_secs(arguments.seconds) {
                        return;
                    }
                    let simulation = match planted {
                        Some(fault) => Simulation::planted(seed, arguments.events, fault, http),
                        None => Simulation::new(seed, arguments.events, http),
                    };
                    let outcome = simulation.run(arguments.seed.is_some());
                    for line in &outcome.trace {
                        println!("{line}");
                    }
                    if !outcome.violations.is_empty() {
                        report(seed, &simulation, &outcome, !arguments.no_shrink);
                    }
                    done.fetch_add(1, Ordering::SeqCst);
                    let mut sum = sum.lock().unwrap();
                    let longest = sum.0.figures.get(LONGEST_RECOVERY).copied();
                    add(&mut sum.0.met, &outcome.met);
                    add(&mut sum.0.figures, &outcome.figures);
                    let longest = longest.max(outcome.figures.get(LONGEST_RECOVERY).copied());
                    sum.0.figures.extend(longest.map(|longest| (LONGEST_RECOVERY, longest)));
                    if !outcome.violations.is_empty() {
                        sum.1.push(seed);
                    }
                }
            });
        }
    });
    let (outcome, failed) = sum.into_inner().unwrap();
    let seeds = done.into_inner();
    println!(
        "{seeds} seeds of {} events in {:.0?}, {} failed {failed:?}",
        arguments.events,
        began.elapsed(),
        failed.len()
    );
    for (what, count) in &outcome.figures {
        println!("{count:>12} {what}");
    }
    for (what, count) in &outcome.met {
        println!("{count:>12} {what}");
    }
    // What never happens proves nothing.
    let missing: Vec<&str> = REQUIRED.iter().copied().filter(|what| !outcome.met.contains_key(*what)).collect();
    if planted.is_none() && !missing.is_empty() {
        println!("never happened: {}", missing.join(", "));
    }
    failed.is_empty() && (planted.is_some() || missing.is_empty() || seeds < ENOUGH)
}

fn add<K: Ord + Clone>(sum: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (what, count) in more {
        *sum.entry(what.clone()).or_default() += count;
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
