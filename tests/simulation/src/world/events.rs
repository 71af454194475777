//! What happens in a world, one event after the other.

use std::sync::atomic::Ordering;
use std::time::Duration;

use model::ConnectionKey;
use simulators::association_anywhere::{Fault, Procedure};
use simulators::business_catalyst::{Action, BcSimulator, Operation};

use super::{FOLLOWS_EVERY, HOSTS, Later, QUEUE_NUMBERS, Ticks, World, ZONE, key};
use crate::event::{CROWD, CROWD_FIRST, POLLED, What};
use crate::process::Process;

/// Where the site is not.
const WRONG_ZONE: &str = "America/New_York";
/// Longer than anybody waits for an answer.
const FOR_EVER: Duration = Duration::from_secs(100);
/// So many answers of a source are slow while a backfill takes place: about all.
const SLOW_ANSWERS: u32 = 40;

impl World {
    /// Lets something happen.
    pub async fn take(&mut self, what: &What) {
        self.note_weather();
        self.note(format_args!("{what:?}"));
        self.events += 1;
        if self.events.is_multiple_of(FOLLOWS_EVERY) {
            // One that is not answered is asked for again with a later event.
            let reader = if self.setting.all_follow { (self.events / FOLLOWS_EVERY % 2) as usize } else { 0 };
            self.follow(reader).await;
        }
        if self.happens(what).await {
            self.met.happened(what.name());
        }
    }

    /// Lets something happen; returns whether anything did by that alone.
    async fn happens(&mut self, what: &What) -> bool {
        match what.clone() {
            What::AaChange(aa, id) => return self.change_customer(aa, id),
            What::AaDelete(aa, id) => return self.delete_customer(aa, id),
            What::AaCreate(aa, id) => self.create_customer(aa, id),
            What::AaAllDirty(aa) => self.aa[aa].enqueue_all(),
            What::AaRebuild(aa) => self.rebuild_queue(aa),
            What::AaGarbage(aa, text) => self.aa[aa].enqueue_text(text),
            What::AaPoison(aa, id, poison) => self.aa[aa].poison(id, poison),
            What::AaHeal(aa, id) => self.heal_customer(aa, id),
            What::AaFault(aa, procedure, fault, times) => self.aa[aa].fault_times(procedure, fault, times),
            What::AaCap(aa, most, seconds) => self.cap_answers(aa, most, seconds),
            What::AaZeros(aa, seconds) => {
                self.aa[aa].set_habits(|habits| habits.queues_with_zeros = true);
                self.in_seconds(seconds, Later::NoZeros(aa));
            }
            What::AaHangs(aa, seconds) => {
                for procedure in Procedure::ALL {
                    self.aa[aa].fault(procedure, Some(Fault::Delay(FOR_EVER)));
                }
                self.in_seconds(seconds, Later::Answers(aa));
            }
            What::AaSwap(aa, one, other) => return self.aa[aa].swap_emails(one, other),
            What::BcChange(id) => return self.if_listed(id, |bc| bc.change([id])),
            What::BcTouch(id) => return self.if_listed(id, |bc| bc.touch(id)),
            What::BcDelete(id) => {
                self.is_gone(2, id);
                return self.if_listed(id, |bc| bc.delete(id));
            }
            What::BcCreate(id) => {
                self.bc.create(Some(id));
                self.is_back(2, id);
            }
            What::BcMoves(id, page) => {
                return self.if_listed(id, |bc| bc.on_page(page * 5, Action::Change(vec![id])));
            }
            What::BcShifts(id, pages) => {
                return self.if_listed(id, |bc| bc.on_request(pages, Action::Change(vec![id])));
            }
            What::BcAllAtOnce => self.bc.change(self.bc.contact_ids()),
            What::BcPages(size, seconds) => {
                self.bc.set_page_size(Some(size));
                self.in_seconds(seconds, Later::UsualPages);
            }
            What::BcPoison(id, poison) => {
                self.bc_poisoned.insert(id);
                self.bc.poison(id, poison);
            }
            What::BcHeal(id) => self.heal_contact(id),
            What::BcFault(fault, times) => self.bc.fault_times(Operation::Retrieve, fault, times),
            What::BcClock(offset, seconds) => self.set_site_clock(offset, seconds),
            What::Push(person, twice) => return self.push(person, twice),
            What::Import(first, rows, is_whole) => return self.import(first, rows, is_whole),
            What::Undo(which) => return self.undo(which).await,
            What::Resync(connection) => self.resync(connection).await,
            What::Redrive(connection) => return self.redrive(connection).await,
            What::Pause(connection, seconds) => self.pause(connection, seconds).await,
            What::Apply(bulk_size) => {
                self.bulk_size = bulk_size;
                self.apply().await;
            }
            What::WrongZone(seconds) => self.set_wrong_zone(seconds).await,
            What::RotateSecret(connection, seconds) => self.rotate_secret(connection, seconds),
            What::BreakSecret(connection, is_removed, seconds) => self.break_secret(connection, is_removed, seconds),
            What::CrowdGoes(connection, count) => {
                for id in CROWD_FIRST..CROWD_FIRST + count {
                    self.is_gone(connection, id);
                    match connection {
                        2 => self.bc.delete(id),
                        aa => self.aa[aa].delete(id),
                    }
                }
            }
            What::CrowdComes(connection) => {
                for id in CROWD_FIRST..CROWD_FIRST + CROWD {
                    if connection < 2 {
                        self.create_customer(connection, id);
                    } else {
                        self.bc.create(Some(id));
                        self.is_back(2, id);
                    }
                }
            }
            What::AaBackfill(aa, seconds) => {
                self.bulk_size = 2;
                self.apply().await;
                self.aa[aa].enqueue_all();
                let slow = Fault::Delay(Duration::from_secs(seconds));
                self.aa[aa].fault_times(Procedure::Details, slow, SLOW_ANSWERS);
            }
            What::Confirm(connection) => return self.confirm(connection).await,
            What::BcCap(most, seconds) => {
                self.bc.set_cap(Some(most));
                self.in_seconds(seconds, Later::NoBcCap);
            }
            What::OperatorActs(act, connection, calls) => self.operator_acts(act, connection, calls).await,
            What::OperatorClock(minutes) => self.set_operator_clock(minutes),
            What::MissTick => self.ticks = Ticks::Missed,
            What::DoubleTick => self.ticks = Ticks::Doubled,
            What::Kill(process) => self.processes[process].kill(),
            What::Slow(seconds) => self.aws.weather.slow_for(Duration::from_secs(seconds)),
            What::ClockOff(process, millis) => self.offsets[process] = millis,
            What::LoseLedger(connection) => self.lose_ledger(connection).await,
            What::SaveTables => self.saved = self.save_tables().await,
            What::RestoreTables => return self.restore_tables().await,
            What::ImportAgain(which) => return self.import_again(which),
            What::Erase(connection, id) => self.erase(connection, id).await,
            // These are counted where they are met.
            What::Meet(trouble, calls) => self.aws.weather.plan(trouble, calls),
            What::Burst(trouble, calls, times) => self.aws.weather.plan_often(trouble, calls, times),
            What::Distort(polled, distortion, times) => self.aws.sources.distort(HOSTS[polled], distortion, times),
            What::Lost(queue) => self.aws.queues.purge(queue),
            What::Doubled(queue) => self.aws.queues.repeat(queue),
            What::Late(queue, seconds) => self.aws.queues.hold_back(queue, Duration::from_secs(seconds)),
            What::Messages(queue, mishaps) => self.aws.queues.meet(queue, mishaps),
            What::SendsFail(count) => self.aws.queues.fail_entries(count),
            what @ (What::DestinationMeets(..)
            | What::DestinationRefuses(..)
            | What::DestinationPaused(_)
            | What::DestinationResync(_)
            | What::DestinationRedrive(_)) => return self.take_at_destination(&what).await,
        }
        true
    }

