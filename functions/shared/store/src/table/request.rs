//! What the requests of the SDK have in common.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemFluentBuilder;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemError, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::batch_write_item::builders::BatchWriteItemFluentBuilder;
use aws_sdk_dynamodb::operation::batch_write_item::{BatchWriteItemError, BatchWriteItemOutput};
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemError, DeleteItemOutput};
use aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder;
use aws_sdk_dynamodb::operation::get_item::{GetItemError, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::query::{QueryError, QueryOutput};
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::operation::scan::{ScanError, ScanOutput};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};

use crate::item::Item;

/// A request that can be sent several times.
pub(crate) trait Request: Clone + Send {
    /// The operation of the service's API.
    const OPERATION: &'static str;
    type Output: Send;
    type Error: ProvideErrorMetadata + std::error::Error + Send + 'static;

    /// Sends the request once.
    fn attempt(self) -> impl Future<Output = Result<Self::Output, SdkError<Self::Error>>> + Send;
}

/// That the condition of a write did not hold: the item as it stood, if the request asks for it and there was one.
pub(crate) struct Refused(pub(crate) Option<Item>);

/// A write that may have a condition.
pub(crate) trait ConditionalWrite: Request {
    fn refused(error: &Self::Error) -> Option<Refused>;
}

/// A read that may be answered page by page.
pub(crate) trait PagedRead: Request {
    fn items(answer: Self::Output) -> Vec<Item>;
    fn last_key(answer: &Self::Output) -> Option<Item>;
    /// The same, from behind the item with this key on.
    fn after(self, key: Item) -> Self;
}

macro_rules! requests {
    ($($operation:literal: $builder:ty => $output:ty, $error:ty;)*) => {$(
        impl Request for $builder {
            const OPERATION: &'static str = $operation;
            type Output = $output;
            type Error = $error;

            fn attempt(self) -> impl Future<Output = Result<Self::Output, SdkError<Self::Error>>> + Send {
                self.send()
            }
        }
    )*};
}

requests! {
    "GetItem": GetItemFluentBuilder => GetItemOutput, GetItemError;
    "PutItem": PutItemFluentBuilder => PutItemOutput, PutItemError;
    "UpdateItem": UpdateItemFluentBuilder => UpdateItemOutput, UpdateItemError;
    "DeleteItem": DeleteItemFluentBuilder => DeleteItemOutput, DeleteItemError;
    "Query": QueryFluentBuilder => QueryOutput, QueryError;
    "Scan": ScanFluentBuilder => ScanOutput, ScanError;
    "BatchGetItem": BatchGetItemFluentBuilder => BatchGetItemOutput, BatchGetItemError;
    "BatchWriteItem": BatchWriteItemFluentBuilder => BatchWriteItemOutput, BatchWriteItemError;
}

macro_rules! conditional_writes {
    ($($builder:ty: $error:ident;)*) => {$(
        impl ConditionalWrite for $builder {
            fn refused(error: &Self::Error) -> Option<Refused> {
                match error {
                    $error::ConditionalCheckFailedException(failed) => Some(Refused(failed.item.clone())),
                    _ => None,
                }
            }
        }
    )*};
}

conditional_writes! {
    PutItemFluentBuilder: PutItemError;
    UpdateItemFluentBuilder: UpdateItemError;
    DeleteItemFluentBuilder: DeleteItemError;
}

macro_rules! paged_reads {
    ($($builder:ty;)*) => {$(
        impl PagedRead for $builder {
            fn items(answer: Self::Output) -> Vec<Item> {
                answer.items.unwrap_or_default()
            }

            fn last_key(answer: &Self::Output) -> Option<Item> {
                answer.last_evaluated_key.clone()
            }

            fn after(self, key: Item) -> Self {
                self.set_exclusive_start_key(Some(key))
            }
        }
    )*};
}

paged_reads! {
    QueryFluentBuilder;
    ScanFluentBuilder;
}
