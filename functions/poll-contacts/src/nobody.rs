//! When the source lists no contact, although a question from a little behind the cursor always has an answer: the
//! newest contact itself.

use std::time::Duration;

use config::{BusinessCatalystConfig as Settings, Connection};
use jiff::{SignedDuration, Timestamp};
use polling::{Next, Poll};
use sources::business_catalyst::BEGINNING;
use store::{LastError, StoreError};
use wire::business_catalyst::earliest_local_at_or_after;

use crate::PollContacts;

/// How far before the cursor a contact is looked for: days.
const LOOK_BACK: [i64; 3] = [1, 30, 365];
/// How long an empty list counts as transient, if the connection is not polled more rarely.
const PASSING: Duration = Duration::from_secs(120);
const NOBODY: &str = "contact list: the source lists nobody since the newest contact that was seen, not even that one; \
                      nothing new can be told until it does";

impl PollContacts {
    /// Does not believe an empty list at once: a failure may look like that. If an earlier question has an answer, the
    /// newest contact was removed. If none has, or none is asked because the answer `is_final` (a fault, or a list of
    /// everything), nothing is known to be fresh, and after a while that is reported. A request to list everything
    /// again stands until the list holds a contact.
    pub(crate) async fn listed_nobody(
        &self,
        connection: &Connection<Settings>,
        cursor: Timestamp,
        asked_at: Timestamp,
        is_final: bool,
        deadline: Timestamp,
    ) -> Result<Next, StoreError> {
        let Connection { key, settings } = connection;
        let states = &self.poller.tables.states;
        if !is_final {
            let earlier = LOOK_BACK.map(|days| cursor.checked_sub(SignedDuration::from_hours(24 * days)).ok());
            let earlier = earlier.into_iter().flatten().map(|time| earliest_local_at_or_after(time, &settings.zone()));
            for from in earlier.chain([BEGINNING]) {
                match self.source.page(key, settings, from, 0, false, deadline).await {
                    Ok(answer) if answer.contacts.is_empty() => {}
                    Ok(_) => {
                        states.mark_synced(key, asked_at).await?;
                        return Ok(Next::InSync);
                    }
                    Err(error) => {
                        return self.poller.report(key, "contact list", error, Self::retry_pause(settings)).await;
                    }
                }
            }
        }
        let fresh_as_of = states.state(key).await?.fresh_as_of;
        let passing = SignedDuration::try_from(PASSING.max(2 * Self::pause(settings))).unwrap_or(SignedDuration::MAX);
        if fresh_as_of.is_some_and(|fresh_as_of| asked_at.duration_since(fresh_as_of) < passing) {
            states.mark_answered(key, asked_at).await?;
        } else {
            states.mark_failed(key, &LastError { at: asked_at, message: NOBODY.to_owned() }).await?;
        }
        Ok(Next::After(Self::pause(settings)))
    }
}
