//! The content of a contact's element.

use model::{Address, CustomerType, Email, Name, Phone, Status};
use wire::business_catalyst::LastUpdate;

use crate::sample::{JANE, contact_with, content, content_with, list, object, only, text};

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn phone_numbers(entries: &[(&str, &str)]) -> String {
    let entries: String = entries
        .iter()
        .map(|(code, number)| {
            format!("<PhoneNo><phoneNoTypeID>{code}</phoneNoTypeID><phoneNo>{number}</phoneNo></PhoneNo>")
        })
        .collect();
    format!("<phoneNos>{entries}</phoneNos>")
}

#[test]
fn every_known_field_is_filled() {
    let contact = only(JANE);
    assert_eq!(contact.entity_id, some("1001"));
    assert_eq!(contact.last_update, Some(LastUpdate::Local("2012-05-01T10:20:30.123".parse().unwrap())));
    assert!(!contact.deleted);
    let content = contact.content.unwrap();
    assert_eq!(content.external_id, some("M-7"));
    assert_eq!(content.kind, CustomerType::Person);
    assert_eq!(content.status, Status::Active);
    assert_eq!(
        content.name,
        Name {
            display: some("Dr. Jane Doe"),
            prefix: some("Dr."),
            first: some("Jane"),
            last: some("Doe"),
            ..Name::default()
        }
    );
    assert_eq!(
        content.emails,
        [
            Email { address: "jane@example.org".into(), kind: some("email 1"), primary: true, bad: false },
            Email { address: "doe@example.org".into(), kind: some("email 2"), primary: false, bad: false },
        ]
    );
    assert_eq!(content.phones, [Phone { number: "555-0100".into(), kind: some("work"), primary: false }]);
    assert_eq!(
        content.addresses,
        [
            Address {
                lines: vec!["1 Main St".into(), "Floor 2".into()],
                city: some("Sydney"),
                region: some("NSW"),
                postal_code: some("2001"),
                country: some("AU"),
                kind: some("home"),
                primary: false,
            },
            Address {
                lines: vec!["9 Quay".into()],
                city: some("Sydney"),
                region: some("NSW"),
                postal_code: some("2000"),
                country: some("AU"),
                kind: some("work"),
                primary: false,
            },
        ]
    );
    assert_eq!(content.birth_date, some("1980-02-29"));
}

#[test]
fn what_no_field_stands_for_is_kept_by_the_sources_names() {
    let attributes = content(JANE).attributes;
    let relationship = |id, name| object([("entityId", text(id)), ("entityType", text("1")), ("name", text(name))]);
    let expected = object([
        ("username", text("jdoe")),
        ("createDate", text("2011-03-04T05:06:07.89")),
        ("customerType", text("Customer")),
        ("industryType", text("Boats")),
        ("leadSourceType", text("Web")),
        ("ratingType", text("A")),
        ("relationships", list([relationship("1002", "Child"), relationship("1003", "Spouse")])),
        ("webAddresses", list([text("https://example.org")])),
        ("crmForms", object([("Enquiry", object([("Budget", text("100")), ("Topic", text("Boats"))]))])),
        (
            "crmForms#details",
            object([(
                "Enquiry",
                object([
                    ("formId", text("12")),
                    (
                        "crmFormFields",
                        object([
                            ("Budget", object([("fieldId", text("7")), ("fieldTypeId", text("2"))])),
                            ("Topic", object([("fieldId", text("8")), ("fieldTypeId", text("5"))])),
                        ]),
                    ),
                ]),
            )]),
        ),
        ("MasterOptIn", text("true")),
    ]);
    assert_eq!(model::Attribute::Object(attributes), expected);
}

#[test]
fn a_contact_that_was_only_touched_has_equal_content() {
    let later = JANE.replace("2012-05-01T10:20:30.123", "2013-01-01T00:00:00");
    assert_ne!(only(JANE).last_update, only(&later).last_update);
    assert_eq!(content(JANE).hash(), content(&later).hash());
    let deleted = JANE.replace("<deleted>false", "<deleted>true");
    assert!(only(&deleted).deleted);
    assert_eq!(content(JANE).hash(), content(&deleted).hash());
}

