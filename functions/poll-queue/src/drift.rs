//! Once an hour some customers are compared with the source: a queue that forgets to tell is found by us, not by a
//! client.
//!
//! ```text
//!   an hour has passed: first look --- all agree ---> drift = 0
//!        | some differ
//!        v
//!   wait until the queue was seen through since --- for too long ---> give it up, and look anew
//!        |
//!        v
//!   second look: who still differs, and in the same way, has drifted ---> drift = N, and a line for each
//! ```
//!
//! The customers are taken in their order, so that each has its turn. Those that have drifted are looked at again in
//! every hour, until they agree: so the alarm stays until they are mended. Nothing is mended here.

use std::collections::BTreeSet;
use std::time::Duration;

use config::{AssociationAnywhereConfig as Settings, Connection};
use jiff::Timestamp;
use model::{ConnectionKey, ContentHash, iso_millis};
use store::{ConnectionState, DriftState, StoreError};
use verification::association_anywhere::Look;
use verification::{Differing, Suspect, VerifyError};

use crate::PollQueue;

/// From one first look to the next.
const AN_HOUR: Duration = Duration::from_secs(3_600);
/// When a look is tried again that failed, or whose function died.
const AFTER_FAILURE: Duration = Duration::from_secs(300);
/// When a second look is tried that still has to wait.
const A_MINUTE: Duration = Duration::from_secs(60);
/// A change must have had so much time to reach the source's queue.
const GRACE: Duration = Duration::from_secs(30);
/// For so long a second look waits: for longer than any source is left alone.
const LONGEST_WAIT: Duration = Duration::from_secs(2 * 3_600);
/// How long a look may take: the source is asked for little.
const LOOK_FOR: Duration = Duration::from_secs(60);

impl PollQueue {
    /// Takes the next step of the look for drift at a connection as it was just `seen`.
    pub(crate) async fn look_for_drift(
        &self,
        connection: &Connection<Settings>,
        seen: &ConnectionState,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let (key, states) = (&connection.key, &self.poller.states);
        let now = self.poller.clock.now();
        if self.drift_sample == 0 {
            return Ok(());
        }
        if seen.verify_at.is_none() {
            return states.plan_verification(key, None, now + first_pause(key)).await.map(|_| ());
        }
        let retry_at = now + AFTER_FAILURE;
        if !states.plan_verification(key, seen.verify_at, retry_at).await? {
            return Ok(());
        }
        let state = self.drift.of(key).await?;
        let deadline = deadline.min(now + LOOK_FOR);
        let step = match state.looked_at {
            Some(looked_at) if !state.suspects.is_empty() => {
                self.second_look(connection, state, looked_at, seen.fresh_as_of, deadline).await
            }
            _ => self.first_look(connection, state, deadline).await,
        };
        match step {
            Ok(next) => states.plan_verification(key, Some(retry_at), next).await.map(|_| ()),
            Err(VerifyError::Store(error)) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "customers could not be compared with the source");
                Ok(())
            }
        }
    }

    /// Compares the next customers, and those that had drifted. Returns when to go on.
    async fn first_look(
        &self,
        connection: &Connection<Settings>,
        state: DriftState<Suspect>,
        deadline: Timestamp,
    ) -> Result<Timestamp, VerifyError> {
        let key = &connection.key;
        let looked_at = self.poller.clock.now();
        let (mut ids, mut cursor) = self.shadow.page(key, state.cursor.clone(), self.drift_sample).await?;
        if ids.is_empty() && state.cursor.is_some() {
            (ids, cursor) = self.shadow.page(key, None, self.drift_sample).await?;
        }
        let again = state.drifted.iter().filter(|id| !ids.contains(id)).cloned().collect::<Vec<_>>();
        ids.extend(again);
        let Look { agreeing, differing, unclear } = self.verifier.look(connection, &ids, deadline).await?;
        if !unclear.is_empty() {
            tracing::warn!(unclear = unclear.len(), "some customers could not be compared with the source");
        }
        let compared = agreeing + differing.len() as u64;
        let suspects: Vec<Suspect> = differing.iter().map(Differing::to_suspect).collect();
        let has_suspects = !suspects.is_empty();
        // Those that had drifted and could not be compared now have not been seen to agree.
        let mut drifted = state.drifted;
        drifted.retain(|id| unclear.iter().any(|customer| customer.source_id == *id));
        let still = drifted.len() as u64;
        let state = DriftState { looked_at: Some(looked_at), compared, suspects, drifted, cursor };
        self.drift.put(key, &state).await?;
        if has_suspects {
            return Ok(looked_at + A_MINUTE);
        }
        self.publish_drift(key, compared, still);
        Ok(looked_at + AN_HOUR)
    }

    /// Looks again at those that differed, once what the source had reported by then is in the shadow. Returns when to
    /// go on.
    async fn second_look(
        &self,
        connection: &Connection<Settings>,
        mut state: DriftState<Suspect>,
        looked_at: Timestamp,
        fresh_as_of: Option<Timestamp>,
        deadline: Timestamp,
    ) -> Result<Timestamp, VerifyError> {
        let key = &connection.key;
        let now = self.poller.clock.now();
        if fresh_as_of.is_none_or(|as_of| as_of < looked_at + GRACE) {
            if now < looked_at + LONGEST_WAIT {
                return Ok(now + A_MINUTE);
            }
            tracing::info!(
                suspects = state.suspects.len(),
                "a look for drift is given up: the queue is not seen through"
            );
            state.suspects.clear();
            self.drift.put(key, &state).await?;
            return Ok(now + A_MINUTE);
        }
        let suspects = std::mem::take(&mut state.suspects);
        // The queue was seen through since: nothing of them waits there.
        let found = self.verifier.look_again(connection, suspects, &BTreeSet::new(), deadline).await?;
        // A customer with a failure record is known to be not as the source says: another alarm tells of it.
        let drifted: Vec<&Differing> = found.drifted.iter().filter(|customer| !customer.has_failed).collect();
        for Differing { source_id, difference, recorded_at, .. } in &drifted {
            let recorded_at = recorded_at.map(iso_millis).unwrap_or_default();
            tracing::warn!(customer = source_id, %difference, recorded_at, "a customer has drifted");
        }
        state.drifted.extend(drifted.into_iter().map(|customer| customer.source_id.clone()));
        let drift = state.drifted.len() as u64;
        // As many again as a look takes anew: it stays small, however many have drifted.
        state.drifted.truncate(self.drift_sample);
        self.drift.put(key, &state).await?;
        self.publish_drift(key, state.compared, drift);
        Ok((looked_at + AN_HOUR).max(now + A_MINUTE))
    }

    fn publish_drift(&self, key: &ConnectionKey, compared: u64, drift: u64) {
        self.poller.metrics.figures(&key.to_string(), self.poller.clock.now(), &[("drift", drift)]);
        tracing::info!(compared, drift, "customers were compared with the source");
    }
}

/// How long after its first sync a connection is looked at first: between a minute and an hour, so that many that are
/// configured at once are not looked at all at once.
fn first_pause(key: &ConnectionKey) -> Duration {
    let hash = ContentHash::of(&key.to_string());
    let number = hash.as_bytes().iter().take(4).fold(0, |number, byte| number * 256 + u64::from(*byte));
    A_MINUTE + Duration::from_secs(number % (3_600 - 60))
}
