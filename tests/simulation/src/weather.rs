//! What goes wrong between the functions and everything that they call.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use invariants::{Watch, contains};
use jiff::Timestamp;
use local_aws::{Answer, Call, Interference};
use serde_json::{Value, json};
use store::Clock;
use tokio::sync::Notify;

/// What the next call meets that can meet it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// DynamoDB takes no more for a moment.
    Throttled,
    /// A write meets a transaction of another.
    Conflict,
    /// A batch request is answered, and nothing of it was done.
    Unprocessed,
    /// AWS answers with a status of 500, and has done nothing.
    ServerError,
    /// A request is carried out, and answered with a status of 500.
    AnswerLost,
    /// A request is carried out, and never answered.
    Hang,
    /// The code panics.
    Panic,
    /// The process dies before the request leaves.
    DiesBefore,
    /// The process dies when the request was carried out, before it hears of it.
    DiesAfter,
    /// A source can't be reached.
    Unreachable,
    /// Secrets Manager does not answer as it should.
    SecretUnreadable,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Throttled,
        Self::Conflict,
        Self::Unprocessed,
        Self::ServerError,
        Self::AnswerLost,
        Self::Hang,
        Self::Panic,
        Self::DiesBefore,
        Self::DiesAfter,
        Self::Unreachable,
        Self::SecretUnreadable,
    ];

    /// Whether a call can meet it.
    fn concerns(self, call: &Call<'_>) -> bool {
        let is_dynamodb = call.service == "DynamoDB";
        match self {
            Self::Throttled => is_dynamodb,
            Self::Conflict => {
                is_dynamodb && ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"].contains(&call.operation)
            }
            Self::Unprocessed => is_dynamodb && call.operation.starts_with("Batch"),
            Self::ServerError | Self::AnswerLost => call.service != SOURCE,
            Self::Unreachable => call.service == SOURCE,
            Self::SecretUnreadable => call.service == "Secrets Manager",
            Self::Hang | Self::Panic | Self::DiesBefore | Self::DiesAfter => true,
        }
    }

    /// Whether it concerns what was carried out already.
    fn is_after(self) -> bool {
        matches!(self, Self::AnswerLost | Self::Hang | Self::DiesAfter)
    }
}

/// The service of a call to a source.
pub const SOURCE: &str = "a source";

/// The weather of one world, for all of its processes.
#[derive(Clone)]
pub struct Weather(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    clock: Clock,
    watch: Watch,
}

struct State {
    random: fastrand::Rng,
    planned: Vec<Planned>,
    met: BTreeMap<String, u64>,
    /// What calls met, for people.
    notes: Option<Vec<String>>,
    fired: BTreeMap<Trouble, u64>,
    /// Until then calls take a hundred times as long.
    slow_until: Timestamp,
    /// How many calls there were, how many of them were carried out, and what tells two runs apart.
    calls: u64,
    answers: u64,
    fingerprint: u64,
    /// Where a sweep has a process die.
    dies_at: Option<(u64, Trouble)>,
}

/// Trouble that comes after so many more calls that can meet it.
#[derive(Debug)]
struct Planned {
    trouble: Trouble,
    calls: u32,
    /// How often one call meets it, each time that it is made again.
    times: u32,
    /// How often in all.
    of: u32,
    /// The call that has met it already.
    again: Option<u64>,
}

/// So many attempts the AWS SDK makes.
const ATTEMPTS: u32 = 3;

