//! The commands, one module each.

use anyhow::{Context, Result};
use config::{DESTINATION, all_systems};
use store::Registration;

use crate::Target;

mod apply;
mod changes;
mod check;
mod cost;
mod demo;
mod docs;
mod failures;
mod feed;
mod forget;
mod imports;
mod local;
mod pause;
mod persons;
mod progress;
mod resync;
mod status;
mod verify;
mod whereabouts;

pub use apply::{ApplyOptions, apply};
pub use cost::{ChangedPerDay, CostOptions, cost};
pub use failures::{FailuresAction, failures};
pub use feed::{FeedOptions, feed};
pub use forget::forget;
pub use imports::{imports, undo_import};
pub use local::{LocalError, LocalOptions, LocalRun, local};
pub use pause::{pause, resume};
pub use persons::{ErasureAction, erase, export, whom};
pub use resync::resync;
pub use status::status;
pub use verify::{VerifyOptions, verify};
pub use whereabouts::whereabouts;

/// The connection with this id.
async fn connection(target: &Target, id: &str) -> Result<Registration> {
    let found = system(target, id).await.ok().filter(|found| found.kind != DESTINATION);
    found.with_context(|| format!("there is no connection `{id}`"))
}

/// The connection or destination with this id.
async fn system(target: &Target, id: &str) -> Result<Registration> {
    let registrations = all_systems(&target.tables.registry).await?;
    let found = registrations.into_iter().find(|registration| registration.key.connection == id);
    found.with_context(|| format!("there is no connection or destination `{id}`"))
}
