//! How long a destination that takes nothing is left alone.

use std::time::Duration;

use destinations::Trouble;
use jiff::Timestamp;
use store::{LastError, Part};

use super::{Stop, Visit};
use crate::PushChanges;

/// The pause after the first attempt that failed; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest one.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

impl Visit<'_> {
    /// Notes that the destination takes nothing of a part; when it is tried again, unless a person has to resume it.
    pub(super) async fn note_trouble(
        &mut self,
        part: Part,
        trouble: &Trouble,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Stop> {
        let PushChanges { states, random, .. } = self.pushing;
        let attempts = self.delivery.progress.effort_of(part).attempts;
        self.note().await?;
        let mut message = trouble.message.clone();
        if trouble.is_gone {
            message += ": it is paused until it is resumed";
            states.pause(self.key, now).await?;
        }
        tracing::warn!(?part, attempts, problem = message, "the destination takes nothing");
        states.mark_failed(self.key, &LastError { at: now, message }).await?;
        if trouble.is_gone {
            return Ok(None);
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
        // Between half of it and all of it: destinations that fail together do not come back together.
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let pause = Duration::from_millis(millis / 2 + random.below(millis / 2 + 1));
        let pause = pause.max(trouble.retry_after.unwrap_or_default()).min(LONGEST_PAUSE);
        Ok(Some(now + pause))
    }
}
