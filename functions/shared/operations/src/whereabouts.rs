//! Where a customer is: what `customer-sync where` prints and `POST /v1/customers/where` answers. It holds no personal
//! data but the id.

use config::{ConnectionKind, Destination};
use jiff::Timestamp;
use model::import::RowOutcome;
use model::{ConnectionKey, CustomerId, Resource, Status, iso_millis};
use serde::Serialize;
use store::{FeedError, Holding, Listed, PlacedChange, Shadow, StoreError, Tables, Withheld};
use utoipa::ToSchema;

/// Everything that is known of one customer, but its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Whereabouts {
    /// The customer's id.
    pub id: String,
    /// The tenant that it belongs to.
    pub tenant: String,
    /// The connection's kind.
    pub kind: ConnectionKind,
    /// The head of its record.
    #[schema(required)]
    pub record: Option<RecordHead>,
    /// The chunks that are not done and hold it.
    pub chunks: Vec<ChunkEntry>,
    /// Its failure record.
    #[schema(required)]
    pub failure: Option<FailureEntry>,
    /// The request to fetch it again.
    #[schema(required)]
    pub redrive: Option<RedriveEntry>,
    /// The staff and lead sources that it refers to and that are not known yet.
    pub waits_for: Vec<AwaitedReference>,
    /// The imports of the last 90 days that had a row of it, the latest first.
    pub imports: Vec<ImportEntry>,
    /// How it stands at the destinations that get customers of its connection.
    pub deliveries: Vec<DeliveryEntry>,
}

/// How a customer stands at a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeliveryEntry {
    /// The destination's id.
    pub destination: String,
    /// What became of its last change there.
    pub standing: Standing,
    /// Its failure record there.
    #[schema(required)]
    pub failure: Option<FailureEntry>,
}

/// What became of a customer's last change at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The destination has it, or it is not for it.
    Done,
    /// It waits to be sent.
    Waiting,
    /// The destination did not take it.
    Failed,
    /// The destination did not take it, and it is sent again.
    Redriven,
}

/// What a record says beside its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecordHead {
    /// In use, out of use, or deleted.
    pub status: Status,
    /// Whether it was erased on request: nothing brings it back until that is lifted.
    pub erased: bool,
    /// How new it is.
    pub version: String,
    /// The number of the batch that wrote it; `None` for what was pushed or imported.
    #[schema(required)]
    pub batch: Option<u64>,
    /// How often it was written.
    pub revision: u64,
    /// When it was stored first.
    #[schema(format = DateTime)]
    pub first_seen_at: String,
    /// When it was written last.
    #[schema(format = DateTime)]
    pub changed_at: String,
}

/// A chunk that holds the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChunkEntry {
    /// Its batch.
    pub batch: u64,
    /// Whether that batch is in progress; otherwise the next one clears the chunk, and holds the customer again.
    pub in_progress: bool,
    /// Its number in the batch.
    pub chunk: u32,
    /// Whether the customer is to be deleted.
    pub is_deletion: bool,
    /// From when on it is sent to a worker.
    #[schema(required, format = DateTime)]
    pub due_at: Option<String>,
    /// Until when a worker has it, or had it when it died.
    #[schema(required, format = DateTime)]
    pub leased_until: Option<String>,
    /// How often a worker took it since it last came on.
    pub attempts: u64,
}

/// A failure record, without the raw document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FailureEntry {
    /// When it failed.
    #[schema(format = DateTime)]
    pub failed_at: String,
    /// Why.
    pub reason: String,
    /// Whether it is a deletion that waits, and for what: `beyond_limit` or `unproven`.
    #[schema(required)]
    pub withheld: Option<&'static str>,
}

/// A request to fetch the customer again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RedriveEntry {
    /// When it was made.
    #[schema(format = DateTime)]
    pub requested_at: String,
    /// The batch that took it in last; `None` if it waits for the next one.
    #[schema(required)]
    pub taken_by_batch: Option<u64>,
}

