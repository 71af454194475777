//! Whether a destination can be reached and lets us in, as far as that shows without sending it anything.

use std::time::Duration;

use config::{Destination, Receiver};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::http::Requests;
use crate::{DestinationClient, Trouble, business_catalyst, customers_batch, webhook};

/// How long a destination may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// The first time that a site's database can hold.
const BEGINNING: DateTime = jiff::civil::date(1753, 1, 1).at(0, 0, 0, 0);

impl DestinationClient {
    /// Reads the credentials and makes one request that changes nothing. Returns what was found, for people.
    ///
    /// # Errors
    /// If the credentials can't be read, the address may not be sent to or can't be reached, or a site refuses us.
    pub async fn check(&self, destination: &Destination, deadline: Timestamp) -> Result<String, Trouble> {
        let settings = &destination.settings;
        let allows_private = settings.allow_private_addresses;
        match &settings.receiver {
            Receiver::BusinessCatalyst(site) => {
                let login = self.credentials(settings, business_catalyst::FIELDS).await?;
                let request = Requests { http: &self.http, pace: self.pace(destination, deadline), allows_private };
                let site = business_catalyst::Site { site, login, request };
                // Nobody was updated tomorrow: the list is as short as it can be.
                let tomorrow = self.clock.now() + SignedDuration::from_hours(24);
                let is_list = site.list(tomorrow.to_zoned(TimeZone::UTC).datetime()).await?;
                Ok(if is_list || site.list(BEGINNING).await? {
                    "credentials accepted, contact list readable".to_owned()
                } else {
                    "it answers with a fault that names no cause, as a site without contacts does".to_owned()
                })
            }
            Receiver::CustomersBatch(_) => {
                let _: customers_batch::Credentials = self.credentials(settings, customers_batch::FIELDS).await?;
                let reached = self.reach(destination).await?;
                Ok(format!(
                    "{reached}; credentials readable, and not tried: the dialect has no request that changes nothing"
                ))
            }
            Receiver::Webhook(_) => {
                let secrets: webhook::Secrets = self.credentials(settings, webhook::FIELDS).await?;
                secrets.parsed()?;
                let reached = self.reach(destination).await?;
                Ok(format!("{reached}; secret readable, and not tried: no event is made up"))
            }
        }
    }

    /// Asks for the head of what is at the address: any answer shows that names, network and TLS are well.
    async fn reach(&self, destination: &Destination) -> Result<String, Trouble> {
        let settings = &destination.settings;
        let url = settings.receiver.url();
        let answer = self.http.head(url, settings.allow_private_addresses, PATIENCE).await?;
        Ok(format!("reachable (HEAD is answered with HTTP {})", answer.status.as_u16()))
    }
}
