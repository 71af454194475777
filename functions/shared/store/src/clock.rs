use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The time, and the way to wait for it.
///
/// A story's clock stands still: a time-out or a pause lasts until the story moves the clock ([`Clock::sleep_until`]).
/// A wait that is part of the work passes at once and moves the clock on ([`Clock::wait_until`]).
#[derive(Clone, Debug, Default)]
pub struct Clock(Kind);

#[derive(Clone, Debug, Default)]
enum Kind {
    #[default]
    System,
    Manual(Arc<Mutex<Manual>>),
    /// The runtime's clock, which stood at the instant when it was this time.
    Runtime(Instant, Timestamp),
}

#[derive(Debug)]
struct Manual {
    now: Timestamp,
    sleepers: Vec<(Timestamp, oneshot::Sender<()>)>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A story's clock, which stands at `now`.
    pub fn manual(now: Timestamp) -> Self {
        Self(Kind::Manual(Arc::new(Mutex::new(Manual { now, sleepers: Vec::new() }))))
    }

    /// The clock of the runtime, at which it is `now`. In a runtime whose time is paused, time passes only while every
    /// task waits for it.
    pub fn of_runtime(now: Timestamp) -> Self {
        Self(Kind::Runtime(Instant::now(), now))
    }

    /// The clock of a machine that goes wrong by `offset`: of a clock of the runtime.
    #[must_use]
    pub fn off_by(&self, offset: SignedDuration) -> Self {
        match &self.0 {
            Kind::Runtime(began, then) => Self(Kind::Runtime(*began, *then + offset)),
            _ => self.clone(),
        }
    }

    /// The time.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System => Timestamp::now(),
            Kind::Manual(manual) => lock(manual).now,
            Kind::Runtime(began, then) => *then + began.elapsed(),
        }
    }

    /// Waits until `duration` has passed on this clock.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + duration).await;
    }

    /// Waits until `time`.
    pub async fn sleep_until(&self, time: Timestamp) {
        let Kind::Manual(manual) = &self.0 else {
            #[expect(clippy::disallowed_methods, reason = "the one place that waits for real")]
            tokio::time::sleep(Duration::try_from(time.duration_since(self.now())).unwrap_or_default()).await;
            return;
        };
        let woken = {
            let mut manual = lock(manual);
            if time <= manual.now {
                return;
            }
            let (wake, woken) = oneshot::channel();
            manual.sleepers.push((time, wake));
            woken
        };
        if woken.await.is_err() {
            // The clock itself is gone: nothing can ever move it on.
            pending::<()>().await;
        }
    }

    /// Waits until `time` as a part of the work: for a slot, or before another attempt.
    pub async fn wait_until(&self, time: Timestamp) {
        match &self.0 {
            Kind::Manual(manual) => lock(manual).move_to(time),
            Kind::System | Kind::Runtime(..) => self.sleep_until(time).await,
        }
    }

    /// Moves a manual clock on and wakes the tasks that waited for it; the machine's clock moves by itself.
    pub fn advance(&self, duration: Duration) {
        let Kind::Manual(manual) = &self.0 else { return };
        let mut manual = lock(manual);
        let then = manual.now + duration;
        manual.move_to(then);
    }
}

impl Manual {
    /// Moves on to `time`, never back, and wakes the tasks that waited for it.
    fn move_to(&mut self, time: Timestamp) {
        self.now = self.now.max(time);
        let now = self.now;
        let (due, waiting) = std::mem::take(&mut self.sleepers).into_iter().partition(|(time, _)| *time <= now);
        self.sleepers = waiting;
        for (_, wake) in due {
            // A sleeper that was dropped no longer waits.
            let _ = wake.send(());
        }
    }
}

/// A panic while one of these locks is held leaves the value as good as before: each change is a single step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_manual_clock_has_passed_its_time() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep(Duration::from_secs(10)).await;
                clock.now()
            }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        assert_eq!(sleeper.await.unwrap(), Timestamp::from_second(10).unwrap());
    }

    #[tokio::test]
    async fn a_wait_that_is_part_of_the_work_moves_the_manual_clock_on() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        clock.wait_until(Timestamp::from_second(15).unwrap()).await;
        assert_eq!(clock.now(), Timestamp::from_second(15).unwrap());
    }
}
