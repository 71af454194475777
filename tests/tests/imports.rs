//! Batch imports: what others post, what becomes of the customers, and what they are told.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

mod imports {
    pub(crate) mod support;

    mod access;
    mod forms;
    mod histories;
    mod idempotence;
    mod modes;
    mod undo;
    mod undo_beside_others;
}
