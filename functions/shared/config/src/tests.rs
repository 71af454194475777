use wire::association_anywhere::{Dialect, Section};

use super::*;

mod credentials;
mod destinations;
mod ids_and_urls;
mod reader;

/// A connection with nothing but the required keys. What is appended to it belongs to it.
const MINIMAL: &str = r#"
[[connection]]
id = "aa"
tenant = "acme"
kind = "association-anywhere"
queue_url = "https://aa.example.org/prod/GET_QUEUE_CUSTS_XML"
details_url = "https://aa.example.org/prod/GET_CUST_INFO_XML"
purge_url = "https://aa.example.org/prod/PURGE_QUEUE_XML"
credentials = "env:AA_CREDENTIALS"
"#;

const READER: &str = r#"
[[reader]]
tenant = "acme"
token = "env:READER_TOKEN"
"#;

fn read(text: &str) -> Configuration {
    Configuration::parse(text, Deployment::Local).unwrap_or_else(|problems| panic!("{problems}"))
}

fn problems(text: &str) -> Vec<String> {
    match Configuration::parse(text, Deployment::Local) {
        Ok(_) => panic!("nothing is wrong with:\n{text}"),
        Err(Problems(problems)) => problems,
    }
}

/// The problems of the minimal connection with this line added to it.
fn problems_with(line: &str) -> Vec<String> {
    problems(&format!("{MINIMAL}{line}\n"))
}

fn settings_with(line: &str) -> AssociationAnywhereConfig {
    connection(&format!("{MINIMAL}{line}\n")).settings
}

/// The first connection of a file.
fn connection(text: &str) -> Connection<AssociationAnywhereConfig> {
    Connection::from_registration(&read(text).connections[0]).unwrap()
}

fn secret(text: &str) -> SecretReference {
    SecretReference(text.parse().unwrap())
}

#[test]
fn the_example_is_read_with_every_value() {
    let configuration = read(
        r#"
[[connection]]                        # AA
id = "aa"                             # a-z 0-9 -, unique, at most 40
tenant = "acme"                       # same
kind = "association-anywhere"
queue_url = "https://aa.example.org/prod/LIB.GET_QUEUE_CUSTS_XML"
details_url = "https://aa.example.org/prod/LIB.GET_CUST_INFO_XML"
purge_url = "https://aa.example.org/prod/LIB.PURGE_QUEUE_XML"
enqueue_url = "https://aa.example.org/prod/LIB.FORCE_ENQUEUE_CUSTS_XML"
credentials = "env:AA_CREDENTIALS"
queue_credentials = "file:/run/secrets/aa-queue.json"
dialect = "camel"
bulk_size = 50
sections = ["addresses", "phones", "emails", "memberships", "subscriptions"]
poll_seconds = 7
max_requests_per_second = 2.5

[[reader]]
tenant = "acme"
token = "secretsmanager:customer-sync/reader"
scope = "operate"
"#,
    );
    let connection = Connection {
        key: ConnectionKey::new("acme", "aa"),
        settings: AssociationAnywhereConfig {
            queue_url: "https://aa.example.org/prod/LIB.GET_QUEUE_CUSTS_XML".to_owned(),
            details_url: "https://aa.example.org/prod/LIB.GET_CUST_INFO_XML".to_owned(),
            purge_url: "https://aa.example.org/prod/LIB.PURGE_QUEUE_XML".to_owned(),
            enqueue_url: Some("https://aa.example.org/prod/LIB.FORCE_ENQUEUE_CUSTS_XML".to_owned()),
            credentials: SecretReference(SecretRef::Environment("AA_CREDENTIALS".to_owned())),
            queue_credentials: Some(SecretReference(SecretRef::File("/run/secrets/aa-queue.json".to_owned()))),
            dialect: Dialect::Camel,
            bulk_size: 50,
            sections: vec![
                Section::Addresses,
                Section::Phones,
                Section::Emails,
                Section::Memberships,
                Section::Subscriptions,
            ],
            poll_seconds: 7,
            max_requests_per_second: 2.5,
            most_deletes_percent: 5,
        },
    };
    let token = SecretReference(SecretRef::SecretsManager("customer-sync/reader".to_owned()));
    let reader = Reader { tenant: "acme".to_owned(), token, scope: Scope::Operate, token_sha256: None };
    let connections = vec![connection.to_registration()];
    assert_eq!(configuration, Configuration { connections, destinations: Vec::new(), readers: vec![reader] });
}

#[test]
fn what_is_not_said_has_its_default() {
    let configuration = read(&format!("{MINIMAL}{READER}"));
    let settings = connection(&format!("{MINIMAL}{READER}")).settings;
    assert_eq!(settings.enqueue_url, None);
    assert_eq!(settings.queue_credentials, None);
    assert_eq!(settings.dialect, Dialect::Hyphen);
    assert_eq!(settings.bulk_size, 100);
    assert_eq!(settings.sections, Section::ALL);
    assert_eq!(settings.poll_seconds, 5);
    assert_eq!(settings.max_requests_per_second, 10.0);
    assert_eq!(configuration.readers[0].scope, Scope::Read);
}

