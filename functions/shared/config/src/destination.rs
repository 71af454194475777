use std::fmt;

use model::ConnectionKey;
use model::import::Overwrite;
use serde::{Deserialize, Serialize};
use store::{ConnectionRegistry, Registration, StoreError};
use utoipa::ToSchema;
use wire::business_catalyst::SoapVersion;
use wire::customers_batch::Version;

use super::table_reader::TableReader;
use super::{DESTINATION, SecretReference, default_requests_per_second, document, readable, registration};

/// The default of `max_requests_per_second` for a webhook: each of its requests holds one change.
const EVENTS_PER_SECOND: f64 = 50.0;

/// A kind of destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DestinationKind {
    /// Business Catalyst's `ContactList_UpdateInsert`.
    BusinessCatalyst,
    /// `customers_batch` in the Sticky Street dialect.
    CustomersBatch,
    /// Signed events, one a request.
    Webhook,
}

impl DestinationKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::BusinessCatalyst, Self::CustomersBatch, Self::Webhook];

    /// Its name in the file and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BusinessCatalyst => "business-catalyst",
            Self::CustomersBatch => "customers-batch",
            Self::Webhook => "webhook",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A system that changes are sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// Its tenant and its name, which no connection has.
    pub key: ConnectionKey,
    /// Its settings.
    pub settings: DestinationSettings,
}

/// The settings of a destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DestinationSettings {
    /// The connections whose customers are sent there.
    pub from: Vec<String>,
    /// What it lets us in with.
    pub credentials: SecretReference,
    /// Whether it may have an address that is not public.
    #[serde(default)]
    pub allow_private_addresses: bool,
    /// The maximum number of requests a second: up to 1,000.
    pub max_requests_per_second: f64,
    /// Where it is, and what it speaks.
    pub receiver: Receiver,
}

/// Where a destination is, and what it speaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Receiver {
    /// A site of Business Catalyst.
    BusinessCatalyst(ReceivingSite),
    /// A service that takes `customers_batch`.
    CustomersBatch(ReceivingService),
    /// Anything that takes signed events.
    Webhook(ReceivingHook),
}

/// A site of Business Catalyst that contacts are written to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceivingSite {
    /// The CRM web service.
    pub endpoint: String,
    /// The site's number.
    pub site_id: u32,
    /// The SOAP version of the site.
    #[serde(default)]
    pub soap: SoapVersion,
}

/// A service that takes `customers_batch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceivingService {
    /// Its address.
    pub url: String,
    /// The campaigns that customers belong to: at least one.
    pub campaigns: Vec<String>,
    /// What becomes of customers that it has already.
    pub overwrite_duplicates: Overwrite,
    /// The version of the dialect.
    pub api: Version,
}

/// Anything that takes signed events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceivingHook {
    /// Its address.
    pub url: String,
    /// What an event holds.
    #[serde(default)]
    pub payload: Payload,
}

/// What an event holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// The customer as it is now, beside its id.
    #[default]
    State,
    /// The customer's id, and no personal data.
    Ids,
}

/// A site of Business Catalyst, whatever it is reached by: two connections or destinations with the same one are the
/// same system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    endpoint: String,
    pub(crate) id: u32,
}

impl Site {
    /// The site behind an endpoint. The case of an endpoint does not matter, nor does a port that goes without saying.
    pub fn of(endpoint: &str, id: u32) -> Self {
        let endpoint = url::Url::parse(endpoint).map_or_else(|_| endpoint.to_owned(), String::from);
        Self { endpoint: endpoint.trim_end_matches('/').to_ascii_lowercase(), id }
    }
}

impl Receiver {
    /// Its kind.
    pub const fn kind(&self) -> DestinationKind {
        match self {
            Self::BusinessCatalyst(_) => DestinationKind::BusinessCatalyst,
            Self::CustomersBatch(_) => DestinationKind::CustomersBatch,
            Self::Webhook(_) => DestinationKind::Webhook,
        }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        match self {
            Self::BusinessCatalyst(site) => &site.endpoint,
            Self::CustomersBatch(service) => &service.url,
            Self::Webhook(hook) => &hook.url,
        }
    }

    /// The site that it is, if it is one.
    pub fn site(&self) -> Option<Site> {
        match self {
            Self::BusinessCatalyst(site) => Some(Site::of(&site.endpoint, site.site_id)),
            Self::CustomersBatch(_) | Self::Webhook(_) => None,
        }
    }
}

/// The address, and what else says which system it is: one that has another of these was sent nothing yet.
impl Receiver {
    /// What two spellings of the same system have in common.
    pub(crate) fn canonical(&self) -> String {
        match self.site() {
            Some(Site { endpoint, id }) => format!("{endpoint} {id}"),
            None => url::Url::parse(self.url()).map_or_else(|_| self.url().to_owned(), String::from),
        }
    }
}

impl fmt::Display for Receiver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BusinessCatalyst(site) => write!(formatter, "{} {}", site.endpoint, site.site_id),
            Self::CustomersBatch(_) | Self::Webhook(_) => formatter.write_str(self.url()),
        }
    }
}

