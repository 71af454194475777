mod habits;
mod observed;
mod units;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use observed::Observer;

use crate::meter::Meter;
use crate::private_files;
use crate::sdk::{Answer, InProcess};
use crate::template::Table;

pub use habits::{Conflicts, Habits};

/// How many requests share a flush with the first.
const LARGEST_GROUP: usize = 127;
const READS: [&str; 4] = ["BatchGetItem", "GetItem", "Query", "Scan"];

/// DynamoDB in this process: on SQLite, durable if it has a file.
///
/// SQLite takes one writer at a time, so one thread does all the work, and no request waits for a lock.
#[derive(Clone, Debug)]
pub struct EmbeddedDynamoDb {
    work: mpsc::Sender<Request>,
    operations: Arc<Mutex<BTreeMap<String, u64>>>,
    refusals: Arc<Mutex<Vec<Refusal>>>,
    observer: Arc<Mutex<Observer>>,
}

/// An error that AWS returns at times, and SQLite never does.
#[derive(Debug)]
struct Refusal {
    operation: String,
    about: String,
    code: String,
    times_left: u32,
}

struct Request {
    operation: String,
    body: Vec<u8>,
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
        Ok(Self::serve(database, Some(PathBuf::from(log))))
    }

    /// Opens a database that ends with the process.
    ///
    /// # Errors
    /// If SQLite can't be started.
    pub fn in_memory() -> Result<Self, DynoxideError> {
        Ok(Self::serve(Database::memory()?, None))
    }

    fn serve(database: Database, log: Option<PathBuf>) -> Self {
        let (work, requests) = mpsc::channel::<Request>();
        let operations: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
        let observer: Arc<Mutex<Observer>> = Arc::default();
        let (counts, observing) = (operations.clone(), observer.clone());
        std::thread::spawn(move || {
            while let Ok(first) = requests.recv() {
                let group: Vec<Request> =
                    std::iter::once(first).chain(requests.try_iter().take(LARGEST_GROUP)).collect();
                let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                for request in &group {
                    *counts.entry(request.operation.clone()).or_default() += 1;
                }
                drop(counts);
                let mut observing = observing.lock().unwrap_or_else(PoisonError::into_inner);
                work_on(&database, log.as_deref(), group, &mut observing);
            }
        });
        Self { work, operations, refusals: Arc::default(), observer }
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
        self.client_that(true)
    }

    /// A client that is never throttled, meets no transaction and counts in no meter: for a test that looks at what is
    /// stored.
    pub fn exempt_client(&self) -> aws_sdk_dynamodb::Client {
        self.client_that(false)
    }

    fn client_that(&self, is_observed: bool) -> aws_sdk_dynamodb::Client {
        let work = self.work.clone();
        let refusals = self.refusals.clone();
        let in_process = InProcess::new(move |operation, body| {
            let refused = refusal(&refusals, &operation, &body);
            let (answer, answered) = oneshot::channel();
            let request = Request { operation, body, is_observed, answer };
            let sent = refused.is_none() && work.send(request).is_ok();
            async move {
                if let Some(refused) = refused {
                    return refused;
                }
                match (sent, answered.await) {
                    (true, Ok(answer)) => answer,
                    _ => (500, r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"}"#.to_owned()),
                }
            }
        });
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("local"))
            .endpoint_url("http://dynamodb.local")
            .allow_no_auth()
            .http_client(in_process)
            .build();
        aws_sdk_dynamodb::Client::from_conf(config)
    }

    /// Makes a table of the template, unless it exists, and deletes its expired items.
    ///
    /// # Errors
    /// What the database answers, with the table's name.
    pub async fn create_table(&self, table: &Table) -> Result<(), String> {
        match self.ask("CreateTable", &table.create_request()).await? {
            (200, _) => {}
            (_, body) if body.contains("ResourceInUseException") => {}
            (_, body) => return Err(format!("table {}: {body}", table.name)),
        }
        let Some(request) = table.time_to_live_request() else { return Ok(()) };
        match self.ask("UpdateTimeToLive", &request).await? {
            (200, _) => Ok(()),
            (_, body) => Err(format!("table {}: {body}", table.name)),
        }
    }

    async fn ask(&self, operation: &str, request: &serde_json::Value) -> Result<Answer, String> {
        let (answer, answered) = oneshot::channel();
        let body = request.to_string().into_bytes();
        let gone = || "the embedded DynamoDB has stopped".to_owned();
        let request = Request { operation: operation.to_owned(), body, is_observed: false, answer };
        self.work.send(request).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}

/// Carries out a group of requests. Answers come after the writes are on the disk: one flush of SQLite's log serves the
/// whole group.
fn work_on(database: &Database, log: Option<&Path>, group: Vec<Request>, observer: &mut Observer) {
    let mut written = Vec::new();
    for request in group {
        let answer = if request.is_observed {
            observer.answer(database, &request.operation, &request.body)
        } else {
            dispatch(database, &request.operation, &request.body)
        };
        if request.operation == "CreateTable" {
            observer.note_table(&request.body);
        }
        if READS.contains(&request.operation.as_str()) {
            // The caller may have been cancelled; here as below.
            let _ = request.answer.send(answer);
        } else {
            written.push((request, answer));
        }
    }
    let flushed = match log {
        Some(log) if !written.is_empty() => File::open(log).and_then(|log| log.sync_data()),
        _ => Ok(()),
    };
    for (request, answer) in written {
        let answer = match &flushed {
            Ok(()) => answer,
            Err(error) => failure(&DynoxideError::InternalServerError(format!("the disk: {error}"))),
        };
        let _ = request.answer.send(answer);
    }
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
    serde_json::to_string(&run(request)?).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