#[test]
fn several_connections_and_readers_stay_in_the_files_order() {
    let second = MINIMAL.replace("\"aa\"", "\"a\"").replace("acme", "other").replace("aa.example", "a.example");
    let configuration =
        read(&format!("{MINIMAL}{second}{READER}{}", READER.replace("acme", "other").replace("READER_", "OTHER_")));
    let keys: Vec<String> = configuration.connections.iter().map(|connection| connection.key.to_string()).collect();
    assert_eq!(keys, ["acme/aa", "other/a"]);
    let tenants: Vec<&str> = configuration.readers.iter().map(|reader| reader.tenant.as_str()).collect();
    assert_eq!(tenants, ["acme", "other"]);
}

#[test]
fn every_missing_key_is_named() {
    assert_eq!(
        problems("[[connection]]\nid = \"aa\"\n[[connection]]\n[[reader]]\n"),
        [
            "connection `aa`: key `tenant`: is missing",
            "connection `aa`: key `kind`: is missing",
            "connection `aa`: key `queue_url`: is missing",
            "connection `aa`: key `details_url`: is missing",
            "connection `aa`: key `purge_url`: is missing",
            "connection `aa`: key `credentials`: is missing",
            "connection 2: key `id`: is missing",
            "connection 2: key `tenant`: is missing",
            "connection 2: key `kind`: is missing",
            "connection 2: key `queue_url`: is missing",
            "connection 2: key `details_url`: is missing",
            "connection 2: key `purge_url`: is missing",
            "connection 2: key `credentials`: is missing",
            "reader 1: key `tenant`: is missing",
            "reader 1: key `token`: is missing",
        ]
    );
}

#[test]
fn every_value_of_a_wrong_type_is_named() {
    let text = r#"
[[connection]]
id = 1
tenant = true
kind = "association-anywhere"
insecure_http = "yes"
queue_url = 2
details_url = ["https://aa.example.org"]
purge_url = 3.5
enqueue_url = false
credentials = {}
queue_credentials = 4
dialect = 5
bulk_size = "100"
sections = "emails"
poll_seconds = 5.0
max_requests_per_second = "10"

[[reader]]
tenant = []
token = 6
scope = 7
"#;
    assert_eq!(
        problems(text),
        [
            "connection 1: key `id`: must be a text",
            "connection 1: key `tenant`: must be a text",
            "connection 1: key `insecure_http`: must be true or false",
            "connection 1: key `queue_url`: must be a text",
            "connection 1: key `details_url`: must be a text",
            "connection 1: key `purge_url`: must be a text",
            "connection 1: key `enqueue_url`: must be a text",
            "connection 1: key `credentials`: must be a text",
            "connection 1: key `queue_credentials`: must be a text",
            "connection 1: key `dialect`: must be a text",
            "connection 1: key `bulk_size`: must be a whole number from 2 to 1000",
            "connection 1: key `sections`: must be a list of texts",
            "connection 1: key `poll_seconds`: must be a whole number from 1 to 3600",
            "connection 1: key `max_requests_per_second`: must be a number above 0 and up to 1000",
            "reader 1: key `tenant`: must be a text",
            "reader 1: key `token`: must be a text",
            "reader 1: key `scope`: must be a text",
        ]
    );
}

