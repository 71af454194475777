use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use model::import::{Claim, Claimants, Fate, Fingerprint, Known, Missing, Request, fold_images, match_rows};
use model::{ConnectionKey, Customer};
use runtime::Metrics;
use runtime::imports::ImportLease;
use store::{Clock, ImportCounts, ImportRecord, Imports, Shadow, StoreError, UpsertError};
use thiserror::Error;
use wire::customers_batch::{BatchRequest, Imported};

use crate::plan::{Ends, Plan};
use crate::secrets::{Secret, seal};

/// Within this the same request is the same import, and not one more: longer than anybody retries, and less than a day,
/// after which the same file may mean that everybody came once more.
const REPEATED: Duration = Duration::from_secs(12 * 3_600);
/// The function's timeout: a lease that is not given back has run out when the function can't be at work any more.
const LEASE: Duration = Duration::from_secs(29);
/// API Gateway gives up after 30 seconds; what takes longer than this is given up before.
const PATIENCE: Duration = Duration::from_secs(27);
/// How long to wait for another import: the rest is for this one.
const LEASE_PATIENCE: Duration = Duration::from_secs(20);
/// Customers whose claims are written before the customers are, together.
const CHUNK: usize = 1_000;
/// How many chunks are under way at once: one with its claims, one with its customers. They are in different tables.
const CHUNKS_AT_ONCE: usize = 2;

/// Carries imports out.
pub(crate) struct Importer {
    pub(crate) shadow: Shadow,
    pub(crate) imports: Imports,
    pub(crate) lease: ImportLease,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
}

/// An import that was not done, or not whole: the same request again goes on with it.
#[derive(Debug, Error)]
pub(crate) enum ImportError {
    /// Others import all the time.
    #[error("another import of the connection is under way")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A secret can't be hashed.
    #[error("a secret can't be hashed: {0}")]
    Secrets(argon2::password_hash::Error),
}

impl Importer {
    /// Imports what a request holds.
    pub(crate) async fn import(
        &self,
        connection: &ConnectionKey,
        request: BatchRequest,
    ) -> Result<Imported, ImportError> {
        let began = self.clock.now();
        let owner = self.lease.take(connection, began + LEASE, began + LEASE_PATIENCE).await?;
        let owner = owner.ok_or(ImportError::Busy)?;
        let imported = self.import_leased(connection, request, began + PATIENCE).await;
        self.lease.release(connection, &owner).await;
        imported
    }

    async fn import_leased(
        &self,
        connection: &ConnectionKey,
        request: BatchRequest,
        deadline: Timestamp,
    ) -> Result<Imported, ImportError> {
        let BatchRequest { import: request, failed, saves_undo } = request;
        let fingerprint = request.fingerprint(connection);
        let mut record = self.record(connection, fingerprint, saves_undo, deadline).await?;
        let mut known = Known::default();
        let fates = if record.fate_items > 0 {
            self.imports.fates(connection, &record, deadline).await?
        } else {
            let fates = self.matched(connection, &request, fingerprint, &mut known, deadline).await?;
            self.imports.add_fates(connection, &mut record, &fates, deadline).await?;
            fates
        };
        let import = record.id.clone();
        let mut plan = Plan::new(&request, fingerprint, &fates, &import);
        let unknown = plan.customers().iter().filter(|source_id| !known.customers.contains_key(**source_id));
        let missing = Missing { customers: unknown.map(|id| (*id).to_owned()).collect(), ..Missing::default() };
        self.read(connection, missing, &mut known, deadline).await?;
        let (places, secrets) = plan.secrets();
        if !secrets.is_empty() {
            let (secrets, hashes) = sealed(connection, secrets).await?;
            plan.seal(&places, &secrets, hashes);
        }
        if record.saves_undo {
            let recorded = fold_images(self.imports.images(connection, &record, deadline).await?);
            let images = plan.new_images(&known, &recorded);
            self.imports.add_images(connection, &mut record, &images, deadline).await?;
        }
        self.imports.begin(connection, fingerprint, &record, deadline).await?;
        let claims = self.claims(connection, &plan, &mut known, deadline).await?;
        let unstored = self.store(connection, &plan, &known, &claims, deadline).await?;
        let Ends { counts, generated, failures } = plan.ends(failed, &unstored);
        record.counts = counts;
        record.finished_at = Some(self.clock.now());
        self.imports.put(connection, &record, deadline).await?;
        self.tell(connection, &record);
        Ok(Imported {
            import: record.id,
            new: counts.new,
            updated: counts.updated,
            ignored: counts.ignored,
            saves_undo: record.saves_undo,
            generated,
            failures,
        })
    }