#[test]
fn white_space_and_the_sources_order_make_no_difference() {
    let without: String = JANE.lines().map(str::trim).collect();
    assert_eq!(content(JANE).hash(), content(&without).hash());
    let addresses = "<Address><addressTypeID>1</addressTypeID><city>A</city></Address>";
    let more = "<Address><addressTypeID>2</addressTypeID><city>B</city></Address>";
    let form = |id, name, fields: &str| {
        format!(
            "<CrmForms><formId>{id}</formId><formName>{name}</formName><crmFormFields>{fields}</crmFormFields></CrmForms>"
        )
    };
    let field = |id, value| {
        format!(
            "<CrmFormFields><fieldId>{id}</fieldId><fieldName>F</fieldName><fieldValue>{value}</fieldValue></CrmFormFields>"
        )
    };
    let (one, two) = (field("1", "x"), field("2", "y"));
    let numbers = [("7", "a@x.org"), ("10", "w1"), ("10", "w2"), ("1", "1"), ("1", "2"), ("8", "b@x.org")];
    let turned: Vec<_> = numbers.into_iter().rev().collect();
    let first = content_with(&format!(
        "<addresses>{addresses}{more}</addresses>{}<crmForms>{}{}</crmForms>",
        phone_numbers(&numbers),
        form("1", "Form", &format!("{one}{two}")),
        form("2", "Form", "")
    ));
    let second = content_with(&format!(
        "<crmForms>{}{}</crmForms>{}<addresses>{more}{addresses}</addresses>",
        form("2", "Form", ""),
        form("1", "Form", &format!("{two}{one}")),
        phone_numbers(&turned)
    ));
    assert_eq!(first, second);
    assert_eq!(first.hash(), second.hash());
}

#[test]
fn nil_empty_and_missing_are_the_same() {
    let names = [
        "externalId",
        "emailAddress",
        "contactTitle",
        "deleted",
        "fullName",
        "firstName",
        "lastName",
        "username",
        "dateOfBirth",
        "createDate",
        "customerType",
        "industryType",
        "leadSourceType",
        "ratingType",
        "relationships",
        "addresses",
        "phoneNos",
        "crmForms",
        "MasterOptIn",
        "neverHeardOf",
    ];
    let none = content_with("");
    for name in names {
        for empty in [
            format!("<{name}/>"),
            format!("<{name}> </{name}>"),
            format!("<{name} xsi:nil=\"true\" />"),
            format!("<{name} xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" i:nil=\"1\" i:type=\"T\"></{name}>"),
        ] {
            assert_eq!(content_with(&empty), none, "{empty}");
        }
    }
    let nil_items = "<relationships><Relationship xsi:nil=\"true\"/></relationships><addresses><Address xsi:nil=\"true\"/>\
                     <Address/></addresses><phoneNos><PhoneNo xsi:nil=\"true\"/></phoneNos><crmForms>\
                     <CrmForms xsi:nil=\"true\"/></crmForms>";
    assert_eq!(content_with(nil_items), none);
    let hollow_items = "<addresses><Address><addressTypeID>1</addressTypeID><city/></Address></addresses>\
                        <phoneNos><PhoneNo><phoneNoTypeID>1</phoneNoTypeID><phoneNo/></PhoneNo></phoneNos>";
    assert_eq!(content_with(hollow_items), none);
}

#[test]
fn nil_items_are_left_out_of_lists() {
    let content = content_with(
        "<relationships><Relationship xsi:nil=\"true\"/><Relationship><name>n</name></Relationship></relationships>\
         <crmForms><CrmForms xsi:nil=\"true\"/><CrmForms><formName>f</formName><crmFormFields>\
         <CrmFormFields xsi:nil=\"true\"/></crmFormFields></CrmForms></crmForms>",
    );
    assert_eq!(content.attributes["relationships"], list([object([("name", text("n"))])]));
    assert_eq!(content.attributes["crmForms"], object([("f", object([]))]));
}

#[test]
fn a_display_name_that_is_missing_is_made_of_first_and_last() {
    let display = |children: &str| content_with(children).name.display;
    assert_eq!(display("<firstName>Jane</firstName><lastName>Doe</lastName>"), some("Jane Doe"));
    assert_eq!(display("<contactTitle>Dr.</contactTitle><lastName>Doe</lastName>"), some("Doe"));
    assert_eq!(display("<fullName> </fullName><firstName>Jane</firstName>"), some("Jane"));
    assert_eq!(display("<contactTitle>Dr.</contactTitle>"), None);
}

#[test]
fn type_codes_are_words_and_one_that_is_not_known_stays_a_number() {
    let codes = ["1", "2", "3", "4", "5", "6", "11", "0", "7a"];
    let numbers: Vec<(&str, &str)> = codes.iter().map(|code| (*code, *code)).collect();
    let mut kinds: Vec<(String, String)> = content_with(&phone_numbers(&numbers))
        .phones
        .into_iter()
        .map(|phone| (phone.number, phone.kind.unwrap()))
        .collect();
    kinds.sort();
    let expected = [
        ("0", "0"),
        ("1", "home"),
        ("11", "11"),
        ("2", "home fax"),
        ("3", "work"),
        ("4", "work fax"),
        ("5", "cell"),
        ("6", "pager"),
        ("7a", "7a"),
    ];
    assert_eq!(kinds, expected.map(|(number, kind)| (number.to_owned(), kind.to_owned())));

    for (code, kind) in [
        ("1", "home"),
        ("2", "work"),
        ("3", "po box"),
        ("4", "4"),
        ("5", "shipping"),
        ("6", "pickup"),
        ("7", "storage"),
        ("8", "billing"),
        ("99", "99"),
    ] {
        let address =
            format!("<addresses><Address><addressTypeID>{code}</addressTypeID><city>c</city></Address></addresses>");
        assert_eq!(content_with(&address).addresses[0].kind, some(kind), "{code}");
    }
    let untyped = content_with("<phoneNos><PhoneNo><phoneNo>1</phoneNo></PhoneNo></phoneNos>");
    assert_eq!(untyped.phones, [Phone { number: "1".into(), kind: None, primary: false }]);
}

