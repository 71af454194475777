//! Carries requests out as AWS does: counts their units, and refuses what AWS would refuse.

use std::collections::HashMap;

use dynoxide::actions::get_item::{GetItemRequest, GetItemResponse};
use dynoxide::actions::query::QueryResponse;
use dynoxide::actions::scan::ScanResponse;
use dynoxide::types::{ConsumedCapacity, Item, item_size};
use dynoxide::{Database, DynoxideError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::habits::{Habits, Memory};
use super::journal::Journaled;
use super::units::{Schema, Write, read_units};
use super::{answered, failure, serialized};
use crate::interference::Answer;
use crate::meter::Meter;

/// What is known beside the database: the tables' keys, what was asked lately, and what is counted.
#[derive(Debug, Default)]
pub(super) struct Observer {
    pub(super) habits: Habits,
    pub(super) meter: Meter,
    schemas: HashMap<String, Schema>,
    memory: Memory,
}

/// Why AWS refuses a write at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Throttled,
    Conflict,
}

impl Refused {
    /// Its code as the error of a request, and as the reason of a transaction.
    fn codes(self) -> (&'static str, &'static str) {
        match self {
            Self::Throttled => ("ThrottlingException", "ThrottlingError"),
            Self::Conflict => ("TransactionConflictException", "TransactionConflict"),
        }
    }
}

impl Observer {
    /// Notes the keys of a table that is made.
    pub(super) fn note_table(&mut self, body: &[u8]) {
        let request = serde_json::from_slice::<Value>(body).unwrap_or_default();
        self.schemas.extend(Schema::of(&request));
    }

    /// Whether it counts or refuses anything.
    pub(super) fn is_on(&self) -> bool {
        self.meter.is_on() || self.habits.are_on()
    }

    /// Carries a request out.
    pub(super) fn answer(&mut self, database: &Journaled, operation: &str, body: &[u8]) -> Answer {
        if !self.is_on() {
            return database.dispatch(operation, body);
        }
        let Ok(request) = serde_json::from_slice::<Value>(body) else { return database.dispatch(operation, body) };
        match operation {
            "PutItem" | "UpdateItem" | "DeleteItem" => self.write(database, operation, body, request),
            "BatchWriteItem" => self.write_batch(database, request),
            "TransactWriteItems" => self.transact(database, body, request),
            "GetItem" => self.get(database, body, request),
            "BatchGetItem" => self.get_batch(database, request),
            "Query" | "Scan" => self.look_through(database, operation, body, request),
            _ => database.dispatch(operation, body),
        }
    }

    fn write(&mut self, database: &Journaled, operation: &str, body: &[u8], request: Value) -> Answer {
        let Some(write) = Write::of(&self.schemas, operation, name_of(&request), &request) else {
            return database.dispatch_parsed(operation, request, body);
        };
        self.meter.dynamodb_request(&write.table, operation);
        let before = stored(database, &write.table, write.key.clone());
        if let Some(refused) = self.refusal(&write, before.as_ref()) {
            return error(refused.codes().0);
        }
        let answer = database.dispatch_parsed(operation, request, body);
        let after = if answer.0 == 200 { stored_after(database, &write) } else { before.clone() };
        self.charge(operation, &write, before.as_ref(), after.as_ref(), 1.0);
        answer
    }

    fn write_batch(&mut self, database: &Journaled, mut request: Value) -> Answer {
        const OPERATION: &str = "BatchWriteItem";
        let mut unprocessed = Map::new();
        let mut taken = 0;
        for (table, parts) in request["RequestItems"].as_object_mut().into_iter().flatten() {
            self.meter.dynamodb_request(table, OPERATION);
            let (mut now, mut later) = (Vec::new(), Vec::new());
            for part in parts.as_array_mut().map(std::mem::take).unwrap_or_default() {
                let named = part.as_object().and_then(|part| part.iter().next());
                let write = named.and_then(|(kind, part)| Write::of(&self.schemas, kind, table, part));
                if let Some(write) = write {
                    let before = stored(database, &write.table, write.key.clone());
                    if self.refusal(&write, before.as_ref()).is_some() {
                        later.push(part);
                        continue;
                    }
                    let after = write.after.clone().flatten();
                    self.charge(OPERATION, &write, before.as_ref(), after.as_ref(), 1.0);
                }
                now.push(part);
            }
            taken += now.len();
            *parts = Value::Array(now);
            if !later.is_empty() {
                unprocessed.insert(table.clone(), Value::Array(later));
            }
        }
        retain_some(&mut request["RequestItems"], |parts| parts);
        if taken == 0 {
            return error("ProvisionedThroughputExceededException");
        }
        let body = request.to_string();
        let answer = database.dispatch_parsed(OPERATION, request, body.as_bytes());
        with_left(answer, "UnprocessedItems", unprocessed)
    }