    pub(super) async fn take_later(&mut self, what: Later) {
        self.note(format_args!("later: {what:?}"));
        match what {
            Later::NoCap(aa) => self.aa[aa].set_habits(|habits| habits.answers_at_most = None),
            Later::NoZeros(aa) => self.aa[aa].set_habits(|habits| habits.queues_with_zeros = false),
            Later::Answers(aa) => Procedure::ALL.into_iter().for_each(|procedure| self.aa[aa].fault(procedure, None)),
            Later::UsualPages => self.bc.set_page_size(None),
            Later::NoBcCap => self.bc.set_cap(None),
            Later::RightZone => {
                self.zone = ZONE;
                self.apply().await;
            }
            Later::BcClock => self.bc_clock.store(0, Ordering::SeqCst),
            Later::Resume(connection) => self.tables.states.resume(&key(connection)).await.unwrap(),
            Later::Secret(connection) => {
                self.passwords[connection] = 0;
                self.write_secret(connection);
            }
        }
    }

    fn in_seconds(&mut self, seconds: u64, what: Later) {
        self.later.push((self.clock.now() + Duration::from_secs(seconds), what));
    }

    pub(super) fn is_gone(&self, connection: usize, id: u64) {
        let (tenant, connection) = POLLED[connection];
        self.watch.is_gone(&format!("{tenant}/{connection}~{id}"));
    }

