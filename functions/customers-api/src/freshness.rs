use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use config::{ConnectionKind, all_connections};
use jiff::Timestamp;
use model::{ConnectionKey, iso_millis};
use serde::Serialize;
use store::{Registration, StoreError, Tables};
use utoipa::ToSchema;

/// The header that says how fresh an answer is.
pub(crate) const FRESH_AS_OF: HeaderName = HeaderName::from_static("fresh-as-of");
/// How long the list of connections is used before it is read again.
const KNOWN_FOR: Duration = Duration::from_secs(10);

/// Tells how fresh connections are.
#[derive(Debug)]
pub(crate) struct Freshness {
    tables: Tables,
    known: Mutex<Option<Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    since: Timestamp,
    registrations: Arc<Vec<Registration>>,
}

/// For each connection that an answer draws on: the time through which the shadow holds everything that the source
/// reported; null if it was never in sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FreshAsOf(BTreeMap<String, Option<String>>);

impl FreshAsOf {
    /// The header: `aa=2026-11-22T03:05:00.000Z, bc=…`, without connections that never were in sync.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let times: Vec<String> =
            self.0.iter().filter_map(|(connection, at)| Some(format!("{connection}={}", at.as_ref()?))).collect();
        if times.is_empty() { None } else { HeaderValue::from_str(&times.join(", ")).ok() }
    }
}

impl Freshness {
    pub(crate) fn new(tables: &Tables) -> Self {
        Self { tables: tables.clone(), known: Mutex::default() }
    }

    /// How fresh those of a tenant's connections are; without a choice, all of them. To be read before customers are:
    /// what is stored in between would be missing from them, and count as part of them.
    pub(crate) async fn of(&self, tenant: &str, chosen: Option<&BTreeSet<String>>) -> Result<FreshAsOf, StoreError> {
        let now = self.tables.clock.now();
        let mut fresh = FreshAsOf::default();
        for Registration { key, kind, .. } in self.registrations(now).await?.iter() {
            let is_chosen = chosen.is_none_or(|chosen| chosen.contains(&key.connection));
            if key.tenant == tenant && is_chosen {
                fresh.0.insert(key.connection.clone(), self.one(key, kind, now).await?.map(iso_millis));
            }
        }
        Ok(fresh)
    }

    /// What is acknowledged to a system that pushes is stored: it is fresh, unless it is paused.
    async fn one(&self, key: &ConnectionKey, kind: &str, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let state = self.tables.states.state(key).await?;
        let is_push = ConnectionKind::from_name(kind).is_some_and(ConnectionKind::is_push);
        Ok(if is_push { Some(state.paused_at.unwrap_or(now)) } else { state.fresh_as_of })
    }

    async fn registrations(&self, now: Timestamp) -> Result<Arc<Vec<Registration>>, StoreError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| now >= known.since && now < known.since + KNOWN_FOR) {
            return Ok(known.registrations);
        }
        let registrations = Arc::new(all_connections(&self.tables.registry).await?);
        let known = Known { since: now, registrations: registrations.clone() };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(registrations)
    }
}
