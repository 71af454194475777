//! The event of a table's stream: <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>. Read here rather than
//! by `aws_lambda_events`, whose types for it bring a library of dates along, and one of DynamoDB's values.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

/// What Lambda invokes a function with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct StreamEvent {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Record {
    dynamodb: TableChange,
}

/// One change of one item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct TableChange {
    /// The item's key.
    #[serde(rename = "Keys")]
    pub key: Image,
    /// The item before, if it was there.
    #[serde(rename = "OldImage")]
    pub before: Option<Image>,
    /// The item now, if it is there.
    #[serde(rename = "NewImage")]
    pub now: Option<Image>,
}

/// An item, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Image(HashMap<String, Value>);

impl StreamEvent {
    /// The changes, in their order.
    pub fn changes(self) -> Vec<TableChange> {
        self.records.into_iter().map(|record| record.dynamodb).collect()
    }
}

impl Image {
    /// The attribute of this name, if it is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.get("S")?.as_str()
    }

    /// The attribute of this name, if it is a whole number that is not negative.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.get("N")?.as_str()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_holds_the_items_before_and_after_their_changes() {
        let event = r#"{"Records":[{"eventID":"1","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb",
            "awsRegion":"eu-west-1","dynamodb":{"ApproximateCreationDateTime":1479499740,"Keys":{"id":{"S":"a/b~1"}},
            "NewImage":{"id":{"S":"a/b~1"},"revision":{"N":"2"},"hash":{"B":"AA=="}},"OldImage":{"id":{"S":"a/b~1"}},
            "SequenceNumber":"400000000000000499660","SizeBytes":41,"StreamViewType":"NEW_AND_OLD_IMAGES"},
            "eventSourceARN":"arn:aws:dynamodb:eu-west-1:1:table/t/stream/2026"}]}"#;
        let changes = serde_json::from_str::<StreamEvent>(event).unwrap().changes();
        let [TableChange { key, before, now }] = changes.as_slice() else { panic!("{changes:?}") };
        let (before, now) = (before.as_ref().unwrap(), now.as_ref().unwrap());
        assert_eq!((key.text("id"), now.number("revision"), before.number("revision")), (Some("a/b~1"), Some(2), None));
        assert_eq!((now.text("revision"), now.number("id"), now.text("hash")), (None, None, None));
    }
}
