//! A table of DynamoDB, as all parts of the store use it.
//!
//! Every request goes through here, and is sent again while DynamoDB takes no more, or a transaction holds the item:
//! DynamoDB refuses a plain write to it meanwhile, and the SDK does not retry that.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::Select;
use jiff::Timestamp;

use crate::backoff::Backoff;
use crate::error::is_busy;
use crate::item::Item;
use crate::{Clock, Random, StoreError};

mod batch;
mod control;
mod request;
mod transaction;

pub(crate) use batch::{ITEMS_PER_WRITE, delete, id_key, put};
pub(crate) use control::{entry_in, entry_key};
pub(crate) use request::Refused;
use request::{ConditionalWrite, PagedRead, Request};
pub(crate) use transaction::{InTransaction, Transacted, not_built};

/// How long a request waits whose caller says no deadline: transactions take some ten milliseconds each, one after the
/// other, and a key that takes no more recovers within seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// A table, and by which clock its requests wait.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    client: Client,
    name: Arc<str>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
}

impl Table {
    pub(crate) fn new(client: Client, name: &str, clock: Clock, random: Random) -> Self {
        Self { client, name: name.into(), clock, random }
    }

    /// A read of one item, as it stands now.
    pub(crate) fn get_request(&self, key: Item) -> GetItemFluentBuilder {
        self.client.get_item().table_name(&*self.name).set_key(Some(key)).consistent_read(true)
    }

    pub(crate) fn put_request(&self, item: Item) -> PutItemFluentBuilder {
        self.client.put_item().table_name(&*self.name).set_item(Some(item))
    }

    pub(crate) fn update_request(&self, key: Item) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&*self.name).set_key(Some(key))
    }

    pub(crate) fn delete_request(&self, key: Item) -> DeleteItemFluentBuilder {
        self.client.delete_item().table_name(&*self.name).set_key(Some(key))
    }

    /// The items of one key, as they stand now.
    pub(crate) fn query(&self, condition: &str) -> QueryFluentBuilder {
        self.client.query().table_name(&*self.name).consistent_read(true).key_condition_expression(condition)
    }

    /// The items of one key of an index.
    pub(crate) fn query_index(&self, index: &str, condition: &str) -> QueryFluentBuilder {
        self.client.query().table_name(&*self.name).index_name(index).key_condition_expression(condition)
    }

    /// The items of the whole table.
    pub(crate) fn scan(&self, filter: &str) -> ScanFluentBuilder {
        self.client.scan().table_name(&*self.name).filter_expression(filter)
    }

    /// The pauses between attempts until the deadline; without one of the caller, ten seconds are one.
    pub(crate) fn backoff(&self, deadline: Option<Timestamp>) -> Backoff<'_> {
        Backoff::until(&self.clock, &self.random, deadline.unwrap_or_else(|| self.clock.now() + PATIENCE))
    }

    /// Sends a request until it is answered otherwise than that DynamoDB is busy, or the deadline leaves no room for
    /// another attempt: then the last error stands.
    async fn attempt<T, E, F>(&self, deadline: Option<Timestamp>, request: impl Fn() -> F) -> Result<T, SdkError<E>>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        let mut backoff = self.backoff(deadline);
        loop {
            let answer = request().await;
            let is_busy = answer.as_ref().is_err_and(|error| error.code().is_some_and(is_busy));
            if !is_busy || !backoff.wait().await {
                return answer;
            }
        }
    }

    /// The answer to a request.
    pub(crate) async fn send<R: Request>(&self, request: R) -> Result<R::Output, StoreError> {
        let answer = self.attempt(None, || request.clone().attempt()).await;
        answer.map_err(|error| StoreError::aws(R::OPERATION, error))
    }

    /// The answer to a write under a condition, or that the condition did not hold.
    pub(crate) async fn write<R: ConditionalWrite>(
        &self,
        deadline: Option<Timestamp>,
        request: R,
    ) -> Result<Result<R::Output, Refused>, StoreError> {
        match self.attempt(deadline, || request.clone().attempt()).await {
            Ok(answer) => Ok(Ok(answer)),
            Err(error) => match error.as_service_error().and_then(R::refused) {
                Some(refused) => Ok(Err(refused)),
                None => Err(StoreError::aws(R::OPERATION, error)),
            },
        }
    }

    /// The answer to a write under a condition; `None` if the condition did not hold.
    pub(crate) async fn unless_refused<R: ConditionalWrite>(
        &self,
        request: R,
    ) -> Result<Option<R::Output>, StoreError> {
        self.write(None, request).await.map(Result::ok)
    }

    /// The attributes that an update under a condition asks to be returned; `None` if the condition did not hold.
    pub(crate) async fn updated(&self, update: UpdateItemFluentBuilder) -> Result<Option<Item>, StoreError> {
        let answer = self.unless_refused(update).await?;
        Ok(answer.map(|answer| answer.attributes.unwrap_or_default()))
    }

    /// Whether a write under a condition was carried out.
    pub(crate) async fn is_done<R: ConditionalWrite>(&self, request: R) -> Result<bool, StoreError> {
        self.unless_refused(request).await.map(|answer| answer.is_some())
    }

    /// Writes if a condition holds; it is as good if it does not.
    pub(crate) async fn write_if<R: ConditionalWrite>(&self, request: R) -> Result<(), StoreError> {
        self.is_done(request).await.map(|_| ())
    }

    /// The item with this key, as it stands now.
    pub(crate) async fn get_key(&self, key: Item) -> Result<Option<Item>, StoreError> {
        self.send(self.get_request(key)).await.map(|answer| answer.item)
    }

    pub(crate) async fn delete_key(&self, key: Item) -> Result<(), StoreError> {
        self.send(self.delete_request(key)).await.map(|_| ())
    }

    /// The pages of a query or a scan.
    pub(crate) fn pages<R: PagedRead>(&self, request: R) -> Pages<'_, R> {
        Pages { table: self, next: Some(request) }
    }

    /// Every item that a query finds.
    pub(crate) async fn query_all(&self, query: QueryFluentBuilder) -> Result<Vec<Item>, StoreError> {
        let (mut items, mut pages) = (Vec::new(), self.pages(query));
        while let Some(page) = pages.next().await? {
            items.extend(page);
        }
        Ok(items)
    }

    /// How many items a query finds.
    pub(crate) async fn query_count(&self, query: QueryFluentBuilder) -> Result<u64, StoreError> {
        let (mut count, mut pages) = (0, self.pages(query.select(Select::Count)));
        while let Some(page) = pages.next_answer().await? {
            count += u64::try_from(page.count()).unwrap_or(0);
        }
        Ok(count)
    }
}

/// The pages of a query or a scan, one after the other.
pub(crate) struct Pages<'a, R> {
    table: &'a Table,
    next: Option<R>,
}

impl<R: PagedRead> Pages<'_, R> {
    /// The items of the next page, which may be none; `None` after the last page.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Item>>, StoreError> {
        Ok(self.next_answer().await?.map(R::items))
    }

    async fn next_answer(&mut self) -> Result<Option<R::Output>, StoreError> {
        let Some(request) = self.next.take() else { return Ok(None) };
        let answer = self.table.send(request.clone()).await?;
        self.next = R::last_key(&answer).map(|last| request.after(last));
        Ok(Some(answer))
    }
}
