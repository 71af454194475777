//! What happens in a world, one event after the other.

use std::sync::atomic::Ordering;
use std::time::Duration;

use model::ConnectionKey;
use simulators::business_catalyst::{Action, BcSimulator, Operation};

use super::{FOLLOWS_EVERY, Later, QUEUE_NUMBERS, Ticks, World, key};
use crate::event::{CUSTOMERS, FIRST, POLLED, What};

impl World {
    /// Lets something happen.
    pub async fn take(&mut self, what: &What) {
        self.note(format_args!("{what:?}"));
        self.events += 1;
        if self.events.is_multiple_of(FOLLOWS_EVERY) {
            // One that is not answered is asked for again with a later event.
            self.follow().await;
        }
        match what.clone() {
            What::AaChange(aa, id) => self.change_customer(aa, id),
            What::AaDelete(aa, id) => self.delete_customer(aa, id),
            What::AaCreate(aa, id) => self.aa[aa].create(id),
            What::AaAllDirty(aa) => self.aa[aa].enqueue_all(),
            What::AaRebuild(aa) => self.rebuild_queue(aa),
            What::AaGarbage(aa, text) => self.aa[aa].enqueue_text(text),
            What::AaPoison(aa, id, poison) => self.aa[aa].poison(id, poison),
            What::AaHeal(aa, id) => self.heal_customer(aa, id),
            What::AaFault(aa, procedure, fault, times) => self.aa[aa].fault_times(procedure, fault, times),
            What::AaCap(aa, most, seconds) => self.cap_answers(aa, most, seconds),
            What::BcChange(id) => self.if_listed(id, |bc| bc.change([id])),
            What::BcTouch(id) => self.if_listed(id, |bc| bc.touch(id)),
            What::BcDelete(id) => {
                self.is_gone(2, id);
                self.if_listed(id, |bc| bc.delete(id));
            }
            What::BcCreate(id) => {
                self.bc.create(Some(id));
            }
            What::BcMoves(id, page) => self.if_listed(id, |bc| bc.on_page(page * 5, Action::Change(vec![id]))),
            What::BcPoison(id, poison) => {
                self.bc_poisoned.insert(id);
                self.bc.poison(id, poison);
            }
            What::BcHeal(id) => self.heal_contact(id),
            What::BcFault(fault, times) => self.bc.fault_times(Operation::Retrieve, fault, times),
            What::BcClock(offset, seconds) => self.set_site_clock(offset, seconds),
            What::Push(person, twice) => self.push(person, twice),
            What::Import(first, rows, is_whole) => self.import(first, rows, is_whole),
            What::Undo(which) => self.undo(which).await,
            What::Resync(connection) => self.resync(connection).await,
            What::Redrive(connection) => self.redrive(connection).await,
            What::Pause(connection, seconds) => self.pause(connection, seconds).await,
            What::Apply(bulk_size) => {
                self.bulk_size = bulk_size;
                self.apply().await;
            }
            What::RotateSecret(connection, seconds) => self.rotate_secret(connection, seconds),
            What::MissTick => self.ticks = Ticks::Missed,
            What::DoubleTick => self.ticks = Ticks::Doubled,
            What::Kill(process) => self.processes[process].kill(),
            What::Meet(trouble, calls) => self.aws.weather.plan(trouble, calls),
            What::Slow(seconds) => self.aws.weather.slow_for(Duration::from_secs(seconds)),
            What::Lost(queue) => self.aws.queues.purge(queue),
            What::Doubled(queue) => self.aws.queues.repeat(queue),
            What::Late(queue, seconds) => self.aws.queues.hold_back(queue, Duration::from_secs(seconds)),
            What::SendsFail(count) => self.aws.queues.fail_entries(count),
            What::ClockOff(process, millis) => self.offsets[process] = millis,
            What::LoseLedger(connection) => self.lose_ledger(connection).await,
            What::SaveTables => self.saved = self.save_tables().await,
            What::RestoreTables => self.restore_tables().await,
            What::ImportAgain(which) => self.import_again(which),
            What::Erase(connection, id) => self.erase(connection, id).await,
            what @ (What::DestinationMeets(..)
            | What::DestinationRefuses(..)
            | What::DestinationPaused(_)
            | What::DestinationResync(_)
            | What::DestinationRedrive(_)) => self.take_at_destination(&what).await,
        }
    }

    pub(super) async fn take_later(&mut self, what: Later) {
        self.note(format_args!("later: {what:?}"));
        match what {
            Later::NoCap(aa) => self.aa[aa].set_habits(|habits| habits.answers_at_most = None),
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

    fn change_customer(&self, aa: usize, id: u64) {
        if self.aa[aa].display_name(id).is_some() {
            self.aa[aa].change([id]);
        }
    }

    fn delete_customer(&self, aa: usize, id: u64) {
        self.is_gone(aa, id);
        self.aa[aa].delete(id);
    }

    fn heal_customer(&self, aa: usize, id: u64) {
        self.aa[aa].heal(id);
        self.aa[aa].enqueue(id);
    }

    fn rebuild_queue(&mut self, aa: usize) {
        self.rebuilds += 1;
        // A queue that has passed our numbers and holds the same customers can't be told from ours.
        self.aa[aa].rebuild_queue(QUEUE_NUMBERS - self.rebuilds * 100_000);
        for id in FIRST..FIRST + CUSTOMERS + 2 {
            self.aa[aa].enqueue(id);
        }
    }

    fn cap_answers(&mut self, aa: usize, most: usize, seconds: u64) {
        self.aa[aa].set_habits(|habits| habits.answers_at_most = Some(most));
        self.in_seconds(seconds, Later::NoCap(aa));
    }

    /// Does something to a contact, if it exists.
    fn if_listed(&self, id: u64, act: impl FnOnce(&BcSimulator)) {
        if self.bc.display_name(id).is_some() {
            act(&self.bc);
        }
    }

    /// A contact that could not be read is listed again when it changes.
    pub(super) fn heal_contact(&self, id: u64) {
        self.bc.heal(id);
        self.if_listed(id, |bc| bc.touch(id));
    }

    fn set_site_clock(&mut self, offset: i64, seconds: u64) {
        self.bc_clock.store(offset, Ordering::SeqCst);
        self.bc_was_behind |= offset < 0;
        self.in_seconds(seconds, Later::BcClock);
    }

    async fn resync(&self, connection: usize) {
        self.tables.states.request_resync(&key(connection), self.clock.now()).await.unwrap();
    }

    async fn pause(&mut self, connection: usize, seconds: u64) {
        self.tables.states.pause(&key(connection), self.clock.now()).await.unwrap();
        self.in_seconds(seconds, Later::Resume(connection));
    }

    fn rotate_secret(&mut self, connection: usize, seconds: u64) {
        self.passwords[connection] = 1;
        self.write_secret(connection);
        self.in_seconds(seconds, Later::Secret(connection));
    }

    pub(super) async fn redrive(&self, connection: usize) {
        self.redrive_of(&key(connection)).await;
    }

    pub(super) async fn redrive_of(&self, key: &ConnectionKey) {
        let (failures, now) = (&self.tables.failures, self.clock.now());
        for failure in failures.all(key).await.unwrap() {
            failures.request_redrive(key, &failure.source_id, now).await.unwrap();
        }
    }
}
