//! What `local` synchronises by default: simulated sources, with customers that go on changing, and three simulated
//! systems that changes are sent to.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use config::{Configuration, Deployment, Problems};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use simulators::association_anywhere::{AaSettings, AaSimulator, urls};
use simulators::business_catalyst::{BcSettings, BcSimulator, Clock, endpoint};
use simulators::connector::{ConnectorSettings, ConnectorSimulator, Login};
use simulators::loyalty::{self, LoyaltySettings, LoyaltySimulator};
use simulators::webhook::{self, WebhookReceiver, WebhookSettings};
use simulators::{Controlled, Simulator, System};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use local_aws::private_files;

/// How often the simulators change some customers, and how many.
const CHANGE_EVERY: Duration = Duration::from_secs(15);
const CHANGES: usize = 3;
/// The token that opens the simulated tenant's data, and operates its connections, on this machine only.
pub(crate) const TOKEN: &str = "demo-token";
/// The directory of the secrets, in that of a run.
pub(crate) const SECRETS: &str = "demo";
/// The time zone of the simulated site.
const TIME_ZONE: &str = "Australia/Sydney";
/// How many contacts the simulated site has.
const CONTACTS: u64 = 500;
/// How many prospects and members the simulated Connector pushes, and how many members of staff.
const PEOPLE: usize = 12;
const STAFF: usize = 3;
/// The password of the pushes, on this machine only.
const PASSWORD: &str = "demo-password";

/// The simulated world, as it runs.
#[derive(Clone)]
pub(crate) struct Demo {
    /// Whether the Connector has pushed all its records.
    is_pushed: Arc<AtomicBool>,
    website: BcSimulator,
    loyalty: LoyaltySimulator,
    hook: WebhookReceiver,
}

impl Demo {
    /// Whether the Connector has pushed all its records.
    pub(crate) fn is_pushed(&self) -> bool {
        self.is_pushed.load(Ordering::Acquire)
    }

    /// The ids of the customers that arrived at the three systems since the last call, each with their names.
    pub(crate) fn take_arrivals(&self) -> BTreeMap<String, Vec<&'static str>> {
        let news = [
            ("website", self.website.take_news()),
            ("loyalty", self.loyalty.take_news()),
            ("hook", self.hook.take_news()),
        ];
        let mut arrivals: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
        for (system, ids) in news {
            for id in ids {
                arrivals.entry(id).or_default().push(system);
            }
        }
        arrivals
    }
}

/// Starts the simulators, and configures connections to them, and destinations. Their secrets are written below `data`.
/// One of them pushes to `api`.
pub(crate) async fn start(
    data: &Path,
    api: SocketAddr,
    keep_changing: bool,
    background: &mut JoinSet<()>,
) -> io::Result<(Configuration, Demo)> {
    let secrets = Secrets::below(data)?;
    let is_pushed = Arc::new(AtomicBool::new(false));
    let (website, website_file) = website(&secrets, background).await?;
    let (loyalty, loyalty_file) = loyalty_service(&secrets, background).await?;
    let (hook, hook_file) = receiver(&secrets, background).await?;
    let file = [
        association_anywhere(&secrets, keep_changing, background).await?,
        business_catalyst(&secrets, keep_changing, background).await?,
        connector(&secrets, api, keep_changing, &is_pushed, background)?,
        imports(&secrets)?,
        website_file,
        loyalty_file,
        hook_file,
        format!(
            "[[reader]]\ntenant = \"demo\"\ntoken = {:?}\nscope = \"operate\"\n",
            secrets.write("reader.json", &json!({ "token": TOKEN }))?
        ),
    ];
    let unusable = |problems: Problems| io::Error::other(problems.to_string());
    let mut configuration = Configuration::parse(&file.join("\n"), Deployment::Local).map_err(unusable)?;
    configuration
        .digest_tokens(&store::Secrets::new(None, store::Clock::system()), Deployment::Local)
        .await
        .map_err(unusable)?;
    Ok((configuration, Demo { is_pushed, website, loyalty, hook }))
}

