mod habits;
mod journal;
mod observed;
mod rewrite;
mod streams;
#[cfg(test)]
mod tests;
mod units;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use aws_sdk_dynamodb::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use dynoxide::{Database, DynoxideError};
use lambda::timeouts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use journal::Journaled;
use observed::Observer;
use streams::Streams;

use crate::interference::{Answer, Interference};
use crate::meter::Meter;
use crate::private_files;
use crate::sdk::{InProcess, REGION, steady_retries};
use crate::template::Table;

pub use habits::{Conflicts, Habits};
pub use rewrite::rewrite;
pub(crate) use streams::StreamBatch;

/// How many requests share a flush with the first.
const LARGEST_GROUP: usize = 127;
/// How many puts of a group become one transaction at most, and with how many bytes: half of what DynamoDB takes.
const LARGEST_TRANSACTION: (usize, usize) = (48, 2_000_000);
const READS: [&str; 4] = ["BatchGetItem", "GetItem", "Query", "Scan"];

/// DynamoDB in this process: on SQLite, durable if it has a file.
#[derive(Clone, Debug)]
pub struct EmbeddedDynamoDb {
    storage: Storage,
    operations: Arc<Mutex<BTreeMap<String, u64>>>,
    refusals: Arc<Mutex<Vec<Refusal>>>,
    observer: Arc<Mutex<Observer>>,
    streams: Streams,
}

/// An error that AWS returns at times, and SQLite never does.
#[derive(Debug)]
struct Refusal {
    operation: String,
    about: String,
    code: String,
    times_left: u32,
}

/// Where requests are carried out. SQLite takes one writer at a time.
#[derive(Clone)]
enum Storage {
    /// By the caller: what a run does is decided by its calls alone.
    Memory(Arc<Mutex<Journaled>>),
    /// By a thread, which flushes the writes of all that wait together.
    File(mpsc::Sender<Request>),
}

impl fmt::Debug for Storage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if matches!(self, Self::Memory(_)) { "Memory" } else { "File" })
    }
}

struct Request {
    operation: String,
    body: Arc<[u8]>,
    /// Whether it is refused and counted as on AWS.
    is_observed: bool,
    answer: oneshot::Sender<Answer>,
}

impl EmbeddedDynamoDb {
    /// Opens the database in `file`, or makes it, for its owner alone: SQLite gives its other files the same mode.
    ///
    /// # Errors
    /// If the file can't be opened, or is no database.
    pub fn open(file: &Path) -> Result<Self, DynoxideError> {
        for ending in ["", "-wal", "-shm"] {
            let mut path = file.as_os_str().to_owned();
            path.push(ending);
            let path = Path::new(&path);
            if ending.is_empty() || path.exists() {
                private_files::open_file(path)
                    .map_err(|error| DynoxideError::InternalServerError(format!("{}: {error}", path.display())))?;
            }
        }
        let database = Database::new(&file.to_string_lossy())?;
        // SQLite then leaves the flush of each commit to `work_on`.
        database.disable_bulk_loading()?;
        let mut log = file.as_os_str().to_owned();
        log.push("-wal");
        Ok(Self::serve(database, PathBuf::from(log)))
    }

    /// Opens a database that ends with the process.
    ///
    /// # Errors
    /// If SQLite can't be started.
    pub fn in_memory() -> Result<Self, DynoxideError> {
        let streams = Streams::default();
        let database = Journaled::new(Database::memory()?, false, streams.clone());
        Ok(Self::on(Storage::Memory(Arc::new(Mutex::new(database))), Arc::default(), streams))
    }

    fn serve(database: Database, log: PathBuf) -> Self {
        let (work, requests) = mpsc::channel::<Request>();
        let observer: Arc<Mutex<Observer>> = Arc::default();
        let observing = observer.clone();
        let streams = Streams::default();
        let database = Journaled::new(database, true, streams.clone());
        std::thread::spawn(move || {
            while let Ok(first) = requests.recv() {
                let group = std::iter::once(first).chain(requests.try_iter().take(LARGEST_GROUP)).collect();
                let mut observing = observing.lock().unwrap_or_else(PoisonError::into_inner);
                work_on(&database, &log, group, &mut observing);
            }
        });
        Self::on(Storage::File(work), observer, streams)
    }

    fn on(storage: Storage, observer: Arc<Mutex<Observer>>, streams: Streams) -> Self {
        Self { storage, operations: Arc::default(), refusals: Arc::default(), observer, streams }
    }