    /// It exists from now on. Whoever was erased stays away all the same, and may be erased again.
    fn is_back(&self, connection: usize, id: u64) {
        if self.erased.contains_key(&(connection, id)) {
            return;
        }
        let (tenant, connection) = POLLED[connection];
        self.watch.is_back(&format!("{tenant}/{connection}~{id}"), self.clock.now());
    }

    fn change_customer(&self, aa: usize, id: u64) -> bool {
        let exists = self.aa[aa].display_name(id).is_some();
        if exists {
            self.aa[aa].change([id]);
        }
        exists
    }

    fn delete_customer(&self, aa: usize, id: u64) -> bool {
        let exists = self.aa[aa].display_name(id).is_some();
        self.is_gone(aa, id);
        self.aa[aa].delete(id);
        exists
    }

    fn create_customer(&self, aa: usize, id: u64) {
        self.aa[aa].create(id);
        self.is_back(aa, id);
    }

    /// If a queue has lost all its customers, one more comes: nothing else proves its answers about the others.
    pub(super) fn have_somebody(&self, aa: usize) {
        let mut ids = self.setting.ids(aa).filter(|id| !self.erased.contains_key(&(aa, *id))).peekable();
        let next = ids.peek().copied();
        if ids.all(|id| self.aa[aa].display_name(id).is_none()) {
            next.into_iter().for_each(|id| self.create_customer(aa, id));
        }
    }

    fn heal_customer(&self, aa: usize, id: u64) {
        self.aa[aa].heal(id);
        self.aa[aa].enqueue(id);
    }

    fn rebuild_queue(&mut self, aa: usize) {
        self.rebuilds += 1;
        // A queue that has passed our numbers and holds the same customers can't be told from ours.
        self.aa[aa].rebuild_queue(QUEUE_NUMBERS - self.rebuilds * 100_000);
        for id in self.setting.ids(aa) {
            self.aa[aa].enqueue(id);
        }
    }

    fn cap_answers(&mut self, aa: usize, most: usize, seconds: u64) {
        self.aa[aa].set_habits(|habits| habits.answers_at_most = Some(most));
        self.in_seconds(seconds, Later::NoCap(aa));
    }

    /// Does something to a contact, if it exists.
    fn if_listed(&self, id: u64, act: impl FnOnce(&BcSimulator)) -> bool {
        let exists = self.bc.display_name(id).is_some();
        if exists {
            act(&self.bc);
        }
        exists
    }

    /// A contact that could not be read is listed again when it changes.
    pub(super) fn heal_contact(&self, id: u64) {
        self.bc.heal(id);
        let _ = self.if_listed(id, |bc| bc.touch(id));
    }

    fn set_site_clock(&mut self, offset: i64, seconds: u64) {
        self.bc_clock.store(offset, Ordering::SeqCst);
        self.bc_needs_resync |= offset < 0;
        self.in_seconds(seconds, Later::BcClock);
    }

    /// Dates are read as those of another place meanwhile. Who has had the wrong zone resyncs.
    async fn set_wrong_zone(&mut self, seconds: u64) {
        self.zone = WRONG_ZONE;
        self.bc_needs_resync = true;
        self.apply().await;
        self.in_seconds(seconds, Later::RightZone);
    }

    async fn resync(&self, connection: usize) {
        self.operator.states.request_resync(&key(connection), self.operator_clock.now()).await.unwrap();
    }

    async fn pause(&mut self, connection: usize, seconds: u64) {
        self.operator.states.pause(&key(connection), self.operator_clock.now()).await.unwrap();
        self.in_seconds(seconds, Later::Resume(connection));
    }

    fn rotate_secret(&mut self, connection: usize, seconds: u64) {
        self.passwords[connection] = 1;
        self.write_secret(connection);
        self.in_seconds(seconds, Later::Secret(connection));
    }

    /// No process has it in memory any more: they begin anew.
    fn break_secret(&mut self, connection: usize, is_removed: bool, seconds: u64) {
        let name = format!("source-{connection}");
        if is_removed {
            self.aws.secrets.remove(&name);
        } else {
            self.aws.secrets.put(&name, "{ \"username\": \"de");
        }
        self.processes.iter().for_each(Process::kill);
        self.in_seconds(seconds, Later::Secret(connection));
    }

    pub(super) async fn redrive(&self, connection: usize) -> bool {
        self.redrive_of(&key(connection)).await
    }

    /// Whether there was any failure.
    pub(super) async fn redrive_of(&self, key: &ConnectionKey) -> bool {
        let (failures, now) = (&self.operator.failures, self.operator_clock.now());
        let all = failures.all(key).await.unwrap();
        for failure in &all {
            failures.request_redrive(key, &failure.source_id, now).await.unwrap();
        }
        !all.is_empty()
    }
}