/// Addresses with their types, the primary one with a star.
fn emails(children: &str) -> Vec<String> {
    content_with(children)
        .emails
        .into_iter()
        .map(|email| {
            let star = if email.primary { "*" } else { "" };
            format!("{star}{} {}", email.address, email.kind.unwrap_or_default())
        })
        .collect()
}

#[test]
fn the_first_email_is_primary_and_without_one_the_contacts_own() {
    let own = "<emailAddress>own@x.org</emailAddress>";
    let first = ("7", "z@x.org");
    let second = ("8", "b@x.org");
    let third = ("9", "a@x.org");
    assert_eq!(
        emails(&phone_numbers(&[third, second, first])),
        ["*z@x.org email 1", "a@x.org email 3", "b@x.org email 2"]
    );
    assert_eq!(
        emails(&(own.to_owned() + &phone_numbers(&[first, second]))),
        ["*z@x.org email 1", "b@x.org email 2", "own@x.org "]
    );
    assert_eq!(emails(&(phone_numbers(&[second]) + own)), ["*own@x.org ", "b@x.org email 2"]);
    assert_eq!(emails(own), ["*own@x.org "]);
    assert_eq!(emails(&phone_numbers(&[second, third])), ["a@x.org email 3", "b@x.org email 2"]);
}

#[test]
fn the_contacts_own_email_is_not_listed_twice() {
    let own = "<emailAddress>b@x.org</emailAddress>";
    assert_eq!(emails(&(own.to_owned() + &phone_numbers(&[("7", "b@x.org")]))), ["*b@x.org email 1"]);
    let as_second = own.to_owned() + &phone_numbers(&[("8", "b@x.org"), ("9", "a@x.org")]);
    assert_eq!(emails(&as_second), ["*b@x.org email 2", "a@x.org email 3"]);
}

#[test]
fn of_two_first_emails_one_is_primary() {
    assert_eq!(emails(&phone_numbers(&[("7", "b@x.org"), ("7", "a@x.org")])), ["*a@x.org email 1", "b@x.org email 1"]);
}

#[test]
fn a_birth_date_is_a_day_and_what_is_not_set_is_none() {
    let birth_date = |text: &str| content_with(&format!("<dateOfBirth>{text}</dateOfBirth>"));
    for (text, expected) in [
        ("1980-05-01T00:00:00", Some("1980-05-01")),
        ("1980-05-01", Some("1980-05-01")),
        ("0001-01-01T00:00:00", None),
        ("9999-12-31T23:59:59.9999999", None),
        ("9999-12-31T00:00:00", None),
        ("", None),
        ("1 May 1980", Some("1 May 1980")),
        ("1980-02-30T00:00:00", Some("1980-02-30T00:00:00")),
    ] {
        let content = birth_date(text);
        assert_eq!(content.birth_date.as_deref(), expected, "{text}");
        assert!(content.attributes.is_empty(), "{text}");
    }
    let with_time = birth_date("1980-05-01T13:00:00");
    assert_eq!(with_time.birth_date.as_deref(), Some("1980-05-01"));
    assert_eq!(with_time.attributes["dateOfBirth"], text("1980-05-01T13:00:00"));
}

#[test]
fn names_match_in_any_case() {
    let lower = "<contactrecord><entityid>1</entityid><lastupdatedate>2012-05-01T00:00:00</lastupdatedate>\
                 <firstname>Jane</firstname><masteroptin>true</masteroptin><ratingType>A</ratingType></contactrecord>";
    let documented =
        contact_with("<MasterOptIn>true</MasterOptIn><ratingType>A</ratingType><firstName>Jane</firstName>");
    assert_eq!(content(lower), content(&documented));
    assert_eq!(content(lower).attributes["MasterOptIn"], text("true"));
}

#[test]
fn cdata_references_and_comments_within_a_text_make_one_text() {
    for first in ["Tom &amp; Jerry", "<![CDATA[Tom & Jerry]]>", "Tom <!-- and --><![CDATA[&]]> &#x4A;erry"] {
        let name = content_with(&format!("<firstName>{first}</firstName>")).name;
        assert_eq!(name.first.as_deref(), Some("Tom & Jerry"), "{first}");
    }
}
