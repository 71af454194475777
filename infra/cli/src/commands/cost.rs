use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use config::{
    AssociationAnywhereConfig, BusinessCatalystConfig, Configuration, Connection, ConnectionKind, Deployment,
    DestinationKind, Problems,
};
use local_aws::{Bill, Estimate, Figures, Planned, Prices};

/// What an estimate does not hold.
const NOT_IN_IT: &str = "requests to the HTTP API, what pushes and imports add to a change, full listings and resyncs, data \
    transfer, a NAT gateway, the dashboard, metrics by connection, log lines of errors, free tiers and taxes";

/// What a bill is estimated for.
#[derive(Clone, Debug)]
pub struct CostOptions {
    /// The file whose connections and destinations there are; otherwise one of each kind that is polled.
    pub connections: Option<PathBuf>,
    /// How many customers all connections have together.
    pub customers: u32,
    /// How many of them change a day.
    pub changed_per_day: ChangedPerDay,
}

/// How many customers change a day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ChangedPerDay {
    /// So many.
    Count(f64),
    /// So many of a hundred.
    Percent(f64),
}

impl std::str::FromStr for ChangedPerDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, is_percent) = match text.strip_suffix('%') {
            Some(number) => (number, true),
            None => (text, false),
        };
        let number = number.trim().parse::<f64>().ok().filter(|number| (0.0..=1e9).contains(number));
        let number = number.ok_or("must be a number of customers, as 500, or a share of them, as 2%")?;
        Ok(if is_percent { Self::Percent(number) } else { Self::Count(number) })
    }
}

/// Prints what a month costs on AWS. Asks nobody.
///
/// # Errors
/// If the file can't be read or used.
pub fn cost(options: &CostOptions) -> Result<()> {
    let customers = f64::from(options.customers);
    let changed_per_day = match options.changed_per_day {
        ChangedPerDay::Count(count) => count,
        ChangedPerDay::Percent(percent) => customers * percent / 100.0,
    };
    let mut planned = match &options.connections {
        Some(file) => planned(file)?,
        None => {
            Planned { association_anywhere: vec![5], business_catalyst: vec![60], readers: 1, ..Planned::default() }
        }
    };
    (planned.customers, planned.changed_per_day) = (customers, changed_per_day);
    let prices = Prices::us_east_1().context("the prices")?;
    let figures = Figures::measured().context("the figures")?;
    print(&planned, &prices, &figures.estimate(&prices, &planned));
    Ok(())
}

/// The connections, destinations and readers of a file, whose secrets are not read.
fn planned(file: &Path) -> Result<Planned> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let unusable = |problems: Problems| anyhow!(problems.in_file(file));
    let Configuration { connections, destinations, readers } =
        Configuration::parse(&text, Deployment::Local).map_err(unusable)?;
    let mut planned = Planned { readers: u32::try_from(readers.len()).unwrap_or(u32::MAX), ..Planned::default() };
    for registration in &connections {
        match ConnectionKind::from_name(&registration.kind) {
            Some(ConnectionKind::AssociationAnywhere) => {
                let connection = Connection::<AssociationAnywhereConfig>::from_registration(registration)?;
                planned.association_anywhere.push(connection.settings.poll_seconds);
            }
            Some(ConnectionKind::BusinessCatalyst) => {
                let connection = Connection::<BusinessCatalystConfig>::from_registration(registration)?;
                planned.business_catalyst.push(connection.settings.poll_seconds);
            }
            _ => planned.pushing += 1,
        }
    }
    for destination in &destinations {
        let place = match destination.settings.receiver.kind() {
            DestinationKind::BusinessCatalyst => 0,
            DestinationKind::CustomersBatch => 1,
            DestinationKind::Webhook => 2,
        };
        // Changes are spread evenly over the connections.
        let share = destination.settings.from.len() as f64 / connections.len().max(1) as f64;
        planned.destinations[place].push(share);
    }
    Ok(planned)
}

fn print(planned: &Planned, prices: &Prices, estimate: &Estimate) {
    let Planned { association_anywhere, business_catalyst, pushing, destinations, customers, changed_per_day, .. } =
        planned;
    println!(
        "{} Association Anywhere, {} Business Catalyst, {pushing} that push, {} destinations; {customers:.0} customers, \
         of which {changed_per_day:.0} change a day",
        association_anywhere.len(),
        business_catalyst.len(),
        destinations.iter().map(Vec::len).sum::<usize>()
    );
    println!("US dollars a month; {}, prices of {}, x86_64\n", prices.region, prices.as_of);
    let columns = [&estimate.idle, &estimate.changes, &estimate.stored];
    println!("{:<22}{:>10}{:>10}{:>10}{:>10}", "", "idle", "changes", "stored", "together");
    let month = estimate.month();
    let amount = |bill: &Bill, service: &str| {
        bill.lines.iter().filter(|(known, _)| *known == service).map(|(_, dollars)| dollars).sum::<f64>()
    };
    let cell = |dollars: f64| if dollars < 0.005 { String::new() } else { format!("{dollars:.2}") };
    for (service, dollars) in month.lines.iter().filter(|(_, dollars)| *dollars >= 0.005) {
        let [idle, changes, stored] = columns.map(|bill| cell(amount(bill, service)));
        println!("{service:<22}{idle:>10}{changes:>10}{stored:>10}{dollars:>10.2}");
    }
    let [idle, changes, stored] = columns.map(|bill| format!("{:.2}", bill.total()));
    println!("{:<22}{idle:>10}{changes:>10}{stored:>10}{:>10.2}", "together", month.total());
    println!("\nThe first sync of everybody, with sending them on, once: {:.2}", estimate.first_sync.total());
    println!("Not in it: {NOT_IN_IT}.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_a_day_is_a_number_or_a_share() {
        assert_eq!("500".parse(), Ok(ChangedPerDay::Count(500.0)));
        assert_eq!("2.5%".parse(), Ok(ChangedPerDay::Percent(2.5)));
        for wrong in ["", "%", "-1", "many", "NaN", "inf", "1e99"] {
            assert!(wrong.parse::<ChangedPerDay>().is_err(), "{wrong}");
        }
    }
}
