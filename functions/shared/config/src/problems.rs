//! What is wrong with a file, and where it is used.

use std::fmt;
use std::path::Path;

use thiserror::Error;

/// Where the file is used: a stack takes secrets from AWS Secrets Manager only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// On this machine.
    Local,
    /// In a deployed stack.
    Stack,
}

/// Everything that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Problems(pub Vec<String>);

/// Each on a line of its own.
impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("\n"))
    }
}

impl Problems {
    /// Each on a line of its own, after the name of the file.
    pub fn in_file(&self, file: &Path) -> String {
        let lines: Vec<String> = self.0.iter().map(|problem| format!("{}: {problem}", file.display())).collect();
        lines.join("\n")
    }
}

/// Notes on a file beside its problems, each with the connection and the key.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Why a connection can't be used as it is written, though the others can.
    pub(super) refusals: Vec<String>,
    /// What an operator should look at.
    pub(super) warnings: Vec<String>,
}
