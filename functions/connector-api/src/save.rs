//! Saving what is pushed.

use std::time::Duration;

use axum::http::StatusCode;
use model::{LeadSource, Referred, Resource, Staff, Tally};
use runtime::connections::Connector;
use store::{Catalog, Saved};
use wire::connector::{self as documents, Push, PushError, Reason};

use crate::ConnectorApi;
use crate::referral::keep;
use crate::refusal::Refusal;
use crate::senders::{Sender, allowed};
use crate::sent::note_key;

/// API Gateway gives up after 30 seconds; what takes longer than this is given up before.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is pushed and kept in a catalog.
pub(crate) trait Cataloged: Referred {
    /// Reads its document.
    fn read(document: &[u8]) -> Result<Push<Self>, PushError>;
    /// Where it is kept.
    fn catalog(api: &ConnectorApi) -> &Catalog<Self>;
    /// Whether a push may create one.
    fn may_create(settings: &Connector) -> bool;
    /// Why it is not created, where that is so.
    const NOT_CREATED: &'static str;
}

impl Cataloged for Staff {
    const NOT_CREATED: &'static str =
        "`userInfo/email` matches no member of staff, and this connection lets no push create one";

    fn read(document: &[u8]) -> Result<Push<Self>, PushError> {
        documents::read_staff(document, &documents::limits())
    }

    fn catalog(api: &ConnectorApi) -> &Catalog<Self> {
        &api.staff
    }

    fn may_create(settings: &Connector) -> bool {
        settings.create_staff
    }
}

impl Cataloged for LeadSource {
    const NOT_CREATED: &'static str =
        "`leadInfo/name` matches no lead source, and this connection lets no push create one";

    fn read(document: &[u8]) -> Result<Push<Self>, PushError> {
        documents::read_lead_source(document, &documents::limits())
    }

    fn catalog(api: &ConnectorApi) -> &Catalog<Self> {
        &api.lead_sources
    }

    fn may_create(settings: &Connector) -> bool {
        settings.create_lead_sources
    }
}

/// The connection that a push is for, and the push if it is right. Who may not push is told so, whatever is pushed.
fn admitted<T>(senders: &[Sender], push: Result<Push<T>, PushError>) -> Result<(&Sender, Push<T>), Refusal> {
    let key = match &push {
        Ok(push) => Some(&push.key),
        Err(PushError::Invalid { sender, .. }) => sender.as_ref(),
        Err(PushError::Unreadable(_)) => None,
    };
    let sender = match key {
        Some(key) => allowed(senders, &key.identifier, Some(&key.client_id), Some(&key.club_id))?,
        None => return Err(push.err().map_or_else(Refusal::forbidden, Refusal::from)),
    };
    Ok((sender, push?))
}

impl ConnectorApi {
    /// Saves a prospect or a member, and returns our id of it once it is stored.
    pub(crate) async fn save_user(&self, senders: &[Sender], document: &[u8]) -> Result<String, Refusal> {
        let (sender, push) = admitted(senders, documents::read_user(document, &documents::limits()))?;
        let (connection, Push { key, content: pushed }) = (&sender.key, push);
        let id = key.id(connection, Resource::User);
        let referrals = match &pushed.lead {
            Some(lead) => Some(self.referrals(connection, &key, lead).await?),
            None => None,
        };
        if let Some(referrals) = &referrals {
            self.wait(connection, &id, referrals).await?;
        }
        let mut content = pushed.content;
        note_key(&mut content, &key);
        let revised = self.shadow.revise(connection, &id, |stored| {
            let mut content = content.clone();
            match (&referrals, stored) {
                (Some(referrals), _) => referrals.apply(&mut content),
                (None, Some(stored)) => keep(&mut content, &stored.content),
                (None, None) => {}
            }
            Some(content)
        });
        let (outcome, before) = revised.await?;
        if let Some(referrals) = &referrals {
            self.wait(connection, &id, referrals).await?;
            self.look_once_more(connection, &id, referrals).await?;
            if let Some(before) = before {
                self.wait_no_longer(connection, &id, &before.content, referrals).await?;
            }
        }
        let counts = Tally::from_iter([outcome]).by_name();
        self.metrics.count(&connection.to_string(), self.clock.now(), &counts);
        Ok(documents::response(&id))
    }

    /// Saves a member of staff or a lead source, completes the prospects that wait for it, or for whoever gets the name
    /// that it had before, and returns our id of it once all of that is stored.
    pub(crate) async fn save_cataloged<T: Cataloged>(
        &self,
        senders: &[Sender],
        document: &[u8],
    ) -> Result<String, Refusal> {
        let deadline = self.clock.now() + PATIENCE;
        let (sender, Push { key, content }) = admitted(senders, T::read(document))?;
        let may_create = T::may_create(&sender.settings);
        match T::catalog(self).save(&sender.key, &key, content, may_create).await? {
            Saved::Stored { record, found } => {
                self.complete_waiting(&sender.key, T::RESOURCE, &found, deadline).await?;
                Ok(documents::response(&record.id))
            }
            Saved::NotCreated => Err(Refusal::new(StatusCode::FORBIDDEN, Reason::Validation, T::NOT_CREATED)),
            Saved::TooLarge => Err(Refusal::too_large("the record is larger than can be stored")),
        }
    }
}
