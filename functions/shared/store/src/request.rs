//! Requests to DynamoDB that several parts of the store make: queries to their end, and writes under a condition.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, Select, WriteRequest};

use crate::StoreError;
use crate::backoff::Backoff;
use crate::item::Item;

/// DynamoDB's limit for one BatchWriteItem.
pub(crate) const ITEMS_PER_WRITE: usize = 25;

/// Every item that a query finds.
pub(crate) async fn query_all(query: QueryFluentBuilder) -> Result<Vec<Item>, StoreError> {
    let items = query.into_paginator().items().send().collect::<Result<_, _>>().await;
    items.map_err(|error| StoreError::aws("Query", error))
}

/// How many items a query finds.
pub(crate) async fn query_count(query: QueryFluentBuilder) -> Result<u64, StoreError> {
    let mut pages = query.select(Select::Count).into_paginator().send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| StoreError::aws("Query", error))?;
        count += u64::try_from(page.count()).unwrap_or(0);
    }
    Ok(count)
}

/// The answer to a write under a condition; `None` if the condition did not hold.
pub(crate) fn unless_refused<T, E, R>(
    operation: &'static str,
    answer: Result<T, SdkError<E, R>>,
) -> Result<Option<T>, StoreError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(None),
        Err(error) => Err(StoreError::aws(operation, error)),
    }
}

/// Whether a write under a condition was carried out.
pub(crate) fn is_done<T, E, R>(operation: &'static str, answer: Result<T, SdkError<E, R>>) -> Result<bool, StoreError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    unless_refused(operation, answer).map(|answer| answer.is_some())
}

/// The part of a batch that adds or replaces an item.
pub(crate) fn put(item: Item) -> Option<WriteRequest> {
    let put = PutRequest::builder().set_item(Some(item)).build().ok()?;
    Some(WriteRequest::builder().put_request(put).build())
}

/// The part of a batch that removes the item with this key.
pub(crate) fn delete(key: Item) -> Option<WriteRequest> {
    let delete = DeleteRequest::builder().set_key(Some(key)).build().ok()?;
    Some(WriteRequest::builder().delete_request(delete).build())
}

/// Sends one batch of up to [`ITEMS_PER_WRITE`]. What it left unprocessed is sent again as long as `backoff` allows.
pub(crate) async fn write_batch(
    client: &Client,
    table: &str,
    mut requests: Vec<WriteRequest>,
    mut backoff: Backoff<'_>,
) -> Result<(), StoreError> {
    while !requests.is_empty() {
        let answer = client.batch_write_item().request_items(table, requests.clone()).send().await;
        match answer.map_err(|error| StoreError::aws("BatchWriteItem", error)) {
            Ok(answer) => {
                let unprocessed = answer.unprocessed_items.and_then(|mut tables| tables.remove(table));
                requests = unprocessed.unwrap_or_default();
            }
            // None of them was written: as if all were unprocessed.
            Err(StoreError::Throttled { .. }) => {}
            Err(error) => return Err(error),
        }
        if !requests.is_empty() && !backoff.wait().await {
            return Err(StoreError::Deadline { operation: "BatchWriteItem" });
        }
    }
    Ok(())
}
