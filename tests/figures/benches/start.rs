//! How fast a function starts: from the start of its process until it asks Lambda for the first event, beside a bare
//! `lambda_runtime` program (`tests/figures/examples/bare.rs`) that is built and measured in the same run.
//!
//! ```text
//! cargo figures --bench start                              all functions
//! cargo figures --bench start -- poll-queue import-api     these
//! cargo figures --bench start -- --built                   as `sam build` has built them
//! ```
//!
//! It builds them as `sam build` does, which takes minutes, and plays Lambda's Runtime API on a socket. The programs
//! are started by turns, so that whatever else the machine does is shared by all; medians are told.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use figures::{Better, Figures};
use flate2::Compression;
use flate2::write::DeflateEncoder;

const RUNS: usize = 41;
const BARE: &str = "bare";

fn main() -> ExitCode {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let template = fs::read_to_string(workspace.join("template.yaml")).unwrap();
    let (flags, wanted): (Vec<String>, Vec<String>) = env::args().skip(1).partition(|each| each.starts_with("--"));
    let functions: Vec<&str> = values(&template, "Binary:")
        .filter(|function| wanted.is_empty() || wanted.iter().any(|wanted| wanted == function))
        .collect();
    let are_built = flags.iter().any(|flag| flag == "--built");
    let binaries = if are_built { built(&workspace, &functions) } else { build(&workspace, &functions) };
    let variables = variables(&template);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut starts = vec![Vec::new(); binaries.len()];
    for _ in 0..RUNS {
        for (binary, starts) in binaries.iter().zip(&mut starts) {
            starts.push(Start::of(binary, &variables, &listener));
        }
    }

    let medians: Vec<[f64; 3]> = starts.iter().map(|starts| medians(starts)).collect();
    println!("{:<20} {:>14} {:>10} {:>16} {:>12}", "", "first next, ms", "CPU, ms", "peak memory, MB", "zipped, MB");
    let zipped: Vec<f64> = binaries.iter().map(|binary| zipped(binary)).collect();
    for ((binary, [time, cpu, memory]), zipped) in binaries.iter().zip(&medians).zip(&zipped) {
        println!("{:<20} {time:>14.2} {cpu:>10.2} {memory:>16.2} {zipped:>12.2}", name(binary));
    }
    let mut figures = Figures::of("start");
    let (bare, functions) = medians.split_last().unwrap();
    for (binary, measured) in binaries.iter().zip(functions) {
        for (what, measured, bare) in [("time", measured[0], bare[0]), ("memory", measured[2], bare[2])] {
            figures.add(format!("{} / bare, {what}", name(binary)), measured / bare, Better::Less);
        }
    }
    figures.end()
}

/// What stands behind `key` in the lines of the template.
fn values<'a>(template: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    template.lines().filter_map(move |line| line.trim().strip_prefix(key)).map(str::trim)
}

/// Builds these functions and the bare program. Returns their binaries, the bare one last.
fn build(workspace: &Path, functions: &[&str]) -> Vec<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(workspace).args(["build", "--release", "--locked", "-p", "figures", "--example", BARE]);
    for function in functions {
        cargo.args(["-p", function, "--bin", function]);
    }
    assert!(cargo.status().unwrap().success(), "the functions could not be built");
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from).join("release");
    functions.iter().map(|function| target.join(function)).chain([target.join("examples").join(BARE)]).collect()
}

/// The functions as `cargo lambda build` left them, and the bare program, which is built.
fn built(workspace: &Path, functions: &[&str]) -> Vec<PathBuf> {
    let built = functions.iter().map(|function| workspace.join("target/lambda").join(function).join("bootstrap"));
    built.chain(build(workspace, &[])).collect()
}

/// Every variable of the template, with a value that is a name and a number at once, and what Lambda itself sets.
fn variables(template: &str) -> Vec<(String, String)> {
    let of_template = template.lines().filter_map(|line| {
        let (name, _) = line.trim().split_once(':')?;
        let is_variable = name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        is_variable.then(|| (name.to_owned(), "1".to_owned()))
    });
    let of_lambda = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "token"),
        ("AWS_LAMBDA_FUNCTION_NAME", "measured"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "measured"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "measured"),
        ("POWERTOOLS_LOG_LEVEL", "INFO"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ];
    of_template.chain(of_lambda.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
}

/// What a process had cost when it asked for its first event.
#[derive(Clone, Copy)]
struct Start {
    time: Duration,
    cpu: Duration,
    /// The most memory that it had, in KB.
    memory: u64,
}

impl Start {
    fn of(binary: &Path, variables: &[(String, String)], listener: &TcpListener) -> Self {
        let began = Instant::now();
        let mut process = Command::new(binary)
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr().unwrap().to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (mut connection, _) = listener.accept().unwrap();
        let asked = first_line(&connection);
        let time = began.elapsed();
        assert!(asked.starts_with("GET /2018-06-01/runtime/invocation/next"), "{} asked {asked}", binary.display());
        let start = Self { time, cpu: cpu(&process), memory: peak_memory(&process) };
        process.kill().unwrap();
        process.wait().unwrap();
        let _ = connection.flush();
        start
    }
}

fn first_line(connection: &TcpStream) -> String {
    let mut line = String::new();
    BufReader::new(connection).read_line(&mut line).unwrap();
    line
}

/// What all threads of a process have taken of the processors.
fn cpu(process: &Child) -> Duration {
    let threads = fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let nanoseconds = threads.map(|thread| {
        let told = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        told.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanoseconds.sum())
}

fn peak_memory(process: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells it");
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Milliseconds, milliseconds and MB.
fn medians(starts: &[Start]) -> [f64; 3] {
    let median = |of: &dyn Fn(&Start) -> f64| {
        let mut values: Vec<f64> = starts.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    [
        median(&|start| start.time.as_secs_f64() * 1000.0),
        median(&|start| start.cpu.as_secs_f64() * 1000.0),
        median(&|start| start.memory as f64 / 1024.0),
    ]
}

/// How large a binary is for a deployment, in MB.
fn zipped(binary: &Path) -> f64 {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&fs::read(binary).unwrap()).unwrap();
    encoder.finish().unwrap().len() as f64 / 1_000_000.0
}

fn name(binary: &Path) -> String {
    let name = if binary.ends_with("bootstrap") { binary.parent().unwrap() } else { binary };
    name.file_name().unwrap().to_string_lossy().into_owned()
}