/// Requests to try, ready for a shell.
pub(crate) fn questions(base: &str) -> Vec<String> {
    let curl = format!("curl -H 'Authorization: Bearer {TOKEN}'");
    vec![
        format!("{curl} {base}/v1/customers/aa~1001"),
        format!("{curl} {base}/v1/customers/bc~1001"),
        format!("{curl} '{base}/v1/customers?connection=intouch&limit=3'"),
    ]
}

async fn association_anywhere(
    secrets: &Secrets,
    keep_changing: bool,
    background: &mut JoinSet<()>,
) -> io::Result<String> {
    let settings = AaSettings::default();
    let login = json!({ "username": settings.username, "password": settings.password });
    let credentials = secrets.write("aa.json", &login)?;
    let simulator = AaSimulator::new(settings);
    let urls = urls(&serve(&simulator, background).await?);
    if keep_changing {
        background.spawn(change_for_ever(move || drop(simulator.change_some(CHANGES))));
    }
    Ok(format!(
        "[[connection]]\nid = \"aa\"\ntenant = \"demo\"\nkind = \"association-anywhere\"\nqueue_url = {:?}\n\
         details_url = {:?}\npurge_url = {:?}\nenqueue_url = {:?}\ncredentials = {credentials:?}\n",
        urls.queue, urls.details, urls.purge, urls.enqueue,
    ))
}

async fn business_catalyst(secrets: &Secrets, keep_changing: bool, background: &mut JoinSet<()>) -> io::Result<String> {
    let settings = BcSettings {
        contacts: CONTACTS,
        time_zone: TimeZone::get(TIME_ZONE).map_err(io::Error::other)?,
        clock: Clock::Following(Arc::new(Timestamp::now)),
        ..BcSettings::default()
    };
    let login = json!({ "username": settings.username, "password": settings.password });
    let credentials = secrets.write("bc.json", &login)?;
    let site_id = settings.site_id;
    let simulator = BcSimulator::new(settings);
    let base = serve(&simulator, background).await?;
    if keep_changing {
        background.spawn(change_for_ever(move || drop(simulator.change_some(CHANGES))));
    }
    Ok(format!(
        "[[connection]]\nid = \"bc\"\ntenant = \"demo\"\nkind = \"business-catalyst\"\nendpoint = {:?}\n\
         site_id = {site_id}\ncredentials = {credentials:?}\ntime_zone = {TIME_ZONE:?}\npoll_seconds = 5\n",
        endpoint(&base),
    ))
}

fn connector(
    secrets: &Secrets,
    api: SocketAddr,
    keep_changing: bool,
    is_pushed: &Arc<AtomicBool>,
    background: &mut JoinSet<()>,
) -> io::Result<String> {
    let settings = ConnectorSettings {
        base: format!("http://{api}"),
        login: Login::Basic { username: "intouch".to_owned(), password: PASSWORD.to_owned() },
        people: PEOPLE,
        staff: STAFF,
        ..ConnectorSettings::default()
    };
    let credentials = secrets.write("intouch.json", &json!({ "username": "intouch", "password": PASSWORD }))?;
    let connection = format!(
        "[[connection]]\nid = \"intouch\"\ntenant = \"demo\"\nkind = \"connector\"\nclient_id = {:?}\nclub_ids = {:?}\n\
         providers = [{:?}]\ncredentials = {credentials:?}\ncreate_staff = true\ncreate_lead_sources = true\n",
        settings.client_id, settings.club_ids, settings.provider,
    );
    background.spawn(push(ConnectorSimulator::new(settings), is_pushed.clone(), keep_changing));
    Ok(connection)
}

/// The account of the loyalty source's own example: its requests can be sent as they stand in its document.
fn imports(secrets: &Secrets) -> io::Result<String> {
    let users = json!({ "users": [{ "user_id": "john1970", "user_password": "1959caadac9b13dcb3" }] });
    let credentials = secrets.write("imports.json", &users)?;
    Ok(format!(
        "[[connection]]\nid = \"imports\"\ntenant = \"demo\"\nkind = \"batch-import\"\naccount_id = \"greatwidgets\"\n\
         credentials = {credentials:?}\ncampaigns = [\"898989889\", \"13234545\", \"34534554\"]\n",
    ))
}

