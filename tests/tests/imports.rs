//! Batch imports: what importers post, what becomes of the customers, and what is answered.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

mod imports {
    pub(crate) mod support;

    mod access;
    mod erasure;
    mod forms;
    mod histories;
    mod idempotence;
    mod modes;
    mod undo;
    mod undo_beside_others;
    mod undo_over_http;
}
