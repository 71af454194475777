//! `bc-simulator`: a simulated Business Catalyst to point a client at.

use std::{net::SocketAddr, process::ExitCode, sync::Arc};

use anyhow::anyhow;
use clap::Parser;
use jiff::{Timestamp, tz::TimeZone};
use simulators::{
    business_catalyst::{BcSettings, BcSimulator, Clock, endpoint},
    cli::{self, Listen},
};

/// A simulated Business Catalyst: one site, with its contacts
#[derive(Parser)]
#[command(name = "bc-simulator", version, after_help = CONTROL_HELP)]
struct Arguments {
    #[command(flatten)]
    listen: Listen<8791>,
    #[command(flatten)]
    settings: BcSettings,
    /// Where the site is: its dates are this zone's local time
    #[arg(long, default_value = "Australia/Sydney")]
    time_zone: String,
    /// Keep changing this many random contacts a minute
    #[arg(long, default_value_t = 0)]
    changes_per_minute: u32,
}

const CONTROL_HELP: &str = "\
While it runs it can be driven over HTTP:
  POST /_simulator/change?ids=1001,1002       new content
  POST /_simulator/change-some?count=50       the same for random ones
  POST /_simulator/touch?ids=1001,1002        a new date, and the same content
  POST /_simulator/delete?id=1001             delete: it is listed as deleted
  POST /_simulator/remove-silently?id=1001    out of all listings, without a word
  POST /_simulator/create?id=5001             create, or create anew; without an id the next free one
  POST /_simulator/on-page?record_start=100&action=change&ids=1001
                                              one of the above, right before this page is next answered
  POST /_simulator/poison?id=1001&kind=KIND   something is wrong with this contact; heal?id=1001 ends it
       KIND: no-entity-id, bad-date, broken-xml, too-deep, huge-text (&value=BYTES)
  POST /_simulator/refuse?external_id=aa~1001 requests to write this contact fail; accept?external_id=aa~1001 ends it
  POST /_simulator/take-news                  the external ids written since the last time
  POST /_simulator/fault?operation=O&fault=F  something is wrong with an operation; &times=N for the next N requests,
                                              &record_start=600 for that page only
       O: retrieve, update-insert, all
       F: none, delay (&value=MILLISECONDS), hang, status (&value=503), retry-after (&value=503:30), cut-body,
          malformed, not-xml, doctype, huge (&value=BYTES), soap-fault (&value=TEXT), no-contacts-fault,
          empty-result, no-result, repeat-pages, endless, wrong-credentials
  POST /_simulator/set-time?to=2024-10-27T02:30:00
                                              the site's clock stands at this local time, and follows the real one no more
  POST /_simulator/set-step?seconds=0         how far each change moves it on then
  GET  /_simulator/state                      time, requests, the last listings, contacts
  GET  /_simulator/contact?id=1001            name, e-mail, external id, revision and date of a contact
  GET  /_simulator/contact?external_id=aa~1001
                                              what the contact holds that another system gave this id";

fn main() -> ExitCode {
    cli::main("bc-simulator", run)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let time_zone = TimeZone::get(&arguments.time_zone)
        .map_err(|_| anyhow!("--time-zone {}: there is no such zone", arguments.time_zone))?;
    let (listener, address) = arguments.listen.bind().await?;
    cli::say(introduction(&arguments, address));
    let clock = Clock::Following(Arc::new(Timestamp::now));
    let simulator = BcSimulator::new(BcSettings { time_zone, clock, ..arguments.settings });
    cli::serve_and_change(simulator.serve(listener), arguments.changes_per_minute, |count| {
        simulator.change_some(count);
    })
    .await
}

/// The address first, so that a script can read it from the first line.
fn introduction(arguments: &Arguments, address: SocketAddr) -> String {
    let base = format!("http://{address}");
    let endpoint = endpoint(&base);
    let Arguments { time_zone, settings, .. } = arguments;
    let BcSettings { contacts, username, password, site_token, site_id, .. } = settings;
    let credentials = cli::credentials_for_shell(username, password);
    let token_credentials = cli::credentials_for_shell("", site_token);
    let insecure_http = cli::insecure_http(address);
    format!(
        "\
Business Catalyst, simulated, at {base}
{contacts} contacts. Control: {base}/_simulator/state (see --help)

endpoint     {endpoint}
description  {endpoint}?wsdl

To sync it, put this into connections.toml:

[[connection]]
id = \"bc\"
tenant = \"acme\"
kind = \"business-catalyst\"
endpoint = \"{endpoint}\"
site_id = {site_id}
credentials = \"env:BC_CREDENTIALS\"
time_zone = \"{time_zone}\"
soap = \"1.1\"
{insecure_http}
and this into the shell; the second is the login by site token:

export BC_CREDENTIALS={credentials}
export BC_CREDENTIALS={token_credentials}
"
    )
}
