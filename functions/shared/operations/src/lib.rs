//! What operators see and do: the status of connections, resyncs, where a customer is, the undo of imports, forgetting.

pub mod forgetting;
pub mod imports;
pub mod persons;
pub mod resync;
pub mod status;
pub mod whereabouts;
