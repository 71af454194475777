//! Years of trouble in seconds. The handlers of every function run in this process, over the AWS SDK, the local AWS
//! and the simulated sources, on the runtime's paused clock, so that time passes only while everything waits. A seed
//! decides what happens and what goes wrong; at the end the trouble stops, and what must hold is checked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "a simulation may panic")]

mod audit;
mod event;
mod met;
mod process;
mod pushes;
mod run;
mod sweep;
mod transport;
mod weather;
mod world;

pub use event::Event;
pub use met::REQUIRED;
pub use model::PlantedFault;
pub use run::{Http, Outcome, Simulation};
pub use sweep::{Story, Swept, stories};
pub use world::LONGEST_RECOVERY;
