//! Registrations of other releases, and secrets where they should not be.

use super::*;

/// What the release before, or the next, wrote can be read (upgrade): a missing key has the default of the file.
#[test]
fn a_registration_of_another_release_is_read_with_its_defaults_and_without_what_is_not_known() {
    let whole = connection(MINIMAL);
    let mut registration = whole.to_registration();
    let mut document: serde_json::Value = serde_json::from_str(&registration.document).unwrap();
    let fields = document.as_object_mut().unwrap();
    for field in ["dialect", "bulk_size", "sections", "poll_seconds", "max_requests_per_second", "enqueue_url"] {
        assert!(fields.remove(field).is_some(), "{field}");
    }
    fields.insert("of_the_next_release".to_owned(), serde_json::json!({ "more": [1] }));
    registration.document = document.to_string();
    assert_eq!(Connection::from_registration(&registration).unwrap(), whole);
    assert!(problem_of(&registration).is_none());
    registration.document = "{}".to_owned();
    assert!(problem_of(&registration).is_some());
}

#[test]
fn an_error_of_a_registration_quotes_no_text_of_it() {
    for (problem, shown) in [
        ("invalid type: string \"hunter2\", expected u32 at line 1", "invalid type: a text, expected u32 at line 1"),
        ("invalid value: string \"a\\\"b\\\\\", expected x", "invalid value: a text, expected x"),
        ("string \"unended", "a text"),
        ("missing field `queue_url` at line 1", "missing field `queue_url` at line 1"),
    ] {
        assert_eq!(without_values(problem), shown);
    }
}

/// No secret is stored (invariant 8).
#[test]
fn a_url_with_a_user_name_or_a_password_is_refused_and_the_other_connections_can_be_used() {
    let second = MINIMAL.replace("\"aa\"", "\"b\"");
    for user in ["user:hunter2@", "user@", ":hunter2@"] {
        let first =
            MINIMAL.replace("https://aa.example.org/prod/GET_CUST", &format!("https://{user}aa.example.org/GET_CUST"));
        let text = format!("{first}{second}");
        let refusal = "connection `aa`: key `details_url`: must not hold a user name or a password: they would be stored in clear";
        assert_eq!(problems(&text), [refusal]);
        let file = Configuration::parse_usable(&text, Deployment::Local).unwrap();
        assert_eq!(file.left_out, [refusal]);
        let ids: Vec<&str> = file.configuration.connections.iter().map(|one| one.key.connection.as_str()).collect();
        assert_eq!(ids, ["b"]);
    }
}

#[test]
fn a_url_whose_query_looks_like_a_secret_is_warned_of() {
    let warnings = |query: &str| {
        let text = MINIMAL.replace("/GET_CUST_INFO_XML", &format!("/GET_CUST_INFO_XML?{query}"));
        Configuration::parse_usable(&text, Deployment::Local).unwrap().warnings
    };
    for query in ["apikey=hunter2", "x=1&Access_Key=hunter2", "auth_token=hunter2", "key=hunter2"] {
        let [warning] = &warnings(query)[..] else { panic!("{query}") };
        assert!(warning.starts_with("connection `aa`: key `details_url`: the query parameter `"), "{warning}");
        assert!(!warning.contains("hunter2"), "{warning}");
    }
    for query in ["", "monkey=1", "format=xml"] {
        assert!(warnings(query).is_empty(), "{query}");
    }
}

/// Tenants are separate (invariant 7): a secret that two of them share identifies neither.
#[test]
fn one_secret_for_two_tenants_is_refused_where_the_file_shows_it() {
    for other in [READER.replace("acme", "umbrella"), READER.to_owned()] {
        let problem = "reader 2: key `token`: is that of another reader too";
        assert_eq!(problems(&format!("{MINIMAL}{READER}{other}")), [problem]);
    }
    let connector = |id: &str, tenant: &str| {
        format!(
            "[[connection]]\nid = '{id}'\ntenant = '{tenant}'\nkind = 'connector'\nclient_id = 'c'\nclub_ids = ['k']\n\
             providers = ['P']\ncredentials = 'env:CONNECTOR'\n"
        )
    };
    assert_eq!(
        problems(&format!("{}{}", connector("a", "acme"), connector("b", "umbrella"))),
        ["connection `b`: key `credentials`: are those of another tenant's Connector too"]
    );
    read(&format!("{}{}", connector("a", "acme"), connector("b", "acme")));
}