    /// The import that the request is: the one that it was before, or one more.
    async fn record(
        &self,
        connection: &ConnectionKey,
        fingerprint: Fingerprint,
        saves_undo: bool,
        deadline: Timestamp,
    ) -> Result<ImportRecord, StoreError> {
        let now = self.clock.now();
        let latest = self.imports.latest_of(connection, fingerprint, deadline).await?;
        let repeated = latest.filter(|latest| latest.undone_at.is_none() && now < latest.began_at + REPEATED);
        Ok(repeated.unwrap_or_else(|| ImportRecord {
            id: fingerprint.import_id(now),
            began_at: now,
            finished_at: None,
            undone_at: None,
            saves_undo,
            fate_items: 0,
            image_items: 0,
            counts: ImportCounts::default(),
        }))
    }

    /// What becomes of every row; reads what it takes to say so.
    async fn matched(
        &self,
        connection: &ConnectionKey,
        request: &Request,
        fingerprint: Fingerprint,
        known: &mut Known,
        deadline: Timestamp,
    ) -> Result<Vec<Fate>, StoreError> {
        loop {
            match match_rows(request, fingerprint, known) {
                Ok(fates) => return Ok(fates),
                Err(missing) => self.read(connection, missing, known, deadline).await?,
            }
        }
    }

    async fn read(
        &self,
        connection: &ConnectionKey,
        missing: Missing,
        known: &mut Known,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let Missing { claims, customers } = missing;
        let ids = customers.iter().map(|source_id| (connection.clone(), source_id.clone()));
        let (claimants, found) = futures::try_join!(
            self.imports.claimants(connection, claims, deadline),
            self.shadow.get_many(ids, deadline)
        )?;
        known.claimants.extend(claimants);
        let mut found: HashMap<_, _> =
            found.into_iter().map(|customer| (customer.source_id.clone(), customer)).collect();
        known.customers.extend(customers.into_iter().map(|source_id| {
            let customer = found.remove(&source_id);
            (source_id, customer)
        }));
        Ok(())
    }

    /// The claims that have to be stored before the customers are.
    async fn claims(
        &self,
        connection: &ConnectionKey,
        plan: &Plan<'_>,
        known: &mut Known,
        deadline: Timestamp,
    ) -> Result<BTreeMap<Claim, Claimants>, StoreError> {
        let new = plan.new_claims(known);
        let unread = new.keys().filter(|claim| !known.claimants.contains_key(*claim)).cloned();
        let missing = Missing { claims: unread.collect(), ..Missing::default() };
        self.read(connection, missing, known, deadline).await?;
        let mut claims = BTreeMap::new();
        for (claim, source_ids) in new {
            let before = known.claimants.get(&claim).cloned().unwrap_or_default();
            let mut claimants = before.clone();
            source_ids.iter().for_each(|source_id| claimants.add(source_id));
            if claimants != before {
                claims.insert(claim, claimants);
            }
        }
        Ok(claims)
    }

