//! The streams of tables, on one machine: a write to such a table and the record of it are one transaction.
//!
//! | `journal` | `entry` | what |
//! |---|---|---|
//! | `ShadowTable/0` | `00001795919935123456-1f3a/0` | a record, or its first part, in one of the table's shards: when, and by which process |
//!
//! A record is deleted once a function has taken it: what is there when a run begins is what the run before left.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dynoxide::Database;
use dynoxide::types::Item;
use serde_json::{Map, Value, json};

use super::dispatch;
use super::streams::{JOURNALS, SHARDS, Streams};
use crate::interference::Answer;

/// Bytes of a part of a record: an item of DynamoDB has 400 KB at most, and a record two of them.
const PART: usize = 380_000;

/// The database, with the journals of those of its tables that have a stream.
pub(super) struct Journaled {
    pub(super) database: Database,
    /// The attributes of the key of each table that has a stream.
    streamed: Mutex<HashMap<String, Vec<String>>>,
    next: AtomicU64,
    /// Whether other processes write into the same database: the command, beside a run.
    is_shared: bool,
    process: String,
    streams: Streams,
}

impl Journaled {
    pub(super) fn new(database: Database, is_shared: bool, streams: Streams) -> Self {
        let create = json!({
            "TableName": JOURNALS,
            "AttributeDefinitions": [
                { "AttributeName": "journal", "AttributeType": "S" },
                { "AttributeName": "entry", "AttributeType": "S" },
            ],
            "KeySchema": [
                { "AttributeName": "journal", "KeyType": "HASH" },
                { "AttributeName": "entry", "KeyType": "RANGE" },
            ],
            "BillingMode": "PAY_PER_REQUEST",
        });
        // It exists, unless the database is new.
        let _ = dispatch(&database, "CreateTable", create.to_string().as_bytes());
        for item in left(&database) {
            let item = json!(item);
            let is_first = item["entry"]["S"].as_str().is_some_and(|entry| entry.ends_with("/0"));
            streams.arrived(item["journal"]["S"].as_str().filter(|_| is_first));
        }
        let process = format!("{:04x}", std::process::id());
        Self { database, streamed: Mutex::default(), next: AtomicU64::new(0), is_shared, process, streams }
    }