    fn transact(&mut self, database: &Journaled, body: &[u8], request: Value) -> Answer {
        const OPERATION: &str = "TransactWriteItems";
        let parts = request["TransactItems"].as_array().map(Vec::as_slice).unwrap_or_default();
        let writes: Vec<(Write, Option<Item>)> = parts
            .iter()
            .filter_map(|part| {
                let (kind, part) = part.as_object()?.iter().next()?;
                let write = Write::of(&self.schemas, kind, name_of(part), part)?;
                let before = stored(database, &write.table, write.key.clone());
                Some((write, before))
            })
            .collect();
        if let Some((write, _)) = writes.first() {
            self.meter.dynamodb_request(&write.table, OPERATION);
        }
        let refusals: Vec<_> = writes.iter().map(|(write, before)| self.refusal(write, before.as_ref())).collect();
        if refusals.iter().any(Option::is_some) {
            return cancelled(&refusals);
        }
        let answer = database.dispatch_parsed(OPERATION, request, body);
        for (write, before) in &writes {
            let after = if answer.0 == 200 { stored_after(database, write) } else { before.clone() };
            self.charge(OPERATION, write, before.as_ref(), after.as_ref(), 2.0);
            self.memory.held(&self.habits, &write.item());
        }
        answer
    }

    /// Whether AWS refuses a write now. The indexes count as far as the request tells what becomes of them.
    fn refusal(&mut self, write: &Write, before: Option<&Item>) -> Option<Refused> {
        let schema = self.schemas.get(&write.table)?;
        let after = write.after.as_ref().map_or(before, Option::as_ref);
        for (partition, _) in schema.units(write, before, after) {
            if !self.memory.takes_write(&self.habits, &partition) {
                return Some(Refused::Throttled);
            }
        }
        self.memory.meets(&self.habits, &write.item()).then_some(Refused::Conflict)
    }

    fn charge(&mut self, operation: &str, write: &Write, before: Option<&Item>, after: Option<&Item>, factor: f64) {
        let Some(schema) = self.schemas.get(&write.table) else { return };
        for (partition, units) in schema.units(write, before, after) {
            self.memory.wrote(&self.habits, &partition, units * factor);
            self.meter.wrote(&write.table, operation, &partition, units * factor, self.habits.clock.now());
        }
    }

    fn get(&mut self, database: &Journaled, body: &[u8], request: Value) -> Answer {
        let table = name_of(&request);
        self.meter.dynamodb_request(table, "GetItem");
        let key = Item::deserialize(&request["Key"]).ok();
        let partition = self.schemas.get(table).zip(key).map(|(schema, key)| schema.partition(table, &key));
        // The database says what is wrong with it.
        let Some(partition) = partition else { return database.dispatch("GetItem", body) };
        let least = read_units(0, is_consistent(&request));
        self.read_once(database, "GetItem", body, request, Some(partition), least)
    }

    fn get_batch(&mut self, database: &Journaled, mut request: Value) -> Answer {
        const OPERATION: &str = "BatchGetItem";
        let mut unprocessed = Map::new();
        let mut taken = 0;
        for (table, wanted) in request["RequestItems"].as_object_mut().into_iter().flatten() {
            self.meter.dynamodb_request(table, OPERATION);
            let consistent = is_consistent(wanted);
            let keys = wanted["Keys"].as_array_mut().map(std::mem::take).unwrap_or_default();
            let (now, later): (Vec<_>, Vec<_>) =
                keys.into_iter().partition(|key| self.reads(database, OPERATION, table, key, consistent));
            taken += now.len();
            if !later.is_empty() {
                let mut left = wanted.clone();
                left["Keys"] = Value::Array(later);
                unprocessed.insert(table.clone(), left);
            }
            wanted["Keys"] = Value::Array(now);
        }
        retain_some(&mut request["RequestItems"], |wanted| &wanted["Keys"]);
        if taken == 0 {
            return error("ProvisionedThroughputExceededException");
        }
        let answer = database.dispatch(OPERATION, request.to_string().as_bytes());
        with_left(answer, "UnprocessedKeys", unprocessed)
    }

    /// Counts the read of one item; `false` if its partition key takes no more.
    fn reads(&mut self, database: &Journaled, operation: &str, table: &str, key: &Value, consistent: bool) -> bool {
        let Some(schema) = self.schemas.get(table) else { return true };
        let Ok(key) = Item::deserialize(key) else { return true };
        let partition = schema.partition(table, &key);
        if !self.memory.takes_read(&self.habits, &partition) {
            return false;
        }
        let item = stored(database, table, key);
        let units = read_units(item.as_ref().map_or(0, item_size), consistent);
        self.memory.read(&self.habits, &partition, units);
        self.meter.read(table, operation, units);
        true
    }

    /// A query, or a scan: all that it goes through counts, whatever its filter leaves.
    fn look_through(&mut self, database: &Journaled, operation: &str, body: &[u8], request: Value) -> Answer {
        let table = name_of(&request);
        self.meter.dynamodb_request(table, operation);
        let partition = self.schemas.get(table).and_then(|schema| schema.queried(&request));
        self.read_once(database, operation, body, request, partition, 0.5)
    }

