//! An InTouch Connector: pushes prospects, members, staff and lead sources, as a hub for health clubs does.
//!
//! It behaves as the source's guides say, with the faults of a real hub. It pushes in **bursts**, and in no order: a
//! prospect may come long before the staff and the lead source that it names. A push may come as a **double**, twice at
//! the same time. A push that fails for a while is sent **again**, and now and then one that went well is sent again
//! too, as if the answer had been lost. The seed decides all of that.
//!
//! ```no_run
//! use simulators::connector::{ConnectorSettings, ConnectorSimulator};
//!
//! # async fn push() {
//! let simulator = ConnectorSimulator::new(ConnectorSettings { people: 20, ..ConnectorSettings::default() });
//! let report = simulator.push_everything().await;
//! assert!(report.is_clean(), "{report}");
//! # }
//! ```

mod documents;
mod push;
mod records;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::http_client;
use clap::Args;
pub use records::{Person, Source, Trainer};

/// How a simulator pushes, and what: the options of `connector-simulator`.
///
/// It has no `Debug`, because it holds a password.
#[derive(Args, Clone, PartialEq, Eq)]
pub struct ConnectorSettings {
    /// Where to push to: the address of the API.
    #[arg(long = "url", value_name = "URL", default_value_t = Self::default().base)]
    pub base: String,
    /// The provider that it says it is.
    #[arg(long, default_value_t = Self::default().provider)]
    pub provider: String,
    /// The client whose records it pushes.
    #[arg(long, default_value_t = Self::default().client_id)]
    pub client_id: String,
    /// A club of the client; may be given several times.
    #[arg(long = "club-id", default_values_t = Self::default().club_ids)]
    pub club_ids: Vec<String>,
    /// What it authenticates with.
    #[arg(skip = Self::default().login)]
    pub login: Login,
    /// How many prospects and members there are.
    #[arg(long, default_value_t = Self::default().people)]
    pub people: usize,
    /// How many members of staff.
    #[arg(long, default_value_t = Self::default().staff)]
    pub staff: usize,
    /// How many lead sources; 6 at most.
    #[arg(long, default_value_t = Self::default().lead_sources)]
    pub lead_sources: usize,
    /// Decides every name, every double and every retry.
    #[arg(long, default_value_t = Self::default().seed)]
    pub seed: u64,
    /// How many pushes are under way at once.
    #[arg(long, default_value_t = Self::default().burst)]
    pub burst: usize,
    /// How many of a hundred pushes come twice at the same time.
    #[arg(long, default_value_t = Self::default().doubles_percent)]
    pub doubles_percent: u8,
    /// How many of a hundred answers are lost on their way.
    #[arg(long, default_value_t = Self::default().lost_percent)]
    pub lost_percent: u8,
}

/// What the pushes authenticate with.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// HTTP Basic.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
    /// A bearer token.
    Bearer(String),
}

impl Default for ConnectorSettings {
    fn default() -> Self {
        Self {
            base: "http://127.0.0.1:8787".to_owned(),
            provider: "INTOUCH".to_owned(),
            client_id: "c-1".to_owned(),
            club_ids: vec!["k-1".to_owned(), "k-2".to_owned()],
            login: Login::Basic { username: "intouch".to_owned(), password: "demo-password".to_owned() },
            people: 100,
            staff: 5,
            lead_sources: 4,
            seed: 1,
            burst: 8,
            doubles_percent: 15,
            lost_percent: 10,
        }
    }
}

/// What a record is, with the path that it is pushed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A prospect or a member.
    User,
    /// A member of staff.
    Staff,
    /// A lead source.
    LeadSource,
}

impl Kind {
    /// The last part of the path.
    pub fn path(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Staff => "staff",
            Self::LeadSource => "leadsource",
        }
    }
}

/// The results of pushes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many records were answered with an id.
    pub answered: usize,
    /// How many requests that took.
    pub requests: usize,
    /// How many pushes came twice at the same time.
    pub doubled: usize,
    /// How many went well and were pushed again.
    pub lost: usize,
    /// How many failed for a while and were pushed again.
    pub retried: usize,
    /// The records that were not taken, and the HTTP status or the reason.
    pub refused: Vec<(Kind, String, String)>,
    /// The records that were answered with two different ids, which must never be.
    pub contradicted: Vec<(Kind, String)>,
}

impl Report {
    /// Whether every record was taken, and under one id.
    pub fn is_clean(&self) -> bool {
        self.refused.is_empty() && self.contradicted.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.requests += other.requests;
        self.doubled += other.doubled;
        self.lost += other.lost;
        self.retried += other.retried;
        self.refused.extend(other.refused);
        self.contradicted.extend(other.contradicted);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answered, requests, doubled, lost, retried, refused, contradicted } = self;
        write!(
            formatter,
            "{answered} records answered, in {requests} requests: {doubled} doubles, {lost} lost answers, {retried} \
             retries, {} refused, {} contradicted",
            refused.len(),
            contradicted.len()
        )?;
        for (kind, record_id, why) in refused.iter().take(10) {
            write!(formatter, "\n  {} {record_id}: {why}", kind.path())?;
        }
        Ok(())
    }
}

/// One Connector. Clones are the same one.
#[derive(Clone)]
pub struct ConnectorSimulator {
    settings: Arc<ConnectorSettings>,
    client: reqwest::Client,
    state: Arc<Mutex<State>>,
}

struct State {
    people: Vec<Person>,
    staff: Vec<Trainer>,
    sources: Vec<Source>,
    random: fastrand::Rng,
    /// The ids that records were answered with, by kind and record id.
    ids: BTreeMap<(Kind, String), String>,
}

impl ConnectorSimulator {
    /// A Connector with everything that its settings say, of which it has pushed nothing yet.
    pub fn new(settings: ConnectorSettings) -> Self {
        let mut random = fastrand::Rng::with_seed(settings.seed);
        let staff = records::staff(&settings, &mut random);
        let sources = records::sources(&settings, &mut random);
        let person = |number| records::person(&settings, number, &staff, &sources, &mut random);
        let people = (0..settings.people).map(person).collect();
        let state = State { people, staff, sources, random, ids: BTreeMap::new() };
        let client = http_client().build().unwrap_or_default();
        Self { settings: Arc::new(settings), client, state: Arc::new(Mutex::new(state)) }
    }

    /// The prospects and members, as they are now.
    pub fn people(&self) -> Vec<Person> {
        self.state().people.clone()
    }

    /// The staff.
    pub fn staff(&self) -> Vec<Trainer> {
        self.state().staff.clone()
    }

    /// The lead sources.
    pub fn sources(&self) -> Vec<Source> {
        self.state().sources.clone()
    }

    /// The id that a record was answered with, once it was.
    pub fn id(&self, kind: Kind, record_id: &str) -> Option<String> {
        self.state().ids.get(&(kind, record_id.to_owned())).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state whole: every change is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
