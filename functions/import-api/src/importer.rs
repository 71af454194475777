use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use jiff::SignedDuration;
use lambda::Metrics;
use model::import::{Known, Request, RequestFingerprint, RowOutcome};
use model::{ConnectionKey, Customer};
use operations::imports::ImportLease;
use store::{ImportCounts, ImportRecord, StoreError, Tables, UpsertError};
use thiserror::Error;
use wire::customers_batch::{BatchRequest, Imported};

use crate::claims::Claims;
use crate::import_tables::ImportTables;
use crate::password_hash::{Secret, hash_secrets};
use crate::plan::{Plan, Summary};
use crate::turns::Turns;

/// Within this time the same request is the same import, and not one more: longer than any client retries, and less
/// than a day, after which the same file may mean that every customer came once more.
const REPEATED: Duration = Duration::from_secs(12 * 3_600);
/// The function's time-out: a lease that is not released has run out when the function can't be at work any more.
const LEASE: Duration = Duration::from_secs(29);
/// API Gateway gives up after 30 seconds; what takes longer than this is given up before.
const PATIENCE: Duration = Duration::from_secs(27);
/// How long to wait for another import: a request that waits occupies a function. Its sender can send it again.
const LEASE_PATIENCE: Duration = Duration::from_secs(3);
/// How many customers are written together, their claims first.
const CHUNK: usize = 1_000;
/// How many chunks are under way at once: one with its claims, one with its customers. They are in different tables.
const CHUNKS_AT_ONCE: usize = 2;

/// Carries imports out.
pub(crate) struct Importer {
    pub(crate) tables: Tables,
    pub(crate) lease: ImportLease,
    pub(crate) metrics: Metrics,
}

/// An import that was not done, or not whole: the same request again goes on with it.
#[derive(Debug, Error)]
pub(crate) enum ImportError {
    /// Other imports hold the lease all the time.
    #[error("another import of the connection is under way")]
    Busy,
    /// An operator has paused the connection.
    #[error("the connection is paused")]
    Paused,
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
        let began = self.tables.clock.now();
        if self.lease.is_paused(connection).await? {
            return Err(ImportError::Paused);
        }
        let owner = self.lease.take(connection, LEASE, SignedDuration::ZERO, began + LEASE_PATIENCE).await?;
        let owner = owner.ok_or(ImportError::Busy)?;
        let deadline = began + PATIENCE;
        let tables = ImportTables { shadow: &self.tables.shadow, imports: &self.tables.imports, connection, deadline };
        let imported = self.import_leased(&tables, request).await;
        self.lease.release(connection, &owner).await;
        imported
    }

    async fn import_leased(&self, tables: &ImportTables<'_>, request: BatchRequest) -> Result<Imported, ImportError> {
        let ImportTables { imports, connection, deadline, .. } = *tables;
        let BatchRequest { import: request, ignored, failed, saves_undo } = request;
        let mut turns = Turns::default();
        let (fingerprint, mut record) = self.record(tables, &request, saves_undo).await?;
        let before = imports.outcomes(connection, &record, deadline).await?;
        let mut known = Known::default();
        let outcomes = tables.matched(&request, &fingerprint, &before, &mut known).await?;
        if let Some(outcomes) = to_record(&before, &outcomes) {
            imports.add_outcomes(connection, &mut record, &outcomes, deadline).await?;
        }
        let import = record.id.clone();
        let mut plan = Plan::new(connection, &request, &fingerprint, &outcomes, &import);
        let (places, secrets) = plan.secrets();
        if !secrets.is_empty() {
            let (secrets, hashes) = sealed(connection, secrets).await?;
            plan.hash_secrets(&places, &secrets, hashes);
        }
        plan.work_out(&known, &self.tables.erasures, &mut turns).await?;
        if record.saves_undo {
            let recorded = imports.images(connection, &record, deadline).await?;
            let images = plan.new_images(&known, recorded, &mut turns).await;
            imports.add_images(connection, &mut record, &images, deadline).await?;
        }
        imports.begin(connection, &fingerprint, &record, deadline).await?;
        let claims = Claims::of(&plan, tables, &mut known).await?;
        let unstored = store(tables, &plan, &known, &claims).await?;
        let Summary { counts, generated, ignored, failures } = plan.ends(ignored, failed, &known, &unstored);
        record.counts = counts;
        record.finished_at = Some(self.tables.clock.now());
        imports.put(connection, &record, deadline).await?;
        self.tell(connection, &record);
        Ok(Imported {
            import: record.id,
            new: counts.new,
            updated: counts.updated,
            ignored: counts.ignored,
            saves_undo: record.saves_undo,
            generated,
            ignored_rows: ignored,
            failures,
        })
    }

    /// The import that the request is: a known one that it repeats, or a new one.
    async fn record(
        &self,
        tables: &ImportTables<'_>,
        request: &Request,
        saves_undo: bool,
    ) -> Result<(RequestFingerprint, ImportRecord), StoreError> {
        let ImportTables { imports, connection, deadline, .. } = *tables;
        let secret = imports.id_secret(connection, deadline).await?;
        let fingerprint = request.fingerprint(connection, &secret);
        // An import that the release before began goes on under that release's fingerprint.
        let fingerprints = [fingerprint.clone(), request.unkeyed_fingerprint(connection)];
        let now = self.tables.clock.now();
        let mut began_at = now;
        for (fingerprint, latest) in imports.latest_of(connection, fingerprints, deadline).await? {
            // Once an undo has begun, the import takes nothing more.
            let is_taken_back = latest.undo_began_at.or(latest.undone_at).is_some();
            if latest.saves_undo == saves_undo && !is_taken_back && now < latest.began_at + REPEATED {
                return Ok((fingerprint, latest));
            }
            // Two imports of one request have two ids.
            began_at = began_at.max(latest.began_at + Duration::from_millis(1));
        }
        let record = ImportRecord {
            id: fingerprint.import_id(began_at),
            began_at,
            finished_at: None,
            undo_began_at: None,
            undone_at: None,
            saves_undo,
            first_outcome_item: 0,
            outcome_items: 0,
            image_items: 0,
            counts: ImportCounts::default(),
        };
        Ok((fingerprint, record))
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
        self.metrics.count(&connection.to_string(), self.tables.clock.now(), &counts);
    }
}