    /// Refuses from now on what AWS would refuse, as far as `habits` say.
    pub fn behave(&self, habits: Habits) {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner).habits = habits;
    }

    /// Counts units and requests from now on, in seconds of the clock of the [`Habits`].
    pub fn count_in(&self, meter: Meter) {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner).meter = meter;
    }

    /// How often an operation was requested: what a run would have cost.
    pub fn operations(&self, operation: &str) -> u64 {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner).get(operation).copied().unwrap_or(0)
    }

    /// Refuses the next requests of an operation that contain the text `about`, with an error code of AWS: throttled,
    /// or in conflict with a transaction.
    pub fn refuse(&self, operation: &str, about: &str, code: &str, times: u32) {
        let (operation, about, code) = (operation.to_owned(), about.to_owned(), code.to_owned());
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.push(Refusal { operation, about, code, times_left: times });
    }

    /// How many requests are still to be refused.
    pub fn refusals_left(&self) -> u32 {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.iter().map(|refusal| refusal.times_left).sum()
    }

    /// A client of it.
    pub fn client(&self) -> aws_sdk_dynamodb::Client {
        client(self.in_process(true))
    }

    /// A client, whose calls meet an interference.
    pub fn client_through(&self, interference: Arc<dyn Interference>) -> aws_sdk_dynamodb::Client {
        let client = client(self.in_process(true).through("DynamoDB", interference));
        let config = client.config().to_builder().timeout_config(timeouts()).retry_config(steady_retries());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// A client that is never throttled, meets no transaction and counts in no meter: for a test that looks at what is
    /// stored.
    pub fn exempt_client(&self) -> aws_sdk_dynamodb::Client {
        client(self.in_process(false))
    }

    /// An [exempt client](Self::exempt_client), whose calls meet an interference.
    pub fn exempt_client_through(&self, interference: Arc<dyn Interference>) -> aws_sdk_dynamodb::Client {
        client(self.in_process(false).through("DynamoDB", interference))
    }

    fn in_process(&self, is_observed: bool) -> InProcess {
        let database = self.clone();
        InProcess::new(move |operation, body| {
            let database = database.clone();
            async move { database.answer(operation, body, is_observed).await }
        })
    }

    async fn answer(&self, operation: String, body: Arc<[u8]>, is_observed: bool) -> Answer {
        if let Some(refused) = refusal(&self.refusals, &operation, &body) {
            return refused;
        }
        *self.operations.lock().unwrap_or_else(PoisonError::into_inner).entry(operation.clone()).or_default() += 1;
        let work = match &self.storage {
            Storage::Memory(database) => {
                let database = database.lock().unwrap_or_else(PoisonError::into_inner);
                let mut observer = self.observer.lock().unwrap_or_else(PoisonError::into_inner);
                return carry_out(&database, &operation, &body, is_observed, &mut observer);
            }
            Storage::File(work) => work,
        };
        let (answer, answered) = oneshot::channel();
        let sent = work.send(Request { operation, body, is_observed, answer });
        match (sent, answered.await) {
            (Ok(()), Ok(answer)) => answer,
            _ => failure(&DynoxideError::InternalServerError("the embedded DynamoDB has stopped".to_owned())),
        }
    }

    /// Makes a table of the template, unless it exists, and deletes its expired items.
    ///
    /// # Errors
    /// What the database answers, with the table's name.
    pub async fn create_table(&self, table: &Table) -> Result<(), String> {
        match self.ask("CreateTable", &table.create_request()).await {
            (200, _) => {}
            (_, body) if body.contains("ResourceInUseException") => {}
            (_, body) => return Err(format!("table {}: {body}", table.name)),
        }
        let Some(request) = table.time_to_live_request() else { return Ok(()) };
        match self.ask("UpdateTimeToLive", &request).await {
            (200, _) => Ok(()),
            (_, body) => Err(format!("table {}: {body}", table.name)),
        }
    }

    async fn ask(&self, operation: &str, request: &serde_json::Value) -> Answer {
        self.answer(operation.to_owned(), request.to_string().into_bytes().into(), false).await
    }
}

fn client(in_process: InProcess) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .endpoint_url("http://dynamodb.local")
        .allow_no_auth()
        // Bodies are in memory: none can stall.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .http_client(in_process)
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

fn carry_out(database: &Journaled, operation: &str, body: &[u8], is_observed: bool, observer: &mut Observer) -> Answer {
    if operation == "CreateTable" {
        observer.note_table(body);
    }
    if is_observed { observer.answer(database, operation, body) } else { database.dispatch(operation, body) }
}

