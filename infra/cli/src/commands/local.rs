use std::fs::{self, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Configuration, Deployment, ParsedFile, Problems};
use jiff::Timestamp;
use lambda::Clients;
use operations::status::{Condition, ConnectionStatus, DestinationStatus, StatusReader};
use store::{Clock, Secrets, Tables};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::commands::apply::{carry_out, changes};
use crate::commands::changes::Changes;
use crate::commands::demo::Demo;
use crate::commands::progress::Progress;
use crate::commands::{demo, docs};
use crate::target::{DATABASE, ERASED, local_clients, local_tables, open_database};
use local_aws::{EmbeddedDynamoDb, Engine, LocalSqs, TEMPLATE, Template, private_files, rewrite};

/// The lock file: a run uses the directory.
const LOCK: &str = "lock";
/// How often the progress is looked at: until all is in sync, and afterwards.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOK_AGAIN_EVERY: Duration = Duration::from_secs(1);
/// With `--once`: how long a connection may fail without progress before the run gives up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(20);
/// The same of a destination, which is tried again with the next minute.
const GIVE_UP_DESTINATION_AFTER: Duration = Duration::from_secs(100);

/// What `local` is asked to do.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// The connections; without them the simulators run.
    pub connections: Option<PathBuf>,
    /// Where the data are.
    pub data: PathBuf,
    /// The API's port on this machine; 0 for any.
    pub port: u16,
    /// Whether to end when every connection is in sync.
    pub once: bool,
}

