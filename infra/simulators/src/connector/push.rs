//! Pushing: bursts, doubles, retries, and no order.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::future::join;
use futures::stream::{self, StreamExt};

use super::{ConnectorSimulator, Kind, Login, Report, documents};
use crate::random::percent;

/// How often a push is sent that fails for a while.
const ATTEMPTS: usize = 6;
/// The pause before the second attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// One record on its way.
struct Push {
    kind: Kind,
    record_id: String,
    document: String,
    is_doubled: bool,
    is_lost: bool,
}

impl Push {
    fn new(kind: Kind, record_id: &str, document: String) -> Self {
        Self { kind, record_id: record_id.to_owned(), document, is_doubled: false, is_lost: false }
    }
}

/// What became of one request.
enum Answer {
    Id(String),
    /// A retry may succeed.
    Transient(String),
    Refused(String),
}

impl ConnectorSimulator {
    /// Pushes everything that there is, in no order.
    pub async fn push_everything(&self) -> Report {
        let settings = &self.settings;
        let mut pushes = Vec::new();
        {
            let state = self.state();
            for person in &state.people {
                pushes.push(Push::new(Kind::User, &person.record_id, documents::user(settings, person)));
            }
            for trainer in &state.staff {
                pushes.push(Push::new(Kind::Staff, &trainer.record_id, documents::staff(settings, trainer)));
            }
            for source in &state.sources {
                pushes.push(Push::new(Kind::LeadSource, &source.record_id, documents::lead_source(settings, source)));
            }
        }
        self.push(pushes).await
    }

    /// Makes members of some prospects, and pushes them; also returns their record ids.
    pub async fn convert_some(&self, count: usize) -> (Vec<String>, Report) {
        let mut pushes = Vec::new();
        for person in self.state().people.iter_mut().filter(|person| !person.is_member).take(count) {
            person.is_member = true;
            pushes.push(Push::new(Kind::User, &person.record_id, documents::user(&self.settings, person)));
        }
        let converted = pushes.iter().map(|push| push.record_id.clone()).collect();
        (converted, self.push(pushes).await)
    }

    async fn push(&self, mut pushes: Vec<Push>) -> Report {
        {
            let random = &mut self.state().random;
            random.shuffle(&mut pushes);
            for push in &mut pushes {
                push.is_doubled = percent(random, self.settings.doubles_percent);
                push.is_lost = percent(random, self.settings.lost_percent);
            }
        }
        stream::iter(pushes)
            .map(|push| async move { self.push_one(&push).await })
            .buffer_unordered(self.settings.burst.max(1))
            .fold(Report::default(), async |mut sum, report| {
                sum.add(report);
                sum
            })
            .await
    }

    async fn push_one(&self, push: &Push) -> Report {
        let mut report = if push.is_doubled {
            let (mut one, other) = join(self.until_answered(push), self.until_answered(push)).await;
            one.add(other);
            Report { doubled: 1, ..one }
        } else {
            self.until_answered(push).await
        };
        if push.is_lost && report.is_clean() {
            report.lost = 1;
            report.add(self.until_answered(push).await);
        }
        report.answered = usize::from(report.is_clean());
        report
    }

    /// Sends until there is an answer that no retry can change, and notes the id of the record, or why it has none.
    async fn until_answered(&self, push: &Push) -> Report {
        let mut report = Report::default();
        let mut pause = FIRST_PAUSE;
        loop {
            report.requests += 1;
            match self.send(push).await {
                Answer::Transient(_) if report.requests < ATTEMPTS => {
                    report.retried += 1;
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Answer::Transient(why) | Answer::Refused(why) => {
                    report.refused.push((push.kind, push.record_id.clone(), why));
                    return report;
                }
                Answer::Id(id) => {
                    let before = self.state().ids.insert((push.kind, push.record_id.clone()), id.clone());
                    if before.is_some_and(|before| before != id) {
                        report.contradicted.push((push.kind, push.record_id.clone()));
                    }
                    return report;
                }
            }
        }
    }

    async fn send(&self, push: &Push) -> Answer {
        let url = format!("{}/connector/api/2011-11/{}", self.settings.base.trim_end_matches('/'), push.kind.path());
        let authorization = match &self.settings.login {
            Login::Basic { username, password } => {
                format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")))
            }
            Login::Bearer(token) => format!("Bearer {token}"),
        };
        let request =
            self.client.post(url).header("Authorization", authorization).header("Content-Type", "application/xml");
        let response = match request.body(push.document.clone()).send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() => return Answer::Refused("the address can't be used".to_owned()),
            Err(_) => return Answer::Transient("no answer".to_owned()),
        };
        let status = response.status();
        match response.text().await {
            _ if status.is_server_error() || status.as_u16() == 429 => Answer::Transient(status.to_string()),
            Ok(text) if status.is_success() => {
                match text.split_once("<uuid>").and_then(|(_, rest)| rest.split_once("</uuid>")) {
                    Some((id, _)) => Answer::Id(id.to_owned()),
                    None => Answer::Refused("an answer without a uuid".to_owned()),
                }
            }
            Ok(_) => Answer::Refused(status.to_string()),
            Err(_) => Answer::Transient("half an answer".to_owned()),
        }
    }
}