    /// Carries a request out; a table with a stream gets its records.
    pub(super) fn dispatch(&self, operation: &str, body: &[u8]) -> Answer {
        let is_write = ["CreateTable", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"]
            .contains(&operation);
        match is_write.then(|| serde_json::from_slice(body)) {
            Some(Ok(request)) => self.dispatch_parsed(operation, request, body),
            _ => dispatch(&self.database, operation, body),
        }
    }

    /// Carries a write out, whose body was parsed already.
    pub(super) fn dispatch_parsed(&self, operation: &str, request: Value, body: &[u8]) -> Answer {
        match operation {
            "CreateTable" => self.create_table(request),
            "BatchWriteItem" => self.write_batch(request, body),
            "TransactWriteItems" => self.transact(request, body),
            _ if self.keys_of(&request["TableName"]).is_some() => self.write(operation, &request, body),
            _ => dispatch(&self.database, operation, body),
        }
    }

    fn create_table(&self, mut request: Value) -> Answer {
        if let Some(properties) = request.as_object_mut()
            && properties.remove("StreamSpecification").is_some()
        {
            let keys = properties["KeySchema"].as_array().into_iter().flatten();
            let keys = keys.filter_map(|key| Some(key["AttributeName"].as_str()?.to_owned())).collect();
            let name = properties["TableName"].as_str().unwrap_or_default().to_owned();
            self.streamed().insert(name, keys);
        }
        dispatch(&self.database, "CreateTable", request.to_string().as_bytes())
    }

    /// One write to a table with a stream.
    fn write(&self, operation: &str, request: &Value, body: &[u8]) -> Answer {
        if operation == "UpdateItem" {
            return self.update(request, body);
        }
        let kind = operation.trim_end_matches("Item");
        let (records, before) = self.records(kind, request);
        if records.is_empty() {
            return dispatch(&self.database, operation, body);
        }
        const OF_A_PART: [&str; 7] = [
            "TableName",
            "Item",
            "Key",
            "ConditionExpression",
            "ExpressionAttributeNames",
            "ExpressionAttributeValues",
            "ReturnValuesOnConditionCheckFailure",
        ];
        let part: Map<String, Value> = OF_A_PART
            .into_iter()
            .filter(|name| !request[*name].is_null())
            .map(|name| (name.to_owned(), request[name].clone()))
            .collect();
        let parts: Vec<Value> = std::iter::once(json!({ kind: part })).chain(records).collect();
        let (status, answer) = self.carry_out(json!({ "TransactItems": parts }));
        if status == 200 {
            let old = before.filter(|_| request["ReturnValues"] == "ALL_OLD");
            return (200, old.map_or(json!({}), |old| json!({ "Attributes": old })).to_string());
        }
        let cancelled: Value = serde_json::from_str(&answer).unwrap_or_default();
        let reason = &cancelled["CancellationReasons"][0];
        let code = match reason["Code"].as_str() {
            Some("ConditionalCheckFailed") => "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
            Some("ValidationError") => "com.amazon.coral.validate#ValidationException",
            _ => return (status, answer),
        };
        let mut error = json!({ "__type": code, "message": reason["Message"] });
        if !reason["Item"].is_null() {
            error["Item"] = reason["Item"].clone();
        }
        (400, error.to_string())
    }

    /// An update, and then its record, for what becomes of the item is known only then. No function updates an item
    /// of a table with a stream: a run that ends in between would lose the record.
    fn update(&self, request: &Value, body: &[u8]) -> Answer {
        let key = request["Key"].clone();
        let before = self.stored(&request["TableName"], &key);
        let answer = dispatch(&self.database, "UpdateItem", body);
        let now = self.stored(&request["TableName"], &key);
        if answer.0 == 200 && before != now {
            let records = self.records_of(&request["TableName"], &key, before, now);
            self.carry_out(json!({ "TransactItems": records }));
        }
        answer
    }

    fn write_batch(&self, mut request: Value, body: &[u8]) -> Answer {
        let tables: Vec<String> =
            request["RequestItems"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        let streamed: Vec<String> =
            tables.iter().filter(|name| self.keys_of(&json!(name)).is_some()).cloned().collect();
        if streamed.is_empty() {
            return dispatch(&self.database, "BatchWriteItem", body);
        }
        for table in &streamed {
            let parts = request["RequestItems"].as_object_mut().and_then(|tables| tables.remove(table));
            for part in parts.as_ref().and_then(Value::as_array).into_iter().flatten() {
                let Some((kind, part)) = part.as_object().and_then(|part| part.iter().next()) else { continue };
                let mut write = part.clone();
                write["TableName"] = json!(table);
                let operation = if kind == "PutRequest" { "PutItem" } else { "DeleteItem" };
                let answer = self.write(operation, &write, write.to_string().as_bytes());
                if answer.0 != 200 {
                    return answer;
                }
            }
        }
        if streamed.len() == tables.len() {
            return (200, json!({ "UnprocessedItems": {} }).to_string());
        }
        dispatch(&self.database, "BatchWriteItem", request.to_string().as_bytes())
    }

    fn transact(&self, mut request: Value, body: &[u8]) -> Answer {
        let parts = request["TransactItems"].as_array().cloned().unwrap_or_default();
        let of_part = |part: &Value| {
            let (kind, part) = part.as_object()?.iter().next()?;
            self.keys_of(&part["TableName"]).map(|_| self.records(kind, part).0)
        };
        let records: Vec<Value> = parts.iter().filter_map(of_part).flatten().collect();
        if records.is_empty() {
            return dispatch(&self.database, "TransactWriteItems", body);
        }
        request["TransactItems"] = parts.iter().cloned().chain(records).collect();
        let (status, answer) = self.carry_out(request);
        let Ok(mut answer) = serde_json::from_str::<Value>(&answer) else { return (status, answer) };
        if let Some(reasons) = answer["CancellationReasons"].as_array_mut() {
            reasons.truncate(parts.len());
        }
        (status, answer.to_string())
    }

    fn carry_out(&self, request: Value) -> Answer {
        let answer = dispatch(&self.database, "TransactWriteItems", request.to_string().as_bytes());
        if answer.0 == 200 {
            let records = request["TransactItems"].as_array().into_iter().flatten().map(|part| &part["Put"]["Item"]);
            let firsts = records.filter(|item| item["entry"]["S"].as_str().is_some_and(|entry| entry.ends_with("/0")));
            self.streams.arrived(firsts.filter_map(|item| item["journal"]["S"].as_str()));
        }
        answer
    }

    /// The records of a write, as parts of its transaction, and the item before; no records if it changes nothing.
    fn records(&self, kind: &str, part: &Value) -> (Vec<Value>, Option<Value>) {
        let table = &part["TableName"];
        let names = self.keys_of(table).unwrap_or_default();
        let whole = if kind == "Put" { &part["Item"] } else { &part["Key"] };
        let key: Value =
            names.into_iter().map(|name| (name.clone(), whole[&name].clone())).collect::<Map<_, _>>().into();
        let before = self.stored(table, &key);
        let now = (kind == "Put").then(|| part["Item"].clone());
        if before == now || kind == "ConditionCheck" {
            return (Vec::new(), before);
        }
        (self.records_of(table, &key, before.clone(), now), before)
    }

    /// An item as it is stored.
    fn stored(&self, table: &Value, key: &Value) -> Option<Value> {
        let get = json!({ "TableName": table, "Key": key, "ConsistentRead": true });
        let answer = self.database.get_item(serde_json::from_value(get).ok()?).ok()?;
        answer.item.map(|item| json!(item))
    }

    /// The record of a change, in parts that fit an item each.
    fn records_of(&self, table: &Value, key: &Value, before: Option<Value>, now: Option<Value>) -> Vec<Value> {
        let number = self.number();
        let mut change = json!({ "Keys": key, "SequenceNumber": format!("{number:021}") });
        for (name, image) in [("OldImage", before), ("NewImage", now)] {
            if let Some(image) = image {
                change[name] = image;
            }
        }
        let mut hasher = DefaultHasher::new();
        key.to_string().hash(&mut hasher);
        let journal = format!("{}/{}", table.as_str().unwrap_or_default(), hasher.finish() % SHARDS);
        let texts = in_parts(change.to_string());
        let count = texts.len();
        let item = |(part, text): (usize, String)| {
            json!({ "Put": { "TableName": JOURNALS, "Item": {
                "journal": { "S": journal },
                "entry": { "S": format!("{number:020}-{}/{part}", self.process) },
                "text": { "S": text },
                "parts": { "N": count.to_string() },
            } } })
        };
        texts.into_iter().enumerate().map(item).collect()
    }

    /// Greater than all before: by time, if other processes write too.
    fn number(&self) -> u64 {
        let now = match self.is_shared {
            true => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            false => Duration::ZERO,
        };
        let now = u64::try_from(now.as_micros()).unwrap_or(0);
        let following = |last: u64| Some(now.max(last + 1));
        self.next.fetch_update(Ordering::SeqCst, Ordering::SeqCst, following).map_or(now, |last| now.max(last + 1))
    }

    fn keys_of(&self, table: &Value) -> Option<Vec<String>> {
        self.streamed().get(table.as_str()?).cloned()
    }

    fn streamed(&self) -> MutexGuard<'_, HashMap<String, Vec<String>>> {
        self.streamed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The records that the run before left.
fn left(database: &Database) -> Vec<Item> {
    let mut left = Vec::new();
    let mut start = Value::Null;
    loop {
        let mut scan = json!({ "TableName": JOURNALS, "ProjectionExpression": "journal, entry" });
        if !start.is_null() {
            scan["ExclusiveStartKey"] = start;
        }
        let page = serde_json::from_value(scan).ok().and_then(|scan| database.scan(scan).ok());
        let Some(page) = page else { return left };
        left.extend(page.items.unwrap_or_default());
        match page.last_evaluated_key {
            Some(key) => start = json!(key),
            None => return left,
        }
    }
}

/// A text in parts that fit an item each.
fn in_parts(mut text: String) -> Vec<String> {
    let mut parts = Vec::new();
    while text.len() > PART {
        let rest = text.split_off(text.floor_char_boundary(PART));
        parts.push(std::mem::replace(&mut text, rest));
    }
    parts.push(text);
    parts
}