/// Why a run can't start. One line: what and where.
#[derive(Debug, Error)]
pub enum LocalError {
    /// The directory can't be used.
    #[error("{}: {problem}", .path.display())]
    Data {
        /// The directory.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// Another process uses the directory.
    #[error("{}: another `customer-sync local` uses this directory; stop it, or choose another with --data", .0.display())]
    InUse(PathBuf),
    /// The port can't be bound.
    #[error("port {port}: {problem}; choose another with --port")]
    Port {
        /// The port.
        port: u16,
        /// Why.
        problem: String,
    },
    /// The connections can't be used: every problem on a line, with the file.
    #[error("{0}")]
    Connections(String),
    /// The template can't be carried out.
    #[error("{0}")]
    Template(String),
}

/// One run on this machine, started and ready to be watched.
pub struct LocalRun {
    engine: Engine,
    listener: TcpListener,
    watch: Watch,
    /// How many destinations are configured.
    destinations: usize,
    /// Whether a connection of the file is left out.
    is_partial: bool,
    /// Where the data are.
    data: PathBuf,
    /// Held until the run ends, so that no other process opens the data.
    _lock: File,
    background: JoinSet<()>,
}

/// Runs everything on this machine, with progress, until Ctrl-C or, with `--once`, until all is in sync. Returns
/// whether nothing failed.
///
/// # Errors
/// If it can't start, or the API stops.
pub async fn local(options: &LocalOptions) -> anyhow::Result<bool> {
    let run = LocalRun::start(options).await?;
    let progress = Progress::new(run.watch.baseline.clone());
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let destinations = match run.destinations {
        0 => String::new(),
        count => format!(", {}", counted(count, "destination")),
    };
    progress.line(&format!(
        "customer-sync {}: {}{destinations}, data in {}",
        env!("CARGO_PKG_VERSION"),
        counted(run.watch.baseline.len(), "connection"),
        options.data.display()
    ));
    run.watch(progress, options.once).await
}

impl LocalRun {
    /// Opens the data and the port, configures the connections, and builds the functions.
    ///
    /// # Errors
    /// See [`LocalError`]; nothing was changed if the port, the directory or the file can't be used.
    pub async fn start(options: &LocalOptions) -> Result<Self, LocalError> {
        let template = Template::parse(TEMPLATE).map_err(|error| LocalError::Template(error.to_string()))?;
        let file = match &options.connections {
            Some(path) => Some(read_connections(path).await?),
            None => None,
        };
        let listener = TcpListener::bind(("127.0.0.1", options.port))
            .await
            .map_err(|error| LocalError::Port { port: options.port, problem: reason(&error) })?;
        let address =
            listener.local_addr().map_err(|error| LocalError::Port { port: options.port, problem: reason(&error) })?;
        let data = |problem: String| LocalError::Data { path: options.data.clone(), problem };
        let lock = lock_directory(&options.data)?;
        let database = open_database(&options.data, &template).await.map_err(data)?;
        let clock = Clock::system();
        let queues = LocalSqs::new(&template.queues, clock.clone());
        let clients = local_clients(&database, &queues, clock);
        let seen = Changes::default();
        let watched = clients.dynamodb.config().to_builder().interceptor(seen.clone()).build();
        let clients = Clients { dynamodb: aws_sdk_dynamodb::Client::from_conf(watched), ..clients };
        let mut background = JoinSet::new();
        let is_partial = file.as_ref().is_some_and(|file| !file.left_out.is_empty());
        let (configuration, demo) = match file {
            Some(ParsedFile { configuration, .. }) => (configuration, None),
            None => {
                let started = demo::start(&options.data, address, !options.once, &mut background).await;
                let (configuration, demo) = started.map_err(|error| data(reason(&error)))?;
                (configuration, Some(demo))
            }
        };
        let tables = local_tables(&clients);
        let Tables { registry, ledger, states, .. } = &tables;
        let changes = changes(registry, &configuration).await.map_err(|error| data(error.to_string()))?;
        carry_out(registry, changes).await.map_err(|error| data(error.to_string()))?;
        for connection in &configuration.connections {
            // The lock on the directory proves that the process with these leases has ended: they need not run out.
            ledger.revoke_leases(&connection.key).await.map_err(|error| data(error.to_string()))?;
            states.revoke_lease(&connection.key).await.map_err(|error| data(error.to_string()))?;
        }
        for destination in &configuration.destinations {
            states.revoke_lease(&destination.key).await.map_err(|error| data(error.to_string()))?;
        }
        let engine = Engine::new(&template, &clients, queues, database.clone())
            .map_err(|error| LocalError::Template(error.to_string()))?;
        let status = StatusReader::new(&tables);
        let started_at = clients.clock.now();
        let baseline = status.all(None, started_at).await.map_err(|error| data(error.to_string()))?;
        Ok(Self {
            engine,
            listener,
            watch: Watch { clients, database, status, started_at, baseline, address, demo, seen },
            destinations: configuration.destinations.len(),
            is_partial,
            data: options.data.clone(),
            _lock: lock,
            background,
        })
    }

    /// The API's address.
    pub fn address(&self) -> SocketAddr {
        self.watch.address
    }

    /// The clients of the functions.
    pub fn clients(&self) -> &Clients {
        &self.watch.clients
    }

    /// How the connections stand.
    pub fn status(&self) -> &StatusReader {
        &self.watch.status
    }

    /// Its tables.
    pub fn tables(&self) -> Tables {
        local_tables(&self.watch.clients)
    }

    async fn watch(self, progress: Progress, once: bool) -> anyhow::Result<bool> {
        let Self { engine, listener, watch, is_partial, data, _lock, background, .. } = self;
        // A run before that was killed has left it.
        clean_up(&engine, &data).await?;
        let outcome = tokio::select! {
            ended = engine.run(listener, docs::pages()) => {
                Err(ended.err().unwrap_or_else(|| io::Error::other("the API has stopped")).into())
            }
            outcome = watch.until_done(&progress, once) => outcome.map(|is_clean| is_clean && !is_partial),
            () = is_ended_from_outside() => {
                progress.finish();
                println!("stopped; the next run goes on from here");
                Ok(true)
            }
        };
        drop(background);
        clean_up(&engine, &data).await?;
        outcome
    }

    /// Runs until it is dropped, without showing anything.
    ///
    /// # Errors
    /// If the store can't be read, or the API stops.
    pub async fn run(self) -> anyhow::Result<bool> {
        self.watch(Progress::silent(), false).await
    }

