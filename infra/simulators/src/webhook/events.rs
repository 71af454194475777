//! Reading an event: CloudEvents 1.0 in JSON, with a customer in it. An error is a sentence for the client.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

/// What became of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// It is there now.
    Added,
    /// It is there, and changed.
    Updated,
    /// It is not there any more.
    Deleted,
}

/// An event as far as the receiver needs it.
pub(super) struct Event {
    pub(super) kind: EventKind,
    pub(super) subject: String,
    pub(super) revision: u64,
    pub(super) data: Value,
}

impl Event {
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let mut event: Map<String, Value> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        check_attributes(&event)?;
        let (_, action) = text(&event, "type")?.rsplit_once('.').ok_or("type: there is no point in it")?;
        let kind = match action {
            "added" => EventKind::Added,
            "updated" => EventKind::Updated,
            "deleted" => EventKind::Deleted,
            other => return Err(format!("type: \"{other}\" is not added, updated or deleted")),
        };
        let action = action.to_owned();
        let subject = text(&event, "subject")?.to_owned();
        let Some(Value::Object(data)) = event.remove("data") else { return Err("data: no object".to_owned()) };
        let revision = read_data(&data, &action, &subject)?;
        Ok(Self { kind, subject, revision, data: Value::Object(data) })
    }
}

/// Returns the revision.
fn read_data(data: &Map<String, Value>, action: &str, subject: &str) -> Result<u64, String> {
    if text(data, "id")? != subject {
        return Err("data.id: it is not the subject".to_owned());
    }
    if text(data, "action")? != action {
        return Err("data.action: it is not what the type says".to_owned());
    }
    check_time(data, "changed_at")?;
    // A deletion need not hold the customer, and a sender may choose to send no customers at all.
    if data.get("customer").is_some_and(|customer| !customer.is_object() && !customer.is_null()) {
        return Err("data.customer: no object".to_owned());
    }
    data.get("revision").and_then(Value::as_u64).ok_or_else(|| "data.revision: no whole number".to_owned())
}

/// The attributes that every event must have, and those that it may have.
fn check_attributes(event: &Map<String, Value>) -> Result<(), String> {
    let is_of_name = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    if let Some(name) = event.keys().find(|name| name.is_empty() || !name.chars().all(is_of_name)) {
        return Err(format!("\"{name}\" is no name of an attribute"));
    }
    if text(event, "specversion")? != "1.0" {
        return Err("specversion: it is not 1.0".to_owned());
    }
    text(event, "id")?;
    text(event, "source")?;
    if event.contains_key("time") {
        check_time(event, "time")?;
    }
    if event.contains_key("datacontenttype") && !text(event, "datacontenttype")?.starts_with("application/json") {
        return Err("datacontenttype: it is not application/json".to_owned());
    }
    Ok(())
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    let text = object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| format!("{name}: no text"))
}

fn check_time(object: &Map<String, Value>, name: &str) -> Result<(), String> {
    text(object, name)?.parse::<Timestamp>().map(|_| ()).map_err(|_| format!("{name}: no time with a zone"))
}
