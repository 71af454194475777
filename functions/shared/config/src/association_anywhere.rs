use serde::{Deserialize, Serialize};
use toml::Value;
use wire::association_anywhere::{Dialect, Section};

use super::table_reader::TableReader;
use super::{ConnectionKind, SecretReference, Settings, default_most_deletes, default_requests_per_second};

/// A customer is proven deleted only by an answer that holds another one.
const SMALLEST_BULK_SIZE: i64 = 2;
const LARGEST_BULK_SIZE: i64 = 1_000;

/// The settings of an Association Anywhere system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssociationAnywhereConfig {
    /// *Get queue customers*.
    pub queue_url: String,
    /// *Get customer details*.
    pub details_url: String,
    /// *Purge queue customers*.
    pub purge_url: String,
    /// *Force enqueue customers*, if the source provides it.
    pub enqueue_url: Option<String>,
    /// User name and password, of all procedures or of the details alone.
    pub credentials: SecretReference,
    /// User name and password of queue, purge and force enqueue, if they differ.
    pub queue_credentials: Option<SecretReference>,
    /// The element names of queue, purge and force enqueue requests.
    #[serde(default)]
    pub dialect: Dialect,
    /// Ids in one detail request, and in one chunk of a batch: 2 to 1,000.
    #[serde(default = "default_bulk_size")]
    pub bulk_size: u32,
    /// The sections to ask for.
    #[serde(default = "default_sections")]
    pub sections: Vec<Section>,
    /// Seconds between two reads of the queue: 1 to 3,600.
    #[serde(default = "default_poll_seconds")]
    pub poll_seconds: u32,
    /// The source's limit over all functions: up to 1,000.
    #[serde(default = "default_requests_per_second")]
    pub max_requests_per_second: f64,
    /// How many percent of its customers one batch may delete: 0 to 100. More wait for an operator.
    #[serde(default = "default_most_deletes")]
    pub most_deletes_percent: u32,
}

impl Settings for AssociationAnywhereConfig {
    const KIND: ConnectionKind = ConnectionKind::AssociationAnywhere;
}

// Defaults, for the file and for registrations of releases without the key.

fn default_bulk_size() -> u32 {
    100
}

fn default_sections() -> Vec<Section> {
    Section::ALL.to_vec()
}

fn default_poll_seconds() -> u32 {
    5
}

/// Takes the keys of this kind out of a connection's table.
pub(super) fn read(fields: &mut TableReader<'_>) -> Option<AssociationAnywhereConfig> {
    let insecure_http = fields.boolean("insecure_http").unwrap_or(false);
    let queue_url = fields.url("queue_url", true, insecure_http);
    let details_url = fields.url("details_url", true, insecure_http);
    let purge_url = fields.url("purge_url", true, insecure_http);
    let enqueue_url = fields.url("enqueue_url", false, insecure_http);
    let credentials = fields.secret("credentials", true);
    let dialects = [("hyphen", Dialect::Hyphen), ("camel", Dialect::Camel)];
    Some(AssociationAnywhereConfig {
        queue_credentials: fields.secret("queue_credentials", false),
        dialect: fields.choice("dialect", &dialects).unwrap_or_default(),
        bulk_size: fields
            .whole_number("bulk_size", SMALLEST_BULK_SIZE, LARGEST_BULK_SIZE)
            .unwrap_or_else(default_bulk_size),
        sections: sections(fields).unwrap_or_else(default_sections),
        poll_seconds: fields.poll_seconds(default_poll_seconds()),
        max_requests_per_second: fields.requests_per_second(default_requests_per_second()),
        most_deletes_percent: fields.most_deletes_percent(),
        // The mandatory ones last: every problem is reported.
        queue_url: queue_url?,
        details_url: details_url?,
        purge_url: purge_url?,
        enqueue_url,
        credentials: credentials?,
    })
}

fn sections(fields: &mut TableReader<'_>) -> Option<Vec<Section>> {
    let Value::Array(values) = fields.table.remove("sections")? else {
        return fields.refuse("sections", "must be a list of texts");
    };
    let mut sections = Vec::new();
    for value in values {
        match value.as_str().and_then(Section::from_name) {
            Some(section) if !sections.contains(&section) => sections.push(section),
            Some(section) => fields.problem("sections", &format!("names \"{}\" twice", section.name())),
            None => {
                let known = Section::ALL.map(Section::name).join(", ");
                fields.problem("sections", &format!("holds {value}; known are {known}"));
            }
        }
    }
    Some(sections)
}
