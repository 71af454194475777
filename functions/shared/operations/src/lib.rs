//! What operators see and do: the status of connections, the undo of imports.

pub mod imports;
pub mod status;