#[test]
fn every_unknown_key_is_named() {
    let text = format!("conection = 1\n{MINIMAL}bulksize = 1\npoll-seconds = 2\n{READER}name = \"UI\"\n");
    assert_eq!(
        problems(&text),
        [
            "the file: key `conection`: is not known",
            "connection `aa`: key `bulksize`: is not known",
            "connection `aa`: key `poll-seconds`: is not known",
            "reader 1: key `name`: is not known",
        ]
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once_each_on_a_line() {
    let first = MINIMAL.replace("tenant = \"acme\"\n", "").replace("https://aa.example.org/prod/PURGE", "PURGE");
    let text = format!("{first}bulk_size = 0\nbulksize = 1\n{}poll_seconds = 0\n", MINIMAL.replace("\"aa\"", "\"b\""));
    let problems = Configuration::parse(&text, Deployment::Local).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "connection `aa`: key `tenant`: is missing\n\
         connection `aa`: key `purge_url`: must be an absolute URL\n\
         connection `aa`: key `bulk_size`: must be a whole number from 2 to 1000\n\
         connection `aa`: key `bulksize`: is not known\n\
         connection `b`: key `poll_seconds`: must be a whole number from 1 to 3600"
    );
}

#[test]
fn a_stack_takes_only_secrets_of_secrets_manager() {
    let text = format!("{MINIMAL}queue_credentials = \"file:/aa.json\"\n{READER}");
    let Problems(problems) = Configuration::parse(&text, Deployment::Stack).unwrap_err();
    let rule = "a stack takes only \"secretsmanager:NAME\"";
    assert_eq!(
        problems,
        [
            format!("connection `aa`: key `credentials`: {rule}"),
            format!("connection `aa`: key `queue_credentials`: {rule}"),
            format!("reader 1: key `token`: {rule}"),
        ]
    );
    let text = text.replace("env:", "secretsmanager:").replace("file:", "secretsmanager:");
    let configuration = Configuration::parse(&text, Deployment::Stack).unwrap();
    let connection = Connection::<AssociationAnywhereConfig>::from_registration(&configuration.connections[0]).unwrap();
    assert_eq!(connection.settings.credentials, secret("secretsmanager:AA_CREDENTIALS"));
}

#[test]
fn sections_are_known_and_named_once() {
    assert_eq!(settings_with("sections = [\"emails\", \"bio\"]").sections, [Section::Emails, Section::Bio]);
    let problems = problems_with("sections = [\"emails\", \"Emails\", 1, \"bio\", \"emails\"]");
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].starts_with("connection `aa`: key `sections`: holds \"Emails\"; known are roles, addresses, "));
    assert!(problems[1].starts_with("connection `aa`: key `sections`: holds 1; known are "));
    assert_eq!(problems[2], "connection `aa`: key `sections`: names \"emails\" twice");
}

#[test]
fn figures_stay_within_their_ranges() {
    for figure in ["2", "1000"] {
        assert_eq!(settings_with(&format!("bulk_size = {figure}")).bulk_size.to_string(), figure);
    }
    for figure in ["1", "3600"] {
        assert_eq!(settings_with(&format!("poll_seconds = {figure}")).poll_seconds.to_string(), figure);
    }
    for (figure, rate) in [("0.001", 0.001), ("1", 1.0), ("1000", 1000.0), ("1000.0", 1000.0)] {
        assert_eq!(settings_with(&format!("max_requests_per_second = {figure}")).max_requests_per_second, rate);
    }
    for (key, figures, range) in [
        ("bulk_size", &["0", "1", "-1", "1001", "4294967297", "1.5"][..], "a whole number from 2 to 1000"),
        ("poll_seconds", &["0", "-5", "3601", "4294967297", "0.5"], "a whole number from 1 to 3600"),
        (
            "max_requests_per_second",
            &["0", "0.0", "-0.1", "1001", "1000.1", "nan", "inf", "-inf"],
            "a number above 0 and up to 1000",
        ),
    ] {
        for figure in figures {
            let refused = problems_with(&format!("{key} = {figure}"));
            assert_eq!(refused, [format!("connection `aa`: key `{key}`: must be {range}")], "{figure}");
        }
    }
}

#[test]
fn a_choice_that_is_none_names_those_that_are() {
    let dialect = "connection `aa`: key `dialect`: must be \"hyphen\" or \"camel\"";
    assert_eq!(problems_with("dialect = \"snake\""), [dialect]);
    let scope = "reader 1: key `scope`: must be \"read\" or \"operate\"";
    assert_eq!(problems(&format!("{MINIMAL}{READER}scope = \"write\"\n")), [scope]);
}

#[test]
fn a_kind_that_no_version_knows_is_refused() {
    assert_eq!(
        problems(&MINIMAL.replace("association-anywhere", "salesforce")),
        [concat!(
            "connection `aa`: key `kind`: must be \"association-anywhere\" or \"business-catalyst\" or \"connector\" ",
            "or \"batch-import\""
        )]
    );
}

#[test]
fn a_file_without_a_connection_is_refused() {
    for text in ["", "# nothing yet\n", READER, "connection = []\n"] {
        assert_eq!(problems(text), ["the file: holds no `[[connection]]`"], "{text}");
    }
}

#[test]
fn a_table_written_with_one_bracket_is_told_how_to_be_written() {
    for (text, key) in [
        (MINIMAL.replace("[[connection]]", "[connection]"), "connection"),
        ("connection = \"aa\"\n".to_owned(), "connection"),
        (format!("{MINIMAL}{}", READER.replace("[[reader]]", "[reader]")), "reader"),
    ] {
        assert_eq!(problems(&text), [format!("the file: key `{key}`: must be written as [[{key}]]")], "{text}");
    }
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    for (text, line) in [
        ("[[connection]\n".to_owned(), 1),
        (format!("{MINIMAL}bulk_size = = 1\n"), 10),
        (format!("{MINIMAL}{READER}scope = read\n"), 14),
        (format!("{MINIMAL}tenant = \"again\"\n"), 10),
    ] {
        let refused = problems(&text);
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(refused[0].starts_with(&format!("the file, line {line}: is not TOML: ")), "{refused:?}");
        assert!(!refused[0].contains('\n'), "{refused:?}");
    }
}

