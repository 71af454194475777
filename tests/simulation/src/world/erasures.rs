//! Persons who ask to be forgotten.

use std::sync::PoisonError;
use std::time::Duration;

use model::CustomerId;
use operations::persons::Eraser;
use store::{EmailIndex, Whom};

use super::tables::TABLES;
use super::{World, key};
use crate::event::POLLED;

impl World {
    pub(super) fn eraser(&self) -> Eraser {
        Eraser::new(&self.operator)
    }

    pub(super) async fn erase(&mut self, connection: usize, id: u64) {
        let (tenant, whom) = self.note_erased(connection, id).await;
        let deadline = self.operator_clock.now() + Duration::from_secs(60);
        if self.eraser().erase(tenant, &whom, deadline).await.is_err() {
            // An import, or another operator, is at it: it is said so, and done again.
            self.erasing.push((tenant, Self::customer(connection, id)));
        }
    }

    /// A customer, to be erased by its id.
    pub(super) fn customer(connection: usize, id: u64) -> Whom {
        let (_, name) = POLLED[connection];
        Whom::Customer(CustomerId { connection: name.to_owned(), source_id: id.to_string() })
    }

    /// A person who is not to come back from now on.
    pub(super) async fn note_erased(&mut self, connection: usize, id: u64) -> (&'static str, Whom) {
        let (tenant, _) = POLLED[connection];
        self.is_gone(connection, id);
        let stored = self.tables.shadow.get(&key(connection), &id.to_string()).await.unwrap();
        let address = stored.and_then(|customer| Some(customer.content.emails.first()?.address.clone()));
        let whom = match address.as_deref().and_then(EmailIndex::address) {
            Some(address) if id % 2 == 1 => Whom::Address(address),
            _ => Self::customer(connection, id),
        };
        self.erased_ids.lock().unwrap_or_else(PoisonError::into_inner).insert((connection, id));
        let known = self.erased.entry((connection, id)).or_default();
        *known = address.or(known.take());
        (tenant, whom)
    }

    /// Items that hold an address of somebody who was erased. What a source has listed is gone when its batch ends.
    pub(super) async fn traces_of_erased(&self) -> Vec<String> {
        let now = |&(connection, id): &(usize, u64)| match connection {
            2 => self.bc.email(id),
            aa => self.aa[aa].email(id),
        };
        // The address that was known then, and the one that the source has given them since.
        let addresses: Vec<(String, bool)> = self
            .erased
            .iter()
            .flat_map(|(who, before)| [before.clone().zip(Some(true)), now(who).zip(Some(false))])
            .flatten()
            .collect();
        if addresses.is_empty() {
            return Vec::new();
        }
        let client = self.aws.database.exempt_client();
        let mut traces = Vec::new();
        for table in TABLES {
            let items = client.scan().table_name(table).into_paginator().items().send();
            for item in items.collect::<Result<Vec<_>, _>>().await.unwrap() {
                let entry = item.get("entry").and_then(|entry| entry.as_s().ok()).map_or("", String::as_str);
                // A document that names neither an id nor an address that was known is nobody's.
                let is_nobodys = entry.contains("/unidentified-");
                let shown = format!("{item:?}");
                let is_trace = |(address, was_known): &&(String, bool)| {
                    (*was_known || !is_nobodys) && shown.contains(address.as_str())
                };
                if !entry.starts_with("listed/")
                    && let Some((address, _)) = addresses.iter().find(is_trace)
                {
                    traces.push(format!("{table} holds {address} of somebody who was erased: {shown}"));
                }
            }
        }
        traces
    }
}
