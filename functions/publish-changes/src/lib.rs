//! Triggered by the stream of the shadow table. Appends every change to the change feed, and keeps the index by e-mail
//! address.
//!
//! | reads | writes |
//! |---|---|
//! | the stream's records, which hold each customer before and after its change; the last numbers of the feed's lanes; destinations | the feed table, messages on SQS |
//!
//! The index comes first: who hears of a customer by the feed can search for it. Destinations come last: `push-changes`
//! is told to look at those that get customers of these connections.
//!
//! **When it fails** Lambda delivers the same records again, at first all of them, then in halves, until they are a day
//! old; those of a shard wait behind them. What was appended already is appended again: a reader hears of such a change
//! twice. An older delivery that is still at work may append a change after a later one of the same customer: readers
//! are given the customer's record as it is when they read, so that they see none that is older.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use config::Destination;
use futures::future::BoxFuture;
use jiff::Timestamp;
use lambda::{Clients, Environment, EnvironmentError, Function, Metrics, StreamHandler, TableChange};
use store::{PushRequest, PushRequests, ShadowChange, StoreError, Tables};

/// The part of the deadline that is kept for the end.
const MARGIN: Duration = Duration::from_secs(2);

/// Builds the function.
///
/// # Errors
/// If a variable of its environment is missing: see [`PublishChanges::new`].
pub fn function(environment: &Environment, clients: Clients) -> Result<Function, EnvironmentError> {
    Ok(Function::Stream(Arc::new(PublishChanges::new(environment, &clients)?)))
}

/// The function.
#[derive(Clone, Debug)]
pub struct PublishChanges {
    tables: Tables,
    push_requests: PushRequests,
    metrics: Metrics,
}

impl PublishChanges {
    /// The function with the tables and the queue that its environment names: `FEED_TABLE`, `CONTROL_TABLE`,
    /// `PUSH_REQUESTS_URL`.
    ///
    /// # Errors
    /// If a variable is missing.
    pub fn new(environment: &Environment, clients: &Clients) -> Result<Self, EnvironmentError> {
        let tables = clients.tables(environment)?;
        let requests_url = environment.required("PUSH_REQUESTS_URL")?;
        let Clients { sqs, clock, random, metrics, .. } = clients.clone();
        Ok(Self { tables, push_requests: PushRequests::new(sqs, requests_url, clock, random), metrics })
    }

    async fn publish(&self, records: &[TableChange], deadline: Timestamp) -> Result<(), StoreError> {
        let mut by_tenant: BTreeMap<String, Vec<ShadowChange>> = BTreeMap::new();
        for TableChange { key, before, now } in records {
            // An item that is damaged is there all the same.
            let image = |image: &lambda::Image| {
                (image.text("doc").unwrap_or_default().to_owned(), image.number("revision").unwrap_or_default())
            };
            let (before, now) = (before.as_ref().map(image), now.as_ref().map(image));
            match key.text("id").and_then(|id| ShadowChange::of(id, before.as_ref(), now.as_ref())) {
                Some((tenant, change)) => by_tenant.entry(tenant).or_default().push(change),
                // Nothing of ours: to wait for it would hold up all that come after it.
                None => tracing::error!("an item of the shadow table is no customer, and its change was left out"),
            }
        }
        let deadline = deadline - MARGIN;
        let mut changed = BTreeSet::new();
        for (tenant, changes) in by_tenant {
            let addresses = changes.iter().map(ShadowChange::addresses);
            self.tables.email_index.update(&tenant, addresses, deadline).await?;
            let changes: Vec<_> = changes.into_iter().map(|change| change.change).collect();
            changed.extend(changes.iter().map(|change| (tenant.clone(), change.id.connection.clone())));
            self.tables.feed.append(&tenant, &changes, deadline).await?;
            tracing::info!(tenant, changes = changes.len(), "published");
            self.metrics.count(&tenant, self.tables.clock.now(), &[("changes_published", changes.len() as u64)]);
        }
        // A hint, which the next minute's makes good: the changes are published, and not to be published again.
        if let Err(error) = self.request_pushes(&changed, deadline).await {
            tracing::warn!(%error, "destinations could not be told");
        }
        Ok(())
    }

    /// Has `push-changes` look at the destinations of connections, which are given with their tenants.
    async fn request_pushes(
        &self,
        changed: &BTreeSet<(String, String)>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let is_concerned = |destination: &Destination| {
            let tenant = &destination.key.tenant;
            destination.settings.from.iter().any(|from| changed.contains(&(tenant.clone(), from.clone())))
        };
        let destinations = Destination::all(&self.tables.registry).await?.into_iter().filter(is_concerned);
        let requests = destinations.map(|Destination { key, .. }| (0, PushRequest { destination: key }));
        self.push_requests.send(requests.collect(), deadline).await
    }
}

impl StreamHandler for PublishChanges {
    fn take<'a>(&'a self, records: &'a [TableChange], deadline: Timestamp) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.publish(records, deadline))
    }
}