    /// Carries a read out, unless its partition key takes no more, and counts what the database says that it consumed.
    fn read_once(
        &mut self,
        database: &Journaled,
        operation: &str,
        body: &[u8],
        request: Value,
        partition: Option<String>,
        least: f64,
    ) -> Answer {
        let table = name_of(&request).to_owned();
        if let Some(partition) = &partition
            && !self.memory.takes_read(&self.habits, partition)
        {
            return error("ThrottlingException");
        }
        let (answer, units) = match operation {
            "GetItem" => {
                counted(database, operation, body, request, Database::get_item, |answer: &mut GetItemResponse| {
                    &mut answer.consumed_capacity
                })
            }
            "Query" => counted(database, operation, body, request, Database::query, |answer: &mut QueryResponse| {
                &mut answer.consumed_capacity
            }),
            _ => counted(database, operation, body, request, Database::scan, |answer: &mut ScanResponse| {
                &mut answer.consumed_capacity
            }),
        };
        let units = units.map_or(least, |units| units.max(least));
        if let Some(partition) = &partition {
            self.memory.read(&self.habits, partition, units);
        }
        self.meter.read(&table, operation, units);
        answer
    }
}

/// Carries a read out, with the units that it consumed: the answer tells them only if the request asks for them.
fn counted<Q: DeserializeOwned, A: Serialize>(
    database: &Journaled,
    operation: &str,
    body: &[u8],
    mut request: Value,
    read: impl FnOnce(&Database, Q) -> Result<A, DynoxideError>,
    consumed: impl FnOnce(&mut A) -> &mut Option<ConsumedCapacity>,
) -> (Answer, Option<f64>) {
    let asked = &request["ReturnConsumedCapacity"];
    let is_asked = !asked.is_null() && asked != "NONE";
    if let Some(properties) = request.as_object_mut().filter(|_| !is_asked) {
        properties.insert("ReturnConsumedCapacity".to_owned(), json!("TOTAL"));
    }
    // The error tells the place in the body.
    let Ok(request) = serde_json::from_value::<Q>(request) else { return (database.dispatch(operation, body), None) };
    match read(&database.database, request) {
        Ok(mut answer) => {
            let consumed = consumed(&mut answer);
            let units = consumed.as_ref().map(|consumed| consumed.capacity_units);
            if !is_asked {
                *consumed = None;
            }
            (answered(serialized(&answer)), units)
        }
        Err(error) => (failure(&error), None),
    }
}

/// An item as it is stored.
fn stored(database: &Journaled, table: &str, key: Item) -> Option<Item> {
    let table_name = table.to_owned();
    let request = GetItemRequest { table_name, key, consistent_read: Some(true), ..GetItemRequest::default() };
    database.database.get_item(request).ok()?.item
}

/// An item after a write that was carried out.
fn stored_after(database: &Journaled, write: &Write) -> Option<Item> {
    // What is put may be stored in another form, such as its numbers.
    let is_deleted = matches!(write.after, Some(None));
    if is_deleted { None } else { stored(database, &write.table, write.key.clone()) }
}

fn name_of(request: &Value) -> &str {
    request["TableName"].as_str().unwrap_or_default()
}

fn is_consistent(request: &Value) -> bool {
    request["ConsistentRead"].as_bool().unwrap_or(false)
}

/// Leaves out the tables of which nothing is asked.
fn retain_some(tables: &mut Value, parts: impl Fn(&Value) -> &Value) {
    if let Some(tables) = tables.as_object_mut() {
        tables.retain(|_, asked| parts(asked).as_array().is_some_and(|parts| !parts.is_empty()));
    }
}

/// An answer that says what was left, beside what the database itself left.
fn with_left((status, body): Answer, name: &str, left: Map<String, Value>) -> Answer {
    if status != 200 || left.is_empty() {
        return (status, body);
    }
    let Ok(mut answer) = serde_json::from_str::<Value>(&body) else { return (status, body) };
    for (table, mut more) in left {
        let same = &mut answer[name][&table];
        let (into, from) = if more.is_array() { (same, &mut more) } else { (&mut same["Keys"], &mut more["Keys"]) };
        match (into.as_array_mut(), from.as_array_mut()) {
            (Some(into), Some(from)) => into.append(from),
            _ => answer[name][&table] = more,
        }
    }
    (status, answer.to_string())
}

fn error(code: &str) -> Answer {
    let code = format!("com.amazonaws.dynamodb.v20120810#{code}");
    (400, json!({ "__type": code, "message": "refused at this moment" }).to_string())
}

fn cancelled(refusals: &[Option<Refused>]) -> Answer {
    let reasons = refusals.iter().map(|refused| {
        let code = refused.map_or("None", |refused| refused.codes().1);
        dynoxide::errors::CancellationReason { code: code.to_owned(), message: None, item: None }
    });
    let message = "Transaction cancelled, please refer cancellation reasons for specific reasons".to_owned();
    failure(&dynoxide::DynoxideError::TransactionCanceledException(message, reasons.collect()))
}