impl Destination {
    /// The destination as the store keeps it.
    pub fn to_registration(&self) -> Registration {
        registration(self.key.clone(), DESTINATION, &self.settings)
    }

    /// The destination in a registration.
    ///
    /// # Errors
    /// If its document can't be read as such settings.
    pub fn from_registration(registration: &Registration) -> Result<Self, StoreError> {
        Ok(Self { key: registration.key.clone(), settings: document(registration)? })
    }

    /// Every destination of all tenants that can be read; the log names the others.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn all(registry: &ConnectionRegistry) -> Result<Vec<Self>, StoreError> {
        Ok(Self::readable(&registry.of_kind(DESTINATION).await?))
    }

    /// Those destinations among registrations of them that can be read. The log names the others.
    pub fn readable(registrations: &[Registration]) -> Vec<Self> {
        readable(registrations, Self::from_registration)
    }
}

/// Takes the keys of a destination out of its table.
pub(super) fn read(fields: &mut TableReader<'_>) -> Option<Destination> {
    let id = fields.id("id");
    let tenant = fields.id("tenant");
    let from = fields.texts("from");
    let credentials = fields.secret("credentials", true);
    let allow_private_addresses = fields.boolean("allow_private_addresses").unwrap_or(false);
    let insecure_http = fields.boolean("insecure_http").unwrap_or(false);
    let kind = fields.text("kind", true);
    let kind = kind.as_deref().map(DestinationKind::from_name);
    let per_second = match kind {
        Some(Some(DestinationKind::Webhook)) => EVENTS_PER_SECOND,
        _ => default_requests_per_second(),
    };
    let max_requests_per_second = fields.requests_per_second(per_second);
    // The pace begins anew with each visit, which sends one request at least.
    if max_requests_per_second < 1.0 {
        fields.problem("max_requests_per_second", "of a destination must be 1 or more");
    }
    let receiver = match kind {
        Some(Some(DestinationKind::BusinessCatalyst)) => business_catalyst(fields, insecure_http),
        Some(Some(DestinationKind::CustomersBatch)) => customers_batch(fields, insecure_http),
        Some(Some(DestinationKind::Webhook)) => webhook(fields, insecure_http),
        Some(None) => {
            let kinds = DestinationKind::ALL.map(|kind| format!("\"{}\"", kind.name())).join(" or ");
            fields.problem("kind", &format!("must be {kinds}"));
            // Keys of an unknown kind can't be checked.
            fields.table.clear();
            None
        }
        None => {
            fields.table.clear();
            None
        }
    };
    if let Some(receiver) = &receiver
        && !allow_private_addresses
    {
        fields.expect_public(if receiver.site().is_some() { "endpoint" } else { "url" }, receiver.url());
    }
    let settings = DestinationSettings {
        from: from?,
        credentials: credentials?,
        allow_private_addresses,
        max_requests_per_second,
        receiver: receiver?,
    };
    Some(Destination { key: ConnectionKey::new(tenant?, id?), settings })
}

fn business_catalyst(fields: &mut TableReader<'_>, insecure_http: bool) -> Option<Receiver> {
    let endpoint = fields.url("endpoint", true, insecure_http);
    let site_id = fields.required_number("site_id", 1, i64::from(u32::MAX));
    let soap = fields.choice("soap", &[("1.1", SoapVersion::V1_1), ("1.2", SoapVersion::V1_2)]);
    Some(Receiver::BusinessCatalyst(ReceivingSite {
        soap: soap.unwrap_or_default(),
        endpoint: endpoint?,
        site_id: site_id?,
    }))
}

fn customers_batch(fields: &mut TableReader<'_>, insecure_http: bool) -> Option<Receiver> {
    let url = fields.url("url", true, insecure_http);
    let campaigns = fields.texts("campaigns");
    // They are sent in a list with such separators.
    if campaigns.iter().flatten().any(|campaign| campaign.contains([',', '|'])) {
        fields.problem("campaigns", "must not hold a comma or a pipe");
    }
    let overwrites = [("yes", Overwrite::Yes), ("update", Overwrite::Update), ("ignore", Overwrite::Ignore)];
    let overwrite_duplicates = fields.choice("overwrite_duplicates", &overwrites).unwrap_or_default();
    let api = fields.choice("api", &[("legacy", Version::Legacy), ("1.5", Version::V1_5)]).unwrap_or_default();
    Some(Receiver::CustomersBatch(ReceivingService { overwrite_duplicates, api, url: url?, campaigns: campaigns? }))
}

fn webhook(fields: &mut TableReader<'_>, insecure_http: bool) -> Option<Receiver> {
    let url = fields.url("url", true, insecure_http);
    let payload = fields.choice("payload", &[("state", Payload::State), ("ids", Payload::Ids)]).unwrap_or_default();
    Some(Receiver::Webhook(ReceivingHook { payload, url: url? }))
}
