//! Writes that are carried out together, or not at all.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem, Update};
use jiff::Timestamp;

use super::Table;
use crate::StoreError;
use crate::error::is_busy;
use crate::item::Item;

const OPERATION: &str = "TransactWriteItems";
/// Why a part of a transaction was refused that may be carried out a moment later.
const PASSING: [&str; 3] = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum Transacted {
    /// All of it was carried out.
    Done,
    /// None of it was: for each of its parts, whether its condition did not hold.
    Refused(Vec<bool>),
}

impl Table {
    /// Carries out all of some writes, or none. Sends them again while other transactions hold their items, or the
    /// table takes no more, until the deadline.
    pub(crate) async fn transact(
        &self,
        deadline: Option<Timestamp>,
        writes: Vec<TransactWriteItem>,
    ) -> Result<Transacted, StoreError> {
        let mut backoff = self.backoff(deadline);
        loop {
            let answer = self.client.transact_write_items().set_transact_items(Some(writes.clone())).send().await;
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
            if !backoff.wait().await {
                return Err(StoreError::Throttled { operation: OPERATION });
            }
        }
    }

    /// The part of a transaction that only checks a condition.
    pub(crate) fn check_in_transaction(
        &self,
        key: Item,
        condition: String,
        values: Option<Item>,
    ) -> Result<TransactWriteItem, StoreError> {
        let check = ConditionCheck::builder().table_name(&*self.name).set_key(Some(key));
        let check = check.condition_expression(condition).set_expression_attribute_values(values).build();
        Ok(TransactWriteItem::builder().condition_check(check.map_err(|_| not_built(OPERATION))?).build())
    }
}

/// The error of a request that lacks what it must have; the compiler can't tell that ours have it.
pub(crate) fn not_built(operation: &'static str) -> StoreError {
    StoreError::Aws { operation, problem: "the request could not be built".to_owned() }
}

/// A write that can be a part of a transaction.
pub(crate) trait InTransaction {
    fn in_transaction(&self) -> Result<TransactWriteItem, StoreError>;
}

impl InTransaction for PutItemFluentBuilder {
    fn in_transaction(&self) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .set_table_name(self.get_table_name().clone())
            .set_item(self.get_item().clone())
            .set_condition_expression(self.get_condition_expression().clone())
            .set_expression_attribute_names(self.get_expression_attribute_names().clone())
            .set_expression_attribute_values(self.get_expression_attribute_values().clone())
            .build()
            .map_err(|_| not_built(OPERATION))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

impl InTransaction for UpdateItemFluentBuilder {
    fn in_transaction(&self) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .set_table_name(self.get_table_name().clone())
            .set_key(self.get_key().clone())
            .set_update_expression(self.get_update_expression().clone())
            .set_condition_expression(self.get_condition_expression().clone())
            .set_expression_attribute_names(self.get_expression_attribute_names().clone())
            .set_expression_attribute_values(self.get_expression_attribute_values().clone())
            .build()
            .map_err(|_| not_built(OPERATION))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

impl InTransaction for DeleteItemFluentBuilder {
    fn in_transaction(&self) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder()
            .set_table_name(self.get_table_name().clone())
            .set_key(self.get_key().clone())
            .set_condition_expression(self.get_condition_expression().clone())
            .set_expression_attribute_names(self.get_expression_attribute_names().clone())
            .set_expression_attribute_values(self.get_expression_attribute_values().clone())
            .build()
            .map_err(|_| not_built(OPERATION))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}
