//! The streams of tables, on one machine: a write to such a table and the record of it are one transaction.
//!
//! | `journal` | `entry` | what |
//! |---|---|---|
//! | `ShadowTable/0` | `00001795919935123456-1f3a/0` | the records of one transaction in one of the table's shards, or their first part: when, and by which process |
//!
//! Records are deleted once a function has taken them: what is there when a run begins is what the run before left.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dynoxide::Database;
use dynoxide::actions::get_item::GetItemRequest;
use dynoxide::actions::put_item::PutItemRequest;
use dynoxide::actions::transact_write_items::{TransactPut, TransactWriteItem, TransactWriteItemsRequest};
use dynoxide::types::Item;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::dispatch;
use super::streams::{JOURNALS, SHARDS, Streams};
use crate::interference::Answer;

/// Bytes of a part of records: an item of DynamoDB has 400 KB at most, and a record two of them.
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
            streams.arrived(records_in(&json!(item)));
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
            _ if self.keys_of(name_in(&request)).is_some() => self.write(operation, &request, body),
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
        let (change, before) = self.change(kind, request);
        if change.is_none() {
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
        let (status, answer) = self.carry_out(vec![json!({ kind: part })], change);
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
        let before = self.stored(name_in(request), &key);
        let answer = dispatch(&self.database, "UpdateItem", body);
        let now = self.stored(name_in(request), &key);
        if answer.0 == 200 && before != now {
            self.carry_out(Vec::new(), [change_of(name_in(request), &key, before.as_ref(), now.as_ref())]);
        }
        answer
    }

    /// Puts items that have nothing to do with each other as one transaction, which costs less than one for each.
    /// Whether they are put: if not, nothing is done, and each of them is to be put by itself.
    pub(super) fn put_together(&self, bodies: &[&[u8]]) -> bool {
        let puts: Vec<TransactPut> = bodies.iter().filter_map(|body| part_of(body)).collect();
        if puts.len() < bodies.len() {
            return false;
        }
        let changes = puts.iter().filter_map(|put| self.change_by(put));
        let entries = self.entries(changes);
        let of_entry = |entry: &Value| {
            let item = Item::deserialize(entry).ok()?;
            Some(TransactPut { table_name: JOURNALS.to_owned(), item, ..TransactPut::default() })
        };
        let Some(of_entries) = entries.iter().map(of_entry).collect::<Option<Vec<_>>>() else { return false };
        let puts = puts.into_iter().chain(of_entries);
        let parts = puts.map(|put| TransactWriteItem { put: Some(put), ..TransactWriteItem::default() }).collect();
        let request = TransactWriteItemsRequest { transact_items: parts, ..TransactWriteItemsRequest::default() };
        let are_put = self.database.transact_write_items(request).is_ok();
        if are_put {
            entries.iter().for_each(|entry| self.streams.arrived(records_in(entry)));
        }
        are_put
    }

    /// What a put changes, if its table has a stream and it changes anything.
    fn change_by(&self, put: &TransactPut) -> Option<Change> {
        let names = self.keys_of(&put.table_name)?;
        let key = names.into_iter().filter_map(|name| put.item.get(&name).cloned().map(|value| (name, value)));
        let key: Item = key.collect();
        let get = GetItemRequest {
            table_name: put.table_name.clone(),
            key: key.clone(),
            consistent_read: Some(true),
            ..GetItemRequest::default()
        };
        let before = self.database.get_item(get).ok().and_then(|answer| answer.item);
        (before.as_ref() != Some(&put.item)).then(|| change_of(&put.table_name, &key, before.as_ref(), Some(&put.item)))
    }

    fn write_batch(&self, mut request: Value, body: &[u8]) -> Answer {
        let tables: Vec<String> =
            request["RequestItems"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        let streamed: Vec<String> = tables.iter().filter(|name| self.keys_of(name).is_some()).cloned().collect();
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
        let Some(Value::Array(parts)) = request.get_mut("TransactItems").map(Value::take) else {
            return dispatch(&self.database, "TransactWriteItems", body);
        };
        let of_part = |part: &Value| {
            let (kind, part) = part.as_object()?.iter().next()?;
            self.keys_of(name_in(part)).and_then(|_| self.change(kind, part).0)
        };
        let changes: Vec<Change> = parts.iter().filter_map(of_part).collect();
        if changes.is_empty() {
            return dispatch(&self.database, "TransactWriteItems", body);
        }
        let own = parts.len();
        let (status, answer) = self.carry_out(parts, changes);
        let Ok(mut answer) = serde_json::from_str::<Value>(&answer) else { return (status, answer) };
        if let Some(reasons) = answer["CancellationReasons"].as_array_mut() {
            reasons.truncate(own);
        }
        (status, answer.to_string())
    }

    /// Carries parts of a transaction out, with the records of their changes.
    fn carry_out(&self, mut parts: Vec<Value>, changes: impl IntoIterator<Item = Change>) -> Answer {
        let entries = self.entries(changes);
        parts.extend(entries.iter().map(|entry| json!({ "Put": { "TableName": JOURNALS, "Item": entry } })));
        let request = json!({ "TransactItems": parts });
        let answer = dispatch(&self.database, "TransactWriteItems", request.to_string().as_bytes());
        if answer.0 == 200 {
            entries.iter().for_each(|entry| self.streams.arrived(records_in(entry)));
        }
        answer
    }

    /// What a write changes, if anything, and the item before.
    fn change(&self, kind: &str, part: &Value) -> (Option<Change>, Option<Value>) {
        let table = name_in(part);
        let names = self.keys_of(table).unwrap_or_default();
        let whole = if kind == "Put" { &part["Item"] } else { &part["Key"] };
        let key: Value =
            names.into_iter().map(|name| (name.clone(), whole[&name].clone())).collect::<Map<_, _>>().into();
        let before = self.stored(table, &key);
        let now = (kind == "Put").then(|| part["Item"].clone());
        if before == now || kind == "ConditionCheck" {
            return (None, before);
        }
        (Some(change_of(table, &key, before.as_ref(), now.as_ref())), before)
    }

    /// An item as it is stored.
    fn stored(&self, table: &str, key: &Value) -> Option<Value> {
        let get = json!({ "TableName": table, "Key": key, "ConsistentRead": true });
        let answer = self.database.get_item(serde_json::from_value(get).ok()?).ok()?;
        answer.item.map(|item| json!(item))
    }

    /// The records of changes, as entries of the journals: those of a shard together, in parts that fit an item each.
    fn entries(&self, changes: impl IntoIterator<Item = Change>) -> Vec<Value> {
        let mut of_shards: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for Change { journal, record } in changes {
            of_shards.entry(journal).or_default().push(record);
        }
        let mut entries = Vec::new();
        for (journal, records) in of_shards {
            let number = self.number();
            let count = records.len();
            // One by itself as the release before reads it.
            let text = if count == 1 { records.concat() } else { format!("[{}]", records.join(",")) };
            let texts = in_parts(text);
            let parts = texts.len();
            entries.extend(texts.into_iter().enumerate().map(|(part, text)| {
                json!({
                    "journal": { "S": journal },
                    "entry": { "S": format!("{number:020}-{}/{part}", self.process) },
                    "text": { "S": text },
                    "parts": { "N": parts.to_string() },
                    "records": { "N": count.to_string() },
                })
            }));
        }
        entries
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

    fn keys_of(&self, table: &str) -> Option<Vec<String>> {
        self.streamed().get(table).cloned()
    }

    fn streamed(&self) -> MutexGuard<'_, HashMap<String, Vec<String>>> {
        self.streamed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change of an item, as the text of a record, and the journal of the shard that it belongs to.
struct Change {
    journal: String,
    record: String,
}

/// A record as a stream has it.
#[derive(Serialize)]
struct Record<'a, T> {
    #[serde(rename = "Keys")]
    key: &'a T,
    #[serde(rename = "OldImage", skip_serializing_if = "Option::is_none")]
    before: Option<&'a T>,
    #[serde(rename = "NewImage", skip_serializing_if = "Option::is_none")]
    now: Option<&'a T>,
}

fn change_of<T: Serialize>(table: &str, key: &T, before: Option<&T>, now: Option<&T>) -> Change {
    let mut hasher = DefaultHasher::new();
    json!(key).to_string().hash(&mut hasher);
    let journal = format!("{table}/{}", hasher.finish() % SHARDS);
    // Items are JSON whatever they hold.
    Change { journal, record: serde_json::to_string(&Record { key, before, now }).unwrap_or_default() }
}

/// The put as a part of a transaction; `None` if it is to return what no transaction does, or can't be read.
fn part_of(body: &[u8]) -> Option<TransactPut> {
    let put: PutItemRequest = serde_json::from_slice(body).ok()?;
    let is_plain = put.return_values.is_none()
        && put.return_consumed_capacity.is_none()
        && put.return_item_collection_metrics.is_none()
        && put.expected.is_none()
        && put.conditional_operator.is_none();
    is_plain.then_some(TransactPut {
        table_name: put.table_name,
        item: put.item,
        condition_expression: put.condition_expression,
        expression_attribute_names: put.expression_attribute_names,
        expression_attribute_values: put.expression_attribute_values,
        return_values_on_condition_check_failure: put.return_values_on_condition_check_failure,
    })
}

/// The table that a request names.
fn name_in(request: &Value) -> &str {
    request["TableName"].as_str().unwrap_or_default()
}

/// The journal of an entry, and how many records begin in it: the release before wrote one record an entry.
fn records_in(entry: &Value) -> (&str, usize) {
    let is_first = entry["entry"]["S"].as_str().is_some_and(|entry| entry.ends_with("/0"));
    let count = entry["records"]["N"].as_str().and_then(|count| count.parse().ok()).unwrap_or(1);
    (entry["journal"]["S"].as_str().unwrap_or_default(), if is_first { count } else { 0 })
}

/// The entries that the run before left.
fn left(database: &Database) -> Vec<Item> {
    let mut left = Vec::new();
    let mut start = Value::Null;
    loop {
        let mut scan = json!({ "TableName": JOURNALS, "ProjectionExpression": "journal, entry, records" });
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
