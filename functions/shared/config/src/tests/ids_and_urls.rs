use super::*;

#[test]
fn an_id_is_used_once_whatever_the_tenant() {
    let again = MINIMAL.replace("acme", "other").replace("aa.example", "a.example");
    assert_eq!(problems(&format!("{MINIMAL}{again}")), ["connection `aa`: key `id`: is used twice"]);
}

#[test]
fn an_id_that_is_used_twice_is_told_beside_other_problems() {
    let no_tenant = MINIMAL.replace("tenant = \"acme\"\n", "");
    let missing = "connection `aa`: key `tenant`: is missing";
    let twice = "connection `aa`: key `id`: is used twice";
    assert_eq!(problems(&format!("{MINIMAL}{no_tenant}")), [missing, twice]);
    assert_eq!(problems(&format!("{no_tenant}{MINIMAL}")), [missing, twice]);
    let unknown = MINIMAL.replace("association-anywhere", "salesforce");
    let told = problems(&format!("{MINIMAL}{unknown}"));
    assert!(
        told.len() == 2 && told[0].starts_with("connection `aa`: key `kind`: must be ") && told[1] == twice,
        "{told:?}"
    );
}

#[test]
fn ids_are_of_small_letters_digits_and_hyphens_and_at_most_40_long() {
    let rule = "must be of a-z, 0-9 and -, and at most 40 characters long";
    for id in ["", "A", "a_b", "a b", "a/b", "a~b", "ä", "a\\n", &"a".repeat(41)] {
        let text = MINIMAL.replace("id = \"aa\"", &format!("id = \"{id}\""));
        let named = if id == "a\\n" { "a\n" } else { id };
        assert_eq!(problems(&text), [format!("connection `{named}`: key `id`: {rule}")]);
        let text = MINIMAL.replace("acme", id);
        assert_eq!(problems(&text), [format!("connection `aa`: key `tenant`: {rule}")], "{id}");
        let text = format!("{MINIMAL}{}", READER.replace("acme", id));
        assert_eq!(problems(&text), [format!("reader 1: key `tenant`: {rule}")], "{id}");
    }
    for id in ["a", "0", "a-1", &"a".repeat(40)] {
        let configuration = read(&MINIMAL.replace("\"aa\"", &format!("\"{id}\"")).replace("acme", id));
        assert_eq!(configuration.connections[0].key, ConnectionKey::new(id, id));
    }
}

#[test]
fn plain_http_to_another_machine_must_be_wanted() {
    let refusal = "plain http needs `insecure_http = true`, for credentials or personal data would travel in clear";
    for host in ["aa.example.org", "10.0.0.1", "localhost.example.org", "127.0.0.1.example.org", "[2001:db8::1]"] {
        let text = MINIMAL.replace("https://aa.example.org", &format!("http://{host}:8080"));
        assert_eq!(
            problems(&text),
            ["queue_url", "details_url", "purge_url"].map(|key| format!("connection `aa`: key `{key}`: {refusal}")),
            "{host}"
        );
        assert_eq!(problems(&format!("{text}insecure_http = false\n")).len(), 3, "{host}");
        read(&format!("{text}insecure_http = true\n"));
    }
    let enqueue = "enqueue_url = \"http://aa.example.org/FORCE\"";
    assert_eq!(problems_with(enqueue), [format!("connection `aa`: key `enqueue_url`: {refusal}")]);
}

#[test]
fn plain_http_to_this_machine_is_taken() {
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"] {
        let text = MINIMAL.replace("https://aa.example.org", &format!("http://{host}:8790"));
        assert_eq!(
            connection(&text).settings.purge_url,
            format!("http://{host}:8790/prod/PURGE_QUEUE_XML"),
            "as it was written"
        );
    }
}

#[test]
fn a_queue_is_read_by_one_connection() {
    let second = MINIMAL.replace("\"aa\"", "\"a\"").replace("acme", "other");
    let refusal = "connection `a`: key `queue_url`: is the queue of another connection, with the same credentials: \
                   each would purge what the other has not read";
    assert_eq!(problems(&format!("{MINIMAL}{second}")), [refusal]);
    read(&format!("{MINIMAL}{second}queue_credentials = \"env:OTHER\"\n"));
}

#[test]
fn a_url_is_absolute_and_of_http() {
    for url in ["", "aa.example.org/prod", "/prod", "https://"] {
        let refused = problems_with(&format!("enqueue_url = \"{url}\""));
        assert_eq!(refused, ["connection `aa`: key `enqueue_url`: must be an absolute URL"], "{url}");
    }
    for url in ["ftp://aa.example.org/prod", "file:///etc/passwd"] {
        let refused = problems_with(&format!("enqueue_url = \"{url}\"\ninsecure_http = true"));
        assert_eq!(refused, ["connection `aa`: key `enqueue_url`: must begin with https://"], "{url}");
    }
}
