//! What must hold once the trouble has ended, and how long it may take.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use jiff::Timestamp;
use model::{ConnectionKey, Status};
use operations::status::{ConnectionStatus, StatusReader};
use serde_json::Value;
use tower::ServiceExt;

use super::{READERS, World, key, lock};
use crate::event::{CROWD_FIRST, CUSTOMERS, FIRST, FLOOD, POLLED};

/// After how many events it is looked whether those are fresh who have no trouble.
const LOOKS_EVERY: u64 = 4;
/// How often something is read that is not answered.
const READS: usize = 10;

impl World {
    /// Lets time pass until everything is fresh.
    ///
    /// # Errors
    /// What is not, after [`invariants::RECOVERY`].
    pub async fn recover(&mut self) -> Result<(), String> {
        let mended_at = self.clock.now();
        for connection in 0..POLLED.len() {
            self.redrive(connection).await;
        }
        self.redrive_destinations().await;
        if self.bc_needs_resync {
            self.tables.states.request_resync(&key(2), mended_at).await.unwrap();
        }
        let until = mended_at + invariants::RECOVERY;
        let mut redriven_at = mended_at;
        loop {
            let Err(problem) = self.is_recovered(mended_at).await else { break };
            self.recovered_in = self.clock.now().duration_since(mended_at).as_secs().unsigned_abs() + 5;
            if self.clock.now() >= until {
                return Err(problem);
            }
            if self.clock.now() >= redriven_at + Duration::from_secs(120) {
                redriven_at = self.clock.now();
                for connection in 0..POLLED.len() {
                    self.redrive(connection).await;
                    if self.setting.has_crowd {
                        self.confirm(connection).await;
                    }
                }
                self.redrive_destinations().await;
            }
            self.pass_until(self.clock.now() + Duration::from_secs(5)).await;
        }
        self.publish().await?;
        // What was published just now is at the destinations as well.
        let published_at = self.clock.now();
        while let Err(problem) = self.have_destinations_recovered(published_at).await {
            if self.clock.now() >= until {
                return Err(problem);
            }
            self.pass_until(self.clock.now() + Duration::from_secs(5)).await;
        }
        Ok(())
    }

    /// Lets time pass until every write is in the feed.
    ///
    /// # Errors
    /// If some are not, after two minutes: a process that has died holds a shard of the stream for the time of an
    /// invocation.
    pub async fn publish(&mut self) -> Result<(), String> {
        let until = self.clock.now() + Duration::from_secs(120);
        loop {
            match self.aws.database.stream_records() {
                0 => return Ok(()),
                left if self.clock.now() >= until => return Err(format!("{left} writes are not in the feed")),
                _ => self.pass_until(self.clock.now() + Duration::from_secs(1)).await,
            }
        }
    }

    async fn is_recovered(&self, since: Timestamp) -> Result<(), String> {
        if let Some(aa) = self.aa.iter().find(|aa| aa.queue_len() > 0) {
            return Err(format!("a queue holds {:?}", aa.queue()));
        }
        if !lock(&self.sent).under_way.is_empty() {
            return Err("something is being sent".to_owned());
        }
        for status in self.polled_statuses().await {
            invariants::is_fresh(&status, since)?;
            let failures = self.tables.failures.all(&ConnectionKey::new(&status.tenant, &status.id)).await.unwrap();
            if let Some(failure) = failures.iter().find(|failure| is_id(&failure.source_id)) {
                return Err(format!("{}/{} has a failure: {failure:?}", status.tenant, status.id));
            }
        }
        self.have_destinations_recovered(since).await
    }

    /// While one tenant is in trouble, the other stays fresh, in the worlds of which that is asked.
    pub async fn look_at_neighbours(&self) {
        if !self.setting.has_floods || !self.events.is_multiple_of(LOOKS_EVERY) {
            return;
        }
        let now = self.clock.now();
        let statuses = self.polled_statuses().await;
        let (flooding, others): (Vec<_>, Vec<_>) = statuses.iter().partition(|status| status.tenant == "globex");
        let problems = others.iter().filter_map(|status| invariants::keeps_up(status, self.began, now).err());
        let problems: Vec<String> = problems.collect();
        let is_flood = flooding.iter().filter_map(|status| status.batch.as_ref()).any(|batch| batch.left > CUSTOMERS);
        if is_flood && problems.is_empty() {
            self.met.happened("fresh beside a flood");
        }
        problems.into_iter().for_each(|problem| self.watch.object(format!("{now}: {problem}")));
    }

    async fn polled_statuses(&self) -> Vec<ConnectionStatus> {
        let statuses = StatusReader::new(&self.tables).all(None, self.clock.now()).await.unwrap();
        statuses.into_iter().filter(|status| !status.kind.is_push()).collect()
    }

    /// What did not hold at some time, until now.
    pub fn noted_violations(&self) -> Vec<String> {
        let mut violations = self.watch.violations();
        violations.extend(lock(&self.sent).violations.clone());
        violations
    }

