//! Sending a page: choosing, delivering under the lease, and what becomes of each customer.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use config::DestinationKind;
use destinations::{Context, Delivered, Outcome, Outgoing};
use futures::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};
use model::CustomerId;
use store::{DeliveryCounts, Failure, StoreError, Witness};

use super::{End, HEARTBEAT, Sent, Stop, Visit};
use crate::LEASE;
use crate::choice::{Chosen, Told};

/// How many failure records are written side by side.
const AT_ONCE: usize = 16;

impl Visit<'_> {
    /// Sends customers, and writes and removes their failure records.
    pub(super) async fn send(&mut self, told: &[Told]) -> Result<Sent, Stop> {
        if told.is_empty() {
            return Ok(Sent::default());
        }
        let chosen = self.choice.choose(told, self.deadline).await?;
        let outgoing: Vec<Outgoing> = chosen
            .iter()
            .filter_map(|chosen| match chosen {
                Chosen::Send(outgoing) => Some((**outgoing).clone()),
                Chosen::LeftOut | Chosen::Damaged => None,
            })
            .collect();
        let witness = if outgoing.is_empty() { None } else { self.witness(&outgoing).await? };
        let ids: Vec<CustomerId> = outgoing.iter().chain(&witness).map(|outgoing| outgoing.id.clone()).collect();
        let delivered = match self.deliver(&outgoing, witness.as_ref()).await {
            Err(Stop::End(End::Lost)) => {
                self.send_again(&ids).await?;
                return Err(Stop::End(End::Lost));
            }
            delivered => delivered?,
        };
        let mut sent = Sent { ids, trouble: delivered.trouble, ..Sent::default() };
        let mut outcomes = delivered.outcomes.into_iter();
        let (mut resolved, mut failed) = (BTreeSet::new(), Vec::new());
        let mut is_prefix = true;
        for (told, chosen) in told.iter().zip(&chosen) {
            let outcome = match chosen {
                Chosen::Send(_) => outcomes.next().flatten(),
                Chosen::LeftOut => Some(Outcome::LeftOut),
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
                    resolved.insert(told.id.to_string());
                    // A deletion is none: sent again, it would make a site one more deleted contact.
                    if let Chosen::Send(outgoing) = chosen
                        && !outgoing.is_deletion()
                    {
                        sent.witnesses.insert(0, Witness { id: told.id.to_string(), revision: outgoing.revision });
                    }
                }
                Some(Outcome::LeftOut) => {
                    counts.left_out = 1;
                    resolved.insert(told.id.to_string());
                }
                Some(Outcome::Refused { reason, answer }) => {
                    counts.failed = 1;
                    let failed_at = self.pushing.clock.now();
                    failed.push(Failure { source_id: told.id.to_string(), reason, raw: answer, failed_at });
                }
            }
            if is_prefix {
                sent.settled += 1;
                sent.counts += counts;
            }
        }
        let failures = &self.pushing.failures;
        let puts = failed.iter().map(|failure| failures.put(self.key, failure));
        stream::iter(puts.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        failures.remove_sent(self.key, &resolved).await?;
        Ok(sent)
    }

    /// Asks for customers to be sent again: another worker may have sent them before this one did, as they are now.
    pub(super) async fn send_again(&self, ids: &[CustomerId]) -> Result<(), StoreError> {
        let now = self.pushing.clock.now();
        for id in ids {
            self.pushing.failures.request_redrive(self.key, &id.to_string(), now).await?;
        }
        Ok(())
    }

    /// Delivers, and renews the lease meanwhile.
    async fn deliver(&mut self, changes: &[Outgoing], witness: Option<&Outgoing>) -> Result<Delivered, Stop> {
        if changes.is_empty() {
            return Ok(Delivered::default());
        }
        self.keep_lease().await?;
        let attempts = self.delivery.progress.attempts;
        let has_taken = !self.delivery.progress.witnesses.is_empty();
        let context = Context { witness, attempts, has_taken, pace: &self.pace };
        let mut delivering = std::pin::pin!(self.deliver_all(changes, context));
        loop {
            tokio::select! {
                biased;
                delivered = &mut delivering => return Ok(delivered),
                () = self.pushing.clock.sleep(HEARTBEAT) => {
                    let until = self.pushing.clock.now() + LEASE;
                    if !self.pushing.states.renew(self.key, self.owner, until).await? {
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
        let mut all = Delivered { outcomes: vec![None; changes.len()], trouble: None };
        for (change, outcome) in changes.iter().zip(&mut all.outcomes) {
            let alone = client.deliver(self.destination, std::slice::from_ref(change), context);
            let Ok(alone) = AssertUnwindSafe(alone).catch_unwind().await else {
                let reason = "sending it caused a panic: a bug".to_owned();
                *outcome = Some(Outcome::Refused { reason, answer: String::new() });
                continue;
            };
            *outcome = alone.outcomes.into_iter().next().flatten();
            if alone.trouble.is_some() {
                all.trouble = alone.trouble;
                break;
            }
        }
        all
    }

    /// A customer that the destination took as it is, and that is not among those that are to be sent. Webhooks answer
    /// for each event alone, and need none.
    async fn witness(&self, changes: &[Outgoing]) -> Result<Option<Outgoing>, StoreError> {
        let witnesses = &self.delivery.progress.witnesses;
        if witnesses.is_empty() || self.destination.settings.receiver.kind() == DestinationKind::Webhook {
            return Ok(None);
        }
        let ids = witnesses.iter().filter_map(|witness| witness.id.parse::<CustomerId>().ok());
        let told = |id| Told {
            id,
            at: self.pushing.clock.now(),
            revision: 1,
            is_new: false,
            occasion: self.delivery.progress.round.to_string(),
        };
        let told: Vec<Told> = ids.map(told).collect();
        let is_as_taken = |outgoing: &Outgoing| {
            let id = outgoing.id.to_string();
            witnesses.iter().any(|witness| witness.id == id && witness.revision == outgoing.revision)
                && !changes.iter().any(|change| change.id == outgoing.id)
        };
        let chosen = self.choice.choose(&told, self.deadline).await?.into_iter();
        Ok(chosen
            .filter_map(|chosen| match chosen {
                Chosen::Send(outgoing) => Some(*outgoing),
                Chosen::LeftOut | Chosen::Damaged => None,
            })
            .find(is_as_taken))
    }
}