#[test]
fn a_secret_that_stands_in_the_file_by_mistake_is_not_repeated() {
    let credentials = "credentials = \"env:AA_CREDENTIALS\"";
    for mistake in [
        "credentials = \"hunter2\"",
        "credentials = \"secret:hunter2\"",
        "credentials = \"{\\\"username\\\":\\\"u\\\",\\\"password\\\":\\\"hunter2\\\"}\"",
        "credentials = { username = \"u\", password = \"hunter2\" }",
        "credentials = [\"hunter2\"]",
        "credentials = hunter2",
        "credentials = \"hunter2",
        "credentials = 'hunter2\n",
        "password = \"hunter2\"",
        "credentials = \"env:AA_CREDENTIALS\"\nqueue_credentials = \"hunter2\"",
        "credentials = \"env:AA_CREDENTIALS\"\n[[reader]]\ntenant = \"acme\"\ntoken = \"hunter2\"",
    ] {
        let text = MINIMAL.replace(credentials, mistake);
        for deployment in [Deployment::Local, Deployment::Stack] {
            let problems = Configuration::parse(&text, deployment).unwrap_err();
            assert!(!problems.to_string().contains("hunter2"), "{problems}");
            assert!(!format!("{problems:?}").contains("hunter2"), "{problems:?}");
        }
    }
    assert_eq!(
        problems(&MINIMAL.replace(credentials, "credentials = \"hunter2\"")),
        ["connection `aa`: key `credentials`: must be \"env:NAME\", \"file:PATH\" or \"secretsmanager:NAME\""]
    );
}

#[test]
fn a_reference_that_names_nothing_is_refused() {
    for reference in ["env:", "file:", "secretsmanager:", "ENV:NAME", ""] {
        let text = MINIMAL.replace("env:AA_CREDENTIALS", reference);
        let refused = problems(&text);
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(refused[0].starts_with("connection `aa`: key `credentials`: must be \"env:NAME\""), "{refused:?}");
    }
}

#[test]
fn a_connection_comes_back_from_the_store_as_it_went_in() {
    let full = format!(
        "{MINIMAL}enqueue_url = \"https://aa.example.org/FORCE\"\nqueue_credentials = \"file:/aa:queue.json\"\n\
         dialect = \"camel\"\nbulk_size = 7\nsections = [\"custDimAttrs\", \"bio\"]\npoll_seconds = 9\n\
         max_requests_per_second = 0.1\n"
    );
    for text in [MINIMAL, &full] {
        let connection = connection(text);
        let registration = connection.to_registration();
        assert_eq!(registration.key, ConnectionKey::new("acme", "aa"));
        assert_eq!(registration.kind, AssociationAnywhereConfig::KIND.name());
        assert_eq!(Connection::from_registration(&registration).unwrap(), connection);
    }
}

#[test]
fn what_the_store_keeps_of_a_configuration_has_a_key_for_each_and_no_secret_but_its_reference() {
    let second = MINIMAL.replace("\"aa\"", "\"b\"").replace("aa.example", "b.example");
    let configuration = read(&format!("{MINIMAL}{second}{READER}{}", READER.replace("READER", "OTHER")));
    let registrations = configuration.to_registrations();
    let keys: Vec<(String, &str)> =
        registrations.iter().map(|registration| (registration.key.to_string(), registration.kind.as_str())).collect();
    assert_eq!(
        keys,
        [
            ("acme/aa".to_owned(), "association-anywhere"),
            ("acme/b".to_owned(), "association-anywhere"),
            ("acme/reader/env:READER_TOKEN".to_owned(), "reader"),
            ("acme/reader/env:OTHER_TOKEN".to_owned(), "reader"),
        ]
    );
    let reader: Reader = document(&registrations[3]).unwrap();
    assert_eq!(reader, configuration.readers[1]);
    assert_eq!(registrations[3].document, r#"{"tenant":"acme","token":"env:OTHER_TOKEN","scope":"read"}"#);
}

#[test]
fn a_registration_that_is_not_ours_is_an_error_that_names_it() {
    let mut registration = read(MINIMAL).connections.remove(0);
    for spoilt in [
        String::new(),
        "{}".to_owned(),
        registration.document.replace("env:AA_CREDENTIALS", "hunter2"),
        registration.document.replace("\"hyphen\"", "\"snake\"").replace("\"Hyphen\"", "\"Snake\""),
    ] {
        registration.document = spoilt;
        let error = Connection::<AssociationAnywhereConfig>::from_registration(&registration).unwrap_err().to_string();
        assert!(error.contains("the settings of acme/aa"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
