//! What a run would be billed for on AWS: units and requests of DynamoDB by table and operation, requests of the other
//! services, and the functions' milliseconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// Counts what is billed, if it is on. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Meter(Option<Arc<Mutex<Counted>>>);

#[derive(Debug, Default)]
struct Counted {
    report: Report,
    /// Write units of each partition key in the second that it was written in last.
    seconds: BTreeMap<String, (i64, f64)>,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// DynamoDB, by table and operation.
    pub dynamodb: BTreeMap<(String, String), Usage>,
    /// Requests to SQS, by kind, such as `SendMessageBatch`.
    pub sqs: BTreeMap<String, u64>,
    /// Requests to Secrets Manager.
    pub secrets: u64,
    /// Invocations, by function.
    pub functions: BTreeMap<String, Invocations>,
    /// The partition key that took most write units within one second of the clock: `<table> <key>`, and how many.
    pub busiest: Option<(String, f64)>,
}

/// What was asked of a table by one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Requests, those that were refused included.
    pub requests: u64,
    /// Write request units, those of indexes included.
    pub write_units: f64,
    /// Read request units.
    pub read_units: f64,
}

/// The invocations of one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Invocations {
    /// How many.
    pub count: u64,
    /// How long all of them took together.
    pub total: Duration,
    /// How long the longest took.
    pub longest: Duration,
}

impl Meter {
    /// A meter that counts nothing, and costs nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// A meter that counts from now on.
    pub fn on() -> Self {
        Self(Some(Arc::default()))
    }

    /// Whether it counts.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What was counted until now; nothing if it is off.
    pub fn report(&self) -> Report {
        self.0.as_ref().map(|counted| lock(counted).report.clone()).unwrap_or_default()
    }

    /// Begins anew.
    pub fn reset(&self) {
        if let Some(counted) = &self.0 {
            *lock(counted) = Counted::default();
        }
    }

    /// Counts an invocation of a function, by its binary.
    pub fn invocation(&self, function: &str, duration: Duration) {
        let Some(counted) = &self.0 else { return };
        let mut counted = lock(counted);
        let function = counted.report.functions.entry(function.to_owned()).or_default();
        function.count += 1;
        function.total += duration;
        function.longest = function.longest.max(duration);
    }

    /// Counts a request to SQS, by the operation's name.
    pub fn sqs_request(&self, kind: &str) {
        let Some(counted) = &self.0 else { return };
        *lock(counted).report.sqs.entry(kind.to_owned()).or_default() += 1;
    }

    /// Counts a request to Secrets Manager.
    pub fn secrets_request(&self) {
        let Some(counted) = &self.0 else { return };
        lock(counted).report.secrets += 1;
    }

    /// Counts a request to DynamoDB; its units come one by one.
    pub(crate) fn dynamodb_request(&self, table: &str, operation: &str) {
        self.usage(table, operation, |usage| usage.requests += 1);
    }

    pub(crate) fn read(&self, table: &str, operation: &str, units: f64) {
        self.usage(table, operation, |usage| usage.read_units += units);
    }

    pub(crate) fn wrote(&self, table: &str, operation: &str, partition: &str, units: f64, now: Timestamp) {
        self.usage(table, operation, |usage| usage.write_units += units);
        let Some(counted) = &self.0 else { return };
        let Counted { report, seconds } = &mut *lock(counted);
        let second = seconds.entry(partition.to_owned()).or_default();
        if second.0 != now.as_second() {
            *second = (now.as_second(), 0.0);
        }
        second.1 += units;
        if report.busiest.as_ref().is_none_or(|(_, most)| *most < second.1) {
            report.busiest = Some((partition.to_owned(), second.1));
        }
    }

    fn usage(&self, table: &str, operation: &str, count: impl FnOnce(&mut Usage)) {
        let Some(counted) = &self.0 else { return };
        count(lock(counted).report.dynamodb.entry((table.to_owned(), operation.to_owned())).or_default());
    }
}

impl Report {
    /// Everything of both: of two stacks, or of two spans of time.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for (key, usage) in &other.dynamodb {
            let sum = self.dynamodb.entry(key.clone()).or_default();
            sum.requests += usage.requests;
            sum.write_units += usage.write_units;
            sum.read_units += usage.read_units;
        }
        for (kind, requests) in &other.sqs {
            *self.sqs.entry(kind.clone()).or_default() += requests;
        }
        for (function, invocations) in &other.functions {
            let sum = self.functions.entry(function.clone()).or_default();
            sum.count += invocations.count;
            sum.total += invocations.total;
            sum.longest = sum.longest.max(invocations.longest);
        }
        self.secrets += other.secrets;
        let busier = |one: &(String, f64), other: &(String, f64)| one.1 >= other.1;
        self.busiest = match (self.busiest, other.busiest.clone()) {
            (Some(one), Some(other)) => Some(if busier(&one, &other) { one } else { other }),
            (one, other) => one.or(other),
        };
        self
    }

    /// The write units of all tables.
    pub fn write_units(&self) -> f64 {
        self.dynamodb.values().map(|usage| usage.write_units).sum()
    }

    /// The read units of all tables.
    pub fn read_units(&self) -> f64 {
        self.dynamodb.values().map(|usage| usage.read_units).sum()
    }
}

fn lock(counted: &Mutex<Counted>) -> MutexGuard<'_, Counted> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}
