//! What the looks for drift have found, and how far they have come: the entry `drift` of the control table. When the
//! next one is due stands in the entry `poll`, as `verify_at`, so that planning it costs no read of its own.

use jiff::Timestamp;
use model::ConnectionKey;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::item::{Read, text};
use crate::table::Table;

const DRIFT: &str = "drift";
const DOCUMENT: &str = "document";

/// The looks for drift, in the control table.
#[derive(Clone, Debug)]
pub struct Drift {
    pub(crate) table: Table,
}

/// How the looks for drift of a connection stand; `S` is what a second look must know of a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "S: DeserializeOwned"))]
pub struct DriftState<S> {
    /// When customers were looked at first, the last time.
    pub looked_at: Option<Timestamp>,
    /// How many customers that look compared.
    pub compared: u64,
    /// The customers that differed then, and wait for a second look.
    pub suspects: Vec<S>,
    /// The customers that have drifted: each look begins with them, until they agree.
    pub drifted: Vec<String>,
    /// After which customer the next look goes on; `None`: with the first.
    pub cursor: Option<(u8, String)>,
    /// How often a look takes half as many customers as usual: the source could not be asked for more.
    pub narrowed: u32,
}

impl<S> Default for DriftState<S> {
    fn default() -> Self {
        Self { looked_at: None, compared: 0, suspects: Vec::new(), drifted: Vec::new(), cursor: None, narrowed: 0 }
    }
}

impl Drift {
    /// How the looks of a connection stand. What can't be read, because another release wrote it, is as if nothing had
    /// been looked at.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn of<S: DeserializeOwned>(&self, connection: &ConnectionKey) -> Result<DriftState<S>, StoreError> {
        let Some(item) = self.table.get(connection, DRIFT).await? else { return Ok(DriftState::default()) };
        Ok(serde_json::from_str(Read::new(DRIFT, &item).text(DOCUMENT)?).unwrap_or_default())
    }

    /// Notes how the looks of a connection stand.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn put<S: Serialize>(&self, connection: &ConnectionKey, state: &DriftState<S>) -> Result<(), StoreError> {
        let document = serde_json::to_string(state)
            .map_err(|error| StoreError::Document { what: "drift".to_owned(), problem: error.to_string() })?;
        self.table.put(connection, DRIFT, [(DOCUMENT, text(document))]).await
    }
}
