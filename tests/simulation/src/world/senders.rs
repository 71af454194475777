//! The Connector, the importer, and the operator who undoes an import: they push, and know what was acknowledged.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::FutureExt;
use model::ConnectionKey;
use operations::imports::Undo;
use serde_json::Value;
use tower::ServiceExt;

use super::{CONNECTOR, IMPORTER, World, lock};
use crate::event::PUSHED;
use crate::process::Process;
use crate::pushes::DoneImport;

/// How often a sender sends a request that is not acknowledged.
const ATTEMPTS: u32 = 6;

impl World {
    /// A Connector pushes a new state of a person until it is acknowledged or the Connector gives up.
    pub(super) fn push(&self, person: u64, twice: bool) -> bool {
        let Some(value) = self.begin_sending("person", [person].into()) else { return false };
        let document = format!(
            "<user><providerInfo><identifier>P</identifier><clientID>c-1</clientID><clubID>k-1</clubID>\
             <recordID>r-{person}</recordID></providerInfo><userInfo><firstname>Jo</firstname>\
             <lastname>V{value}</lastname><userStatus>ACTIVE</userStatus><userType>PROSPECT</userType></userInfo></user>"
        );
        let authorization = BASE64_STANDARD.encode(format!("{}:{}", CONNECTOR.0, CONNECTOR.1));
        let request = move || {
            Request::post("/connector/api/2011-11/user")
                .header("Authorization", format!("Basic {authorization}"))
                .header("Content-Type", "application/xml")
                .body(Body::from(document.clone()))
                .unwrap()
        };
        let (sent, clock) = (self.sent.clone(), self.clock.clone());
        let senders: Vec<_> = (0..if twice { 2 } else { 1 }).map(|_| self.sender(request.clone())).collect();
        tokio::spawn(async move {
            let answers = futures::future::join_all(senders).await;
            let mut sent = lock(&sent);
            sent.under_way.remove(&("person", person));
            for text in answers.iter().flatten() {
                let uuid = text.split_once("<uuid>").and_then(|(_, rest)| rest.split_once("</uuid>"));
                let Some((uuid, _)) = uuid else {
                    sent.violations.push(format!("{}: person {person}: {text}", clock.now()));
                    continue;
                };
                if *sent.ids.entry(person).or_insert_with(|| uuid.to_owned()) != uuid {
                    sent.violations.push(format!("{}: person {person} has two ids", clock.now()));
                }
            }
            // One that was sent twice, and acknowledged once, may still be written by the other.
            if answers.iter().all(Option::is_some) {
                sent.acknowledged += 1;
                sent.people.entry(person).or_default().acknowledged(value);
            }
        });
        true
    }

    /// An importer sends rows until they are acknowledged or it gives up.
    pub(super) fn import(&self, first: u64, rows: u64, is_whole: bool) -> bool {
        let codes: BTreeSet<u64> = (first..first + rows).map(|code| code % PUSHED).collect();
        let before = lock(&self.sent).rows.clone();
        let before = codes.iter().map(|code| (*code, before.get(code).cloned().unwrap_or_default())).collect();
        let Some(value) = self.begin_sending("row", codes.clone()) else { return false };
        let data: Vec<String> = codes.iter().map(|code| format!("code{code}|Jo|V{value}")).collect();
        let fields = [
            ("user_id", IMPORTER.0),
            ("user_password", IMPORTER.1),
            ("account_id", IMPORTER.2),
            ("type", "customers_batch"),
            ("delimiter", "pipe"),
            ("overwrite_duplicates", if is_whole { "yes" } else { "update" }),
            ("campaigns_to_include", "1"),
            ("output", "JSON"),
            ("profiles_header_1", "code"),
            ("profiles_header_2", "first_name"),
            ("profiles_header_3", "last_name"),
            ("Profiles_Data", &data.join("%0A")),
        ];
        let form = fields.map(|(name, value)| format!("{name}={}", value.replace('|', "%7C"))).join("&");
        let (sent, clock, sender) = (self.sent.clone(), self.clock.clone(), self.sender(import_request(&form)));
        tokio::spawn(async move {
            let answer = sender.await;
            let mut sent = lock(&sent);
            for code in &codes {
                sent.under_way.remove(&("row", *code));
            }
            let Some(text) = answer else { return };
            let (id, taken) = import_and_rows(&text);
            if taken != codes.len() as u64 {
                sent.violations.push(format!("{}: {} rows: {text}", clock.now(), codes.len()));
                return;
            }
            sent.acknowledged += 1;
            for code in codes {
                sent.rows.entry(code).or_default().acknowledged(value);
            }
            sent.imports.push(DoneImport { id, value, before, form });
        });
        true
    }

