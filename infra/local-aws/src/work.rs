//! What something asks of AWS.

use serde::{Deserialize, Serialize};

use crate::meter::Report;

/// What something asks of AWS, as far as it is billed by use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// Write request units of DynamoDB.
    pub write_units: f64,
    /// Read request units of DynamoDB.
    pub read_units: f64,
    /// Seconds of functions, times their memory in GB.
    pub gb_seconds: f64,
    /// Invocations of functions.
    pub invocations: f64,
    /// Requests to SQS.
    pub sqs_requests: f64,
    /// Requests to Secrets Manager.
    pub secret_requests: f64,
}

impl Work {
    /// What was counted; `memory_gb` is the memory of a function, by its binary.
    #[must_use]
    pub fn of(report: &Report, memory_gb: fn(&str) -> f64) -> Self {
        let functions = report.functions.iter();
        let gb_seconds = functions.map(|(binary, calls)| calls.total.as_secs_f64() * memory_gb(binary)).sum();
        Self {
            write_units: report.write_units(),
            read_units: report.read_units(),
            gb_seconds,
            invocations: report.functions.values().map(|calls| count(calls.count)).sum(),
            sqs_requests: report.sqs.values().map(|requests| count(*requests)).sum(),
            secret_requests: count(report.secrets),
        }
    }

    /// So many times this.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        self.each(Self::default(), |count, _| count * factor)
    }

    /// The same, with nothing less than 0.
    #[must_use]
    pub fn or_nothing(self) -> Self {
        self.each(Self::default(), f64::max)
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.each(other, |count, other| count + other)
    }

    /// Each figure with that of the other.
    fn each(self, other: Self, combined: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            write_units: combined(self.write_units, other.write_units),
            read_units: combined(self.read_units, other.read_units),
            gb_seconds: combined(self.gb_seconds, other.gb_seconds),
            invocations: combined(self.invocations, other.invocations),
            sqs_requests: combined(self.sqs_requests, other.sqs_requests),
            secret_requests: combined(self.secret_requests, other.secret_requests),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no run counts to 2 to the power of 53")]
fn count(number: u64) -> f64 {
    number as f64
}