/// What a prospect refers to and is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AwaitedReference {
    /// `staff` or `lead-source`.
    pub resource: &'static str,
    /// The id that is computed from the name that it refers to.
    pub name_id: String,
}

/// An import with a row of the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportEntry {
    /// The import's id.
    pub id: String,
    /// When it began.
    #[schema(format = DateTime)]
    pub began_at: String,
    /// When it was undone.
    #[schema(required, format = DateTime)]
    pub undone_at: Option<String>,
    /// The number of the row among those of the import that could be read, from 1.
    pub row: usize,
    /// `new`, `updated` or `ignored`.
    pub outcome: &'static str,
}

/// Reads where customers are.
#[derive(Clone, Debug)]
pub struct Finder {
    tables: Tables,
}

impl Finder {
    /// A reader of these tables.
    pub fn new(tables: &Tables) -> Self {
        Self { tables: tables.clone() }
    }

    /// Everything that is known of one customer. Reads the chunks that are not done, or the waiting prospects, or the
    /// outcomes of all imports of the connection: seconds if there are many.
    ///
    /// # Errors
    /// If not all could be read before the deadline.
    pub async fn find(
        &self,
        connection: &ConnectionKey,
        kind: ConnectionKind,
        source_id: &str,
        deadline: Timestamp,
    ) -> Result<Whereabouts, StoreError> {
        let id = CustomerId { connection: connection.connection.clone(), source_id: source_id.to_owned() };
        let is_pushed = kind == ConnectionKind::Connector;
        let is_imported = kind == ConnectionKind::BatchImport;
        Ok(Whereabouts {
            id: id.to_string(),
            tenant: connection.tenant.clone(),
            kind,
            record: self.record(connection, source_id).await?,
            chunks: if kind.is_push() { Vec::new() } else { self.chunks(connection, source_id).await? },
            failure: self.failure(connection, source_id).await?,
            redrive: self.tables.failures.redrive_of(connection, source_id).await?.map(|redrive| RedriveEntry {
                requested_at: iso_millis(redrive.requested_at),
                taken_by_batch: redrive.taken_by,
            }),
            waits_for: if is_pushed { self.waits_for(connection, source_id).await? } else { Vec::new() },
            imports: if is_imported { self.imports_of(connection, source_id, deadline).await? } else { Vec::new() },
            deliveries: self.deliveries_of(&connection.tenant, &id).await?,
        })
    }

    async fn deliveries_of(&self, tenant: &str, id: &CustomerId) -> Result<Vec<DeliveryEntry>, StoreError> {
        let mut entries = Vec::new();
        for Destination { key, settings } in Destination::all(&self.tables.registry).await? {
            if key.tenant != tenant || !settings.from.contains(&id.connection) {
                continue;
            }
            let failure = self.failure(&key, &id.to_string()).await?;
            let is_redriven = self.tables.failures.redrive_of(&key, &id.to_string()).await?.is_some();
            let standing = match &failure {
                _ if is_redriven => Standing::Redriven,
                _ if self.waits_for_destination(&key, id).await? => Standing::Waiting,
                Some(_) => Standing::Failed,
                None => Standing::Done,
            };
            entries.push(DeliveryEntry { destination: key.connection, standing, failure });
        }
        Ok(entries)
    }

    /// Whether a change of the customer stands before the destination in the feed, or it was not listed for it yet.
    async fn waits_for_destination(&self, destination: &ConnectionKey, id: &CustomerId) -> Result<bool, StoreError> {
        let delivery = self.tables.deliveries.of(destination).await?;
        let Some(mut position) = delivery.position else { return Ok(true) };
        let is_listed = match delivery.progress.listed.get(&id.connection) {
            Some(Listed::All) => true,
            Some(Listed::UpTo(shard, source_id)) => Shadow::place_of(&id.source_id) <= (*shard, source_id.clone()),
            Some(Listed::Left) | None => false,
        };
        if !is_listed {
            return Ok(true);
        }
        loop {
            let wanted = |placed: &PlacedChange| placed.change.id == *id && delivery.is_to_be_told(placed);
            match self.tables.feed.read(&destination.tenant, &position, 1, wanted).await {
                Ok(page) if !page.changes.is_empty() => return Ok(true),
                Ok(page) if !page.more => return Ok(false),
                Ok(page) => position = page.position,
                // Everybody is listed for it anew.
                Err(FeedError::Gone) => return Ok(true),
                Err(FeedError::Store(error)) => return Err(error),
            }
        }
    }