    /// Runs until every connection is in sync, without showing anything; `false` if one can't get there.
    ///
    /// # Errors
    /// If the store can't be read, or the API stops.
    pub async fn until_in_sync(self) -> anyhow::Result<bool> {
        let progress = Progress::silent();
        self.watch(progress, true).await
    }
}

/// Writes the database anew if somebody was erased since that was done last: the stream holds what was erased until it
/// is delivered, and the file does in its free space.
async fn clean_up(engine: &Engine, data: &Path) -> anyhow::Result<()> {
    let mark = data.join(ERASED);
    if mark.is_file() {
        engine.drain_streams().await?;
        rewrite(&data.join(DATABASE)).map_err(anyhow::Error::msg)?;
        fs::remove_file(mark)?;
    }
    Ok(())
}

/// Waits for Ctrl-C, or for the signal by which a service is ended.
async fn is_ended_from_outside() {
    #[cfg(unix)]
    if let Ok(mut ended) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = ended.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Watches the connections while the engine runs.
struct Watch {
    clients: Clients,
    database: EmbeddedDynamoDb,
    status: StatusReader,
    started_at: Timestamp,
    baseline: Vec<ConnectionStatus>,
    address: SocketAddr,
    /// The simulated world, if there is one.
    demo: Option<Demo>,
    /// Which customers change.
    seen: Changes,
}

impl Watch {
    async fn until_done(&self, progress: &Progress, once: bool) -> anyhow::Result<bool> {
        let mut announced = false;
        let mut came_on_at = self.started_at;
        let mut last_seen = Vec::new();
        loop {
            let now = self.clients.clock.now();
            let statuses = self.status.without_failures(now).await?;
            progress.show(&statuses);
            // Names are shown only of simulated customers.
            progress.show_changes(&self.seen.take(), self.demo.is_some());
            let destinations = self.status.destinations(None, now).await?;
            progress.show_destinations(&destinations);
            if let Some(demo) = &self.demo {
                progress.show_arrivals(&demo.take_arrivals());
            }
            let unpublished = self.database.stream_records();
            let is_pushed = self.demo.as_ref().is_none_or(Demo::is_pushed);
            let in_sync = is_pushed
                && unpublished == 0
                && statuses.iter().all(|status| self.is_in_sync(status))
                && destinations.iter().all(|status| self.has_everything(status));
            if in_sync && !announced {
                announced = true;
                progress.summary(&self.status.all(None, now).await?, &destinations);
                if !once {
                    self.announce(progress, &statuses);
                    progress.caught_up(&statuses);
                    self.seen.begin();
                }
            }
            let seen: Vec<(u64, bool)> = statuses
                .iter()
                .map(|status| (status.counts.fetched, status.error.is_some()))
                .chain(destinations.iter().map(|status| (status.counts.changes, status.error.is_some())))
                .chain([(unpublished as u64, false)])
                .collect();
            if seen != last_seen {
                last_seen = seen;
                came_on_at = now;
            }
            if once && in_sync {
                return Ok(!self.any_failed(&statuses) && destinations.iter().all(|status| status.failures == 0));
            }
            let is_failing = statuses.iter().any(|status| status.condition == Condition::Failing);
            let takes_nothing = destinations.iter().any(|status| status.condition == Condition::Failing);
            if once
                && ((is_failing || unpublished > 0) && now > came_on_at + GIVE_UP_AFTER
                    || takes_nothing && now > came_on_at + GIVE_UP_DESTINATION_AFTER)
            {
                progress.finish();
                let errors = statuses.iter().filter_map(|status| {
                    status.error.as_ref().map(|error| format!("connection `{}`: {}", status.id, error.message))
                });
                let left = (unpublished > 0).then(|| format!("{unpublished} changes can't be published"));
                let errors = errors.chain(left).chain(destinations.iter().filter_map(|status| {
                    status.error.as_ref().map(|error| format!("destination `{}`: {}", status.id, error.message))
                }));
                anyhow::bail!(errors.collect::<Vec<_>>().join("; "));
            }
            self.clients.clock.sleep(if announced { LOOK_AGAIN_EVERY } else { LOOK_EVERY }).await;
        }
    }

    /// Whether everything that the source reported since this run began is in the shadow; a paused connection is not
    /// waited for.
    fn is_in_sync(&self, status: &ConnectionStatus) -> bool {
        status.condition == Condition::Paused
            || status.condition == Condition::InSync && self.is_fresh(status.fresh_as_of.as_deref())
    }

    /// Whether a destination has everything that had changed since this run began; a paused one is not waited for.
    fn has_everything(&self, status: &DestinationStatus) -> bool {
        status.condition == Condition::Paused
            || status.condition == Condition::InSync && self.is_fresh(status.fresh_as_of.as_deref())
    }

    /// Whether this is a time since the run began, in milliseconds, as it is stored.
    fn is_fresh(&self, fresh_as_of: Option<&str>) -> bool {
        let fresh_as_of: Option<Timestamp> = fresh_as_of.and_then(|at| at.parse().ok());
        fresh_as_of.is_some_and(|at| at.as_millisecond() >= self.started_at.as_millisecond())
    }

    fn any_failed(&self, statuses: &[ConnectionStatus]) -> bool {
        statuses.iter().any(|status| {
            let before = self.baseline.iter().find(|before| before.id == status.id);
            status.counts.ends.failed > before.map_or(0, |before| before.counts.ends.failed)
        })
    }

    fn announce(&self, progress: &Progress, statuses: &[ConnectionStatus]) {
        let base = format!("http://{}", self.address);
        progress.line(&format!("The API answers at {base}. Try:"));
        if self.demo.is_some() {
            for line in demo::questions(&base) {
                progress.line(&format!("  {line}"));
            }
        } else if let Some(status) = statuses.first() {
            let id = &status.id;
            progress.line(&format!(
                "  curl -H 'Authorization: Bearer <a reader's token>' '{base}/v1/customers?connection={id}&limit=3'"
            ));
        }
        let token = if self.demo.is_some() { demo::TOKEN } else { "a reader's token" };
        progress.line(&format!("How everything stands: {base}/ (sign in with {token})"));
        progress.line(&format!("What the API offers, to read and to try: {base}/docs"));
        progress.line("Ctrl-C ends it; the next run goes on from here.");
    }
}

/// Reads the file, and its readers' tokens. A connection that can't be used as it is written is left out, and reported.
async fn read_connections(path: &Path) -> Result<ParsedFile, LocalError> {
    let unreadable = |error| LocalError::Connections(format!("{}: {}", path.display(), reason(&error)));
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let unusable = |problems: Problems| LocalError::Connections(problems.in_file(path));
    let mut file = Configuration::parse_usable(&text, Deployment::Local).map_err(unusable)?;
    let secrets = Secrets::new(None, Clock::system());
    file.configuration.digest_tokens(&secrets, Deployment::Local).await.map_err(unusable)?;
    for refusal in &file.left_out {
        eprintln!("customer-sync: {}: {refusal}; the connection is left out", path.display());
    }
    for warning in &file.warnings {
        eprintln!("customer-sync: {}: {warning}", path.display());
    }
    Ok(file)
}

/// Makes the directory and locks it for this process. The operating system unlocks it, however the process ends.
pub(crate) fn lock_directory(path: &Path) -> Result<File, LocalError> {
    let unusable = |error: &io::Error| LocalError::Data { path: path.to_owned(), problem: reason(error) };
    private_files::make_directory(path, is_ours).map_err(|error| unusable(&error))?;
    let lock = private_files::open_file(&path.join(LOCK)).map_err(|error| unusable(&error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(LocalError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(unusable(&error)),
    }
}

/// Whether a run puts a file of this name into its directory.
fn is_ours(name: &str) -> bool {
    [LOCK, demo::SECRETS].contains(&name) || name.starts_with(DATABASE)
}

/// An I/O error in the system's own words, without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}