impl Weather {
    /// Fine weather.
    pub fn new(seed: u64, clock: Clock, watch: Watch) -> Self {
        let state = State {
            random: fastrand::Rng::with_seed(seed),
            planned: Vec::new(),
            met: BTreeMap::new(),
            notes: None,
            fired: BTreeMap::new(),
            slow_until: Timestamp::MIN,
            calls: 0,
            answers: 0,
            fingerprint: 0,
            dies_at: None,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), clock, watch }))
    }

    /// Plans trouble for the call after `calls` more that can meet it.
    pub fn plan(&self, trouble: Trouble, calls: u32) {
        self.plan_often(trouble, calls, 1);
    }

    /// The same, and the call meets it again each time that it is repeated, until it has met it so many times.
    pub fn plan_often(&self, trouble: Trouble, calls: u32, times: u32) {
        self.state().planned.push(Planned { trouble, calls, times, of: times, again: None });
    }

    /// From now on it is noted, for people, what calls meet.
    pub fn note_all(&self) {
        self.state().notes = Some(Vec::new());
    }

    /// What was noted since the last call.
    pub fn take_notes(&self) -> Vec<String> {
        self.state().notes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What calls met, by name.
    pub fn met(&self) -> BTreeMap<String, u64> {
        self.state().met.clone()
    }

    /// Has the process die at the call with this number, from now on, before or after it was carried out.
    pub fn dies_at(&self, call: u64, trouble: Trouble) {
        let mut state = self.state();
        let before = if trouble.is_after() { state.answers } else { state.calls };
        state.dies_at = Some((before + call, trouble));
    }

    /// Calls are slow for a while.
    pub fn slow_for(&self, how_long: Duration) {
        self.state().slow_until = self.0.clock.now() + how_long;
    }

    /// The trouble ends.
    pub fn clear(&self) {
        let mut state = self.state();
        state.planned.clear();
        state.slow_until = Timestamp::MIN;
        state.dies_at = None;
    }

    /// How often there was which trouble.
    pub fn fired(&self) -> BTreeMap<Trouble, u64> {
        self.state().fired.clone()
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The same for two runs in which every call was the same at the same time.
    pub fn fingerprint(&self) -> u64 {
        self.state().fingerprint
    }

    /// The weather as a process meets it; `death` is told when it dies.
    pub fn of_process(&self, death: Arc<Notify>) -> ProcessWeather {
        ProcessWeather { weather: self.clone(), death, calls_left: Arc::new(AtomicU32::new(u32::MAX)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a call takes on one of its ways, and what it meets there.
    fn meet(&self, call: &Call<'_>, is_after: bool) -> (Duration, Option<Trouble>) {
        let is_slow = self.0.clock.now() < self.state().slow_until;
        let mut state = self.state();
        let number = if is_after { &mut state.answers } else { &mut state.calls };
        *number += 1;
        let number = *number;
        let mut hasher = DefaultHasher::new();
        (state.fingerprint, self.0.clock.now().as_nanosecond(), call.operation).hash(&mut hasher);
        state.fingerprint = hasher.finish();
        let usual = if call.service == SOURCE { 20..150 } else { 1..8 };
        let micros = state.random.u64(usual.start * 1_000..usual.end * 1_000) * if is_slow { 100 } else { 1 };
        let is_here = |planned: &Planned| {
            let Planned { trouble, again, .. } = planned;
            let is_it = || again.is_none_or(|again| again == hash_of(call));
            trouble.concerns(call) && trouble.is_after() == is_after && is_it()
        };
        let mut met = state.dies_at.filter(|(at, trouble)| *at == number && trouble.is_after() == is_after);
        if let Some(index) = state.planned.iter().position(is_here) {
            if state.planned[index].calls == 0 {
                let mut planned = state.planned.remove(index);
                met = Some((0, planned.trouble));
                planned.times -= 1;
                let was = planned.again.replace(hash_of(call));
                if was.is_some() && planned.times + ATTEMPTS == planned.of {
                    *state.met.entry(format!("{:?} at every attempt", planned.trouble)).or_default() += 1;
                }
                if planned.times > 0 {
                    state.planned.insert(0, planned);
                }
            } else {
                state.planned[index].calls -= 1;
            }
        }
        let met = met.map(|(_, trouble)| trouble);
        if let Some(trouble) = met {
            *state.fired.entry(trouble).or_default() += 1;
            let now = model::iso_millis(self.0.clock.now());
            if let Some(notes) = &mut state.notes {
                notes.push(format!("{now}   {trouble:?} of {} {}", call.service, call.operation));
            }
        }
        (Duration::from_micros(micros), met)
    }
}

impl fmt::Debug for Weather {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Weather").finish_non_exhaustive()
    }
}

/// The weather as one process meets it.
#[derive(Clone, Debug)]
pub struct ProcessWeather {
    weather: Weather,
    death: Arc<Notify>,
    /// So many more it makes before it dies.
    calls_left: Arc<AtomicU32>,
}

impl ProcessWeather {
    /// It dies once it has made so many calls.
    pub fn dies_after(&self, calls: u32) {
        self.calls_left.store(calls, Ordering::SeqCst);
    }

    /// A date of HTTP, so many seconds from now.
    pub fn http_date_in(&self, seconds: i64) -> String {
        let date = self.weather.0.clock.now() + jiff::SignedDuration::from_secs(seconds);
        date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    async fn way(&self, call: &Call<'_>, is_after: bool) -> Option<Answer> {
        if !is_after
            && self.calls_left.load(Ordering::SeqCst) != u32::MAX
            && self.calls_left.fetch_sub(1, Ordering::SeqCst) == 0
        {
            self.death.notify_one();
            return std::future::pending().await;
        }
        let (how_long, met) = self.weather.meet(call, is_after);
        self.weather.0.clock.sleep(how_long).await;
        let answer = match met? {
            Trouble::Throttled => (400, error("ThrottlingException")),
            Trouble::Conflict => conflict(call),
            Trouble::Unprocessed => unprocessed(call),
            Trouble::ServerError | Trouble::AnswerLost | Trouble::SecretUnreadable => {
                (500, error("InternalServerError"))
            }
            Trouble::Unreachable => (503, String::new()),
            Trouble::Hang => std::future::pending().await,
            Trouble::Panic => std::panic::panic_any(PlannedPanic),
            Trouble::DiesBefore | Trouble::DiesAfter => {
                self.death.notify_one();
                std::future::pending().await
            }
        };
        Some(answer)
    }
}

/// What a planned panic is thrown with.
#[derive(Clone, Copy, Debug)]
pub struct PlannedPanic;

impl Interference for ProcessWeather {
    fn before<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Option<Answer>> {
        async move { self.way(&call, false).await }.boxed()
    }

    fn after<'a>(&'a self, call: Call<'a>, answer: &'a Answer) -> BoxFuture<'a, Option<Answer>> {
        if answer.0 == 200 {
            self.weather.0.watch.note(&call, self.weather.0.clock.now());
            if overtakes(&call) {
                *self.weather.state().met.entry("overtaking".to_owned()).or_default() += 1;
            }
        } else if let Some(name) = refusal(answer) {
            *self.weather.state().met.entry(format!("{name} {}", call.operation)).or_default() += 1;
        }
        async move { self.way(&call, true).await }.boxed()
    }
}

/// Whether customers are added to an open batch, to be fetched ahead of it.
fn overtakes(call: &Call<'_>) -> bool {
    call.operation == "TransactWriteItems" && contains(call.body, "customers = customers + :more")
}

/// What DynamoDB refuses, by itself, by what it is called.
fn refusal(answer: &Answer) -> Option<&'static str> {
    let known = ["ConditionalCheckFailed", "TransactionConflict", "Throughput", "Throttling"];
    known.into_iter().find(|name| answer.1.contains(name))
}

/// The same for a call that is repeated: the attributes of an item come in another order each time.
fn hash_of(call: &Call<'_>) -> u64 {
    let request: Value = serde_json::from_slice(call.body).unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    (call.service, call.operation, request.to_string()).hash(&mut hasher);
    hasher.finish()
}

fn error(code: &str) -> String {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "bad weather" }).to_string()
}

fn conflict(call: &Call<'_>) -> Answer {
    if call.operation != "TransactWriteItems" {
        return (400, error("TransactionConflictException"));
    }
    let request: Value = serde_json::from_slice(call.body).unwrap_or_default();
    let items = request["TransactItems"].as_array().map_or(1, Vec::len);
    let reasons: Vec<Value> =
        (0..items).map(|item| json!({ "Code": if item == 0 { "TransactionConflict" } else { "None" } })).collect();
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons [TransactionConflict]",
        "CancellationReasons": reasons,
    });
    (400, body.to_string())
}

fn unprocessed(call: &Call<'_>) -> Answer {
    let request: Value = serde_json::from_slice(call.body).unwrap_or_default();
    let left = &request["RequestItems"];
    let body = if call.operation == "BatchGetItem" {
        json!({ "Responses": {}, "UnprocessedKeys": left })
    } else {
        json!({ "UnprocessedItems": left })
    };
    (200, body.to_string())
}