    /// An importer sends one of the latest imports once more: it is the same import.
    pub(super) fn import_again(&self, which: usize) -> bool {
        let import = {
            let mut sent = lock(&self.sent);
            let index = sent.imports.len().checked_sub(which + 1);
            let Some(import) = index.map(|index| sent.imports[index].clone()) else { return false };
            let rows: Vec<_> = import.before.keys().map(|code| ("row", *code)).collect();
            if rows.iter().any(|row| sent.under_way.contains(row)) {
                return false;
            }
            sent.under_way.extend(rows);
            for code in import.before.keys() {
                sent.rows.entry(*code).or_default().sent(import.value);
            }
            import
        };
        let (sent, clock, sender) = (self.sent.clone(), self.clock.clone(), self.sender(import_request(&import.form)));
        tokio::spawn(async move {
            let answer = sender.await;
            let mut sent = lock(&sent);
            for code in import.before.keys() {
                sent.under_way.remove(&("row", *code));
            }
            let Some(text) = answer else { return };
            let (id, rows) = import_and_rows(&text);
            // Once its undo has begun, the same request is another import.
            let is_it = id == import.id || sent.is_undoing(&import.id);
            if is_it && rows == import.before.len() as u64 {
                sent.imported_again(&import.id);
            } else {
                sent.violations.push(format!("{}: an import again: {text}", clock.now()));
            }
        });
        true
    }

    /// The value to send for these, unless one of them is being sent.
    fn begin_sending(&self, what: &'static str, ids: BTreeSet<u64>) -> Option<u64> {
        let mut sent = lock(&self.sent);
        if ids.iter().any(|id| sent.under_way.contains(&(what, *id))) {
            return None;
        }
        sent.next += 1;
        let value = sent.next;
        for id in ids {
            sent.under_way.insert((what, id));
            let records = if what == "person" { &mut sent.people } else { &mut sent.rows };
            records.entry(id).or_default().sent(value);
        }
        Some(value)
    }

    /// Sends a request until it is acknowledged, to one process after the other; `None` if it never is.
    fn sender(
        &self,
        request: impl Fn() -> Request<Body> + Send + 'static,
    ) -> impl Future<Output = Option<String>> + Send + 'static {
        let gateways: Vec<Router> = self.processes.iter().map(Process::gateway).collect();
        let clock = self.clock.clone();
        let first = self.starts as usize;
        let death: Vec<_> = self.processes.iter().map(Process::death).collect();
        async move {
            for attempt in 0..ATTEMPTS {
                let number = (first + attempt as usize) % gateways.len();
                let answering = gateways[number].clone().oneshot(request());
                let answer = tokio::select! {
                    biased;
                    () = death[number].clone().told() => None,
                    answer = std::panic::AssertUnwindSafe(answering).catch_unwind() => answer.ok(),
                    () = clock.sleep(Duration::from_secs(35)) => None,
                };
                if let Some(Ok(response)) = answer {
                    let status = response.status();
                    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
                    let text = String::from_utf8_lossy(&body).into_owned();
                    let is_to_be_repeated = status.is_server_error()
                        || status.as_u16() == 429
                        || text.contains("request again")
                        || text.contains("status=\"error\"")
                        || (text.contains("\"status\"") && text.contains("\"error\""));
                    if !is_to_be_repeated {
                        return Some(text);
                    }
                }
                clock.sleep(Duration::from_secs(1 << attempt)).await;
            }
            None
        }
    }

    /// An operator undoes one of the latest imports, if none is under way.
    pub(super) async fn undo(&mut self, which: usize) -> bool {
        let import = {
            let mut sent = lock(&self.sent);
            if sent.under_way.iter().any(|(what, _)| *what == "row") || sent.imports.is_empty() {
                return false;
            }
            let index = sent.imports.len().saturating_sub(which + 1);
            sent.imports.remove(index)
        };
        let connection = ConnectionKey::new("acme", "imports");
        let deadline = self.operator_clock.now() + Duration::from_secs(60);
        let record = self.operator.imports.find(&connection, &import.id, deadline).await.unwrap().unwrap();
        let undo = Undo::new(&self.operator);
        let report = undo.carry_out(&connection, &record, deadline).await;
        self.note(format_args!("undone: {report:?}"));
        lock(&self.sent).undone(&import, report.is_ok());
        true
    }

    /// Everybody sends once more; whom nobody heard, although nothing goes wrong any more.
    pub async fn hear_everybody(&mut self) -> Vec<String> {
        let before = lock(&self.sent).acknowledged;
        for id in 0..PUSHED {
            self.push(id, false);
        }
        self.import(0, PUSHED, true);
        let until = self.clock.now() + Duration::from_secs(60);
        loop {
            let heard = lock(&self.sent).acknowledged - before;
            if heard == PUSHED + 1 {
                return Vec::new();
            }
            if self.clock.now() >= until {
                return vec![format!("{heard} of {} senders are heard", PUSHED + 1)];
            }
            self.pass_until(self.clock.now() + Duration::from_secs(1)).await;
        }
    }
}

fn import_request(form: &str) -> impl Fn() -> Request<Body> + Send + use<> {
    let form = form.to_owned();
    move || {
        Request::post("/api.php")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(Body::from(form.clone()))
            .unwrap()
    }
}

/// The id of an import, and how many of its rows were taken over, as its answer says.
fn import_and_rows(answer: &str) -> (String, u64) {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let batch = &answer["batch"];
    let count = |name: &str| batch["customers"][name].as_u64().unwrap_or(0);
    (batch["import"]["id"].as_str().unwrap_or_default().to_owned(), count("new") + count("updated"))
}
