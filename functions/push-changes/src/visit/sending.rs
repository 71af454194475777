//! Sending a page: choosing, delivering under the lease, and what becomes of each customer.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use destinations::{Context, Delivered, Outcome, Outgoing};
use futures::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};
use model::{ConnectionKey, CustomerId};
use store::{DeliveryCounts, Failure, Part, StoreError, Tables, Witness};

use super::{End, HEARTBEAT, Sent, Stop, Visit};
use crate::LEASE;
use crate::choice::{Chosen, Told};

/// Those that have come to an end.
#[derive(Default)]
struct Ended {
    /// Their failure records are removed.
    resolved: BTreeSet<String>,
    /// They are not taken.
    failed: Vec<Failure>,
}

/// How many failure records are written side by side.
const AT_ONCE: usize = 16;

impl Visit<'_> {
    /// Sends customers, and writes and removes their failure records.
    pub(super) async fn send(&mut self, part: Part, told: &[Told]) -> Result<Sent, Stop> {
        if told.is_empty() {
            return Ok(Sent::default());
        }
        let chosen = self.choice.choose(told, self.deadline).await?;
        let outgoing: Vec<Outgoing> = chosen
            .iter()
            .filter_map(|chosen| match chosen {
                Chosen::Send(outgoing) => Some((**outgoing).clone()),
                Chosen::LeftOut | Chosen::Listed | Chosen::Damaged => None,
            })
            .collect();
        let witnesses = if outgoing.is_empty() { Vec::new() } else { self.witnesses(part, &outgoing).await? };
        let ids: Vec<CustomerId> = outgoing.iter().chain(&witnesses).map(|outgoing| outgoing.id.clone()).collect();
        let requests_before = self.pace.requests();
        let delivered = match self.deliver(part, &outgoing, &witnesses).await {
            Err(Stop::End(End::Lost)) => {
                self.send_again(&ids).await?;
                return Err(Stop::End(End::Lost));
            }
            delivered => delivered?,
        };
        let Delivered { outcomes, trouble, has_taken, blamed, has_failed, is_unsteady } = delivered;
        let is_begun = self.pace.requests() > requests_before;
        let mut sent = Sent { ids, trouble, has_taken, has_failed, is_unsteady, is_begun, ..Sent::default() };
        let Ended { resolved, failed } = self.sort(told, &chosen, outcomes, &mut sent);
        let failures = &self.pushing.tables.failures;
        for id in blamed {
            // One that the destination did not take before says nothing new of it.
            sent.blamed += usize::from(!failures.is_there(self.key, &id.to_string()).await?);
        }
        let puts = failed.iter().map(|failure| failures.put(self.key, failure));
        stream::iter(puts.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        failures.remove_sent(self.key, &resolved).await?;
        Ok(sent)
    }

    /// What each of those that were told came to: `sent` counts the first ones, up to one of which that is not known.
    fn sort(&self, told: &[Told], chosen: &[Chosen], outcomes: Vec<Option<Outcome>>, sent: &mut Sent) -> Ended {
        let mut outcomes = outcomes.into_iter();
        let mut ended = Ended::default();
        let mut is_prefix = true;
        for (told, chosen) in told.iter().zip(chosen) {
            let outcome = match chosen {
                Chosen::Send(_) => outcomes.next().flatten(),
                Chosen::LeftOut => Some(Outcome::LeftOut),
                Chosen::Listed => {
                    sent.settled += usize::from(is_prefix);
                    continue;
                }
                Chosen::Damaged => {
                    let reason = "its record is damaged and can't be read".to_owned();
                    Some(Outcome::Refused { reason, answer: String::new() })
                }
            };
            is_prefix &= outcome.is_some();
            let mut counts = DeliveryCounts::default();
            match outcome {
                None => continue,
                Some(Outcome::Taken) => {
                    counts.sent = 1;
                    ended.resolved.insert(told.id.to_string());
                    // A deletion is none: sent again, it would make a site one more deleted contact.
                    if let Chosen::Send(outgoing) = chosen
                        && !outgoing.is_deletion()
                    {
                        sent.witnesses.insert(0, Witness { id: told.id.to_string(), revision: outgoing.revision });
                    }
                }
                Some(Outcome::LeftOut) => {
                    counts.left_out = 1;
                    ended.resolved.insert(told.id.to_string());
                }
                Some(Outcome::Refused { reason, answer }) => {
                    counts.failed = 1;
                    let failed_at = self.pushing.tables.clock.now();
                    ended.failed.push(Failure { source_id: told.id.to_string(), reason, raw: answer, failed_at });
                }
            }
            if is_prefix {
                sent.settled += 1;
                sent.counts += counts;
            }
        }
        ended
    }

    /// Asks for customers to be sent again: another worker may have sent them before this one did, as they are now.
    pub(super) async fn send_again(&self, ids: &[CustomerId]) -> Result<(), StoreError> {
        let now = self.pushing.tables.clock.now();
        for id in ids {
            self.pushing.tables.failures.request_redrive(self.key, &id.to_string(), now).await?;
        }
        Ok(())
    }

    /// Delivers, and renews the lease meanwhile.
    async fn deliver(&mut self, part: Part, changes: &[Outgoing], witnesses: &[Outgoing]) -> Result<Delivered, Stop> {
        if changes.is_empty() {
            return Ok(Delivered::default());
        }
        self.keep_lease().await?;
        let (effort, now) = (self.delivery.progress.effort_of(part), self.pushing.tables.clock.now());
        let context = Context {
            witnesses,
            attempts: effort.attempts,
            failing_for: effort.stands_for(now),
            unsteady_for: effort.unsteady_for(now),
            // Those that are redriven are failures already.
            blamed: (part != Part::Redrives).then_some(effort.blamed),
            pace: &self.pace,
        };
        let mut delivering = std::pin::pin!(self.deliver_all(changes, context));
        loop {
            tokio::select! {
                biased;
                delivered = &mut delivering => return Ok(delivered),
                () = self.pushing.tables.clock.sleep(HEARTBEAT) => {
                    let until = self.pushing.tables.clock.now() + LEASE;
                    if !self.pushing.tables.states.renew(self.key, self.owner, until).await? {
                        return Err(Stop::End(End::Lost));
                    }
                }
            }
        }
    }

    /// Delivers; if a customer makes this program panic, it costs that customer.
    async fn deliver_all(&self, changes: &[Outgoing], context: Context<'_>) -> Delivered {
        let client = &self.pushing.client;
        let delivery = client.deliver(self.destination, changes, context);
        if let Ok(delivered) = AssertUnwindSafe(delivery).catch_unwind().await {
            return delivered;
        }
        tracing::error!("a delivery caused a panic: its customers are sent one by one");
        let mut all = Delivered { outcomes: vec![None; changes.len()], ..Delivered::default() };
        for (change, outcome) in changes.iter().zip(&mut all.outcomes) {
            let alone = client.deliver(self.destination, std::slice::from_ref(change), context);
            let Ok(alone) = AssertUnwindSafe(alone).catch_unwind().await else {
                let reason = "sending it caused a panic: a bug".to_owned();
                *outcome = Some(Outcome::Refused { reason, answer: String::new() });
                continue;
            };
            *outcome = alone.outcomes.into_iter().next().flatten();
            all.has_taken |= alone.has_taken;
            all.blamed.extend(alone.blamed);
            all.has_failed |= alone.has_failed;
            all.is_unsteady |= alone.is_unsteady;
            if alone.trouble.is_some() {
                all.trouble = alone.trouble;
                break;
            }
        }
        all
    }

    /// Customers that show whether the destination takes anybody: those that it took, are as they were, and are not
    /// to be sent. After an attempt that failed, or if there are none: those that it took, whatever became of them, and
    /// some of all that it gets. Another one comes first at each attempt: any of them may be one that it takes no more.
    async fn witnesses(&self, part: Part, changes: &[Outgoing]) -> Result<Vec<Outgoing>, StoreError> {
        let attempts = self.delivery.progress.effort_of(part).attempts;
        let taken = &self.delivery.progress.witnesses;
        let is_to_be_sent = |id: &CustomerId| changes.iter().any(|change| change.id == *id);
        let is_as_taken = |outgoing: &Outgoing| {
            let id = outgoing.id.to_string();
            taken.iter().any(|witness| witness.id == id && witness.revision == outgoing.revision)
        };
        let mut ids: Vec<CustomerId> = taken.iter().filter_map(|witness| witness.id.parse().ok()).collect();
        if attempts == 0 {
            let known = ids.iter().filter(|id| !is_to_be_sent(id)).cloned().collect();
            let known: Vec<Outgoing> = self.as_they_are(known).await?.into_iter().filter(is_as_taken).collect();
            if !known.is_empty() {
                return Ok(known);
            }
        }
        let others = self.others().await?.into_iter().filter(|id| !ids.contains(id)).collect::<Vec<_>>();
        ids.extend(others);
        // One that is sent alone proves nothing for itself.
        ids.retain(|id| changes.len() > 1 || !is_to_be_sent(id));
        let mut witnesses = self.as_they_are(ids).await?;
        let first = attempts as usize % witnesses.len().max(1);
        witnesses.rotate_left(first);
        Ok(witnesses)
    }

    /// Some customers of the connections that the destination gets, others each time.
    async fn others(&self) -> Result<Vec<CustomerId>, StoreError> {
        const WANTED: usize = 4;
        let Tables { shadow, random, .. } = &self.pushing.tables;
        let mut from = self.destination.settings.from.clone();
        let mut others = Vec::new();
        while !from.is_empty() && others.len() < WANTED {
            let place = usize::try_from(random.below(from.len() as u64)).unwrap_or(0);
            let connection = from.swap_remove(place);
            let key = ConnectionKey::new(&self.key.tenant, &connection);
            // Of one connection none may be taken.
            let wanted = (WANTED - others.len()).div_ceil(if from.is_empty() { 1 } else { 2 });
            let source_ids = shadow.some_existing(&key, wanted).await?.into_iter();
            others.extend(source_ids.map(|source_id| CustomerId { connection: connection.clone(), source_id }));
        }
        Ok(others)
    }

    /// What is sent of customers, if it is to find out whether the destination takes anybody.
    async fn as_they_are(&self, ids: Vec<CustomerId>) -> Result<Vec<Outgoing>, StoreError> {
        let told = |id| Told {
            id,
            at: self.pushing.tables.clock.now(),
            revision: 1,
            is_new: false,
            only_if_gone: false,
            occasion: self.delivery.progress.occasion(),
        };
        let told: Vec<Told> = ids.into_iter().map(told).collect();
        if told.is_empty() {
            return Ok(Vec::new());
        }
        let chosen = self.choice.choose(&told, self.deadline).await?.into_iter();
        let sendable = chosen.filter_map(|chosen| match chosen {
            Chosen::Send(outgoing) => Some(*outgoing),
            Chosen::LeftOut | Chosen::Listed | Chosen::Damaged => None,
        });
        // A deletion is not sent twice.
        Ok(sendable.filter(|outgoing| !outgoing.is_deletion()).collect())
    }
}
