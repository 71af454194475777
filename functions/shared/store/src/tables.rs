//! The tables of a deployment, and the parts of the store that stand on them.

use aws_sdk_dynamodb::Client;
use model::ReferenceData;

use crate::table::Table;
use crate::{
    ChangeFeed, Clock, ConnectionRegistry, ConnectionStates, DeletionLimit, Deliveries, Drift, EmailIndex, Erasures,
    Failures, Histories, Imports, Ledger, PendingReferences, Random, ReferenceTable, Removal, Shadow, SourceLimiter,
};

/// The names of a deployment's tables.
#[derive(Clone, Debug)]
pub struct TableNames {
    /// The control table.
    pub control: String,
    /// The shadow.
    pub shadow: String,
    /// The import table.
    pub imports: String,
    /// The feed table.
    pub feed: String,
}

/// The tables of a deployment: functions, the command and tests take their parts of the store from here.
#[derive(Clone, Debug)]
pub struct Tables {
    /// The stored configuration.
    pub registry: ConnectionRegistry,
    /// Leases, freshness and last errors of the connections.
    pub states: ConnectionStates,
    /// The batch ledger.
    pub ledger: Ledger,
    /// Failure records, redrives, and deletions that wait.
    pub failures: Failures,
    /// How far the destinations have come.
    pub deliveries: Deliveries,
    /// What the looks for drift have found.
    pub drift: Drift,
    /// The totals of connections and destinations, hour by hour.
    pub histories: Histories,
    /// Rate limits and circuit breakers of the sources.
    pub limiter: SourceLimiter,
    /// Prospects that refer to staff or lead sources that are not known yet.
    pub pending_references: PendingReferences,
    /// The shadow.
    pub shadow: Shadow,
    /// Who was erased, and must not come back.
    pub erasures: Erasures,
    /// The change feed.
    pub feed: ChangeFeed,
    /// Which customers have an e-mail address.
    pub email_index: EmailIndex,
    /// The limit on deletions in one batch.
    pub deletion_limit: DeletionLimit,
    /// What removes everything of a connection.
    pub removal: Removal,
    /// The batch imports.
    pub imports: Imports,
    /// The clock that they go by.
    pub clock: Clock,
    /// Their random numbers.
    pub random: Random,
    control: Table,
}

impl Tables {
    /// The tables with these names.
    pub fn new(client: Client, names: &TableNames, clock: Clock, random: Random) -> Self {
        let table = |name| Table::new(client.clone(), name, clock.clone(), random.clone());
        let (control, feed) = (table(&names.control), table(&names.feed));
        let (shadow_table, import_table) = (table(&names.shadow), table(&names.imports));
        let erasures = Erasures::new(control.clone());
        let ledger = Ledger { table: control.clone() };
        let failures = Failures { table: control.clone(), erasures: erasures.clone() };
        let shadow = Shadow { table: shadow_table.clone(), erasures: erasures.clone() };
        Self {
            registry: ConnectionRegistry { table: control.clone() },
            states: ConnectionStates { table: control.clone() },
            deliveries: Deliveries { table: control.clone() },
            drift: Drift { table: control.clone() },
            histories: Histories { table: control.clone() },
            limiter: SourceLimiter { table: control.clone() },
            pending_references: PendingReferences { table: control.clone() },
            feed: ChangeFeed { table: feed.clone() },
            email_index: EmailIndex { table: feed },
            deletion_limit: DeletionLimit {
                ledger: ledger.clone(),
                shadow: shadow.clone(),
                failures: failures.clone(),
            },
            removal: Removal { control: control.clone(), shadow: shadow_table, imports: import_table.clone() },
            imports: Imports { table: import_table },
            ledger,
            failures,
            shadow,
            erasures,
            clock,
            random,
            control,
        }
    }

    /// Staff or lead sources.
    pub fn reference<T: ReferenceData>(&self) -> ReferenceTable<T> {
        ReferenceTable::new(self.control.clone())
    }
}
