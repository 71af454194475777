//! `customer-sync`: runs everything on one machine, and operates a deployed stack.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use customer_sync::commands::{
    self, ApplyOptions, ChangedPerDay, CostOptions, ErasureAction, FailuresAction, FeedOptions, LocalOptions,
    VerifyOptions,
};
use customer_sync::{Login, Target, TargetError};
use operations::resync::ResyncWhat;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

const DEFAULT_DATA: &str = customer_sync::DIRECTORY;

/// Keeps a fresh shadow of an organisation's customers
#[derive(Parser)]
#[command(name = "customer-sync", version)]
struct Arguments {
    /// What to do; `local` by default
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on this machine; without a file, with simulated systems
    Local {
        /// What to synchronise
        #[arg(long, value_name = "FILE")]
        connections: Option<PathBuf>,
        /// Where the data are kept
        #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
        data: PathBuf,
        /// The port of the API on this machine; 0 for any
        #[arg(long, default_value_t = 8787)]
        port: u16,
        /// End when every connection is in sync and every destination has everything
        #[arg(long)]
        once: bool,
    },
    /// Show how the connections and the destinations stand
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Deployment,
    },
    /// Check a file of connections and make it the configuration
    Apply {
        /// What to synchronise
        file: PathBuf,
        /// Only show the difference
        #[arg(long)]
        dry_run: bool,
        /// First reach every source and destination of the file; change nothing if one is not well
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        place: Deployment,
    },
    /// Have a connection's source report one customer again, or all; or a destination sent them again
    Resync {
        /// The id of the connection or destination
        connection: String,
        /// The customer's id in the source
        #[arg(long, value_name = "ID")]
        customer: Option<String>,
        /// Carry out the deletions that wait now, and nothing else
        #[arg(long, conflicts_with = "customer")]
        confirm_deletes: bool,
        #[command(flatten)]
        place: Deployment,
    },
    /// Show everything that is known of one customer, but its content
    Where {
        /// The customer's id: CONNECTION~ID
        customer: String,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Deployment,
    },
    /// Compare customers of the shadow with the source as it is now
    Verify {
        /// The id of the connection
        connection: String,
        /// How many customers of Association Anywhere are compared, chosen at random; 200 by default
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        sample: Option<u32>,
        /// Have those that differ fetched again
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        place: Deployment,
    },
    /// Estimate a month's bill of AWS; asks nobody
    Cost {
        /// How many customers all connections have together
        #[arg(long, value_name = "N")]
        customers: u32,
        /// How many of them change a day: a number, or a share as 2%
        #[arg(long, value_name = "P")]
        changed_per_day: ChangedPerDay,
        /// What there is; without a file one Association Anywhere and one Business Catalyst
        #[arg(long, value_name = "FILE")]
        connections: Option<PathBuf>,
    },
    /// Remove everything of a connection or destination that was taken out of the file
    Forget {
        /// Its id, or TENANT/ID
        connection: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        place: Deployment,
    },
    /// Erase a person on request, so that nothing brings them back
    #[command(group = clap::ArgGroup::new("who").required(true).args(["email", "customer", "again"]))]
    Erase {
        /// Whose customers are meant
        #[arg(long)]
        tenant: String,
        /// Every customer that has this address
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        /// One customer: CONNECTION~ID
        #[arg(long, value_name = "ID")]
        customer: Option<String>,
        /// Everybody who was erased before and is there all the same: after tables were restored
        #[arg(long)]
        again: bool,
        /// Let them come back
        #[arg(long, conflicts_with = "again")]
        lift: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// The report as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Deployment,
    },
    /// Print all that is stored of a person, as JSON
    #[command(group = clap::ArgGroup::new("who").required(true).args(["email", "customer"]))]
    Export {
        /// Whose customers are meant
        #[arg(long)]
        tenant: String,
        /// Every customer that has this address
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        /// One customer: CONNECTION~ID
        #[arg(long, value_name = "ID")]
        customer: Option<String>,
        #[command(flatten)]
        place: Deployment,
    },
    /// Stop polling a connection and refuse what is pushed to it, or send a destination nothing, for a while
    Pause {
        /// The id of the connection or destination
        id: String,
        #[command(flatten)]
        place: Deployment,
    },
    /// Let a paused connection or destination go on
    Resume {
        /// The id of the connection or destination
        id: String,
        #[command(flatten)]
        place: Deployment,
    },
    /// Show the last changes of customers
    Changes {
        /// Go on with each change that comes
        #[arg(long)]
        follow: bool,
        /// Of this connection only
        #[arg(long, value_name = "ID")]
        connection: Option<String>,
        /// A JSON object a line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Deployment,
    },
    /// Show, redrive or drop failure records
    #[command(args_conflicts_with_subcommands = true)]
    Failures {
        #[command(subcommand)]
        action: Option<FailuresCommand>,
        #[command(flatten)]
        list: FailuresList,
    },
    /// Show batch imports, or take one back
    #[command(args_conflicts_with_subcommands = true)]
    Imports {
        #[command(subcommand)]
        action: Option<ImportsCommand>,
        #[command(flatten)]
        list: ImportsList,
    },
}

#[derive(Args)]
struct ImportsList {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Deployment,
}

#[derive(Subcommand)]
enum ImportsCommand {
    /// Restore what an import changed, unless it has changed since
    Undo {
        /// Id as `imports` and the answer to the import show it
        id: String,
        /// Only say what would be restored
        #[arg(long)]
        dry_run: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Deployment,
    },
}

