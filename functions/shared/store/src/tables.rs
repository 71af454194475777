use aws_sdk_dynamodb::Client;
use model::ReferenceData;

use crate::control::ControlTable;
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
    client: Client,
    names: TableNames,
    clock: Clock,
    random: Random,
}

impl Tables {
    /// The tables with these names.
    pub fn new(client: Client, names: TableNames, clock: Clock, random: Random) -> Self {
        Self { client, names, clock, random }
    }

    /// The stored configuration.
    pub fn registry(&self) -> ConnectionRegistry {
        ConnectionRegistry::new(self.client.clone(), &self.names.control).patient(&self.clock, &self.random)
    }

    /// Leases, freshness and last errors of the connections.
    pub fn states(&self) -> ConnectionStates {
        ConnectionStates::new(self.client.clone(), &self.names.control, &self.clock, &self.random)
    }

    /// The batch ledger.
    pub fn ledger(&self) -> Ledger {
        Ledger::new(self.client.clone(), &self.names.control, self.clock.clone(), self.random.clone())
    }

    /// Failure records, redrives, and deletions that wait.
    pub fn failures(&self) -> Failures {
        Failures::new(self.control(), self.erasures())
    }

    /// How far the destinations have come.
    pub fn deliveries(&self) -> Deliveries {
        Deliveries::new(self.client.clone(), &self.names.control, &self.clock, &self.random)
    }

    /// What the looks for drift have found.
    pub fn drift(&self) -> Drift {
        Drift::new(self.client.clone(), &self.names.control, &self.clock, &self.random)
    }

    /// The totals of connections and destinations, hour by hour.
    pub fn histories(&self) -> Histories {
        Histories::new(self.client.clone(), &self.names.control, &self.clock, &self.random)
    }

    /// Rate limits and circuit breakers of the sources.
    pub fn limiter(&self) -> SourceLimiter {
        SourceLimiter::new(self.client.clone(), &self.names.control, self.clock.clone(), self.random.clone())
    }

    /// Staff or lead sources.
    pub fn reference<T: ReferenceData>(&self) -> ReferenceTable<T> {
        ReferenceTable::new(self.client.clone(), &self.names.control, self.clock.clone(), &self.random)
    }

    /// Prospects that refer to staff or lead sources that are not known yet.
    pub fn pending_references(&self) -> PendingReferences {
        PendingReferences::new(self.client.clone(), &self.names.control, &self.clock, &self.random)
    }

    /// The shadow.
    pub fn shadow(&self) -> Shadow {
        Shadow::new(self.client.clone(), &self.names.shadow, self.erasures(), self.clock.clone(), self.random.clone())
    }

    /// Who was erased, and must not come back.
    pub fn erasures(&self) -> Erasures {
        Erasures::new(self.control(), self.random.clone())
    }

    fn control(&self) -> ControlTable {
        ControlTable::new(self.client.clone(), &self.names.control).patient(&self.clock, &self.random)
    }

    /// The change feed.
    pub fn feed(&self) -> ChangeFeed {
        ChangeFeed::new(self.client.clone(), &self.names.feed, self.clock.clone(), self.random.clone())
    }

    /// Which customers have an e-mail address.
    pub fn email_index(&self) -> EmailIndex {
        EmailIndex::new(self.client.clone(), &self.names.feed, self.clock.clone(), self.random.clone())
    }

    /// The limit on deletions in one batch.
    pub fn deletion_limit(&self) -> DeletionLimit {
        DeletionLimit::new(self.ledger(), self.shadow(), self.failures(), self.clock.clone(), self.random.clone())
    }

    /// What removes everything of a connection.
    pub fn removal(&self) -> Removal {
        Removal::new(self.client.clone(), self.names.clone(), self.clock.clone(), self.random.clone())
    }

    /// The batch imports.
    pub fn imports(&self) -> Imports {
        Imports::new(self.client.clone(), &self.names.imports, self.clock.clone(), self.random.clone())
    }
}
