//! How many requests of one connection may be under way at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use model::ConnectionKey;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// More than workers take on of one connection at a time. Few enough to bound the sockets and the memory of a source
/// that lets all of them wait for an answer.
const REQUESTS_AT_ONCE: usize = 20;

/// The seats of every connection, in this process. A clone shares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seats(Arc<Mutex<HashMap<ConnectionKey, Weak<Semaphore>>>>);

/// The permit for one request under way.
#[derive(Debug)]
pub(crate) struct Seat {
    _permit: OwnedSemaphorePermit,
}

impl Seats {
    /// A seat for one request of a connection, as soon as one is free.
    pub(crate) async fn take(&self, connection: &ConnectionKey) -> Seat {
        let semaphore = self.of(connection);
        loop {
            // Fails only if the semaphore is closed, which never happens.
            if let Ok(permit) = semaphore.clone().acquire_owned().await {
                return Seat { _permit: permit };
            }
        }
    }

    fn of(&self, connection: &ConnectionKey) -> Arc<Semaphore> {
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(semaphore) = seats.get(connection).and_then(Weak::upgrade) {
            return semaphore;
        }
        seats.retain(|_, semaphore| semaphore.strong_count() > 0);
        let semaphore = Arc::new(Semaphore::new(REQUESTS_AT_ONCE));
        seats.insert(connection.clone(), Arc::downgrade(&semaphore));
        semaphore
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_connection_has_so_many_seats_and_takes_none_of_another() {
        let seats = Seats::default();
        let (slow, other) = (ConnectionKey::new("acme", "slow"), ConnectionKey::new("acme", "other"));
        let mut taken = Vec::new();
        for _ in 0..REQUESTS_AT_ONCE {
            taken.push(seats.clone().take(&slow).await);
        }
        assert!(seats.take(&slow).now_or_never().is_none());
        assert!(seats.take(&other).now_or_never().is_some());
        taken.pop();
        assert!(seats.take(&slow).now_or_never().is_some());
        drop(taken);
        let _other = seats.take(&other).await;
        assert_eq!(seats.0.lock().unwrap().len(), 1, "who has no request under way is forgotten");
    }
}
