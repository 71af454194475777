//! `loyalty-simulator`: a simulated loyalty service to send customers to.

use std::{net::SocketAddr, process::ExitCode};

use clap::Parser;
use serde_json::json;
use simulators::{
    cli::{self, Listen},
    loyalty::{LoyaltySettings, LoyaltySimulator, endpoint},
};

/// A simulated loyalty service: takes customers in batches, as Sticky Street does
#[derive(Parser)]
#[command(name = "loyalty-simulator", version, after_help = CONTROL_HELP)]
struct Arguments {
    #[command(flatten)]
    listen: Listen<8793>,
    #[command(flatten)]
    settings: LoyaltySettings,
}

const CONTROL_HELP: &str = "\
While it runs it can be driven over HTTP:
  POST /_simulator/poison?code=1001&kind=KIND something is wrong with this customer; heal?code=1001 ends it
       KIND: row-dropped, whole-batch-error, server-error
  POST /_simulator/fault?fault=F              something is wrong with the service; &times=N for the next N requests
       F: none, delay (&value=MILLISECONDS), hang, status (&value=503), retry-after (&value=503:30), cut-body,
          not-xml, malformed, doctype, huge (&value=BYTES), error-answer (&value=TEXT), unescaped-ampersand,
          wrong-counts (&value=DIFFERENCE), wrong-credentials
  POST /_simulator/take-news                  the codes written since the last time
  GET  /_simulator/state                      requests, customers, batches
  GET  /_simulator/customer?code=1001         a customer's columns, and how often it was written
  GET  /_simulator/batches                    the batches that could be read";

fn main() -> ExitCode {
    cli::main("loyalty-simulator", run)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (listener, address) = arguments.listen.bind().await?;
    cli::say(introduction(&arguments.settings, address));
    let simulator = LoyaltySimulator::new(arguments.settings);
    cli::serve(simulator.serve(listener)).await
}

/// The address first, so that a script can read it from the first line.
fn introduction(settings: &LoyaltySettings, address: SocketAddr) -> String {
    let base = format!("http://{address}");
    let endpoint = endpoint(&base);
    let LoyaltySettings { user_id, user_password, user_api_key, account_id, campaigns, .. } = settings;
    let credentials = |secret: &String| {
        cli::json_for_shell(&json!({ "user_id": user_id, "user_password": secret, "account_id": account_id }))
    };
    let (legacy, with_key) = (credentials(user_password), credentials(user_api_key));
    let campaign = campaigns.first().map(String::as_str).unwrap_or_default();
    let insecure_http = cli::insecure_http(address);
    format!(
        "\
Loyalty service, simulated, at {base}
It holds no customers yet. Control: {base}/_simulator/state (see --help)

endpoint  {endpoint}

To send customers to it, put this into connections.toml, with the connection that they come from:

[[destination]]
id = \"loyalty\"
tenant = \"acme\"
kind = \"customers-batch\"
from = [\"aa\"]
url = \"{endpoint}\"
credentials = \"env:LOYALTY_CREDENTIALS\"
campaigns = [\"{campaign}\"]
overwrite_duplicates = \"update\"
api = \"legacy\"
allow_private_addresses = true
{insecure_http}
and this into the shell; the second is for api = \"1.5\":

export LOYALTY_CREDENTIALS={legacy}
export LOYALTY_CREDENTIALS={with_key}
"
    )
}
