//! Compares customers of the shadow with their source as it is now, and changes neither.
//!
//! **What is only on its way is no drift.** A customer that differs may have changed at the source a moment ago. So it
//! is looked at a second time after a pause. It has drifted if the source says the same both times, the record was not
//! written in between, and the source has reported nothing of it that is still to be taken over. What the source has
//! reported since the first look, the second one finds in the shadow, or in the queue.
//!
//! **A customer that is missing** from an answer is asked for twice more, beside others that exist, because a source
//! may answer with only so many: see [`association_anywhere`]. Whatever the answer, nothing is deleted here.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod association_anywhere;
pub mod business_catalyst;
mod difference;

use jiff::Timestamp;
use model::{ContentHash, Customer, Version};
use serde::{Deserialize, Serialize};
use sources::{ANSWER_TIME, SourceError};
use store::{Clock, StoreError};
use thiserror::Error;

pub use difference::{Difference, fields_that_differ};

/// A customer that differed at the first look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// The id in the source.
    pub source_id: String,
    /// The fingerprint of what the source said of it; `None` if it lacked the customer.
    pub said: Option<String>,
    /// The version of the record; `None` if there was none.
    pub version: Option<String>,
}

/// A customer that differs, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// The id in the source.
    pub source_id: String,
    /// How it differs.
    pub difference: Difference,
    /// When the record was last written: until then it was as the source said. `None` if there is none.
    pub recorded_at: Option<Timestamp>,
    /// Whether it has a failure record: then it is known that the record is not as the source says.
    pub has_failed: bool,
    said: Option<ContentHash>,
    version: Option<Version>,
}

impl Differing {
    fn new(source_id: String, difference: Difference, said: Option<ContentHash>, record: Option<&Customer>) -> Self {
        let recorded_at = record.map(|record| record.changed_at);
        let version = record.map(|record| record.version.clone());
        Self { source_id, difference, recorded_at, has_failed: false, said, version }
    }

    /// What a second look must know of it.
    pub fn to_suspect(&self) -> Suspect {
        Suspect {
            source_id: self.source_id.clone(),
            said: self.said.as_ref().map(ContentHash::to_string),
            version: self.version.as_ref().map(Version::to_string),
        }
    }
}

/// A customer that could not be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclear {
    /// The id in the source.
    pub source_id: String,
    /// Why, without secrets and personal data.
    pub reason: String,
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many customers of the connection the shadow has; 0 if that was not counted.
    pub stored: u64,
    /// How many are as the source says.
    pub agreeing: u64,
    /// Those that have drifted.
    pub drifted: Vec<Differing>,
    /// Those that differ, and whose change is on its way: it stands in the source's queue, or came between two looks.
    pub on_their_way: Vec<String>,
    /// Those that could not be compared.
    pub unclear: Vec<Unclear>,
}

impl Verified {
    /// How many customers were looked at.
    pub fn compared(&self) -> u64 {
        self.agreeing + (self.drifted.len() + self.on_their_way.len() + self.unclear.len()) as u64
    }
}

/// Why a comparison ended early.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The source can't be asked, or gives no answer that can be used.
    #[error("{request}: {error}")]
    Source {
        /// What it was asked for.
        request: &'static str,
        /// What it failed at.
        error: SourceError,
    },
    /// The source's list can't be read to its end.
    #[error("contact list: {0}")]
    List(&'static str),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How often a failure that may pass is waited out, for one request.
const MOST_WAITS: u32 = 4;

/// Waits out what keeps a source from being asked, if it passes in time; otherwise it is final.
async fn wait_out(
    clock: &Clock,
    request: &'static str,
    error: SourceError,
    waits: &mut u32,
    deadline: Timestamp,
) -> Result<(), VerifyError> {
    let until = match &error {
        SourceError::Throttled { until, .. } => Some(*until),
        SourceError::Transient { until, .. } if *waits < MOST_WAITS => {
            *waits += 1;
            Some(*until)
        }
        _ => None,
    };
    match until {
        Some(until) if until + ANSWER_TIME < deadline => {
            clock.wait_until(until).await;
            Ok(())
        }
        _ => Err(VerifyError::Source { request, error }),
    }
}