/// A second site of Business Catalyst, which gets the customers of `aa` and has none of its own.
async fn website(secrets: &Secrets, background: &mut JoinSet<()>) -> io::Result<(BcSimulator, String)> {
    let settings =
        BcSettings { contacts: 0, clock: Clock::Following(Arc::new(Timestamp::now)), ..BcSettings::default() };
    let login = json!({ "username": settings.username, "password": settings.password });
    let credentials = secrets.write("website.json", &login)?;
    let site_id = settings.site_id;
    let simulator = BcSimulator::new(settings);
    let url = endpoint(&serve(&simulator, background).await?);
    let kind = format!("kind = \"business-catalyst\"\nendpoint = {url:?}\nsite_id = {site_id}\n");
    Ok((simulator, destination("website", &kind, &credentials)))
}

async fn loyalty_service(secrets: &Secrets, background: &mut JoinSet<()>) -> io::Result<(LoyaltySimulator, String)> {
    let settings = LoyaltySettings::default();
    let LoyaltySettings { user_id, user_password, account_id, campaigns, .. } = &settings;
    let access = json!({ "user_id": user_id, "user_password": user_password, "account_id": account_id });
    let credentials = secrets.write("loyalty.json", &access)?;
    let simulator = LoyaltySimulator::new(settings.clone());
    let url = loyalty::endpoint(&serve(&simulator, background).await?);
    let kind = format!("kind = \"customers-batch\"\nurl = {url:?}\ncampaigns = {campaigns:?}\n");
    Ok((simulator, destination("loyalty", &kind, &credentials)))
}

async fn receiver(secrets: &Secrets, background: &mut JoinSet<()>) -> io::Result<(WebhookReceiver, String)> {
    let settings = WebhookSettings::default();
    let credentials = secrets.write("hook.json", &json!({ "secret": settings.secret }))?;
    let receiver = WebhookReceiver::new(settings);
    let url = webhook::endpoint(&serve(&receiver, background).await?);
    let kind = format!("kind = \"webhook\"\nurl = {url:?}\nmax_requests_per_second = 500\n");
    Ok((receiver, destination("hook", &kind, &credentials)))
}

/// A destination on this machine.
fn destination(id: &str, kind: &str, credentials: &str) -> String {
    format!(
        "[[destination]]\nid = {id:?}\ntenant = \"demo\"\nfrom = [\"aa\"]\ncredentials = {credentials:?}\n\
         allow_private_addresses = true\n{kind}"
    )
}

/// Pushes everything that a Connector has; with `keep_changing`, then makes a prospect a member now and then.
async fn push(connector: ConnectorSimulator, is_pushed: Arc<AtomicBool>, keep_changing: bool) {
    let mut report = connector.push_everything().await;
    is_pushed.store(true, Ordering::Release);
    while keep_changing && report.is_clean() {
        tokio::time::sleep(CHANGE_EVERY).await;
        report = connector.convert_some(1).await.1;
    }
    if !report.is_clean() {
        tracing::error!(%report, "the simulated Connector was refused");
    }
}

/// Serves a simulator on a free port, and returns its address.
async fn serve<S: System>(simulator: &Simulator<S>, background: &mut JoinSet<()>) -> io::Result<String>
where
    Simulator<S>: Controlled,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let simulator = simulator.clone();
    background.spawn(async move {
        if let Err(error) = simulator.serve(listener).await {
            tracing::error!(%error, "a simulator has stopped");
        }
    });
    Ok(base)
}

async fn change_for_ever(change: impl Fn()) {
    loop {
        tokio::time::sleep(CHANGE_EVERY).await;
        change();
    }
}

/// The files that hold the simulated systems' secrets.
struct Secrets(std::path::PathBuf);

impl Secrets {
    fn below(data: &Path) -> io::Result<Self> {
        let directory = data.join(SECRETS);
        private_files::make_directory(&directory, |_| true)?;
        // Absolute, so that another command finds them from any working directory.
        Ok(Self(directory.canonicalize()?))
    }

    /// Writes a secret, and returns the reference to it.
    fn write(&self, name: &str, secret: &serde_json::Value) -> io::Result<String> {
        let path = self.0.join(name);
        private_files::write_file(&path, secret.to_string().as_bytes())?;
        Ok(format!("file:{}", path.display()))
    }
}
