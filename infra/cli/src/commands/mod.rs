//! The commands, one module each.

mod apply;
mod changes;
mod demo;
mod failures;
mod imports;
mod local;
mod progress;
mod resync;
mod status;

pub use apply::apply;
pub use failures::{FailuresAction, failures};
pub use imports::{imports, undo_import};
pub use local::{LocalError, LocalOptions, LocalRun, local};
pub use resync::{ResyncWhat, resync};
pub use status::status;