    /// Writes claims and customers. Says of customers who could not be stored why not.
    async fn store(
        &self,
        connection: &ConnectionKey,
        plan: &Plan<'_>,
        known: &Known,
        claims: &BTreeMap<Claim, Claimants>,
        deadline: Timestamp,
    ) -> Result<HashMap<String, String>, StoreError> {
        // These name nobody, so they belong to no chunk.
        let crowded = claims.iter().filter(|(_, claimants)| claimants.crowded);
        self.imports.put_claims(connection, crowded, deadline).await?;
        let chunks = plan.customers().chunks(CHUNK);
        let chunks: Vec<_> =
            chunks.map(|chunk| self.store_chunk(connection, plan, chunk, known, claims, deadline)).collect();
        let unstored: Vec<_> = stream::iter(chunks).buffer_unordered(CHUNKS_AT_ONCE).collect().await;
        Ok(unstored.into_iter().flatten().collect())
    }

    async fn store_chunk(
        &self,
        connection: &ConnectionKey,
        plan: &Plan<'_>,
        chunk: &[&str],
        known: &Known,
        claims: &BTreeMap<Claim, Claimants>,
        deadline: Timestamp,
    ) -> Vec<(String, String)> {
        let mut customers = Vec::with_capacity(chunk.len());
        let mut own = BTreeMap::new();
        for source_id in chunk {
            let stored = known.customers.get(*source_id).and_then(Option::as_ref);
            let new = plan.new_claims_of(source_id, stored).into_iter();
            let new = new.filter_map(|claim| claims.get_key_value(&claim));
            own.extend(new.filter(|(_, claimants)| !claimants.crowded));
            customers.push(((*source_id).to_owned(), stored.cloned()));
        }
        let written = async {
            self.imports.put_claims(connection, own, deadline).await?;
            let revise = |source_id: &str, stored: Option<&Customer>| plan.revise(source_id, stored);
            self.shadow.revise_many(connection, customers, revise, deadline).await
        };
        let unstored: Vec<(String, UpsertError)> = match written.await {
            Ok(written) => {
                written.into_iter().filter_map(|(source_id, revised)| Some((source_id, revised.err()?))).collect()
            }
            Err(error) => {
                tracing::error!(%connection, %error, customers = chunk.len(), "imported customers were not stored");
                return chunk.iter().map(|source_id| ((*source_id).to_owned(), NOT_IN_TIME.to_owned())).collect();
            }
        };
        if let Some((_, error)) = unstored.first() {
            tracing::error!(%connection, %error, customers = unstored.len(), "imported customers were not stored");
        }
        unstored.into_iter().map(|(source_id, error)| (source_id, unstored_reason(&error))).collect()
    }

    fn tell(&self, connection: &ConnectionKey, record: &ImportRecord) {
        let ImportCounts { new, updated, ignored, failed } = record.counts;
        tracing::info!(%connection, import = record.id, new, updated, ignored, failed, "imported");
        let counts = [
            ("imported_new", new),
            ("imported_updated", updated),
            ("imported_ignored", ignored),
            ("imported_failed", failed),
        ];
        self.metrics.count(&connection.to_string(), self.clock.now(), &counts);
    }
}

/// What who sent a row is told where the store took too long, or failed; what it said is for the log.
const NOT_IN_TIME: &str = "was not stored in time: send the same request again";

fn unstored_reason(error: &UpsertError) -> String {
    match error {
        UpsertError::TooLarge { .. } => "the customer would have more than can be stored".to_owned(),
        UpsertError::Store(_) => NOT_IN_TIME.to_owned(),
    }
}

/// The hashes of secrets, made where they keep nobody else waiting.
async fn sealed(connection: &ConnectionKey, secrets: Vec<Secret>) -> Result<(Vec<Secret>, Vec<String>), ImportError> {
    let connection = connection.clone();
    let sealed = tokio::task::spawn_blocking(move || seal(&connection, &secrets).map(|hashes| (secrets, hashes))).await;
    sealed.map_err(|_| ImportError::Secrets(argon2::password_hash::Error::Crypto))?.map_err(ImportError::Secrets)
}
