//! Notes which customers change during a run: an interceptor sees the writes of the client of the shadow.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextMut, FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use serde_json::{Map, Value};

/// The changes since they were last taken. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// Set once a run has caught up: before that, there are too many changes to show.
    is_noting: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Change>>>,
}

/// A customer that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The customer's id.
    pub(crate) id: String,
    /// Its name for display.
    pub(crate) name: Option<String>,
    /// What became of it: added, deleted, or which of its fields changed.
    pub(crate) what: String,
}

impl Changes {
    /// Notes changes from now on.
    pub(crate) fn begin(&self) {
        self.is_noting.store(true, Ordering::Relaxed);
    }

    /// Takes the changes since the last call, in their order.
    pub(crate) fn take(&self) -> Vec<Change> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_of_shadow(&self, input: &PutItemInput) -> bool {
        self.is_noting.load(Ordering::Relaxed) && input.table_name() == Some(crate::target::SHADOW_TABLE)
    }
}

impl Intercept for Changes {
    fn name(&self) -> &'static str {
        "Changes"
    }

    /// Asks for the record as it was before.
    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        state: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(input) = context.input_mut().downcast_mut::<PutItemInput>()
            && self.is_of_shadow(input)
        {
            input.return_values = Some(ReturnValue::AllOld);
            // The request is gone when its answer arrives.
            state.interceptor_state().store_put(Put(input.item().cloned().unwrap_or_default()));
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        state: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let output = context.output_or_error().and_then(Result::ok);
        let output = output.and_then(|output| output.downcast_ref::<PutItemOutput>());
        if let (Some(Put(item)), Some(output)) = (state.load::<Put>(), output)
            && let Some(change) = change(item, output)
        {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(change);
        }
        Ok(())
    }
}

/// The item that a request puts.
#[derive(Debug)]
struct Put(HashMap<String, AttributeValue>);

impl Storable for Put {
    type Storer = StoreReplace<Self>;
}

fn change(item: &HashMap<String, AttributeValue>, output: &PutItemOutput) -> Option<Change> {
    // `<tenant>/<connection>~<source id>`
    let id = item.get("id")?.as_s().ok()?.split_once('/')?.1.to_owned();
    let now = document(item.get("doc"));
    let before = output.attributes().map(|attributes| document(attributes.get("doc")));
    let name = now.get("name").and_then(|name| name.get("display")).and_then(Value::as_str).map(str::to_owned);
    Some(Change { id, name, what: what_changed(before.as_ref(), &now) })
}

fn document(attribute: Option<&AttributeValue>) -> Map<String, Value> {
    let text = attribute.and_then(|attribute| attribute.as_s().ok());
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Names the fields that changed, without any value.
fn what_changed(before: Option<&Map<String, Value>>, now: &Map<String, Value>) -> String {
    let is_deleted = |document: &Map<String, Value>| document.get("status").and_then(Value::as_str) == Some("deleted");
    match before {
        _ if is_deleted(now) => "deleted".to_owned(),
        None => "added".to_owned(),
        Some(before) if is_deleted(before) => "added".to_owned(),
        Some(before) => {
            let mut fields: Vec<&str> = before.keys().chain(now.keys()).map(String::as_str).collect();
            fields.sort_unstable();
            fields.dedup();
            fields.retain(|field| before.get(*field) != now.get(*field));
            format!("changed: {}", fields.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_change_is_told_by_the_names_of_fields() {
        let jane = document(r#"{"status":"active","name":{"display":"Jane"},"emails":[]}"#);
        let john = document(r#"{"status":"active","name":{"display":"John"},"emails":["j@x"]}"#);
        let gone = document(r#"{"status":"deleted","name":{}}"#);
        assert_eq!(what_changed(None, &jane), "added");
        assert_eq!(what_changed(Some(&jane), &john), "changed: emails, name");
        assert_eq!(what_changed(Some(&jane), &gone), "deleted");
        assert_eq!(what_changed(Some(&gone), &jane), "added");
    }
}
