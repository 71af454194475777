//! Saving what is pushed.

use std::time::Duration;

use axum::http::StatusCode;
use config::ConnectorConfig;
use model::{ExternalKey, LeadSource, OutcomeCounts, Record, ReferenceData, Resource, Staff, iso_millis};
use store::SaveOutcome;
use wire::connector::{self as documents, Push, PushError, Reason, Shown, ShownLeadSource, ShownUser};

use crate::ConnectorApi;
use crate::auth::{Sender, allowed};
use crate::error::ApiError;
use crate::origin::note_key;
use crate::reference_resolution::{Prospect, keep};

/// API Gateway gives up after 30 seconds; what takes longer than this is given up before.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is pushed, kept in a reference table, and fetched.
pub(crate) trait ReferenceResource: ReferenceData {
    /// What is shown of a record.
    type Shown<'a>: Shown
    where
        Self: 'a;

    /// Shows a record as its sender knows it.
    fn shown<'a>(record: &'a Record<Self>, key: &'a ExternalKey) -> Self::Shown<'a>;
    /// Reads its document.
    fn read(document: &[u8]) -> Result<Push<Self>, PushError>;
    /// Whether a push may create one.
    fn may_create(settings: &ConnectorConfig) -> bool;
    /// Why it is not created, if a push may not create one.
    const NOT_CREATED: &'static str;
}

impl ReferenceResource for Staff {
    type Shown<'a> = ShownUser<'a>;

    const NOT_CREATED: &'static str =
        "`userInfo/email` matches no member of staff, and this connection lets no push create one";

    fn shown<'a>(record: &'a Record<Self>, key: &'a ExternalKey) -> ShownUser<'a> {
        let (created, modified) = (iso_millis(record.first_seen_at), iso_millis(record.changed_at));
        ShownUser { id: &record.id, key, content: &record.content.0, created, modified }
    }

    fn read(document: &[u8]) -> Result<Push<Self>, PushError> {
        documents::read_staff(document, &documents::limits())
    }

    fn may_create(settings: &ConnectorConfig) -> bool {
        settings.create_staff
    }
}

impl ReferenceResource for LeadSource {
    type Shown<'a> = ShownLeadSource<'a>;

    const NOT_CREATED: &'static str =
        "`leadInfo/name` matches no lead source, and this connection lets no push create one";

    fn shown<'a>(record: &'a Record<Self>, key: &'a ExternalKey) -> ShownLeadSource<'a> {
        ShownLeadSource { id: &record.id, key, content: &record.content }
    }

    fn read(document: &[u8]) -> Result<Push<Self>, PushError> {
        documents::read_lead_source(document, &documents::limits())
    }

    fn may_create(settings: &ConnectorConfig) -> bool {
        settings.create_lead_sources
    }
}

/// The connection that a push is for, and the valid push. A sender that may not push is refused whatever it pushes.
fn admitted<T>(senders: &[Sender], push: Result<Push<T>, PushError>) -> Result<(&Sender, Push<T>), ApiError> {
    let key = match &push {
        Ok(push) => Some(&push.key),
        Err(PushError::Invalid { sender, .. }) => sender.as_ref(),
        Err(PushError::Unreadable(_)) => None,
    };
    let sender = match key {
        Some(key) => allowed(senders, &key.identifier, Some(&key.client_id), Some(&key.club_id))?,
        None => return Err(push.err().map_or_else(ApiError::forbidden, ApiError::from)),
    };
    Ok((sender, push?))
}

impl ConnectorApi {
    async fn refuse_if_paused(&self, sender: &Sender) -> Result<(), ApiError> {
        if self.tables.states.is_paused(&sender.key).await? { Err(ApiError::paused()) } else { Ok(()) }
    }

    /// Saves a prospect or a member, and returns our id of it once it is stored.
    pub(crate) async fn save_user(&self, senders: &[Sender], document: &[u8]) -> Result<String, ApiError> {
        let (sender, push) = admitted(senders, documents::read_user(document, &documents::limits()))?;
        self.refuse_if_paused(sender).await?;
        let (connection, Push { key, content: pushed }) = (&sender.key, push);
        let id = key.id(connection, Resource::User);
        let prospect = Prospect { connection, id: &id };
        let mut references = None;
        if let Some(lead) = &pushed.lead {
            let references = references.insert(self.references(connection, &key, lead).await?);
            self.wait(prospect, references).await?;
        }
        let mut content = pushed.content;
        note_key(&mut content, &key);
        let revised = self.tables.shadow.revise(connection, &id, |stored| {
            let mut content = content.clone();
            match (&references, stored) {
                (Some(references), _) => references.apply(&mut content),
                (None, Some(stored)) => keep(&mut content, &stored.content),
                (None, None) => {}
            }
            Some(content)
        });
        let (outcome, before) = revised.await?;
        if let Some(references) = &references {
            self.wait(prospect, references).await?;
            self.resolve_again(prospect, references).await?;
            if let Some(before) = before {
                self.wait_no_longer(prospect, &before.content, references).await?;
            }
        }
        let counts = OutcomeCounts::from_iter([outcome]).by_name();
        self.metrics.count(&connection.to_string(), self.tables.clock.now(), &counts);
        Ok(documents::response(&id))
    }

    /// Saves a member of staff or a lead source. Completes the prospects that wait for it, or for the record that gets
    /// its former name. Returns our id of it once all of that is stored.
    pub(crate) async fn save_reference<T: ReferenceResource>(
        &self,
        senders: &[Sender],
        document: &[u8],
    ) -> Result<String, ApiError> {
        let deadline = self.tables.clock.now() + PATIENCE;
        let (sender, Push { key, content }) = admitted(senders, T::read(document))?;
        self.refuse_if_paused(sender).await?;
        let may_create = T::may_create(&sender.settings);
        match self.tables.reference::<T>().save(&sender.key, &key, content, may_create).await? {
            SaveOutcome::Stored { record, found } => {
                self.complete_waiting(&sender.key, T::RESOURCE, &found, deadline).await?;
                Ok(documents::response(&record.id))
            }
            SaveOutcome::NotCreated => Err(ApiError::new(StatusCode::FORBIDDEN, Reason::Validation, T::NOT_CREATED)),
            SaveOutcome::TooLarge => Err(ApiError::too_large("the record is larger than can be stored")),
        }
    }
}
