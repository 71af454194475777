//! The content of a customer's element.

use model::{Address, CustomerType, Email, Membership, Name, Phone, Stage, Subscription};

use crate::sample::{JANE, bulk, content, content_with, customer, read_bulk};

#[test]
fn every_known_field_is_filled() {
    let content = content(JANE);
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(content.kind, CustomerType::Person);
    assert_eq!(
        content.name,
        Name {
            display: some("Dr. Jane Doe"),
            prefix: some("Dr."),
            first: some("Jane"),
            middle: some("Q"),
            last: some("Doe"),
            suffix: some("Jr."),
            degree: some("PhD"),
            informal: some("Janie"),
        }
    );
    assert_eq!(content.roles, ["ASSOCIATE", "PRIMARY"]);
    assert_eq!(
        content.addresses,
        [Address {
            lines: vec!["1 Main St".into(), "Floor 2".into()],
            city: some("Anytown"),
            region: some("VA"),
            postal_code: some("22000"),
            country: some("US"),
            kind: some("HOME"),
            primary: true,
        }]
    );
    assert_eq!(
        content.phones,
        [
            Phone { number: "555-0100".into(), kind: some("WORK"), primary: true },
            Phone { number: "555-0199".into(), kind: some("HOME"), primary: false },
        ]
    );
    assert_eq!(
        content.emails,
        [
            Email { address: "jane@example.org".into(), kind: some("WORK"), primary: true, bad: true },
            Email { address: "doe@example.org".into(), kind: some("HOME"), primary: false, bad: false },
        ]
    );
    assert_eq!(
        content.memberships,
        [Membership {
            id: some("NATL"),
            name: some("National"),
            status: some("ACTIVE"),
            class: some("REG"),
            joined: some("2020-01-31"),
            expires: some("2026-12-31"),
        }]
    );
    assert_eq!(
        content.subscriptions,
        [Subscription {
            id: some("JRNL"),
            name: some("Journal"),
            starts: some("2026-01-01"),
            expires: some("2026-12-31"),
        }]
    );
    assert_eq!(content.stage, Some(Stage::Member));
    assert_eq!(content.organization, some("Acme"));
}

#[test]
fn the_order_of_children_and_of_entries_makes_no_difference() {
    let one = content_with(
        "<emails><email><address>a@x.org</address><emailType>W</emailType></email><email><address>b@x.org</address></email></emails>\
         <roles><role>A</role><role>B</role></roles><custType>C</custType>",
    );
    let other = content(
        "<custInfo><custType>C</custType><roles><role>B</role><role>A</role></roles>\
         <emails><email><address>b@x.org</address></email><email><emailType>W</emailType><address>a@x.org</address></email></emails>\
         <custId>1</custId></custInfo>",
    );
    assert_eq!(one, other);
    assert_eq!(one.hash(), other.hash());
}

#[test]
fn names_match_in_either_dialect() {
    let camel = content(
        "<custInfo><custId>1</custId><custType>C</custType><name><displayName>Acme</displayName></name>\
         <addresses><address><postalCode>1</postalCode><countryCode>US</countryCode></address></addresses></custInfo>",
    );
    let hyphen = content(
        "<cust-info><cust-id>1</cust-id><cust-type>C</cust-type><name><display-name>Acme</display-name></name>\
         <addresses><address><postal-code>1</postal-code><country-code>US</country-code></address></addresses></cust-info>",
    );
    let shouting = content(
        "<CUST_INFO><CUST_ID>1</CUST_ID><CUST_TYPE>C</CUST_TYPE><NAME><DISPLAY_NAME>Acme</DISPLAY_NAME></NAME>\
         <ADDRESSES><ADDRESS><POSTAL_CODE>1</POSTAL_CODE><COUNTRY_CODE>US</COUNTRY_CODE></ADDRESS></ADDRESSES></CUST_INFO>",
    );
    assert_eq!(camel.name.display.as_deref(), Some("Acme"));
    assert_eq!(camel, hyphen);
    assert_eq!(camel.hash(), shouting.hash());
}

#[test]
fn cdata_references_comments_and_instructions_within_a_text_make_one_text() {
    for first in [
        "Tom &amp; Jerry",
        "<![CDATA[Tom & Jerry]]>",
        "Tom <![CDATA[&]]> Jerry",
        "Tom <!-- and -->&#38;<?and then?> &#x4A;erry",
        "\r\n  Tom &amp; Jerry\t",
    ] {
        let content = content_with(&format!("<name><firstName>{first}</firstName></name>"));
        assert_eq!(content.name.first.as_deref(), Some("Tom & Jerry"), "{first}");
    }
}

#[test]
fn a_customer_that_is_the_documents_own_element_has_equal_content() {
    let inner = JANE.trim_start_matches("<custInfo>").trim_end_matches("</custInfo>");
    let in_bulk = content(JANE);
    for root in ["custInfoResponse", "custInfo", "anything"] {
        let single = read_bulk(format!("<{root}>{inner}</{root}>")).unwrap().remove(0);
        assert_eq!(single.source_id.as_deref(), Some("1001"));
        assert_eq!(single.content.unwrap().hash(), in_bulk.hash(), "{root}");
    }
}

#[test]
fn white_space_between_elements_means_nothing() {
    let without: String = JANE.lines().map(str::trim).collect();
    assert_eq!(content(JANE).hash(), content(&without).hash());
}

