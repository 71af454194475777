//! The simulator, where its service is, what clients send it, and what goes wrong.

use serde::Serialize;

use super::settings::LoyaltySettings;
use crate::{
    control::{BadRequest, Parameters},
    faults::OwnFault,
    simulator::Simulator,
};

/// A simulated loyalty service. It holds no customers at the start.
pub type LoyaltySimulator = Simulator<LoyaltySettings>;

/// Where the service is on its host.
pub const ENDPOINT_PATH: &str = "/api.php";

/// The address of the service under `base`, such as `http://127.0.0.1:8793`.
pub fn endpoint(base: &str) -> String {
    format!("{}{ENDPOINT_PATH}", base.trim_end_matches('/'))
}

/// What goes wrong with a whole request.
///
/// With `UnescapedAmpersand` and `WrongCounts` the batch **is imported**, and only its answer suffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoyaltyFault {
    /// An answer that says `error`, and this text.
    ErrorAnswer(String),
    /// The answer with one more element, which holds an `&` that is not escaped, as the real service writes it.
    UnescapedAmpersand,
    /// The counts of the answer together are off by this: more are added to the new customers; fewer are taken from the
    /// new ones, then from the updated ones, and none is below zero.
    WrongCounts(i64),
}

/// What goes wrong with a whole request: what every simulator can do, and what only this one can.
pub type Fault = crate::faults::Fault<LoyaltyFault>;

impl OwnFault for LoyaltyFault {
    fn read(name: &str, parameters: &Parameters) -> Result<Option<Self>, BadRequest> {
        Ok(Some(match name {
            "error-answer" => Self::ErrorAnswer(parameters.text("value")?.to_owned()),
            "unescaped-ampersand" => Self::UnescapedAmpersand,
            "wrong-counts" => Self::WrongCounts(parameters.number("value")?),
            _ => return Ok(None),
        }))
    }
}

/// The two versions of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ApiVersion {
    /// Without the field `API`.
    #[serde(rename = "legacy")]
    Legacy,
    /// `API=1.5`.
    #[serde(rename = "1.5")]
    V1_5,
}

/// What stands between two columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Delimiter {
    /// `|`
    Pipe,
    /// `,`
    Comma,
    /// A tab.
    Tab,
}

/// What becomes of a customer that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DuplicateHandling {
    /// All its columns are blanked, then the batch's are written.
    Yes,
    /// The batch's columns are written, the others stay.
    Update,
    /// It stays as it is, and the row is left out.
    Ignore,
}

/// What is wrong with one customer in every batch that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    /// Its row is left out without a word, and not counted.
    RowDropped,
    /// The batch is refused as a whole, by an error that does not name the row.
    WholeBatchError,
    /// The batch is answered with this HTTP status, and nothing of it is imported.
    Status(u16),
    /// Its row is imported, and counted twice.
    CountedTwice,
    /// The batch gets no answer, and nothing of it is imported.
    Hang,
}

/// The requests to a simulator so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// Requests that were posted, faulted and refused ones included.
    pub batches: u64,
    /// Requests that met a fault.
    pub faulted: u64,
    /// Requests answered with an error that no fault made: wrong credentials, a batch that can't be read, a poison.
    pub refused: u64,
    /// Of these, the ones with wrong credentials.
    pub unauthorized: u64,
    /// Rows of imported batches; each is in just one of the four below.
    pub rows: u64,
    /// Customers that were not there before.
    pub new: u64,
    /// Customers that were.
    pub updated: u64,
    /// Rows of customers that were there and were to stay as they are.
    pub ignored: u64,
    /// Rows left out without a word.
    pub dropped: u64,
}

/// A batch that could be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BatchSeen {
    /// The version of the interface.
    pub version: ApiVersion,
    /// What stands between two columns.
    pub delimiter: Delimiter,
    /// What becomes of customers that are there already.
    pub overwrite_duplicates: DuplicateHandling,
    /// Whether the import can be undone.
    pub undo_saved: bool,
    /// The campaigns that its customers join.
    pub campaigns: Vec<String>,
    /// The names of its columns.
    pub columns: Vec<String>,
    /// The code of each of its rows, in order; empty for a row that has none.
    pub codes: Vec<String>,
    /// Whether it was imported: a fault, the credentials or a poison can prevent that.
    pub imported: bool,
}
