//! The control table: its keys, which are a connection and an entry, and DynamoDB's own time.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use model::ConnectionKey;

use super::Table;
use crate::StoreError;
use crate::item::{Item, Read, item, text, with};

/// The key of an item of the control table.
pub(crate) fn entry_key(connection: impl ToString, entry: &str) -> Item {
    item([("connection", text(connection.to_string())), ("entry", text(entry))])
}

/// The entry of an item of the control table.
pub(crate) fn entry_in(item: &Item) -> Result<&str, StoreError> {
    Read::new("?", item).text("entry")
}

impl Table {
    pub(crate) async fn get(&self, connection: &ConnectionKey, entry: &str) -> Result<Option<Item>, StoreError> {
        self.get_key(entry_key(connection, entry)).await
    }

    /// Adds or replaces an item; what is given stands beside its key.
    pub(crate) async fn put<const N: usize>(
        &self,
        connection: &ConnectionKey,
        entry: &str,
        beside: [(&str, AttributeValue); N],
    ) -> Result<(), StoreError> {
        self.send(self.put_request(with(entry_key(connection, entry), beside))).await.map(|_| ())
    }

    pub(crate) async fn delete(&self, connection: &ConnectionKey, entry: &str) -> Result<(), StoreError> {
        self.delete_key(entry_key(connection, entry)).await
    }

    pub(crate) fn update(&self, connection: &ConnectionKey, entry: &str) -> UpdateItemFluentBuilder {
        self.update_request(entry_key(connection, entry))
    }

    /// A connection's entries that begin with `prefix`, as they stand now.
    pub(crate) fn entries(&self, connection: &ConnectionKey, prefix: &str) -> QueryFluentBuilder {
        self.partition(connection, " AND begins_with(entry, :prefix)")
            .expression_attribute_values(":prefix", text(prefix))
    }

    /// A connection's entries from the `first` to the `last`, as they stand now.
    pub(crate) fn entries_between(&self, connection: &ConnectionKey, first: &str, last: &str) -> QueryFluentBuilder {
        self.partition(connection, " AND entry BETWEEN :first AND :last")
            .expression_attribute_values(":first", text(first))
            .expression_attribute_values(":last", text(last))
    }

    /// The items of a partition for which `and` holds, as they stand now.
    pub(crate) fn partition(&self, partition: impl ToString, and: &str) -> QueryFluentBuilder {
        self.query(&format!("#connection = :connection{and}"))
            .expression_attribute_names("#connection", "connection")
            .expression_attribute_values(":connection", text(partition.to_string()))
    }

    /// The connections and destinations of a tenant that have an entry that begins so, registered or not. Reads the
    /// whole table, of all tenants.
    pub(crate) async fn partitions_with(
        &self,
        tenant: &str,
        prefix: &str,
    ) -> Result<BTreeSet<ConnectionKey>, StoreError> {
        let mut pages = self.pages(
            self.scan("begins_with(#connection, :tenant) AND begins_with(entry, :prefix)")
                .consistent_read(true)
                .projection_expression("#connection")
                .expression_attribute_names("#connection", "connection")
                .expression_attribute_values(":tenant", text(format!("{tenant}/")))
                .expression_attribute_values(":prefix", text(prefix)),
        );
        let mut partitions = BTreeSet::new();
        while let Some(items) = pages.next().await? {
            for item in &items {
                // The filter asks for a slash, which is all that a key needs.
                partitions.extend(Read::new("?", item).text("connection")?.parse::<ConnectionKey>().ok());
            }
        }
        Ok(partitions)
    }

    /// The time by DynamoDB's own clock, to the second, as each of its answers says; `None` if it does not.
    pub(crate) async fn time(&self, connection: &ConnectionKey) -> Result<Option<Timestamp>, StoreError> {
        let date = Date::default();
        let get = self.get_request(entry_key(connection, "poll")).consistent_read(false).projection_expression("entry");
        let answer = self.attempt(None, || get.clone().customize().interceptor(date.clone()).send()).await;
        answer.map_err(|error| StoreError::aws("GetItem", error))?;
        Ok(date.0.get().copied())
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