#[test]
fn the_first_preferred_entry_is_primary_and_without_one_the_best() {
    let phones = |standings: &[&str]| {
        let entries: String = standings
            .iter()
            .zip(1..)
            .map(|(state, number)| format!("<phone><number>{number}</number>{state}</phone>"))
            .collect();
        content_with(&format!("<phones>{entries}</phones>")).phones
    };
    let numbers = |standings: &[&str]| -> Vec<(String, bool)> {
        phones(standings).into_iter().map(|phone| (phone.number, phone.primary)).collect()
    };
    let is = |number: &str, primary: bool| (number.to_owned(), primary);
    let preferred = "<preferred>true</preferred>";
    let best = "<best>TRUE</best>";
    assert_eq!(numbers(&["", best, preferred]), [is("3", true), is("1", false), is("2", false)]);
    assert_eq!(numbers(&["", best, best]), [is("2", true), is("1", false), is("3", false)]);
    assert_eq!(numbers(&["", preferred, preferred]), [is("2", true), is("1", false), is("3", false)]);
    assert_eq!(numbers(&["<preferred>false</preferred>", "<best>no</best>"]), [is("1", false), is("2", false)]);
}

#[test]
fn a_display_name_that_is_missing_is_made_of_first_and_last() {
    let display = |parts: &str| content_with(&format!("<name>{parts}</name>")).name.display;
    assert_eq!(display("<firstName>Jane</firstName><lastName>Doe</lastName>").as_deref(), Some("Jane Doe"));
    assert_eq!(display("<prefixName>Dr.</prefixName><lastName>Doe</lastName>").as_deref(), Some("Doe"));
    assert_eq!(display("<displayName> </displayName><firstName>Jane</firstName>").as_deref(), Some("Jane"));
    assert_eq!(display("<middleName>Q</middleName>"), None);
}

#[test]
fn a_membership_makes_a_member_unless_the_source_says_no() {
    let stage = |membership: &str| {
        content_with(&format!("<memberships><membership>{membership}</membership></memberships>")).stage
    };
    assert_eq!(stage("<member>true</member><statusCode>LAPSED</statusCode>"), Some(Stage::Member));
    assert_eq!(stage("<statusCode>active</statusCode>"), Some(Stage::Member));
    assert_eq!(stage("<member>false</member><statusCode>ACTIVE</statusCode>"), None);
    assert_eq!(stage("<statusCode>SUSPENDED</statusCode>"), None);
    assert_eq!(content_with("").stage, None);
}

#[test]
fn dates_have_one_form_and_what_is_none_stays_text() {
    let joined = |date: &str| {
        let membership = format!("<membership><joinDate>{date}</joinDate></membership>");
        content_with(&format!("<memberships>{membership}</memberships>")).memberships.remove(0).joined.unwrap()
    };
    assert_eq!(joined("02/29/2024"), "2024-02-29");
    assert_eq!(joined("2024-02-29"), "2024-02-29");
    assert_eq!(joined("02/30/2024"), "02/30/2024");
    assert_eq!(joined("since ever"), "since ever");
}

#[test]
fn the_employer_is_that_of_the_preferred_job_then_the_best_then_the_first_without_an_end() {
    let organization = |jobs: &str| content_with(&format!("<jobs>{jobs}</jobs>")).organization;
    let ended = "<job><employerName>Ended</employerName><endDate>2001-01-01</endDate></job>";
    let first = "<job><employerName>First</employerName><endDate/></job>";
    let second = "<job><employerName>Second</employerName></job>";
    let best = "<job><employerName>Best</employerName><best>true</best></job>";
    let preferred = "<job><employerName>Preferred</employerName><preferred>true</preferred></job>";
    assert_eq!(organization(&[ended, first, second, best, preferred].concat()).as_deref(), Some("Preferred"));
    assert_eq!(organization(&[ended, first, second, best].concat()).as_deref(), Some("Best"));
    assert_eq!(organization(&[ended, first, second].concat()).as_deref(), Some("First"));
    assert_eq!(organization(ended), None);
    let company = content_with(&format!("<custType>C</custType><jobs>{best}</jobs>"));
    assert_eq!(company.organization, None);
}

#[test]
fn a_subscription_is_read_under_whatever_name_its_fields_come() {
    let subscription = |children: &str| {
        content_with(&format!("<subscriptions><subscription>{children}</subscription></subscriptions>"))
    };
    let one = subscription(
        "<code>X</code><subscription-id>7</subscription-id><name>Change</name><beginDate>01/02/2026</beginDate>",
    );
    assert_eq!(one.subscriptions[0].id.as_deref(), Some("7"));
    assert_eq!(one.subscriptions[0].name.as_deref(), Some("Change"));
    assert_eq!(one.subscriptions[0].starts.as_deref(), Some("2026-01-02"));
    let other = subscription("<subscriptionId/><code>X</code>");
    assert_eq!(other.subscriptions[0].id.as_deref(), Some("X"));
}

#[test]
fn the_header_is_read_in_any_case() {
    assert_eq!(content_with("<custType>c</custType>").kind, CustomerType::Company);
    assert_eq!(content_with("<custType> I </custType>").kind, CustomerType::Person);
    assert_eq!(content_with("").kind, CustomerType::Person);
}

#[test]
fn equal_customers_have_equal_content_wherever_they_stand() {
    let alone = read_bulk(bulk(&customer("5"))).unwrap().remove(0);
    let among = read_bulk(bulk(&[customer("4"), customer("5"), customer("6")].concat())).unwrap().remove(1);
    assert_eq!(alone.source_id, among.source_id);
    assert_eq!(alone.raw, among.raw);
    assert_eq!(alone.content.unwrap().hash(), among.content.unwrap().hash());
}
