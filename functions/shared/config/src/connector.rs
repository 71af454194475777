use serde::{Deserialize, Serialize};

use super::table_reader::TableReader;
use super::{ConnectionKind, SecretReference, Settings};

/// A system behind the InTouch Connector, which pushes to us: its identity, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorConfig {
    /// The client whose records may come.
    pub client_id: String,
    /// The client's clubs whose records may come.
    pub club_ids: Vec<String>,
    /// The providers that may push, by their identifiers.
    pub providers: Vec<String>,
    /// User name and password (Basic), or a token (Bearer). They should belong to this connection alone.
    pub credentials: SecretReference,
    /// Whether a push may create staff that nothing matches.
    #[serde(default)]
    pub create_staff: bool,
    /// Whether a push may create a lead source that nothing matches.
    #[serde(default)]
    pub create_lead_sources: bool,
}

impl Settings for ConnectorConfig {
    const KIND: ConnectionKind = ConnectionKind::Connector;
}

/// Takes the keys of this kind out of a connection's table.
pub(super) fn read(fields: &mut TableReader<'_>) -> Option<ConnectorConfig> {
    let client_id = fields.text("client_id", true);
    if client_id.as_deref() == Some("") {
        fields.problem("client_id", "must not be empty");
    }
    let club_ids = fields.texts("club_ids");
    let providers = fields.texts("providers");
    let credentials = fields.secret("credentials", true);
    Some(ConnectorConfig {
        create_staff: fields.boolean("create_staff").unwrap_or(false),
        create_lead_sources: fields.boolean("create_lead_sources").unwrap_or(false),
        // The mandatory ones last: every problem is reported.
        client_id: client_id?,
        club_ids: club_ids?,
        providers: providers?,
        credentials: credentials?,
    })
}

#[cfg(test)]
mod tests {
    use store::SecretRef;

    use super::*;
    use crate::{Configuration, Connection, Deployment};

    const EXAMPLE: &str = r#"
[[connection]]                        # the ConnectorConfig pushes to us
id = "intouch"
tenant = "acme"
kind = "connector"
client_id = "c-1"
club_ids = ["k-1", "k-2"]
providers = ["INTOUCH"]               # who may push
credentials = "env:CONNECTOR_CREDENTIALS"   # {"username","password"} = Basic, or {"token"} = Bearer
create_staff = false                  # may a push create staff
create_lead_sources = true
"#;

    fn settings(text: &str) -> ConnectorConfig {
        let configuration =
            Configuration::parse(text, Deployment::Local).unwrap_or_else(|problems| panic!("{problems}"));
        Connection::from_registration(&configuration.connections[0]).unwrap().settings
    }

    fn problems(text: &str) -> Vec<String> {
        Configuration::parse(text, Deployment::Local).unwrap_err().0
    }

    #[test]
    fn the_example_is_read_with_every_value() {
        let expected = ConnectorConfig {
            client_id: "c-1".to_owned(),
            club_ids: vec!["k-1".to_owned(), "k-2".to_owned()],
            providers: vec!["INTOUCH".to_owned()],
            credentials: SecretReference(SecretRef::Environment("CONNECTOR_CREDENTIALS".to_owned())),
            create_staff: false,
            create_lead_sources: true,
        };
        assert_eq!(settings(EXAMPLE), expected);
    }

    #[test]
    fn a_push_creates_nothing_but_customers_unless_that_is_wanted() {
        let lines: Vec<&str> = EXAMPLE.lines().filter(|line| !line.starts_with("create_")).collect();
        let settings = settings(&lines.join("\n"));
        assert!(!settings.create_staff && !settings.create_lead_sources);
    }

    #[test]
    fn every_key_that_is_missing_wrong_or_unknown_is_named_at_once() {
        assert_eq!(
            problems("[[connection]]\nid = 'intouch'\ntenant = 'acme'\nkind = 'connector'\npoll_seconds = 5\n"),
            [
                "connection `intouch`: key `client_id`: is missing",
                "connection `intouch`: key `club_ids`: is missing",
                "connection `intouch`: key `providers`: is missing",
                "connection `intouch`: key `credentials`: is missing",
                "connection `intouch`: key `poll_seconds`: is not known",
            ]
        );
        let list = "must be a list of one text or more, none of them empty or twice there";
        let wrong = EXAMPLE
            .replace("\"c-1\"", "\"\"")
            .replace("[\"k-1\", \"k-2\"]", "\"k-1\"")
            .replace("[\"INTOUCH\"]", "[]")
            .replace("\"env:CONNECTOR_CREDENTIALS\"", "\"hunter2\"")
            .replace("= false", "= \"no\"");
        assert_eq!(
            problems(&wrong),
            [
                "connection `intouch`: key `client_id`: must not be empty".to_owned(),
                format!("connection `intouch`: key `club_ids`: {list}"),
                format!("connection `intouch`: key `providers`: {list}"),
                "connection `intouch`: key `credentials`: must be \"env:NAME\", \"file:PATH\" or \"secretsmanager:NAME\""
                    .to_owned(),
                "connection `intouch`: key `create_staff`: must be true or false".to_owned(),
            ]
        );
        for clubs in ["[1]", "[\"\"]", "[\"k-1\", \"k-1\"]"] {
            let wrong = EXAMPLE.replace("[\"k-1\", \"k-2\"]", clubs);
            assert_eq!(problems(&wrong), [format!("connection `intouch`: key `club_ids`: {list}")], "{clubs}");
        }
    }
}