#[derive(Args)]
struct FailuresList {
    /// Of this connection only
    #[arg(long, value_name = "ID")]
    connection: Option<String>,
    /// As JSON, with the raw documents, which hold personal data
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Deployment,
}

#[derive(Subcommand)]
enum FailuresCommand {
    /// Fetch customers again with the next batch
    Redrive {
        /// Ids as `failures` shows them
        #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "ID")]
        ids: Vec<String>,
        /// All of them
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        place: Deployment,
    },
    /// Forget failure records
    Drop {
        /// Ids as `failures` shows them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        place: Deployment,
    },
}

/// What a command works on.
#[derive(Args)]
struct Deployment {
    /// A deployed stack
    #[arg(long, value_name = "NAME", conflicts_with = "data")]
    stack: Option<String>,
    /// The profile of the AWS configuration to log in with
    #[arg(long, value_name = "NAME", requires = "stack")]
    profile: Option<String>,
    /// The stack's region
    #[arg(long, value_name = "NAME", requires = "stack")]
    region: Option<String>,
    /// The data of a run on this machine
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
}

impl Deployment {
    async fn target(&self) -> Result<Target, TargetError> {
        match &self.stack {
            Some(name) => {
                let login = Login { profile: self.profile.clone(), region: self.region.clone() };
                Target::stack(name, &login).await
            }
            None => Target::directory(&self.data).await,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let asked = std::env::var("CUSTOMER_SYNC_LOG").ok().and_then(|asked| asked.parse().ok());
    let asked = asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::ERROR));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(lambda::log_filter(asked))).init();
    match run(arguments.command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                eprintln!("customer-sync: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing failed.
async fn run(command: Option<Command>) -> anyhow::Result<bool> {
    match command {
        None => {
            let data = PathBuf::from(DEFAULT_DATA);
            return commands::local(&LocalOptions { connections: None, data, port: 8787, once: false }).await;
        }
        Some(Command::Local { connections, data, port, once }) => {
            return commands::local(&LocalOptions { connections, data, port, once }).await;
        }
        Some(Command::Status { json, place }) => commands::status(&place.target().await?, json).await?,
        Some(Command::Apply { file, dry_run, check, place }) => {
            commands::apply(&place.target().await?, &file, ApplyOptions { dry_run, check }).await?;
        }
        Some(Command::Resync { connection, customer, confirm_deletes, place }) => {
            let what = match customer {
                _ if confirm_deletes => ResyncWhat::WithheldDeletes,
                Some(customer) => ResyncWhat::Customer(customer),
                None => ResyncWhat::Everyone,
            };
            commands::resync(&place.target().await?, &connection, &what).await?;
        }
        Some(Command::Where { customer, json, place }) => {
            commands::whereabouts(&place.target().await?, &customer, json).await?;
        }
        Some(Command::Verify { connection, sample, repair, place }) => {
            let options = VerifyOptions { sample, repair };
            return commands::verify(&place.target().await?, &connection, options).await;
        }
        Some(Command::Cost { customers, changed_per_day, connections }) => {
            commands::cost(&CostOptions { connections, customers, changed_per_day })?;
        }
        Some(Command::Forget { connection, yes, place }) => {
            commands::forget(&place.target().await?, &connection, yes).await?;
        }
        Some(Command::Erase { tenant, again: true, yes, json, place, .. }) => {
            commands::erase(&place.target().await?, &tenant, ErasureAction::Again { is_agreed: yes }, json).await?;
        }
        Some(Command::Erase { tenant, email, customer, again: false, lift, yes, json, place }) => {
            let whom = commands::whom(email.as_deref(), customer.as_deref())?;
            let action = match lift {
                true => ErasureAction::Lift(whom),
                false => ErasureAction::Erase { whom, is_agreed: yes },
            };
            commands::erase(&place.target().await?, &tenant, action, json).await?;
        }
        Some(Command::Export { tenant, email, customer, place }) => {
            let whom = commands::whom(email.as_deref(), customer.as_deref())?;
            commands::export(&place.target().await?, &tenant, &whom).await?;
        }
        Some(Command::Pause { id, place }) => commands::pause(&place.target().await?, &id).await?,
        Some(Command::Resume { id, place }) => commands::resume(&place.target().await?, &id).await?,
        Some(Command::Changes { follow, connection, json, place }) => {
            commands::feed(&place.target().await?, &FeedOptions { follow, connection, as_json: json }).await?;
        }
        Some(Command::Failures { action, list }) => failures(action, list).await?,
        Some(Command::Imports { action, list }) => imports(action, list).await?,
    }
    Ok(true)
}

async fn failures(action: Option<FailuresCommand>, list: FailuresList) -> anyhow::Result<()> {
    let (place, connection, action) = match action {
        None => (list.place, list.connection, FailuresAction::List { as_json: list.json }),
        Some(FailuresCommand::Redrive { ids, all: _, place }) => (place, None, FailuresAction::Redrive(ids)),
        Some(FailuresCommand::Drop { ids, place }) => (place, None, FailuresAction::Drop(ids)),
    };
    commands::failures(&place.target().await?, connection.as_deref(), action).await
}

async fn imports(action: Option<ImportsCommand>, list: ImportsList) -> anyhow::Result<()> {
    match action {
        None => commands::imports(&list.place.target().await?, list.json).await,
        Some(ImportsCommand::Undo { id, dry_run, json, place }) => {
            commands::undo_import(&place.target().await?, &id, dry_run, json).await
        }
    }
}
