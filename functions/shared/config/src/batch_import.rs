use serde::{Deserialize, Serialize};
use toml::Value;

use super::table_reader::TableReader;
use super::{ConnectionKind, SecretReference, Settings};

/// An account that other systems import into, in the Sticky Street dialect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchImportConfig {
    /// The account's name in requests, unique in a file.
    pub account_id: String,
    /// The users that may import: `{"users": [{"user_id", "user_password"}]}`.
    pub credentials: SecretReference,
    /// The campaigns that the account has, at least one.
    pub campaigns: Vec<String>,
}

impl Settings for BatchImportConfig {
    const KIND: ConnectionKind = ConnectionKind::BatchImport;
}

/// Takes the keys of this kind out of a connection's table.
pub(super) fn read(fields: &mut TableReader<'_>) -> Option<BatchImportConfig> {
    let account_id = fields.text("account_id", true);
    let account_id = account_id.filter(|account_id| {
        let is_usable = !account_id.is_empty() && account_id.trim() == account_id;
        if !is_usable {
            fields.problem("account_id", "must not be empty, nor have white space around it");
        }
        is_usable
    });
    let credentials = fields.secret("credentials", true);
    let campaigns = campaigns(fields);
    Some(BatchImportConfig { account_id: account_id?, credentials: credentials?, campaigns: campaigns? })
}

fn campaigns(fields: &mut TableReader<'_>) -> Option<Vec<String>> {
    let Value::Array(values) = fields.required("campaigns")? else {
        return fields.refuse("campaigns", "must be a list of texts");
    };
    let mut campaigns = Vec::with_capacity(values.len());
    for value in values {
        match value.as_str() {
            // Commas and pipes separate campaigns in a request, which has no quoting.
            Some(text) if !text.is_empty() && text.trim() == text && !text.contains([',', '|']) => {
                campaigns.push(text.to_owned());
            }
            _ => fields.problem("campaigns", &format!("holds {value}; must be texts without commas and pipes")),
        }
    }
    if campaigns.is_empty() {
        fields.problem("campaigns", "must name at least one");
    }
    Some(campaigns)
}

#[cfg(test)]
mod tests {
    use super::super::{Configuration, Connection, Deployment, Problems};
    use super::*;

    const MINIMAL: &str = r#"
[[connection]]
id = "imports"
tenant = "acme"
kind = "batch-import"
account_id = "greatwidgets"
credentials = "env:IMPORT_CREDENTIALS"
campaigns = ["898989889", "13234545"]
"#;

    fn problems(text: &str) -> Vec<String> {
        match Configuration::parse(text, Deployment::Local) {
            Ok(_) => panic!("nothing is wrong with:\n{text}"),
            Err(Problems(problems)) => problems,
        }
    }

    #[test]
    fn an_account_is_read_and_comes_back_from_the_store() {
        let registration = Configuration::parse(MINIMAL, Deployment::Local).unwrap().connections.remove(0);
        let connection = Connection::<BatchImportConfig>::from_registration(&registration).unwrap();
        assert_eq!(registration.kind, "batch-import");
        assert_eq!(
            connection.settings,
            BatchImportConfig {
                account_id: "greatwidgets".to_owned(),
                credentials: SecretReference("env:IMPORT_CREDENTIALS".parse().unwrap()),
                campaigns: vec!["898989889".to_owned(), "13234545".to_owned()],
            }
        );
        assert_eq!(connection.to_registration(), registration);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert_eq!(
            problems("[[connection]]\nid = 'imports'\ntenant = 'acme'\nkind = 'batch-import'\nqueue_url = 'x'\n"),
            [
                "connection `imports`: key `account_id`: is missing",
                "connection `imports`: key `credentials`: is missing",
                "connection `imports`: key `campaigns`: is missing",
                "connection `imports`: key `queue_url`: is not known",
            ]
        );
        for (campaigns, problem) in [
            ("[]", "must name at least one"),
            ("\"1\"", "must be a list of texts"),
            ("[\"1\", 2]", "holds 2; must be texts without commas and pipes"),
            ("[\"1\", \"2,3\"]", "holds \"2,3\"; must be texts without commas and pipes"),
            ("[\"1\", \" 2\"]", "holds \" 2\"; must be texts without commas and pipes"),
        ] {
            let text = MINIMAL.replace("[\"898989889\", \"13234545\"]", campaigns);
            assert_eq!(problems(&text), [format!("connection `imports`: key `campaigns`: {problem}")]);
        }
        for account_id in ["", " greatwidgets"] {
            assert_eq!(
                problems(&MINIMAL.replace("greatwidgets", account_id)),
                ["connection `imports`: key `account_id`: must not be empty, nor have white space around it"]
            );
        }
    }

    #[test]
    fn an_account_belongs_to_one_connection() {
        let second = MINIMAL.replace("\"imports\"", "\"more\"").replace("acme", "other");
        assert_eq!(problems(&format!("{MINIMAL}{second}")), ["connection `more`: key `account_id`: is used twice"]);
        let second = second.replace("greatwidgets", "smallwidgets");
        assert_eq!(
            Configuration::parse(&format!("{MINIMAL}{second}"), Deployment::Local).unwrap().connections.len(),
            2
        );
    }
}
