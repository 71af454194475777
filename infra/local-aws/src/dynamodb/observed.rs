//! Carries requests out as AWS does: counts their units, and refuses what AWS would refuse.

use std::collections::HashMap;

use dynoxide::actions;
use dynoxide::types::{Item, item_size};
use serde_json::{Map, Value, json};

use super::failure;
use super::habits::{Habits, Memory};
use super::journal::Journaled;
use super::units::{Schema, Write, read_units};
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

    /// Carries a request out.
    pub(super) fn answer(&mut self, database: &Journaled, operation: &str, body: &[u8]) -> Answer {
        if !self.meter.is_on() && !self.habits.are_on() {
            return database.dispatch(operation, body);
        }
        let Ok(request) = serde_json::from_slice::<Value>(body) else { return database.dispatch(operation, body) };
        match operation {
            "PutItem" | "UpdateItem" | "DeleteItem" => self.write(database, operation, body, &request),
            "BatchWriteItem" => self.write_batch(database, request),
            "TransactWriteItems" => self.transact(database, body, &request),
            "GetItem" => self.get(database, body, &request),
            "BatchGetItem" => self.get_batch(database, request),
            "Query" | "Scan" => self.look_through(database, operation, body, request),
            _ => database.dispatch(operation, body),
        }
    }

    fn write(&mut self, database: &Journaled, operation: &str, body: &[u8], request: &Value) -> Answer {
        let table = name_of(request);
        let Some(write) = Write::of(&self.schemas, operation, table, request) else {
            return database.dispatch(operation, body);
        };
        self.meter.dynamodb_request(table, operation);
        let before = stored(database, &write);
        if let Some(refused) = self.refusal(&write, before.as_ref()) {
            return error(refused.codes().0);
        }
        let answer = database.dispatch(operation, body);
        let after = if answer.0 == 200 { stored(database, &write) } else { before.clone() };
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
                    let before = stored(database, &write);
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
        let answer = database.dispatch(OPERATION, request.to_string().as_bytes());
        with_left(answer, "UnprocessedItems", unprocessed)
    }

    fn transact(&mut self, database: &Journaled, body: &[u8], request: &Value) -> Answer {
        const OPERATION: &str = "TransactWriteItems";
        let parts = request["TransactItems"].as_array().map(Vec::as_slice).unwrap_or_default();
        let writes: Vec<(Write, Option<Item>)> = parts
            .iter()
            .filter_map(|part| {
                let (kind, part) = part.as_object()?.iter().next()?;
                let write = Write::of(&self.schemas, kind, name_of(part), part)?;
                let before = stored(database, &write);
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
        let answer = database.dispatch(OPERATION, body);
        for (write, before) in &writes {
            let after = if answer.0 == 200 { stored(database, write) } else { before.clone() };
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

    fn get(&mut self, database: &Journaled, body: &[u8], request: &Value) -> Answer {
        const OPERATION: &str = "GetItem";
        let table = name_of(request);
        self.meter.dynamodb_request(table, OPERATION);
        if self.reads(database, OPERATION, table, &request["Key"], is_consistent(request)) {
            database.dispatch(OPERATION, body)
        } else {
            error("ThrottlingException")
        }
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
        let Ok(key) = serde_json::from_value::<Item>(key.clone()) else { return true };
        let partition = schema.partition(table, &key);
        if !self.memory.takes_read(&self.habits, &partition) {
            return false;
        }
        let item = stored(database, &Write { table: table.to_owned(), key, after: None });
        let units = read_units(item.as_ref().map_or(0, item_size), consistent);
        self.memory.read(&self.habits, &partition, units);
        self.meter.read(table, operation, units);
        true
    }

    /// A query, or a scan: all that it goes through counts, whatever its filter leaves.
    fn look_through(&mut self, database: &Journaled, operation: &str, body: &[u8], mut request: Value) -> Answer {
        let table = name_of(&request).to_owned();
        self.meter.dynamodb_request(&table, operation);
        let partition = self.schemas.get(&table).and_then(|schema| schema.queried(&request));
        if let Some(partition) = &partition
            && !self.memory.takes_read(&self.habits, partition)
        {
            return error("ThrottlingException");
        }
        request["ReturnConsumedCapacity"] = json!("TOTAL");
        let units = match operation {
            "Query" => serde_json::from_value(request)
                .ok()
                .and_then(|request| database.database.query(request).ok())
                .and_then(|answer: actions::query::QueryResponse| answer.consumed_capacity),
            _ => serde_json::from_value(request)
                .ok()
                .and_then(|request| database.database.scan(request).ok())
                .and_then(|answer: actions::scan::ScanResponse| answer.consumed_capacity),
        };
        let units = units.map_or(0.5, |consumed| consumed.capacity_units.max(0.5));
        if let Some(partition) = &partition {
            self.memory.read(&self.habits, partition, units);
        }
        self.meter.read(&table, operation, units);
        database.dispatch(operation, body)
    }
}

/// An item as it is stored.
fn stored(database: &Journaled, write: &Write) -> Option<Item> {
    let request = json!({ "TableName": write.table, "Key": write.key, "ConsistentRead": true });
    database.database.get_item(serde_json::from_value(request).ok()?).ok()?.item
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
    let Ok(mut answer) = serde_json::from_str::<Value>(&body) else { return (status, body) };
    if status != 200 || left.is_empty() {
        return (status, body);
    }
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