/// Carries out a group of requests, none of which has waited for another. Answers come after the writes are on the
/// disk: one flush of SQLite's log serves the whole group.
fn work_on(database: &Journaled, log: &Path, group: Vec<Request>, observer: &mut Observer) {
    let mut written = Vec::new();
    let is_put = |request: &Request| request.operation == "PutItem" && !(request.is_observed && observer.is_on());
    let (puts, others): (Vec<Request>, Vec<Request>) = group.into_iter().partition(is_put);
    for request in others {
        let answer = carry_out(database, &request.operation, &request.body, request.is_observed, observer);
        if READS.contains(&request.operation.as_str()) {
            // The caller may have been cancelled; here as below.
            let _ = request.answer.send(answer);
        } else {
            written.push((request, answer));
        }
    }
    let mut puts = puts.into_iter().peekable();
    while puts.peek().is_some() {
        written.extend(put(database, together(&mut puts)));
    }
    let flushed = if written.is_empty() { Ok(()) } else { File::open(log).and_then(|log| log.sync_data()) };
    for (request, answer) in written {
        let answer = match &flushed {
            Ok(()) => answer,
            Err(error) => failure(&DynoxideError::InternalServerError(format!("the disk: {error}"))),
        };
        let _ = request.answer.send(answer);
    }
}

/// The next puts that may become one transaction.
fn together(puts: &mut Peekable<impl Iterator<Item = Request>>) -> Vec<Request> {
    let (most, most_bytes) = LARGEST_TRANSACTION;
    let mut bytes = 0;
    let mut next = Vec::new();
    while let Some(put) = puts.next_if(|put| next.is_empty() || bytes + put.body.len() <= most_bytes) {
        bytes += put.body.len();
        next.push(put);
        if next.len() == most {
            break;
        }
    }
    next
}

/// Puts items together, or one by one: if the condition of one does not hold, or two of them are the same item.
fn put(database: &Journaled, puts: Vec<Request>) -> impl Iterator<Item = (Request, Answer)> {
    let bodies: Vec<&[u8]> = puts.iter().map(|put| &*put.body).collect();
    let are_put = puts.len() > 1 && database.put_together(&bodies);
    puts.into_iter().map(move |put| {
        let answer = if are_put { (200, "{}".to_owned()) } else { database.dispatch("PutItem", &put.body) };
        (put, answer)
    })
}

/// The error for a request that is to be refused; `None` for any other.
fn refusal(refusals: &Mutex<Vec<Refusal>>, operation: &str, body: &[u8]) -> Option<Answer> {
    let mut refusals = refusals.lock().unwrap_or_else(PoisonError::into_inner);
    let concerned = |refusal: &&mut Refusal| {
        refusal.operation == operation && String::from_utf8_lossy(body).contains(&refusal.about)
    };
    let refusal = refusals.iter_mut().find(concerned)?;
    refusal.times_left = refusal.times_left.saturating_sub(1);
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{}","message":"refused"}}"#, refusal.code);
    refusals.retain(|refusal| refusal.times_left > 0);
    Some((400, body))
}

fn failure(error: &DynoxideError) -> Answer {
    (error.status_code(), error.to_json())
}

/// The operations that the functions use.
fn dispatch(database: &Database, operation: &str, body: &[u8]) -> Answer {
    let answer = match operation {
        "CreateTable" => answer_with(body, |request| database.create_table(request)),
        // AWS deletes expired items some days later; here that is when the next run begins.
        "UpdateTimeToLive" => answer_with(body, |request| {
            let answer = database.update_time_to_live(request)?;
            database.sweep_ttl()?;
            Ok(answer)
        }),
        "PutItem" => answer_with(body, |request| database.put_item(request)),
        "GetItem" => answer_with(body, |request| database.get_item(request)),
        "DeleteItem" => answer_with(body, |request| database.delete_item(request)),
        "UpdateItem" => answer_with(body, |request| database.update_item(request)),
        "Query" => answer_with(body, |request| database.query(request)),
        "Scan" => answer_with(body, |request| database.scan(request)),
        "BatchGetItem" => answer_with(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => answer_with(body, |request| database.batch_write_item(request)),
        "TransactWriteItems" => answer_with(body, |request| database.transact_write_items(request)),
        _ => Err(DynoxideError::InternalServerError(format!("{operation} is not served on one machine"))),
    };
    answered(answer)
}

fn answered(answer: Result<String, DynoxideError>) -> Answer {
    match answer {
        Ok(body) => (200, body),
        Err(error) => failure(&error),
    }
}

fn answer_with<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    run: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request =
        serde_json::from_slice(body).map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
    serialized(&run(request)?)
}

fn serialized(answer: &impl Serialize) -> Result<String, DynoxideError> {
    serde_json::to_string(answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
