//! Requests to DynamoDB that several parts of the store make: queries to their end, writes under a condition,
//! transactions and batches.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, Select, TransactWriteItem, WriteRequest};
use jiff::Timestamp;

use crate::StoreError;
use crate::backoff::{Backoff, Patience};
use crate::error::is_busy;
use crate::item::Item;

/// DynamoDB's limit for one BatchWriteItem.
pub(crate) const ITEMS_PER_WRITE: usize = 25;

/// One page of what a query finds.
pub(crate) async fn query_page(patience: &Patience, query: &QueryFluentBuilder) -> Result<QueryOutput, StoreError> {
    let answer = patience.send(None, || query.clone().send()).await;
    answer.map_err(|error| StoreError::aws("Query", error))
}

/// Every item that a query finds.
pub(crate) async fn query_all(patience: &Patience, mut query: QueryFluentBuilder) -> Result<Vec<Item>, StoreError> {
    let mut items = Vec::new();
    loop {
        let page = query_page(patience, &query).await?;
        items.extend(page.items.unwrap_or_default());
        if page.last_evaluated_key.is_none() {
            return Ok(items);
        }
        query = query.set_exclusive_start_key(page.last_evaluated_key);
    }
}

/// How many items a query finds.
pub(crate) async fn query_count(patience: &Patience, query: QueryFluentBuilder) -> Result<u64, StoreError> {
    let mut query = query.select(Select::Count);
    let mut count = 0;
    loop {
        let page = query_page(patience, &query).await?;
        count += u64::try_from(page.count()).unwrap_or(0);
        if page.last_evaluated_key.is_none() {
            return Ok(count);
        }
        query = query.set_exclusive_start_key(page.last_evaluated_key);
    }
}

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum Transacted {
    /// All of it was carried out.
    Done,
    /// None of it was: for each of its parts, whether its condition did not hold.
    Refused(Vec<bool>),
}

/// Carries out all of some writes, or none. Sends them again while other transactions hold their items, or the table
/// takes no more, until the deadline.
pub(crate) async fn transact(
    client: &Client,
    patience: &Patience,
    deadline: Option<Timestamp>,
    writes: Vec<TransactWriteItem>,
) -> Result<Transacted, StoreError> {
    const OPERATION: &str = "TransactWriteItems";
    let mut backoff = patience.backoff(deadline);
    loop {
        let answer = client.transact_write_items().set_transact_items(Some(writes.clone())).send().await;
        let Err(error) = answer else { return Ok(Transacted::Done) };
        if let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() {
            let reasons = cancelled.cancellation_reasons().iter();
            let codes: Vec<&str> = reasons.map(|reason| reason.code().unwrap_or_default()).collect();
            let refused: Vec<bool> = codes.iter().map(|code| *code == "ConditionalCheckFailed").collect();
            if refused.contains(&true) {
                return Ok(Transacted::Refused(refused));
            }
            if !codes.iter().any(|code| PASSING.contains(code)) {
                return Err(StoreError::aws(OPERATION, error));
            }
        } else if !error.code().is_some_and(is_busy) {
            return Err(StoreError::aws(OPERATION, error));
        }
        if !Patience::wait(&mut backoff).await {
            return Err(StoreError::Throttled { operation: OPERATION });
        }
    }
}

/// Why a part of a transaction was refused that may be carried out a moment later.
const PASSING: [&str; 3] = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];

/// The error of a request that lacks what it must have; the compiler can't tell that ours have it.
pub(crate) fn not_built(operation: &'static str) -> StoreError {
    StoreError::Aws { operation, problem: "the request could not be built".to_owned() }
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