    /// Everything that does not hold, once everything is fresh.
    pub async fn violations(&self) -> Vec<String> {
        let mut violations = self.violations_of_search().await;
        let mut check = |about: String, holds: invariants::Holds| {
            if let Err(problem) = holds {
                violations.push(format!("{about}: {problem}"));
            }
        };
        let shadow = &self.tables.shadow;
        for (connection, (tenant, name)) in POLLED.iter().enumerate() {
            for id in self.setting.ids(connection) {
                let stored = shadow.get(&key(connection), &id.to_string()).await.unwrap();
                if self.erased.contains_key(&(connection, id)) {
                    let is_away = stored.as_ref().is_none_or(model::Customer::is_erased);
                    check(format!("{tenant}/{name}~{id}"), invariants::stays_away(is_away));
                    continue;
                }
                let display = self.display_name(connection, id);
                let email = if connection == 2 { self.bc.email(id) } else { self.aa[connection].email(id) };
                let holds = invariants::is_what_the_source_says(stored.as_ref(), display.as_deref(), email.as_deref());
                check(format!("{tenant}/{name}~{id}"), holds);
            }
        }
        let deadline = self.clock.now() + Duration::from_secs(60);
        for (connection, (tenant, name)) in POLLED.iter().enumerate() {
            let (stored, _) = shadow.list(&key(connection), None, 1_000, deadline).await.unwrap();
            for customer in stored.iter().filter(|customer| !is_written_id(&customer.source_id)) {
                check(format!("{tenant}/{name}"), Err(format!("{} is nobody's id", customer.source_id)));
            }
        }
        let sent = lock(&self.sent).clone();
        for (connection, records, prefix) in [("intouch", &sent.people, "r-"), ("imports", &sent.rows, "code")] {
            let connection = ConnectionKey::new("acme", connection);
            let (stored, _) = shadow.list(&connection, None, 1_000, deadline).await.unwrap();
            for (id, possible) in records {
                let name = format!("{prefix}{id}");
                let is_it = |customer: &&model::Customer| {
                    customer.source_id == name || customer.content.external_id.as_deref() == Some(&name)
                };
                let found: Vec<_> = stored.iter().filter(is_it).collect();
                check(name.clone(), if found.len() > 1 { Err("it is there twice".to_owned()) } else { Ok(()) });
                let value = found.first().and_then(|customer| customer.content.name.last.as_ref());
                let value = value.and_then(|last| last.strip_prefix('V')?.parse().ok());
                check(name, possible.check(value));
            }
        }
        for (tenant, token) in READERS {
            let tenants = self.tenants_seen_with(token).await;
            check("reading".to_owned(), invariants::is_of_tenant(&tenants, tenant));
            check(
                "reading".to_owned(),
                if tenants.is_empty() { Err(format!("{tenant} sees nothing")) } else { Ok(()) },
            );
        }
        violations.extend(self.traces_of_erased().await);
        violations.extend(self.violations_at_destinations().await);
        violations
    }

    /// A search by an address finds whoever has it, and nobody else.
    async fn violations_of_search(&self) -> Vec<String> {
        let mut violations = Vec::new();
        let deadline = self.clock.now() + Duration::from_secs(60);
        for (tenant, token) in READERS {
            let mut owners = BTreeMap::<String, BTreeSet<String>>::new();
            for (connection, _) in POLLED.iter().enumerate().filter(|(_, (of, _))| *of == tenant) {
                let (stored, _) = self.tables.shadow.list(&key(connection), None, 1_000, deadline).await.unwrap();
                for customer in stored.iter().filter(|customer| customer.content.status != Status::Deleted) {
                    for email in &customer.content.emails {
                        let owners = owners.entry(email.address.to_lowercase()).or_default();
                        owners.insert(customer.id().to_string());
                    }
                }
            }
            for (address, owners) in owners {
                let path = format!("/v1/customers?email={}", address.replace('+', "%2B"));
                let found = self.read(token, &path).await;
                let found: BTreeSet<String> =
                    found.iter().filter_map(|customer| Some(customer["id"].as_str()?.to_owned())).collect();
                if found != owners {
                    violations.push(format!("{tenant}: of {owners:?}, a search finds {found:?}"));
                }
            }
        }
        violations
    }

    /// The tenants of all customers that a token opens.
    async fn tenants_seen_with(&self, token: &str) -> BTreeSet<String> {
        let mut tenants = BTreeSet::new();
        for (_, connection) in POLLED {
            let customers = self.read(token, &format!("/v1/customers?connection={connection}")).await;
            tenants.extend(customers.iter().filter_map(|customer| Some(customer["tenant"].as_str()?.to_owned())));
        }
        tenants
    }

    /// The customers that the API answers with; none if it does not answer. A table may be busy for a moment.
    async fn read(&self, token: &str, path: &str) -> Vec<Value> {
        for _ in 0..READS {
            let request = Request::get(path).header("Authorization", format!("Bearer {token}"));
            let request = request.body(Body::empty()).unwrap();
            let answer = self.processes[0].gateway().oneshot(request).await.unwrap();
            let status = answer.status().as_u16();
            if status != 429 && status < 500 {
                let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
                let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
                return answer["customers"].as_array().cloned().unwrap_or_default();
            }
            self.clock.sleep(Duration::from_secs(1)).await;
        }
        Vec::new()
    }
}

/// Whether it is the id of a customer that can be there, as the source writes it.
fn is_written_id(text: &str) -> bool {
    is_id(text) && !text.starts_with('0')
}

/// Whether it is an id of a customer that can be there.
fn is_id(text: &str) -> bool {
    let ranges = [FIRST..FIRST + CUSTOMERS + 2, CROWD_FIRST..CROWD_FIRST + FLOOD];
    text.parse().is_ok_and(|id: u64| ranges.iter().any(|range| range.contains(&id)))
}
