//! What a run would cost on AWS: prices, and what they make of a [`Report`].

use std::fmt;

use serde::Deserialize;

use crate::meter::Report;
use crate::work::Work;

/// The price file of this repository: us-east-1.
const US_EAST_1: &str = include_str!("../prices.toml");
/// Hours of a month, as AWS counts them.
pub const HOURS_A_MONTH: f64 = 730.0;
/// An event source mapping with a maximum concurrency asks its queue 15 times a minute, whether there are messages or
/// not: 5 pollers that wait 20 seconds each.
const RECEIVES_AN_HOUR: f64 = 900.0;
/// What Lambda and the function log of an invocation: start, report, and a line of metrics.
const LOG_BYTES_AN_INVOCATION: f64 = 1_000.0;

/// The prices of one region, in US dollars.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The region.
    pub region: String,
    /// The day on which they were read.
    pub as_of: String,
    dynamodb: DynamoDbPrices,
    lambda: LambdaPrices,
    sqs: RequestPrice,
    secrets: SecretPrices,
    cloudwatch: CloudWatchPrices,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct DynamoDbPrices {
    write_million: f64,
    read_million: f64,
    stored_gb_month: f64,
    backup_gb_month: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct LambdaPrices {
    gb_second_arm64: f64,
    gb_second_x86: f64,
    request_million: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestPrice {
    request_million: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretPrices {
    secret_month: f64,
    request_ten_thousand: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct CloudWatchPrices {
    metric_month: f64,
    alarm_month: f64,
    logs_gb: f64,
}

/// What a deployment has, whether it works or not.
#[derive(Clone, Copy, Debug)]
pub struct Deployed {
    /// Queues that a function works on.
    pub consumed_queues: u32,
    /// Metrics of our own, by dimensions.
    pub metrics: u32,
    /// Alarms.
    pub alarms: u32,
    /// Secrets.
    pub secrets: u32,
    /// Memory of a function, by its binary, in GB.
    pub memory_gb: fn(&str) -> f64,
    /// Whether the functions run on arm64.
    pub arm64: bool,
}

/// What something costs, by service, in US dollars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bill {
    /// Services, and what each costs.
    pub lines: Vec<(&'static str, f64)>,
}

impl Prices {
    /// Reads a price file.
    ///
    /// # Errors
    /// If a price is missing or no number, or there is one that is not known.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The prices of us-east-1.
    ///
    /// # Errors
    /// None as long as the file of this repository is valid, which a test holds.
    pub fn us_east_1() -> Result<Self, toml::de::Error> {
        Self::parse(US_EAST_1)
    }

    /// What was used once.
    #[must_use]
    pub fn usage(&self, report: &Report, deployed: &Deployed) -> Bill {
        self.work(&Work::of(report, deployed.memory_gb), deployed.arm64)
    }

    /// What was done once.
    #[must_use]
    pub fn work(&self, work: &Work, arm64: bool) -> Bill {
        let per_million = |count: f64, price: f64| count / 1e6 * price;
        let gb_second = if arm64 { self.lambda.gb_second_arm64 } else { self.lambda.gb_second_x86 };
        Bill {
            lines: vec![
                ("DynamoDB writes", per_million(work.write_units, self.dynamodb.write_million)),
                ("DynamoDB reads", per_million(work.read_units, self.dynamodb.read_million)),
                ("Lambda time", work.gb_seconds * gb_second),
                ("Lambda requests", per_million(work.invocations, self.lambda.request_million)),
                ("SQS", per_million(work.sqs_requests, self.sqs.request_million)),
                ("secrets", work.secret_requests / 1e4 * self.secrets.request_ten_thousand),
                ("logs", work.invocations * LOG_BYTES_AN_INVOCATION / 1e9 * self.cloudwatch.logs_gb),
            ],
        }
    }

    /// A month in which every hour is like this one.
    #[must_use]
    pub fn month(&self, hour: &Report, deployed: &Deployed) -> Bill {
        let bill = self.usage(hour, deployed).times(HOURS_A_MONTH);
        bill.and(&self.kept(deployed))
    }

    /// A month of what is there, whether it works or not.
    #[must_use]
    pub fn kept(&self, deployed: &Deployed) -> Bill {
        let receives = f64::from(deployed.consumed_queues) * RECEIVES_AN_HOUR * HOURS_A_MONTH;
        Bill {
            lines: vec![
                ("SQS, asked in vain", receives / 1e6 * self.sqs.request_million),
                ("secrets, kept", f64::from(deployed.secrets) * self.secrets.secret_month),
                ("metrics", f64::from(deployed.metrics) * self.cloudwatch.metric_month),
                ("alarms", f64::from(deployed.alarms) * self.cloudwatch.alarm_month),
            ],
        }
    }

    /// A month of so many bytes in tables, with their backup to any second.
    #[must_use]
    pub fn stored(&self, bytes: f64) -> Bill {
        let gb = bytes / 1e9;
        Bill {
            lines: vec![
                ("DynamoDB storage", gb * self.dynamodb.stored_gb_month),
                ("DynamoDB backup", gb * self.dynamodb.backup_gb_month),
            ],
        }
    }
}

impl Bill {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.lines.iter().map(|(_, dollars)| dollars).sum()
    }

    /// Both bills, line by line.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for (service, dollars) in &other.lines {
            match self.lines.iter_mut().find(|(known, _)| known == service) {
                Some((_, sum)) => *sum += dollars,
                None => self.lines.push((service, *dollars)),
            }
        }
        self
    }

    /// This bill so many times.
    #[must_use]
    pub fn times(mut self, factor: f64) -> Self {
        for (_, dollars) in &mut self.lines {
            *dollars *= factor;
        }
        self
    }
}

/// A table with a line for each service that costs something, and the sum.
impl fmt::Display for Bill {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (service, dollars) in self.lines.iter().filter(|(_, dollars)| *dollars >= 0.000_05) {
            writeln!(formatter, "  {service:<24}{dollars:>12.4}")?;
        }
        writeln!(formatter, "  {:<24}{:>12.4}", "US dollars", self.total())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::meter::{Invocations, Usage};

    fn deployed() -> Deployed {
        Deployed { consumed_queues: 2, metrics: 14, alarms: 11, secrets: 3, memory_gb: |_| 0.5, arm64: false }
    }

    /// Pollers as they were once, which slept for 65 seconds of every minute.
    #[test]
    fn a_function_that_sleeps_all_the_time_is_what_an_idle_month_costs() {
        let mut hour = Report::default();
        let usage = Usage { requests: 0, write_units: 3_082.0, read_units: 1_438.0 };
        hour.dynamodb.insert(("ControlTable".to_owned(), "UpdateItem".to_owned()), usage);
        let slept = Invocations { count: 60, total: Duration::from_secs(65 * 60), longest: Duration::from_secs(65) };
        hour.functions.insert("poll-queue".to_owned(), slept);
        let bill = Prices::us_east_1().unwrap().month(&hour, &deployed());
        let line = |name: &str| bill.lines.iter().find(|(service, _)| *service == name).unwrap().1;
        assert!((23.7..23.8).contains(&line("Lambda time")), "{bill}");
        assert!((1.4..1.6).contains(&(line("DynamoDB writes") + line("DynamoDB reads"))), "{bill}");
        assert!((0.52..0.54).contains(&line("SQS, asked in vain")), "{bill}");
        assert!((line("metrics") + line("alarms") - 5.3).abs() < 1e-9, "{bill}");
        assert!((bill.total() - bill.lines.iter().map(|(_, dollars)| dollars).sum::<f64>()).abs() < 1e-9);
        assert!(bill.to_string().lines().last().unwrap().starts_with("  US dollars"), "{bill}");
    }

    #[test]
    fn a_price_that_is_not_known_is_refused() {
        assert!(Prices::parse(&format!("{US_EAST_1}\nfree = 1.0")).is_err());
        assert!(Prices::parse("region = 'us-east-1'").is_err());
    }
}
