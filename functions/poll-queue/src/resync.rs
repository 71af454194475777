//! A resync that an operator asked for: the source puts every customer into its queue.

use std::time::Duration;

use config::{AssociationAnywhereConfig as Settings, Connection};
use jiff::Timestamp;
use polling::Poll;
use sources::SourceError;
use store::{ConnectionState, LastError, StoreError};

use crate::PollQueue;

/// What stands before the source's error.
const REQUEST: &str = "force enqueue";
/// A source that always refuses is asked this seldom at last. It may have done what it did not confirm in time: then it
/// has a whole queue each time.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

impl PollQueue {
    /// Has the source put every customer into its queue, if that is asked for. If the source refuses, the request
    /// stands, and is made again later; what changes meanwhile does not wait for it. Returns the refusal that stands.
    pub(crate) async fn carry_out_resync(
        &self,
        connection: &Connection<Settings>,
        state: &ConnectionState,
        deadline: Timestamp,
    ) -> Result<Option<LastError>, StoreError> {
        let Some(request) = state.resync_requested else { return Ok(None) };
        let now = self.poller.tables.clock.now();
        let refusals = match state.resync_refused {
            // A time that is farther away was noted by a clock that was off.
            Some((again_at, _)) if now < again_at && again_at <= now + LONGEST_PAUSE => {
                return Ok(state.error.clone().filter(|error| error.message.starts_with(REQUEST)));
            }
            Some((_, refusals)) => refusals,
            None => 0,
        };
        let Connection { key, settings } = connection;
        let states = &self.poller.tables.states;
        if settings.enqueue_url.is_none() {
            tracing::warn!("a resync is given up: the connection has no `enqueue_url` any more");
            states.resynced(key, request).await?;
            return Ok(None);
        }
        match self.source.force_enqueue(key, settings, None, deadline).await {
            Ok(()) => {
                states.resynced(key, request).await?;
                tracing::info!("every customer was put into the source's queue");
                Ok(None)
            }
            // Nothing was sent.
            Err(SourceError::Throttled { .. }) => Ok(None),
            Err(error) => {
                tracing::warn!(request = REQUEST, %error, refusals, "the source could not be asked");
                let at = self.poller.tables.clock.now();
                let pause = Self::retry_pause(settings) * 2_u32.saturating_pow(refusals.min(16));
                states.resync_refused(key, at + pause.min(LONGEST_PAUSE)).await?;
                Ok(Some(LastError { at, message: format!("{REQUEST}: {error}") }))
            }
        }
    }
}