    async fn record(&self, connection: &ConnectionKey, source_id: &str) -> Result<Option<RecordHead>, StoreError> {
        Ok(self.tables.shadow.get(connection, source_id).await?.map(|customer| RecordHead {
            status: customer.content.status,
            version: customer.version.to_string(),
            batch: customer.version.batch(),
            revision: customer.revision,
            erased: customer.is_erased(),
            first_seen_at: iso_millis(customer.first_seen_at),
            changed_at: iso_millis(customer.changed_at),
        }))
    }

    async fn chunks(&self, connection: &ConnectionKey, source_id: &str) -> Result<Vec<ChunkEntry>, StoreError> {
        let latest = self.tables.ledger.state(connection).await?.latest;
        let open = latest.filter(|batch| batch.phase != model::Phase::Closed).map(|batch| batch.number);
        let entry = |held: Holding| ChunkEntry {
            batch: held.batch,
            in_progress: open == Some(held.batch),
            chunk: held.chunk,
            is_deletion: held.is_deletion,
            due_at: held.due_at.map(iso_millis),
            leased_until: held.leased_until.map(iso_millis),
            attempts: held.attempts,
        };
        Ok(self.tables.ledger.holding(connection, source_id).await?.into_iter().map(entry).collect())
    }

    async fn failure(&self, connection: &ConnectionKey, source_id: &str) -> Result<Option<FailureEntry>, StoreError> {
        let Some(failure) = self.tables.failures.find(connection, source_id).await? else { return Ok(None) };
        let withheld = self.tables.failures.withheld_among(connection, &[source_id.to_owned()].into()).await?;
        let withheld = withheld.get(source_id).map(|withheld| match withheld.why {
            Withheld::BeyondLimit => "beyond_limit",
            Withheld::Unproven => "unproven",
        });
        Ok(Some(FailureEntry { failed_at: iso_millis(failure.failed_at), reason: failure.reason, withheld }))
    }

    async fn waits_for(
        &self,
        connection: &ConnectionKey,
        source_id: &str,
    ) -> Result<Vec<AwaitedReference>, StoreError> {
        let mut awaited = Vec::new();
        for resource in [Resource::Staff, Resource::LeadSource] {
            let names = self.tables.pending_references.awaited_by(connection, resource, source_id).await?;
            awaited.extend(names.into_iter().map(|name_id| AwaitedReference { resource: resource.name(), name_id }));
        }
        Ok(awaited)
    }

    async fn imports_of(
        &self,
        connection: &ConnectionKey,
        source_id: &str,
        deadline: Timestamp,
    ) -> Result<Vec<ImportEntry>, StoreError> {
        let mut found = Vec::new();
        for record in self.tables.imports.list(connection).await? {
            let outcomes = self.tables.imports.outcomes(connection, &record, deadline).await?;
            for (row, outcome) in (1..).zip(outcomes) {
                let outcome = match outcome {
                    RowOutcome::Taken(row) if row.source_id == source_id && row.is_new => "new",
                    RowOutcome::Taken(row) if row.source_id == source_id => "updated",
                    RowOutcome::Ignored(row) if row.source_id == source_id => "ignored",
                    _ => continue,
                };
                let (began_at, undone_at) = (iso_millis(record.began_at), record.undone_at.map(iso_millis));
                found.push(ImportEntry { id: record.id.clone(), began_at, undone_at, row, outcome });
            }
        }
        Ok(found)
    }
}
