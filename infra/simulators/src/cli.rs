//! What the programs of this crate have in common.

use std::{fmt::Display, future::Future, io::Write, net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::anyhow;
use clap::{Args, Parser};
use tokio::{net::TcpListener, runtime::Runtime, time::MissedTickBehavior};

/// Where a program listens: options that all of them have. The port is this one if none is given.
#[derive(Args)]
pub struct Listen<const PORT: u16> {
    /// Port to listen on; 0 takes any free one
    #[arg(long, default_value_t = PORT)]
    port: u16,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
}

impl<const PORT: u16> Listen<PORT> {
    /// Listens; an error names the address.
    pub async fn bind(&self) -> anyhow::Result<(TcpListener, SocketAddr)> {
        let Self { host, port } = self;
        let listener = TcpListener::bind((host.as_str(), *port)).await;
        let listener = listener.map_err(|error| anyhow!("cannot listen on {host}:{port}: {error}"))?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }
}

/// Runs a program with its arguments. A failure is one line that begins with the program's name.
pub fn main<Arguments: Parser, Run>(program: &str, run: impl FnOnce(Arguments) -> Run) -> ExitCode
where
    Run: Future<Output = anyhow::Result<()>>,
{
    let arguments = Arguments::parse();
    let ended = Runtime::new().map_err(Into::into).and_then(|runtime| runtime.block_on(run(arguments)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what a program says at its start.
pub fn say(text: impl Display) {
    // The reader of the output may have gone away, as with `| head -1`: no reason to stop serving.
    let _ = write!(std::io::stdout(), "{text}");
}

/// What a connection's configuration needs beside its address, or nothing: credentials travel in the documents, so
/// plain HTTP to another machine must be allowed explicitly.
pub fn insecure_http(address: SocketAddr) -> &'static str {
    if address.ip().is_loopback() { "" } else { "insecure_http = true\n" }
}

/// The credentials as JSON, quoted for a shell.
pub fn credentials_for_shell(username: &str, password: &str) -> String {
    json_for_shell(&serde_json::json!({ "username": username, "password": password }))
}

/// JSON, quoted for a shell.
pub fn json_for_shell(json: &serde_json::Value) -> String {
    // A single quote ends a shell's quoting: close it, write an escaped one, open it again.
    format!("'{}'", json.to_string().replace('\'', r"'\''"))
}

/// Serves until serving ends or the program is interrupted.
pub async fn serve(serving: impl Future<Output = std::io::Result<()>>) -> anyhow::Result<()> {
    tokio::select! {
        served = serving => Ok(served?),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

/// Serves, and changes this many records evenly over each minute, until serving ends or the program is interrupted.
pub async fn serve_and_change(
    serving: impl Future<Output = std::io::Result<()>>,
    changes_per_minute: u32,
    change_some: impl FnMut(usize),
) -> anyhow::Result<()> {
    tokio::select! {
        served = serving => Ok(served?),
        () = keep_changing(changes_per_minute, change_some) => Ok(()),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

/// Never returns.
async fn keep_changing(changes_per_minute: u32, mut change_some: impl FnMut(usize)) {
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    every_second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // In sixtieths of a change.
    let mut due = 0;
    loop {
        every_second.tick().await;
        due += u64::from(changes_per_minute);
        let changes = due / 60;
        due %= 60;
        if changes > 0 {
            change_some(usize::try_from(changes).unwrap_or(usize::MAX));
        }
    }
}
