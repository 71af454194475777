//! A resync that an operator asked for: the source puts every customer into its queue.

use config::{AssociationAnywhereConfig as Settings, Connection};
use jiff::Timestamp;
use polling::{Next, Poll};
use store::{ConnectionState, StoreError};

use crate::PollQueue;

impl PollQueue {
    /// Has the source put every customer into its queue, if that is asked for. `None` if the queue can be asked now;
    /// if the source refuses, the request stands, and the error is in the connection's state.
    pub(crate) async fn carry_out_resync(
        &self,
        connection: &Connection<Settings>,
        state: &ConnectionState,
        deadline: Timestamp,
    ) -> Result<Option<Next>, StoreError> {
        let Some(request) = state.resync_requested else { return Ok(None) };
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
            Err(error) => self.poller.report(key, "force enqueue", error, Self::retry_pause(settings)).await.map(Some),
        }
    }
}
