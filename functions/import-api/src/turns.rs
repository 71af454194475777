/// Rows that are worked on without a pause: some milliseconds.
const ROWS: usize = 256;

/// Yields to other requests: a request of 20,000 rows must not hold up the others of the process, and work that does
/// not yield can't be cancelled either.
#[derive(Default)]
pub(crate) struct Turns {
    since: usize,
}

impl Turns {
    /// Rows that may be worked on before the next [`took`](Self::took).
    pub(crate) const ROWS: usize = ROWS;

    /// Counts rows that were done, and yields when it is time.
    pub(crate) async fn took(&mut self, rows: usize) {
        self.since += rows;
        if self.since >= ROWS {
            self.since = 0;
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Invariant: no request waits for the rows of another.
    #[tokio::test]
    async fn others_have_their_turn_while_many_rows_are_worked_on() {
        let (is_done, others) = (Cell::new(false), Cell::new(0));
        let work = async {
            let mut turns = Turns::default();
            for _ in 0..20_000 {
                turns.took(1).await;
            }
            is_done.set(true);
        };
        let other = async {
            while !is_done.get() {
                others.set(others.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        futures::join!(work, other);
        assert!(others.get() >= 20_000 / Turns::ROWS, "{}", others.get());
    }
}
