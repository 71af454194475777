//! A reader who keeps a copy of its tenant's customers by the change feed.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use futures::FutureExt;
use model::{ConnectionKey, Status};
use serde_json::Value;
use tower::ServiceExt;

use super::{READERS, World};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(35);
/// The connections of each tenant of [`READERS`].
const CONNECTIONS: [&[&str]; 2] = [&["aa", "bc", "intouch", "imports"], &["members"]];

/// What the reader has.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    /// Which of [`READERS`] it is.
    reader: usize,
    cursor: Option<String>,
    /// The revisions of the customers that are not deleted, by id.
    copy: BTreeMap<String, u64>,
    /// The last revision that it heard of each, by id.
    heard: BTreeMap<String, u64>,
    changes: u64,
    pub(super) violations: Vec<String>,
}

impl Follower {
    /// A reader that has heard nothing yet, one of [`READERS`].
    pub(super) fn of(reader: usize) -> Self {
        Self { reader, ..Self::default() }
    }

    /// How many changes it heard.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The tables were restored: revisions go back.
    pub(super) fn restored(&mut self) {
        self.heard.clear();
    }

    fn hear(&mut self, change: &Value) {
        let (Some(id), Some(revision)) = (change["id"].as_str(), change["revision"].as_u64()) else {
            self.violations.push(format!("a change without id or revision: {change}"));
            return;
        };
        self.changes += 1;
        let (tenant, connection) = (READERS[self.reader].0, id.split('~').next().unwrap_or_default());
        let is_its_own = CONNECTIONS[self.reader].contains(&connection);
        let said = change["customer"]["tenant"].as_str();
        if !is_its_own || said.is_some_and(|said| said != tenant) {
            self.violations.push(format!("{tenant} hears of {id} of {said:?}"));
        }
        let before = self.heard.insert(id.to_owned(), revision);
        if let Err(problem) = invariants::feed_does_not_go_back(before, revision) {
            self.violations.push(format!("{id}: {problem}"));
        }
        if change["action"] == "deleted" {
            self.copy.remove(id);
        } else {
            self.copy.insert(id.to_owned(), revision);
        }
    }
}

impl World {
    /// Reads one page of the feed; `Some(true)` if there is more, and none if it was not answered.
    pub(super) async fn follow(&mut self, reader: usize) -> Option<bool> {
        let cursor = self.followers[reader].cursor.iter().map(|cursor| format!("&cursor={cursor}")).collect::<String>();
        let request = Request::get(format!("/v1/changes?limit=50{cursor}"))
            .header("Authorization", format!("Bearer {}", READERS[reader].1))
            .body(Body::empty())
            .ok()?;
        let answering = AssertUnwindSafe(self.processes[0].gateway().oneshot(request)).catch_unwind();
        let death = self.processes[0].death();
        let answer = tokio::select! {
            biased;
            () = death.told() => return None,
            answer = answering => answer.ok()?.ok()?,
            () = self.clock.sleep(PATIENCE) => return None,
        };
        let status = answer.status();
        let body = to_bytes(answer.into_body(), usize::MAX).await.ok()?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        match status.as_u16() {
            200 => {
                for change in answer["changes"].as_array().into_iter().flatten() {
                    self.followers[reader].hear(change);
                }
                self.followers[reader].cursor = answer["cursor"].as_str().map(str::to_owned);
                Some(answer["more"] == true)
            }
            // Its token can't be checked, or the store fails.
            429 | 500..600 => None,
            _ => {
                self.followers[reader].violations.push(format!("the feed answers {status}: {answer}"));
                None
            }
        }
    }

    /// Invariant 10: once it has followed the feed to its end, the reader has what is stored.
    pub async fn reader_misses(&mut self) -> Vec<String> {
        let mut violations = Vec::new();
        for (reader, (tenant, _)) in READERS.iter().enumerate() {
            while self.follow(reader).await == Some(true) {}
            let mut stored = BTreeMap::new();
            let deadline = self.clock.now() + Duration::from_secs(60);
            for connection in CONNECTIONS[reader] {
                let key = ConnectionKey::new(*tenant, *connection);
                let (customers, _) = self.tables.shadow.list(&key, None, 1_000, deadline).await.unwrap();
                let living = customers.iter().filter(|customer| customer.content.status != Status::Deleted);
                stored.extend(living.map(|customer| (customer.id().to_string(), customer.revision)));
            }
            violations.extend(self.followers[reader].violations.clone());
            let missed = invariants::reader_has_everything(&self.followers[reader].copy, &stored).err();
            violations.extend(missed.map(|problem| format!("{tenant}: {problem}")));
        }
        violations
    }
}
