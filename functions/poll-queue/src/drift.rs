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
//!
//! A customer may be one that the source always fails at. After a look that failed the next one takes half as many
//! customers, and a single one that it fails at is passed over: nothing is said of it, and its turn comes again. After
//! a look that did not fail the next one takes twice as many, up to the sample.

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
        let (key, states) = (&connection.key, &self.poller.tables.states);
        let now = self.poller.tables.clock.now();
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
        let state = self.poller.tables.drift.of(key).await?;
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
        let looked_at = self.poller.tables.clock.now();
        let size = self.size(state.narrowed);
        let (mut ids, mut cursor) = self.poller.tables.shadow.page(key, state.cursor.clone(), size).await?;
        if ids.is_empty() && state.cursor.is_some() {
            (ids, cursor) = self.poller.tables.shadow.page(key, None, size).await?;
        }
        let mut look = match self.verifier.look(connection, &ids, deadline).await {
            Ok(look) => look,
            Err(error @ VerifyError::Source { .. }) => {
                let cursor = if size > 1 { state.cursor.clone() } else { cursor };
                self.poller
                    .tables
                    .drift
                    .put(key, &DriftState { cursor, narrowed: self.narrower(state.narrowed), ..state })
                    .await?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        let mut narrowed = state.narrowed.saturating_sub(1);
        let again: Vec<String> = state.drifted.iter().filter(|id| !ids.contains(id)).take(size).cloned().collect();
        match self.verifier.look(connection, &again, deadline).await {
            Ok(more) => {
                look.agreeing += more.agreeing;
                look.differing.extend(more.differing);
                look.unclear.extend(more.unclear);
                ids.extend(again.iter().cloned());
            }
            Err(error @ VerifyError::Source { .. }) => {
                tracing::warn!(%error, "customers that had drifted could not be compared with the source");
                narrowed = self.narrower(state.narrowed);
            }
            Err(error) => return Err(error),
        }
        let Look { agreeing, differing, unclear } = look;
        if !unclear.is_empty() {
            tracing::warn!(unclear = unclear.len(), "some customers could not be compared with the source");
        }
        let compared = agreeing + differing.len() as u64;
        let suspects: Vec<Suspect> = differing.iter().map(Differing::to_suspect).collect();
        let has_suspects = !suspects.is_empty();
        let disagree: BTreeSet<&String> =
            differing.iter().map(|it| &it.source_id).chain(unclear.iter().map(|it| &it.source_id)).collect();
        // Only who was seen to agree has drifted no longer. Who was looked at comes last the next time.
        let (last, mut drifted): (Vec<String>, Vec<String>) =
            state.drifted.into_iter().partition(|id| again.contains(id) || ids.contains(id));
        drifted.extend(last.into_iter().filter(|id| !ids.contains(id) || disagree.contains(id)));
        let still = drifted.len() as u64;
        let state = DriftState { looked_at: Some(looked_at), compared, suspects, drifted, cursor, narrowed };
        self.poller.tables.drift.put(key, &state).await?;
        if has_suspects {
            return Ok(looked_at + A_MINUTE);
        }
        self.publish_drift(key, compared, still);
        Ok(looked_at + AN_HOUR)
    }

    /// How many customers a look takes.
    fn size(&self, narrowed: u32) -> usize {
        self.drift_sample.checked_shr(narrowed).unwrap_or(0).max(1)
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
        let now = self.poller.tables.clock.now();
        if fresh_as_of.is_none_or(|as_of| as_of < looked_at + GRACE) {
            if now < looked_at + LONGEST_WAIT {
                return Ok(now + A_MINUTE);
            }
            tracing::info!(
                suspects = state.suspects.len(),
                "a look for drift is given up: the queue is not seen through"
            );
            state.suspects.clear();
            self.poller.tables.drift.put(key, &state).await?;
            // Who had drifted before has not been seen to agree.
            self.publish_drift(key, state.compared, state.drifted.len() as u64);
            return Ok(now + A_MINUTE);
        }
        let size = self.size(state.narrowed).min(state.suspects.len());
        let suspects: Vec<Suspect> = state.suspects.drain(..size).collect();
        let ids: BTreeSet<String> = suspects.iter().map(|suspect| suspect.source_id.clone()).collect();
        // The queue was seen through since: nothing of them waits there.
        let found = match self.verifier.look_again(connection, suspects.clone(), &BTreeSet::new(), deadline).await {
            Ok(found) => found,
            Err(error @ VerifyError::Source { .. }) => {
                if size > 1 {
                    state.suspects.splice(0..0, suspects);
                }
                state.narrowed = self.narrower(state.narrowed);
                self.poller.tables.drift.put(key, &state).await?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        state.narrowed = state.narrowed.saturating_sub(1);
        // A customer with a failure record is known to be not as the source says: another alarm tells of it.
        let drifted: Vec<&Differing> = found.drifted.iter().filter(|customer| !customer.has_failed).collect();
        for Differing { source_id, difference, recorded_at, .. } in &drifted {
            let recorded_at = recorded_at.map(iso_millis).unwrap_or_default();
            tracing::warn!(customer = source_id, %difference, recorded_at, "a customer has drifted");
        }
        // Who changes, is unclear or on its way has not been seen to agree.
        let unsettled: BTreeSet<&String> =
            found.on_their_way.iter().chain(found.unclear.iter().map(|it| &it.source_id)).collect();
        state.drifted.retain(|id| !ids.contains(id) || unsettled.contains(id));
        state.drifted.extend(drifted.into_iter().map(|customer| customer.source_id.clone()));
        let drift = state.drifted.len() as u64;
        // As many again as a look takes anew: it stays small, however many have drifted.
        state.drifted.truncate(self.drift_sample);
        self.poller.tables.drift.put(key, &state).await?;
        if !state.suspects.is_empty() {
            return Ok(now + A_MINUTE);
        }
        self.publish_drift(key, state.compared, drift);
        Ok((looked_at + AN_HOUR).max(now + A_MINUTE))
    }

    fn narrower(&self, narrowed: u32) -> u32 {
        narrowed + u32::from(self.size(narrowed) > 1)
    }

    fn publish_drift(&self, key: &ConnectionKey, compared: u64, drift: u64) {
        self.poller.metrics.figures(&key.to_string(), self.poller.tables.clock.now(), &[("drift", drift)]);
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
