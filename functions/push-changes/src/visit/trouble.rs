//! How long a destination that takes nothing is left alone.

use std::time::Duration;

use destinations::Trouble;
use jiff::Timestamp;
use store::{LastError, Part, Tables};

use super::{Stop, Visit};

/// The pause after the first attempt that failed; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest one.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

impl Visit<'_> {
    /// Notes that the destination takes nothing of a part, and when it is tried again if no person has to resume it.
    pub(super) async fn note_trouble(&mut self, part: Part, trouble: &Trouble, now: Timestamp) -> Result<(), Stop> {
        let Tables { states, random, .. } = &self.pushing.tables;
        let effort = self.delivery.progress.effort(part);
        let attempts = effort.attempts;
        let pause = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
        // Between half of it and all of it: destinations that fail together do not come back together.
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let pause = Duration::from_millis(millis / 2 + random.below(millis / 2 + 1));
        // Not longer than until it shows whether the first customer is to blame.
        let left = trouble.blames_after.map(|after| after.saturating_sub(effort.stands_for(now)));
        let pause = left.filter(|left| !left.is_zero()).map_or(pause, |left| pause.min(left));
        let pause = pause.max(trouble.retry_after.unwrap_or_default()).min(LONGEST_PAUSE);
        effort.due_at = (!trouble.is_gone).then_some(now + pause);
        self.note().await?;
        let mut message = trouble.message.clone();
        if trouble.is_gone {
            message += ": it is paused until it is resumed";
            states.pause(self.key, now).await?;
        }
        tracing::warn!(?part, attempts, problem = message, "the destination takes nothing");
        let error = LastError { at: now, message };
        states.mark_failed(self.key, &error).await?;
        self.state.error = Some(error);
        Ok(())
    }
}
