//! What must hold at the moment at which a source forgets: it tells nobody twice what was purged.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use invariants::Watch;
use model::{ConnectionKey, Status};
use simulators::association_anywhere::{AaSimulator, Purged};
use store::{Clock, Tables};

use crate::event::POLLED;

/// Who was erased, by connection and id.
pub type ErasedIds = Arc<Mutex<BTreeSet<(usize, u64)>>>;

/// Looks at the shadow whenever a queue was purged.
#[derive(Clone)]
pub struct Audit {
    /// The hosts with their queues, in the order of the connections.
    pub queues: [(&'static str, AaSimulator); 2],
    /// Read without any trouble, and in no time.
    pub tables: Tables,
    /// When it is.
    pub clock: Clock,
    /// Where it is noted what does not hold.
    pub watch: Watch,
    /// Who need not be there.
    pub erased: ErasedIds,
}

impl fmt::Debug for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Audit").finish_non_exhaustive()
    }
}

impl Audit {
    /// A host has carried something out.
    pub fn look(&self, host: &str) {
        let Some(connection) = self.queues.iter().position(|(of, _)| *of == host) else { return };
        let purged = self.queues[connection].1.take_purged();
        if purged.is_empty() {
            return;
        }
        let (audit, now) = (self.clone(), self.clock.now());
        // By itself: the process that has purged may die.
        tokio::spawn(async move {
            for purged in purged {
                if let Err(problem) = audit.came_to_an_end(connection, purged).await {
                    let (tenant, name) = POLLED[connection];
                    audit.watch.object(format!("{now} {tenant}/{name}~{} was purged: {problem}", purged.id));
                }
            }
        });
    }

    /// Invariant 1: who was purged is in the shadow as the queue told of them, or is a tombstone or a failure record.
    async fn came_to_an_end(&self, connection: usize, purged: Purged) -> Result<(), String> {
        if self.erased.lock().unwrap_or_else(PoisonError::into_inner).contains(&(connection, purged.id)) {
            return Ok(());
        }
        let (tenant, name) = POLLED[connection];
        let key = ConnectionKey::new(tenant, name);
        let source = &self.queues[connection].1;
        let stored = self.tables.shadow.get(&key, &purged.id.to_string()).await.map_err(|error| error.to_string())?;
        let living = stored.as_ref().filter(|customer| customer.content.status != Status::Deleted);
        let display = living.and_then(|customer| customer.content.name.display.clone());
        let is_told = match purged.revision {
            None => living.is_none(),
            Some(revision) => {
                let latest = source.revision(purged.id).unwrap_or(revision);
                let is_name = |revision| Some(source.name_in_revision(purged.id, revision)) == display;
                (revision..=latest.max(revision)).any(is_name)
            }
        };
        if is_told {
            return Ok(());
        }
        let failures = self.tables.failures.all(&key).await.map_err(|error| error.to_string())?;
        // Of whom the details give no id, the queue's spelling is all that is known.
        if failures.iter().any(|failure| failure.source_id.parse() == Ok(purged.id)) {
            return Ok(());
        }
        let version = stored.as_ref().map(|customer| customer.version.as_str());
        let latest = self.tables.ledger.state(&key).await.map(|state| state.latest);
        Err(format!("revision {:?}; stored is {display:?} of {version:?}; {latest:?}", purged.revision))
    }
}
