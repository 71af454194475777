use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use wire::business_catalyst::{SoapVersion, site_zone};

use super::table_reader::TableReader;
use super::{ConnectionKind, SecretReference, Settings, default_most_deletes, default_requests_per_second};

const LONGEST_OVERLAP_SECONDS: i64 = 86_400;
/// Dates are whole seconds, and an edit may be listed a moment after the second of its date.
const SHORTEST_OVERLAP_SECONDS: u32 = 2;

/// The settings of a site of Business Catalyst.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BusinessCatalystConfig {
    /// The CRM web service.
    pub endpoint: String,
    /// The site's number.
    pub site_id: u32,
    /// User name and password; for a site token an empty user name, and the token as password.
    pub credentials: SecretReference,
    /// The IANA name of the time zone of the site's local times. A name that is unknown to this program is refused, in
    /// the file and in the store: contacts with wrong times would be worse than no contacts.
    #[serde(deserialize_with = "known_zone")]
    pub time_zone: String,
    /// The SOAP version of the site.
    #[serde(default)]
    pub soap: SoapVersion,
    /// How far before the newest update that was seen every listing begins: 2 to 86,400 seconds.
    #[serde(default = "default_overlap_seconds")]
    pub overlap_seconds: u32,
    /// Seconds between two listings: 1 to 3,600.
    #[serde(default = "default_poll_seconds")]
    pub poll_seconds: u32,
    /// The maximum number of requests a second, over all functions: up to 1,000.
    #[serde(default = "default_requests_per_second")]
    pub max_requests_per_second: f64,
    /// How many percent of its customers one batch may delete: 0 to 100. More wait for an operator.
    #[serde(default = "default_most_deletes")]
    pub most_deletes_percent: u32,
}

impl Settings for BusinessCatalystConfig {
    const KIND: ConnectionKind = ConnectionKind::BusinessCatalyst;
}

impl BusinessCatalystConfig {
    /// The time zone of the site.
    pub fn zone(&self) -> TimeZone {
        // Every name was found in the same database when it was read.
        site_zone(&self.time_zone).unwrap_or(TimeZone::UTC)
    }

    /// `time` less the overlap, which is at least 2 seconds: an earlier release allowed less.
    pub fn behind(&self, time: Timestamp) -> Timestamp {
        let overlap = self.overlap_seconds.max(SHORTEST_OVERLAP_SECONDS);
        time.checked_sub(SignedDuration::from_secs(i64::from(overlap))).unwrap_or(Timestamp::MIN)
    }
}

fn known_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    site_zone(&name).map_err(serde::de::Error::custom)?;
    Ok(name)
}

// Defaults, for the file and for registrations of releases without the key.

fn default_overlap_seconds() -> u32 {
    300
}

fn default_poll_seconds() -> u32 {
    60
}

/// Takes the keys of this kind out of a connection's table.
pub(super) fn read(fields: &mut TableReader<'_>) -> Option<BusinessCatalystConfig> {
    let insecure_http = fields.boolean("insecure_http").unwrap_or(false);
    let endpoint = fields.url("endpoint", true, insecure_http);
    let site_id = fields.required_number("site_id", 1, i64::from(u32::MAX));
    let credentials = fields.secret("credentials", true);
    let time_zone = time_zone(fields);
    let versions = [("1.1", SoapVersion::V1_1), ("1.2", SoapVersion::V1_2)];
    Some(BusinessCatalystConfig {
        soap: fields.choice("soap", &versions).unwrap_or_default(),
        overlap_seconds: fields
            .whole_number("overlap_seconds", i64::from(SHORTEST_OVERLAP_SECONDS), LONGEST_OVERLAP_SECONDS)
            .unwrap_or_else(default_overlap_seconds),
        poll_seconds: fields.poll_seconds(default_poll_seconds()),
        max_requests_per_second: fields.requests_per_second(default_requests_per_second()),
        most_deletes_percent: fields.most_deletes_percent(),
        // The mandatory ones last: every problem is reported.
        endpoint: endpoint?,
        site_id: site_id?,
        credentials: credentials?,
        time_zone: time_zone?,
    })
}

