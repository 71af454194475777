//! `connector-simulator`: pushes what an InTouch Connector would, to a given address.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use simulators::connector::{ConnectorSettings, ConnectorSimulator, Login};

/// A simulated InTouch Connector: pushes prospects, members, staff and lead sources
#[derive(Parser)]
#[command(name = "connector-simulator", version, after_help = CONNECTION_HELP)]
struct Arguments {
    /// Where to push to: the address of the API
    #[arg(long, default_value = "http://127.0.0.1:8787")]
    url: String,
    /// The provider that it says it is
    #[arg(long, default_value = "INTOUCH")]
    provider: String,
    /// The client whose records it pushes
    #[arg(long, default_value = "c-1")]
    client_id: String,
    /// A club of the client; may be given several times
    #[arg(long = "club-id", default_values = ["k-1", "k-2"])]
    club_ids: Vec<String>,
    /// User name for HTTP Basic
    #[arg(long, default_value = "intouch")]
    username: String,
    /// Password for HTTP Basic
    #[arg(long, default_value = "demo-password")]
    password: String,
    /// Bearer token, instead of user name and password
    #[arg(long)]
    token: Option<String>,
    /// How many prospects and members there are
    #[arg(long, default_value_t = 100)]
    people: usize,
    /// How many members of staff
    #[arg(long, default_value_t = 5)]
    staff: usize,
    /// How many lead sources; 6 at most
    #[arg(long, default_value_t = 4)]
    lead_sources: usize,
    /// Decides every name, every double and every retry
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many pushes are under way at once
    #[arg(long, default_value_t = 8)]
    burst: usize,
    /// How many of a hundred pushes come twice at the same time
    #[arg(long, default_value_t = 15)]
    doubles_percent: u8,
    /// How many of a hundred answers are lost on their way
    #[arg(long, default_value_t = 10)]
    lost_percent: u8,
    /// Go on: every so many seconds make a member of a prospect
    #[arg(long, value_name = "SECONDS")]
    convert_every: Option<u64>,
}

const CONNECTION_HELP: &str = "\
The connection to push to, in connections.toml:
  [[connection]]
  id = \"intouch\"
  tenant = \"acme\"
  kind = \"connector\"
  client_id = \"c-1\"
  club_ids = [\"k-1\", \"k-2\"]
  providers = [\"INTOUCH\"]
  credentials = \"env:CONNECTOR_CREDENTIALS\"
  create_staff = true
  create_lead_sources = true
and in the shell:
  export CONNECTOR_CREDENTIALS='{\"username\":\"intouch\",\"password\":\"demo-password\"}'";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let login = match arguments.token {
        Some(token) => Login::Bearer(token),
        None => Login::Basic { username: arguments.username, password: arguments.password },
    };
    let simulator = ConnectorSimulator::new(ConnectorSettings {
        base: arguments.url,
        provider: arguments.provider,
        client_id: arguments.client_id,
        club_ids: arguments.club_ids,
        login,
        people: arguments.people,
        staff: arguments.staff,
        lead_sources: arguments.lead_sources,
        seed: arguments.seed,
        burst: arguments.burst,
        doubles_percent: arguments.doubles_percent,
        lost_percent: arguments.lost_percent,
    });
    let mut report = simulator.push_everything().await;
    println!("{report}");
    while let Some(seconds) = arguments.convert_every {
        tokio::time::sleep(Duration::from_secs(seconds.max(1))).await;
        let (converted, of_conversion) = simulator.convert_some(1).await;
        if converted.is_empty() {
            println!("there are no prospects left");
            break;
        }
        println!("{} became a member; {of_conversion}", converted.join(", "));
        report = of_conversion;
        if !report.is_clean() {
            break;
        }
    }
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
