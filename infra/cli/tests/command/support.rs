//! A user at a shell: a directory, the built program, its output and its exit codes.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const USERNAME: &str = "sync-user-name";
pub(crate) const PASSWORD: &str = "correct horse battery staple";
pub(crate) const TOKEN: &str = "reader-token-of-acme";
/// How long another process may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// The environment variable that says what is logged.
pub(crate) const LOG: &str = "CUSTOMER_SYNC_LOG";

/// The value that logs everything of all our crates.
pub(crate) fn everything_of_ours() -> String {
    lambda::OURS.iter().fold("off".to_owned(), |filter, name| format!("{filter},{name}=debug"))
}

/// A user's directory: connections.toml, the secrets that it names, and what the command leaves there.
pub(crate) struct Home {
    pub(crate) directory: TempDir,
}

impl Home {
    pub(crate) fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_customer-sync"));
        command.args(arguments.split_whitespace()).current_dir(self.directory.path()).env_remove(LOG);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, arguments: &str) -> Said {
        Said::of(self.command(arguments).output().unwrap())
    }

    /// Runs `local` on `connections.toml` until all is in sync.
    pub(crate) fn sync(&self) -> Said {
        self.run("local --connections connections.toml --data data --port 0 --once")
    }

    pub(crate) fn status(&self) -> Value {
        let said = self.run("status --json --data data").succeeded();
        serde_json::from_str::<Value>(&said.stdout).unwrap()["connections"][0].take()
    }

    /// Starts a `local` run that goes on until it is ended.
    pub(crate) fn start(&self, arguments: &str) -> Running {
        Running::new(self.command(arguments).spawn().unwrap())
    }
}

/// The output of a command that has ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self
    }

    /// The error: one line.
    pub(crate) fn error(&self) -> &str {
        match self.errors().as_slice() {
            [error] => error,
            _ => panic!("not one line of an error: {self:?}"),
        }
    }

    /// The errors, line by line.
    pub(crate) fn errors(&self) -> Vec<&str> {
        assert_eq!(self.code, Some(1), "{self:?}");
        let error = |line| str::strip_prefix(line, "customer-sync: ");
        self.stderr.lines().map(error).collect::<Option<_>>().unwrap_or_else(|| panic!("no line of an error: {self:?}"))
    }

    /// The counts in the last line that says that a connection is in sync: fetched, and the outcomes. They must add up.
    #[track_caller]
    pub(crate) fn in_sync(&self, connection: &str) -> (u64, [u64; 5]) {
        let begin = format!("{connection}: in sync: ");
        let line = self.stdout.lines().rev().find_map(|line| line.strip_prefix(begin.as_str()));
        let (fetched, ends) = line.and_then(|line| line.split_once(" fetched = ")).unwrap();
        let ends: Vec<(&str, &str)> = ends.split(" + ").map(|end| end.split_once(' ').unwrap()).collect();
        let names: Vec<&str> = ends.iter().map(|(_, name)| *name).collect();
        assert_eq!(names, ["written", "unchanged", "stale", "tombstoned", "failed"], "{line:?}");
        let ends: Vec<u64> = ends.iter().map(|(count, _)| count.parse().unwrap()).collect();
        let fetched = fetched.parse().unwrap();
        assert_eq!(fetched, ends.iter().sum::<u64>(), "{line:?}");
        (fetched, ends.try_into().unwrap())
    }

    /// Asserts that the output holds none of these secrets and personal data.
    #[track_caller]
    pub(crate) fn without(self, secrets: impl IntoIterator<Item = String>) -> Self {
        for secret in secrets {
            for text in [&self.stdout, &self.stderr] {
                assert!(!text.contains(&secret), "{secret:?} was said:\n{text}");
            }
        }
        self
    }
}

/// A command that runs until it is ended.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: Receiver<String>,
    seen: String,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    pub(crate) fn new(mut child: Child) -> Self {
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (line, lines) = channel();
        std::thread::spawn(move || {
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = line.send(text);
            }
        });
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Self { child, lines, seen: String::new(), stderr: Some(stderr) }
    }

    /// Waits for a line that has this in it.
    #[track_caller]
    pub(crate) fn line_with(&mut self, part: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|_| panic!("no line with {part:?} after:\n{}", self.seen));
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(part) {
                return line;
            }
        }
    }

    /// The address of the API, once everything is in sync.
    #[track_caller]
    pub(crate) fn address(&mut self) -> String {
        let line = self.line_with("The API answers at ");
        let (_, rest) = line.split_once("The API answers at ").unwrap();
        rest.trim_end_matches(". Try:").to_owned()
    }

    /// As Ctrl-C does.
    pub(crate) fn interrupt(self) -> Said {
        self.signal("-INT")
    }

    /// As a service is ended.
    pub(crate) fn terminate(self) -> Said {
        self.signal("-TERM")
    }

    fn signal(self, signal: &str) -> Said {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.ended()
    }

    /// As `kill -9` does: it can't clean up.
    pub(crate) fn kill(mut self) -> Said {
        self.child.kill().unwrap();
        self.ended()
    }

    pub(crate) fn ended(mut self) -> Said {
        let code = self.child.wait().unwrap().code();
        let mut stdout = std::mem::take(&mut self.seen);
        stdout.extend(self.lines.iter().flat_map(|line| [line, "\n".to_owned()]));
        Said { code, stdout, stderr: self.stderr.take().unwrap().join().unwrap() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already if the story went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