fn time_zone(fields: &mut TableReader<'_>) -> Option<String> {
    let name = fields.text("time_zone", true)?;
    match site_zone(&name) {
        Ok(_) => Some(name),
        Err(unknown) => fields.refuse("time_zone", &unknown.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Configuration, Connection, Deployment, Problems};

    const MINIMAL: &str = r#"
[[connection]]
id = "bc"
tenant = "acme"
kind = "business-catalyst"
endpoint = "https://bc.example.org/catalystwebservice/catalystcrmwebservice.asmx"
site_id = 12345
credentials = "env:BC_CREDENTIALS"
time_zone = "Australia/Sydney"
"#;

    fn read(text: &str) -> Connection<BusinessCatalystConfig> {
        let configuration =
            Configuration::parse(text, Deployment::Local).unwrap_or_else(|problems| panic!("{problems}"));
        Connection::from_registration(&configuration.connections[0]).unwrap()
    }

    fn problems(text: &str) -> Vec<String> {
        let Problems(problems) = Configuration::parse(text, Deployment::Local).unwrap_err();
        problems
    }

    #[test]
    fn a_site_is_read_with_every_value() {
        let connection = read(&format!(
            "{MINIMAL}soap = \"1.2\"\noverlap_seconds = 2\npoll_seconds = 5\nmax_requests_per_second = 2.5\n"
        ));
        assert_eq!(connection.key.to_string(), "acme/bc");
        let settings = connection.settings;
        assert_eq!((settings.site_id, settings.soap), (12_345, SoapVersion::V1_2));
        assert_eq!((settings.overlap_seconds, settings.poll_seconds), (2, 5));
        assert_eq!(settings.max_requests_per_second, 2.5);
        assert_eq!(settings.zone().iana_name(), Some("Australia/Sydney"));
    }

    #[test]
    fn what_is_not_said_of_a_site_has_its_default() {
        let settings = read(MINIMAL).settings;
        assert_eq!(settings.soap, SoapVersion::V1_1);
        assert_eq!((settings.overlap_seconds, settings.poll_seconds), (300, 60));
        assert_eq!(settings.max_requests_per_second, 10.0);
    }

    #[test]
    fn a_site_that_an_earlier_release_stored_has_the_least_overlap_and_the_default_pace() {
        let mut registration = read(MINIMAL).to_registration();
        registration.document = registration.document.replace("\"overlap_seconds\":300", "\"overlap_seconds\":0");
        registration.document = registration.document.replace(",\"max_requests_per_second\":10.0", "");
        assert!(!registration.document.contains("per_second"), "{}", registration.document);
        let settings = Connection::<BusinessCatalystConfig>::from_registration(&registration).unwrap().settings;
        let time: Timestamp = "2026-01-01T00:00:10Z".parse().unwrap();
        assert_eq!(settings.behind(time), "2026-01-01T00:00:08Z".parse::<Timestamp>().unwrap());
        assert_eq!(settings.max_requests_per_second, 10.0);
    }

    #[test]
    fn a_stored_site_whose_zone_is_not_known_is_an_error_and_not_another_zone() {
        let mut registration = read(MINIMAL).to_registration();
        registration.document = registration.document.replace("Australia/Sydney", "Australia/Atlantis");
        let error = Connection::<BusinessCatalystConfig>::from_registration(&registration).unwrap_err().to_string();
        assert!(error.contains("the settings of acme/bc") && error.contains("Atlantis"), "{error}");
    }

    #[test]
    fn everything_that_is_missing_of_a_site_is_named_at_once() {
        let missing: Vec<String> = ["endpoint", "site_id", "credentials", "time_zone"]
            .map(|key| format!("connection `bc`: key `{key}`: is missing"))
            .into();
        let text = "[[connection]]\nid = \"bc\"\ntenant = \"acme\"\nkind = \"business-catalyst\"\n";
        assert_eq!(problems(text), missing);
    }

    #[test]
    fn everything_that_is_wrong_with_a_site_is_named_at_once() {
        let text = MINIMAL
            .replace("12345", "\"12345\"")
            .replace("Australia/Sydney", "Australia/Atlantis")
            .replace("https", "http");
        assert_eq!(
            problems(&format!("{text}soap = \"1.3\"\noverlap_seconds = -1\npoll_seconds = 0\nbulk_size = 10\n")),
            [
                "connection `bc`: key `endpoint`: plain http needs `insecure_http = true`, for credentials or personal data would travel in clear",
                "connection `bc`: key `site_id`: must be a whole number from 1 to 4294967295",
                "connection `bc`: key `time_zone`: \"Australia/Atlantis\" is not a time zone of the IANA database, such as \"Australia/Sydney\"",
                "connection `bc`: key `soap`: must be \"1.1\" or \"1.2\"",
                "connection `bc`: key `overlap_seconds`: must be a whole number from 2 to 86400",
                "connection `bc`: key `poll_seconds`: must be a whole number from 1 to 3600",
                "connection `bc`: key `bulk_size`: is not known",
            ]
        );
    }
}
