//! `aa-simulator`: a simulated Association Anywhere to point a client at.

use std::{net::SocketAddr, process::ExitCode};

use clap::Parser;
use simulators::{
    association_anywhere::{AaSettings, AaSimulator, AaUrls, ENVIRONMENT, urls_in},
    cli::{self, Listen},
};

/// A simulated Association Anywhere: customers, and the queue of those that changed
#[derive(Parser)]
#[command(name = "aa-simulator", version, after_help = CONTROL_HELP)]
struct Arguments {
    #[command(flatten)]
    listen: Listen<8790>,
    #[command(flatten)]
    settings: AaSettings,
    /// Environment in the printed addresses; any is answered
    #[arg(long, default_value = ENVIRONMENT)]
    environment: String,
    /// Keep changing this many random customers a minute
    #[arg(long, default_value_t = 0)]
    changes_per_minute: u32,
}

const CONTROL_HELP: &str = "\
While it runs it can be driven over HTTP:
  POST /_simulator/change?ids=1001,1002       new content, and into the queue
  POST /_simulator/change-some?count=50       the same for random ones
  POST /_simulator/delete?id=1001             delete, told as such; delete-silently: queued as a change
  POST /_simulator/change-unqueued?ids=1001   new content, and not into the queue; delete-unqueued?id=1001
  POST /_simulator/create?id=5001             create, or create anew
  POST /_simulator/enqueue?id=1001            into the queue, though nothing changed; enqueue-all: everyone
  POST /_simulator/poison?id=1001&kind=KIND   something is wrong with this customer; heal?id=1001 ends it
       KIND: no-cust-id, broken-xml, server-error, error-element, too-deep, huge-text (&value=BYTES)
  POST /_simulator/fault?procedure=P&fault=F  something is wrong with a procedure; &times=N for the next N requests
       P: queue, details, purge, enqueue, all
       F: none, delay (&value=MILLISECONDS), hang, status (&value=503), retry-after (&value=503:30), cut-body,
          error-document (&value=TEXT), failure-status (&value=TEXT), empty, malformed, not-xml, doctype,
          duplicates, wrong-dialect, huge (&value=BYTES), wrong-credentials
  GET  /_simulator/state                      queue, requests, purges, customers
  GET  /_simulator/customer?id=1001           name, e-mail and revision of a customer";

fn main() -> ExitCode {
    cli::main("aa-simulator", run)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (listener, address) = arguments.listen.bind().await?;
    cli::say(introduction(&arguments, address));
    let simulator = AaSimulator::new(arguments.settings);
    cli::serve_and_change(simulator.serve(listener), arguments.changes_per_minute, |count| {
        simulator.change_some(count);
    })
    .await
}

/// The address first, so that a script can read it from the first line.
fn introduction(arguments: &Arguments, address: SocketAddr) -> String {
    let base = format!("http://{address}");
    let AaUrls { queue, queue_with_reasons, details, purge, enqueue } = urls_in(&base, &arguments.environment);
    let AaSettings { customers, username, password, .. } = &arguments.settings;
    let credentials = cli::credentials_for_shell(username, password);
    let insecure_http = cli::insecure_http(address);
    format!(
        "\
Association Anywhere, simulated, at {base}
{customers} customers, all queued. Control: {base}/_simulator/state (see --help)

get queue               {queue}
get queue with reasons  {queue_with_reasons}
get customer details    {details}
purge queue             {purge}
force enqueue           {enqueue}

To sync it, put this into connections.toml:

[[connection]]
id = \"aa\"
tenant = \"acme\"
kind = \"association-anywhere\"
queue_url = \"{queue}\"
details_url = \"{details}\"
purge_url = \"{purge}\"
enqueue_url = \"{enqueue}\"
credentials = \"env:AA_CREDENTIALS\"
{insecure_http}
and this into the shell:

export AA_CREDENTIALS={credentials}
"
    )
}
