use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use model::ConnectionKey;

use crate::backoff::Patience;
use crate::item::{Item, Read, text};
use crate::{Clock, Random, StoreError};

/// DynamoDB's limit for one BatchGetItem.
const KEYS_PER_READ: usize = 100;

/// The control table, as all its parts use it.
#[derive(Clone, Debug)]
pub(crate) struct ControlTable {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) patience: Patience,
}

impl ControlTable {
    pub(crate) fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into(), patience: Patience::default() }
    }

    /// The same table, whose requests are sent again while DynamoDB takes no more, or a transaction holds the item.
    pub(crate) fn patient(self, clock: &Clock, random: &Random) -> Self {
        Self { patience: Patience::new(clock.clone(), random.clone()), ..self }
    }

    /// Sends a request of this table as [`Patience::send`] does.
    pub(crate) async fn send<T, E, R, F>(&self, request: impl Fn() -> F) -> Result<T, SdkError<E, R>>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, R>>>,
    {
        self.patience.send(None, request).await
    }

    /// The key of an item.
    pub(crate) fn key(connection: &ConnectionKey, entry: &str) -> Item {
        Item::from([("connection".to_owned(), text(connection.to_string())), ("entry".to_owned(), text(entry))])
    }

    pub(crate) async fn get(&self, connection: &ConnectionKey, entry: &str) -> Result<Option<Item>, StoreError> {
        self.get_key(Self::key(connection, entry)).await
    }

    pub(crate) async fn get_key(&self, key: Item) -> Result<Option<Item>, StoreError> {
        let get = self.client.get_item().table_name(&self.name).set_key(Some(key)).consistent_read(true);
        let answer = self.send(|| get.clone().send()).await;
        answer.map(|answer| answer.item).map_err(|error| StoreError::aws("GetItem", error))
    }

    /// Items by key, as they stood a moment ago: an eventually consistent read costs half as much. What DynamoDB leaves
    /// unread is read again; a request of which it reads nothing is an error.
    pub(crate) async fn glance(&self, keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::with_capacity(keys.len());
        for page in keys.chunks(KEYS_PER_READ) {
            let mut wanted = page.to_vec();
            while !wanted.is_empty() {
                let request = KeysAndAttributes::builder().set_keys(Some(std::mem::take(&mut wanted))).build();
                let request = request.map_err(|_| StoreError::Aws {
                    operation: "BatchGetItem",
                    problem: "the request could not be built".to_owned(),
                })?;
                let read = self.client.batch_get_item().request_items(&self.name, request);
                let answer = self.send(|| read.clone().send()).await;
                let answer = answer.map_err(|error| StoreError::aws("BatchGetItem", error))?;
                items.extend(answer.responses.and_then(|mut tables| tables.remove(&self.name)).unwrap_or_default());
                let unread = answer.unprocessed_keys.and_then(|mut tables| tables.remove(&self.name));
                wanted = unread.map(|unread| unread.keys).unwrap_or_default();
            }
        }
        Ok(items)
    }

    /// The time by DynamoDB's own clock, to the second, as each of its answers says; `None` if it does not.
    pub(crate) async fn time(&self, connection: &ConnectionKey) -> Result<Option<Timestamp>, StoreError> {
        let date = Date::default();
        let key = Self::key(connection, "poll");
        let get = self.client.get_item().table_name(&self.name).set_key(Some(key)).projection_expression("entry");
        let answer = self.send(|| get.clone().customize().interceptor(date.clone()).send()).await;
        answer.map_err(|error| StoreError::aws("GetItem", error))?;
        Ok(date.0.get().copied())
    }

    /// Adds or replaces an item; `attributes` stand beside its key.
    pub(crate) async fn put(
        &self,
        connection: &ConnectionKey,
        entry: &str,
        attributes: impl IntoIterator<Item = (&'static str, aws_sdk_dynamodb::types::AttributeValue)>,
    ) -> Result<(), StoreError> {
        let mut item = Self::key(connection, entry);
        item.extend(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        self.send(|| put.clone().send()).await.map(|_| ()).map_err(|error| StoreError::aws("PutItem", error))
    }

    pub(crate) async fn delete(&self, connection: &ConnectionKey, entry: &str) -> Result<(), StoreError> {
        self.delete_key(Self::key(connection, entry)).await
    }

    pub(crate) async fn delete_key(&self, key: Item) -> Result<(), StoreError> {
        let delete = self.client.delete_item().table_name(&self.name).set_key(Some(key));
        self.send(|| delete.clone().send()).await.map(|_| ()).map_err(|error| StoreError::aws("DeleteItem", error))
    }

    pub(crate) fn update(&self, connection: &ConnectionKey, entry: &str) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.name).set_key(Some(Self::key(connection, entry)))
    }

    /// The connections and destinations of a tenant that have an entry that begins so, registered or not. Reads the
    /// whole table, of all tenants.
    pub(crate) async fn partitions_with(
        &self,
        tenant: &str,
        prefix: &str,
    ) -> Result<BTreeSet<ConnectionKey>, StoreError> {
        let (mut partitions, mut start) = (BTreeSet::new(), None);
        loop {
            let scan = self
                .client
                .scan()
                .table_name(&self.name)
                .consistent_read(true)
                .filter_expression("begins_with(#connection, :tenant) AND begins_with(entry, :prefix)")
                .projection_expression("#connection")
                .expression_attribute_names("#connection", "connection")
                .expression_attribute_values(":tenant", text(format!("{tenant}/")))
                .expression_attribute_values(":prefix", text(prefix))
                .set_exclusive_start_key(start);
            let page = self.send(|| scan.clone().send()).await.map_err(|error| StoreError::aws("Scan", error))?;
            for item in page.items() {
                if let Some((tenant, connection)) = Read::new("?", item).text("connection")?.split_once('/') {
                    partitions.insert(ConnectionKey::new(tenant, connection));
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(partitions);
            }
        }
    }

    /// One page of a connection's entries that begin with `prefix`, as they stand now.
    pub(crate) fn entries(&self, connection: &ConnectionKey, prefix: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("#connection = :connection AND begins_with(entry, :prefix)")
            .expression_attribute_names("#connection", "connection")
            .expression_attribute_values(":connection", text(connection.to_string()))
            .expression_attribute_values(":prefix", text(prefix))
    }
}

/// Reads the time from an answer's headers.
#[derive(Clone, Debug, Default)]
struct Date(Arc<OnceLock<Timestamp>>);

impl Intercept for Date {
    fn name(&self) -> &'static str {
        "date"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        if let Some(time) = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok()) {
            // If an answer is read again, the first time counts.
            let _ = self.0.set(time);
        }
        Ok(())
    }
}