/// Writes claims and customers. Returns why customers could not be stored.
async fn store(
    tables: &ImportTables<'_>,
    plan: &Plan<'_>,
    known: &Known,
    claims: &Claims,
) -> Result<HashMap<String, String>, StoreError> {
    tables.imports.put_claims(tables.connection, claims.spread(), tables.deadline).await?;
    let changed = plan.changed();
    let chunks: Vec<_> = changed.chunks(CHUNK).map(|chunk| store_chunk(tables, plan, chunk, known, claims)).collect();
    let unstored: Vec<_> = stream::iter(chunks).buffer_unordered(CHUNKS_AT_ONCE).collect().await;
    Ok(unstored.into_iter().flatten().collect())
}

async fn store_chunk(
    tables: &ImportTables<'_>,
    plan: &Plan<'_>,
    chunk: &[&str],
    known: &Known,
    claims: &Claims,
) -> Vec<(String, String)> {
    let ImportTables { shadow, imports, connection, deadline } = *tables;
    let customers = chunk.iter().map(|source_id| {
        let stored = known.customers.get(*source_id).cloned().flatten();
        ((*source_id).to_owned(), stored)
    });
    let written = async {
        // A claim that two of the customers get is written once.
        let own: BTreeSet<_> = chunk.iter().flat_map(|source_id| plan.new_claims_of(source_id)).collect();
        imports.put_claims(connection, claims.single(own), deadline).await?;
        let revise = |source_id: &str, stored: Option<&Customer>| plan.revise(source_id, stored, known);
        shadow.revise_many(connection, customers.collect(), revise, deadline).await
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

/// The outcomes of the rows that are to be recorded, if they are not those before. A row that was taken over and fails
/// this time keeps its customer.
fn to_record(before: &[RowOutcome], now: &[RowOutcome]) -> Option<Vec<RowOutcome>> {
    let kept = now.iter().enumerate().map(|(place, outcome)| match (before.get(place), outcome) {
        (Some(taken @ RowOutcome::Taken(_)), RowOutcome::Failed(_)) => taken,
        _ => outcome,
    });
    kept.clone().ne(before).then(|| kept.cloned().collect())
}

/// The sender's error for a row if the store took too long, or failed. The store's own message is for the log.
const NOT_IN_TIME: &str = "was not stored in time: send the same request again";

fn unstored_reason(error: &UpsertError) -> String {
    match error {
        UpsertError::TooLarge { .. } => "the customer would have more than can be stored".to_owned(),
        UpsertError::Unreadable { .. } => "the customer's record can't be read".to_owned(),
        UpsertError::Store(_) => NOT_IN_TIME.to_owned(),
    }
}

/// The hashes of secrets, made on a thread of their own so that other requests go on.
async fn sealed(connection: &ConnectionKey, secrets: Vec<Secret>) -> Result<(Vec<Secret>, Vec<String>), ImportError> {
    let connection = connection.clone();
    let sealed =
        tokio::task::spawn_blocking(move || hash_secrets(&connection, &secrets).map(|hashes| (secrets, hashes))).await;
    sealed.map_err(|_| ImportError::Secrets(argon2::password_hash::Error::Crypto))?.map_err(ImportError::Secrets)
}
