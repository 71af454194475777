//! `connector-simulator`: pushes what an InTouch Connector would, to a given address.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use simulators::connector::{ConnectorSettings, ConnectorSimulator, Login};

/// A simulated InTouch Connector: pushes prospects, members, staff and lead sources
#[derive(Parser)]
#[command(name = "connector-simulator", version, after_help = CONNECTION_HELP)]
struct Arguments {
    #[command(flatten)]
    settings: ConnectorSettings,
    /// User name for HTTP Basic
    #[arg(long, default_value = "intouch")]
    username: String,
    /// Password for HTTP Basic
    #[arg(long, default_value = "demo-password")]
    password: String,
    /// Bearer token, instead of user name and password
    #[arg(long)]
    token: Option<String>,
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
    let simulator = ConnectorSimulator::new(ConnectorSettings { login, ..arguments.settings });
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
