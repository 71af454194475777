//! A password or PIN is never held, in any dialect (8: secrets never reach a log, an error text or a record).

use proptest::prelude::*;
use wire::{DetailsReader, Limits, ReadError, connector};

use crate::sample::{bulk, customer, read_queue, read_status};

/// Elements and attributes that hold `SECRET`.
fn forms() -> Vec<String> {
    let long = "x".repeat(200_000);
    [
        "<password>SECRET</password>",
        "<loginPassword><![CDATA[SECRET]]></loginPassword>",
        "<login><x:customer-password xmlns:x='u'>SECRET</x:customer-password></login>",
        "<PIN>SECRET</PIN><customerPin>SECRET</customerPin><pin_code>SECRET</pin_code>",
        "<passwd a='SECRET'>SECRET&amp;<b>SECRET</b></passwd>",
        "<userPwd>SECRET</userPwd>",
        "<login name='n' password='SECRET'/>",
        "<login Pass_Word=\"SECRET\" pin='SECRET'>ok</login>",
        "<x><y z:passcode='SECRET' xmlns:z='u'>ok</y></x>",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([
        format!("<login password='SECRET' b='{long}'>ok</login>"),
        format!("<login b='{long}' password='SECRET'/>"),
        format!("<password b='SECRET{long}'>SECRET</password>"),
    ])
    .collect()
}

fn told(document: &str, limits: Limits) -> String {
    DetailsReader::new(document.as_bytes(), limits).map(|detail| format!("{detail:?}\n")).collect()
}

#[test]
fn a_secret_of_a_customer_is_dropped_and_costs_nothing() {
    for form in forms() {
        for tight in [Limits::default(), Limits { text_bytes: 100, ..Limits::default() }] {
            for (before, after) in [("", ""), ("<error>no</error>", ""), ("", "<custId>2</custId>")] {
                let bad = format!("<custInfo><custId>1</custId>{before}{form}{after}<bio>kept</bio></custInfo>");
                let told = told(&bulk(&[bad.as_str(), &customer("3")].concat()), tight);
                assert!(!told.contains("SECRET"), "{form:.80}: {told:.2000}");
                assert!(told.contains("N3"), "{form:.80}");
            }
        }
    }
    let details = told(
        &bulk("<custInfo><custId>1</custId><password>SECRET</password><passwordHint>dog</passwordHint></custInfo>"),
        Limits::default(),
    );
    assert!(details.contains("dog"), "a word about one is data");
}

#[test]
fn the_source_text_is_exact_but_for_the_secret() {
    let document = bulk(
        "<custInfo><custId>1</custId><a/><pin>SECRET</pin><b pin='SECRET' c='d'>x</b><error>no</error></custInfo>",
    );
    let detail = DetailsReader::new(document.as_bytes(), Limits::default()).next().unwrap().unwrap();
    assert_eq!(detail.raw, "<custInfo><custId>1</custId><a/>x</b><error>no</error></custInfo>");
}

#[test]
fn a_secret_that_is_pushed_is_dropped() {
    let document = "<user><providerInfo><identifier>P</identifier><clientID>c</clientID><clubID>k</clubID><recordID>r</recordID></providerInfo>\
        <userInfo><firstname>F</firstname><lastname>B</lastname><userStatus>ACTIVE</userStatus><userType>MEMBER</userType>\
        <password>SECRET</password><login pin='SECRET'>x</login></userInfo><loginPassword>SECRET</loginPassword></user>";
    let push = connector::read_user(document.as_bytes(), &connector::limits()).unwrap();
    assert!(!format!("{push:?}").contains("SECRET"), "{push:?}");
    assert!(format!("{push:?}").contains("login"));
}

#[test]
fn no_word_of_a_sources_that_may_be_about_a_person_or_our_secret_is_shown() {
    let words = "duplicate key: Jane Roe, jane.roe@example.org, card 4111222233334444 password R&amp;d&lt;7713&gt;";
    for document in [
        format!("<r><error>{words}</error></r>"),
        format!("<r><status>FAILURE</status><message>{words}</message></r>"),
        format!("<r><error><![CDATA[{words}]]></error></r>"),
    ] {
        let queue = read_queue(document.as_bytes(), &Limits::default(), |_| {}).map(|_| ());
        let details = DetailsReader::new(document.as_bytes(), Limits::default()).next().unwrap();
        for result in [queue, read_status(document.as_bytes(), &Limits::default()), details.map(|_| ())] {
            let error = result.unwrap_err();
            assert!(
                matches!(&error, ReadError::Source { message } if message == "duplicate key: … password …"),
                "{error}"
            );
            assert!(!format!("{error:?}").contains("Roe"), "{error:?}");
        }
    }
}

/// What a source may say of a person.
fn about_a_person() -> impl Strategy<Value = String> {
    // Six letters in a row that no word of a list has.
    let name = "[A-Z][a-z]{0,4}[bcdfgz][jkqvwx][bcdfgz][a-z]{0,5}";
    prop_oneof![
        name,
        name.prop_map(|name| name.to_uppercase()),
        name.prop_map(|name| format!("O'{name}-Smithx")),
        name.prop_map(|name| format!("{name}.zq@example.org")),
        "[0-9]{6,16}",
        "\\+[0-9]{2} [0-9]{3} [0-9]{4}",
        "(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]",
        "[0-9]{1,4} [A-Z][jqxvz][bcdkqx][a-z]{2,5} Lanezq",
        "[A-Z]{1,2}[0-9]{4,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// 8: no name, address or number of a person is shown, at any place among a system's words and in any surroundings.
    #[test]
    fn nothing_about_a_person_is_shown_of_a_sources_words(
        parts in proptest::collection::vec((0..8_usize, about_a_person(), 0..6_usize), 1..5)
    ) {
        let mut words = String::new();
        for (before, person, around) in &parts {
            words += ["duplicate key: ", "ORA-00001: ", "user ", "line 12 ", "HTTP 500 ", "customer=", "(", "no row for "][*before];
            words += &match around {
                0 => person.clone(),
                1 => format!("'{person}'"),
                2 => format!("\"{person}\","),
                3 => format!("<{person}>"),
                4 => format!("{person}/error"),
                _ => format!("{person};"),
            };
            words += " not found. ";
        }
        let document = format!("<r><error><![CDATA[{words}]]></error></r>");
        let error = read_status(document.as_bytes(), &Limits::of_status()).unwrap_err().to_string();
        for (_, person, _) in &parts {
            for part in person.split([' ', '-', '.', '@', '\'', '+']).filter(|part| part.len() > 3 && *part != "example") {
                prop_assert!(!error.contains(part), "{} in {}", part, error);
            }
        }
        prop_assert!(!error.contains("example") && !error.contains("Smithx") && !error.contains("Lanezq"), "{}", error);
        prop_assert!(error.contains("not found"), "{}", error);
    }
}
