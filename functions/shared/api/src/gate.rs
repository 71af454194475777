use std::future::Future;

use lambda::Metrics;
use store::{Clock, CredentialDigest};

use crate::credential_cache::{CredentialCache, CredentialList, Lookup};
use crate::refusals::Refusals;

/// Lets requests in by their credentials, and reports those that it refuses.
#[derive(Debug)]
pub struct Gate<T> {
    credentials: CredentialCache<T>,
    refusals: Refusals,
}

impl<T: Clone> Gate<T> {
    /// A gate that knows no credentials yet, and refused no request yet.
    pub fn new(clock: Clock, metrics: Metrics) -> Self {
        Self { credentials: CredentialCache::new(clock.clone()), refusals: Refusals::new(clock, metrics) }
    }

    /// What the credentials of a request open: see `CredentialCache::lookup`. A request that presents none is refused
    /// as one with wrong credentials is; `who` says its route and its id.
    ///
    /// # Errors
    /// What `list` returns.
    pub async fn open<L, E, R: Future<Output = CredentialList<T>>>(
        &self,
        presented: Option<CredentialDigest>,
        list: impl Future<Output = Result<Vec<L>, E>>,
        read: impl Fn(L) -> R,
        who: impl FnOnce() -> (String, String),
    ) -> Result<Lookup<T>, E> {
        let opened = match presented {
            Some(presented) => self.credentials.lookup(&presented, list, read).await?,
            None => Lookup::Nothing,
        };
        match &opened {
            Lookup::These(_) => self.refusals.admitted(),
            Lookup::Nothing => {
                let (route, request_id) = who();
                self.refusals.refused(&route, &request_id).await;
            }
            Lookup::Unknown => {}
        }
        Ok(opened)
    }
}
