/// Rows that are worked on in a row: some milliseconds.
const ROWS: usize = 256;

/// Lets others have their turn: a request of 20,000 rows must not hold up every other one of the process, and what does
/// not yield can't be given up either.
#[derive(Default)]
pub(crate) struct Turns {
    since: usize,
}

impl Turns {
    /// Rows that may be worked on before the next [`took`](Self::took).
    pub(crate) const ROWS: usize = ROWS;

    /// So much was done.
    pub(crate) async fn took(&mut self, rows: usize) {
        self.since += rows;
        if self.since >= ROWS {
            self.since = 0;
            tokio::task::yield_now().await;
        }
    }
}
