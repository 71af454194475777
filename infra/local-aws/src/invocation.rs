//! One invocation of a function.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use jiff::Timestamp;
use store::Clock;

/// Runs an invocation until its deadline. An error says what became of it instead.
pub(crate) async fn invoke<T>(
    invocation: impl Future<Output = T>,
    clock: &Clock,
    deadline: Timestamp,
) -> Result<T, &'static str> {
    tokio::select! {
        biased;
        ended = AssertUnwindSafe(invocation).catch_unwind() => ended.map_err(|_| "panicked"),
        () = clock.sleep_until(deadline) => Err("timed out"),
    }
}
