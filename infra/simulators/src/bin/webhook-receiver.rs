//! `webhook-receiver`: a receiver of webhooks to send customers to.

use std::{net::SocketAddr, process::ExitCode};

use clap::Parser;
use serde_json::json;
use simulators::{
    cli::{self, Listen},
    webhook::{WebhookReceiver, WebhookSettings, endpoint},
};

/// A receiver of signed webhooks: keeps the customers that their events tell of
#[derive(Parser)]
#[command(name = "webhook-receiver", version, after_help = CONTROL_HELP)]
struct Arguments {
    #[command(flatten)]
    listen: Listen<8794>,
    #[command(flatten)]
    settings: WebhookSettings,
}

const CONTROL_HELP: &str = "\
While it runs it can be driven over HTTP:
  POST /_simulator/refuse?subject=aa~1001&status=400
                                              answer this customer's events so; accept?subject=aa~1001 ends it
  POST /_simulator/set-secret?secret=whsec_…  from now on only this secret verifies; write %2B for a +
  POST /_simulator/fault?fault=F              something is wrong with the receiver; &times=N for the next N requests
       F: none, delay (&value=MILLISECONDS), hang, status (&value=503), retry-after (&value=503:30),
          redirect (&value=ADDRESS), cut-body, huge (&value=BYTES)
  POST /_simulator/take-news                  the ids that events told of since the last time
  GET  /_simulator/state                      requests, customers
  GET  /_simulator/customer?id=aa~1001        whether a customer exists, and the data of its last event
  GET  /_simulator/events                     the events that were applied
  GET  /_simulator/last-request               headers and body of the last request";

fn main() -> ExitCode {
    cli::main("webhook-receiver", run)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (listener, address) = arguments.listen.bind().await?;
    cli::say(introduction(&arguments.settings, address));
    let receiver = WebhookReceiver::new(arguments.settings);
    cli::serve(receiver.serve(listener)).await
}

/// The address first, so that a script can read it from the first line.
fn introduction(settings: &WebhookSettings, address: SocketAddr) -> String {
    let base = format!("http://{address}");
    let endpoint = endpoint(&base);
    let credentials = cli::json_for_shell(&json!({ "secret": settings.secret }));
    let insecure_http = cli::insecure_http(address);
    format!(
        "\
Webhook receiver, simulated, at {base}
It knows no customers yet. Control: {base}/_simulator/state (see --help)

endpoint  {endpoint}

To send customers to it, put this into connections.toml, with the connection that they come from:

[[destination]]
id = \"hook\"
tenant = \"acme\"
kind = \"webhook\"
from = [\"aa\"]
url = \"{endpoint}\"
credentials = \"env:HOOK_CREDENTIALS\"
allow_private_addresses = true
{insecure_http}
and this into the shell:

export HOOK_CREDENTIALS={credentials}
"
    )
}
