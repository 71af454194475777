//! An operator whose clock is wrong, or whose machine dies, while everything else goes on.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use model::ConnectionKey;
use operations::imports::Undo;
use operations::persons::Eraser;
use store::{Random, Tables};
use tokio::sync::Notify;

use super::setup::apply_to;
use super::{READERS, World, key, lock};
use crate::event::OperatorAct;
use crate::pushes::BegunUndo;

/// How long an operator waits at most.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a lease is held at most by an operator who has died.
const STALE_LEASES: Duration = Duration::from_secs(20 * 60);

impl World {
    /// From now on the operator's clock is off.
    pub(super) fn set_operator_clock(&mut self, minutes: i64) {
        self.operator_clock = self.clock.off_by(SignedDuration::from_mins(minutes));
        let watch = Arc::new(self.watch.through(self.clock.clone()));
        let client = self.aws.database.exempt_client_through(watch);
        self.operator = self.tables_through(client);
    }

    fn tables_through(&self, client: aws_sdk_dynamodb::Client) -> Tables {
        Tables::new(client, &self.names, self.operator_clock.clone(), Random::from_seed(self.seed ^ self.events << 16))
    }

    /// Does it beside everything else, through the weather, on a machine that dies after so many calls.
    pub(super) async fn operator_acts(&mut self, act: OperatorAct, connection: usize, calls: u32) {
        let whom = match act {
            // By the id: the address may be another one until it is finished.
            OperatorAct::Erase(id) => {
                let (tenant, _) = self.note_erased(connection, id).await;
                Some((tenant, Self::customer(connection, id)))
            }
            _ => None,
        };
        self.erasing.extend(whom.clone());
        let undo = match act {
            OperatorAct::Undo(which) => {
                let Some(undo) = lock(&self.sent).begin_undo(which) else { return };
                Some(undo)
            }
            _ => None,
        };
        self.undoing.extend(undo.clone());
        let sent = self.sent.clone();
        let death = Arc::new(Notify::new());
        let weather = Arc::new(self.aws.weather.of_process(death.clone()));
        weather.dies_after(calls);
        let tables = self.tables_through(self.aws.database.client_through(weather));
        let (key, now, file) = (key(connection), self.operator_clock.now(), self.file());
        let (clock, met, undone) = (self.operator_clock.clone(), self.met.clone(), self.met.clone());
        let acting = async move {
            // What fails is done again, by an operator who has seen it, or at the end.
            match act {
                OperatorAct::Resync => drop(tables.states.request_resync(&key, now).await),
                OperatorAct::Apply => apply_to(&tables, file).await,
                OperatorAct::Redrive => {
                    for failure in tables.failures.all(&key).await.unwrap_or_default() {
                        let _ = tables.failures.request_redrive(&key, &failure.source_id, now).await;
                    }
                }
                OperatorAct::Pause => {
                    let _ = tables.states.pause(&key, now).await;
                    clock.sleep(PATIENCE / 4).await;
                    let _ = tables.states.resume(&key).await;
                }
                OperatorAct::Undo(_) => {
                    if let Some(undo) = undo
                        && carry_out(&tables, &undo, now + PATIENCE).await
                    {
                        lock(&sent).end_undo(&undo);
                        undone.happened("undo beside everything else");
                    }
                }
                OperatorAct::Erase(_) => {
                    if let Some((tenant, whom)) = whom {
                        let _ = Eraser::new(&tables).erase(tenant, &whom, now + PATIENCE).await;
                    }
                }
            }
        };
        self.acting.spawn(async move {
            tokio::select! {
                biased;
                () = death.notified() => met.happened("operator's machine dies"),
                () = acting => met.happened("operator's act is done"),
            }
        });
    }

    /// An operator looks at the deletions that wait, if there are any, and confirms them if all are right.
    pub(super) async fn confirm(&self, connection: usize) -> bool {
        let key = key(connection);
        let waiting: Vec<String> = self.operator.failures.withheld(&key).await.unwrap().into_keys().collect();
        let is_gone = |id: &String| id.parse().is_ok_and(|id| self.display_name(connection, id).is_none());
        let are_right = !waiting.is_empty() && waiting.iter().all(is_gone);
        if are_right {
            self.met.happened("withheld deletions confirmed");
            self.operator.failures.confirm(&key, waiting).await.unwrap();
            self.operator.states.request_confirm(&key, self.operator_clock.now()).await.unwrap();
        }
        are_right
    }

    /// The name of a customer at the source of a polled connection; `None` if it does not exist there.
    pub(super) fn display_name(&self, connection: usize, id: u64) -> Option<String> {
        match connection {
            2 => self.bc.display_name(id),
            aa => self.aa[aa].display_name(id),
        }
    }

    /// The clock is right again, and what was begun is finished.
    pub(super) async fn mend_operator(&mut self) {
        // Nobody pauses anything any more once all is resumed.
        self.acting.shutdown().await;
        self.operator = self.tables.clone();
        self.operator_clock = self.clock.clone();
        if self.setting.all_follow {
            self.apply().await;
        }
        // One who has died meanwhile, with a clock that was ahead, holds its lease for longer.
        let until = self.clock.now() + STALE_LEASES;
        for (tenant, whom) in std::mem::take(&mut self.erasing) {
            while self.eraser().erase(tenant, &whom, self.clock.now() + PATIENCE).await.is_err() {
                assert!(self.clock.now() < until, "{whom:?} can't be erased");
                self.pass_until(self.clock.now() + PATIENCE / 6).await;
            }
        }
        for undo in std::mem::take(&mut self.undoing) {
            while !carry_out(&self.operator, &undo, self.clock.now() + PATIENCE).await {
                assert!(self.clock.now() < until, "{undo:?} can't be undone");
                self.pass_until(self.clock.now() + PATIENCE / 6).await;
            }
            lock(&self.sent).end_undo(&undo);
        }
        if std::mem::take(&mut self.erases_again) {
            for (tenant, _) in READERS {
                while self.eraser().erase_again(tenant, self.clock.now() + PATIENCE).await.is_err() {
                    assert!(self.clock.now() < until, "nobody can be erased again");
                    self.pass_until(self.clock.now() + PATIENCE / 6).await;
                }
            }
        }
    }
}

/// Whether an import is undone. Tables that were restored may not know it.
async fn carry_out(tables: &Tables, undo: &BegunUndo, deadline: Timestamp) -> bool {
    let connection = ConnectionKey::new("acme", "imports");
    match tables.imports.find(&connection, &undo.import.id, deadline).await {
        Ok(Some(record)) => Undo::new(tables).carry_out(&connection, &record, deadline).await.is_ok(),
        Ok(None) => true,
        Err(_) => false,
    }
}
