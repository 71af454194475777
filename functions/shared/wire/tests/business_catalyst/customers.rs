//! Customers of any source as contacts to be written.

use jiff::civil::date;
use model::{Address, Content, CustomerType, Email, Name, Phone, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::business_catalyst::{ContactToWrite, Credentials, SoapVersion, WriteError, update_insert_request};

use crate::sample::{content, record};

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn email(address: &str) -> Email {
    Email { address: address.to_owned(), ..Email::default() }
}

fn phone(number: &str, kind: &str) -> Phone {
    Phone { number: number.to_owned(), kind: some(kind), primary: false }
}

fn contact_of(content: Content) -> ContactToWrite {
    ContactToWrite::of(&record("7", content))
}

fn try_written(contact: ContactToWrite) -> Result<String, WriteError> {
    let credentials = Credentials { username: "u", password: "p", site_id: 1 };
    let request = update_insert_request(SoapVersion::V1_1, &credentials, &[contact])?;
    let (_, list) = request.split_once("<contactsList>").unwrap();
    Ok(list.split_once("</contactsList>").unwrap().0.to_owned())
}

/// The element of the contact of a customer with this content.
fn written(content: Content) -> String {
    try_written(contact_of(content)).unwrap()
}

/// The types and the texts of the phone numbers of a customer with this content.
fn numbers(content: Content) -> Vec<(i32, String)> {
    let numbers = contact_of(content).phone_numbers.unwrap();
    numbers.into_iter().map(|number| (number.phone_no_type_id, number.phone_no.unwrap())).collect()
}

#[test]
fn a_customer_is_written_with_all_that_a_contact_has_a_place_for() {
    let jane = Content {
        external_id: some("M-7"),
        name: Name {
            display: some("Dr. Jane Doe"),
            prefix: some("Dr."),
            first: some(" Jane"),
            last: some("Doe"),
            ..Name::default()
        },
        emails: vec![email("doe@example.org"), Email { primary: true, ..email("jane@example.org") }],
        phones: vec![phone("555-0199", "HOME"), phone(" 555-0100", "WORK"), phone("555-0101", "CELL")],
        addresses: vec![
            Address {
                lines: vec!["1 Main St".to_owned(), " ".to_owned(), "Floor 2".to_owned(), "Door 3".to_owned()],
                city: some("Anytown"),
                region: some("VA"),
                postal_code: some("22000"),
                country: some("US"),
                kind: some("WORK"),
                primary: true,
            },
            Address { city: some("Elsewhere"), ..Address::default() },
        ],
        birth_date: some("1980-02-29"),
        ..Content::default()
    };
    assert_eq!(
        written(jane),
        concat!(
            "<ContactRecord><externalId>aa~7</externalId><emailAddress>jane@example.org</emailAddress>",
            "<contactTitle>Dr.</contactTitle><deleted>false</deleted><fullName>Dr. Jane Doe</fullName>",
            "<firstName>Jane</firstName><lastName>Doe</lastName><dateOfBirth>1980-02-29T00:00:00</dateOfBirth>",
            "<addresses><Address><addressTypeID>2</addressTypeID><addressLine1>1 Main St</addressLine1>",
            "<addressLine2>Floor 2, Door 3</addressLine2><city>Anytown</city><zipcode>22000</zipcode>",
            "<state>VA</state><countryCode>US</countryCode></Address>",
            "<Address><addressTypeID>1</addressTypeID><addressLine1></addressLine1><addressLine2></addressLine2>",
            "<city>Elsewhere</city><zipcode></zipcode><state></state><countryCode></countryCode></Address></addresses>",
            "<phoneNos><PhoneNo><phoneNoTypeID>1</phoneNoTypeID><phoneNo>555-0199</phoneNo></PhoneNo>",
            "<PhoneNo><phoneNoTypeID>3</phoneNoTypeID><phoneNo>555-0100</phoneNo></PhoneNo>",
            "<PhoneNo><phoneNoTypeID>5</phoneNoTypeID><phoneNo>555-0101</phoneNo></PhoneNo>",
            "<PhoneNo><phoneNoTypeID>8</phoneNoTypeID><phoneNo>doe@example.org</phoneNo></PhoneNo></phoneNos>",
            "</ContactRecord>",
        )
    );
}

#[test]
fn what_became_empty_is_emptied_and_the_address_that_identifies_is_left_alone() {
    let expected = concat!(
        "<ContactRecord><externalId>aa~7</externalId><contactTitle></contactTitle><deleted>false</deleted>",
        "<fullName></fullName><firstName></firstName><lastName></lastName>",
        "<dateOfBirth>0001-01-01T00:00:00</dateOfBirth><addresses></addresses><phoneNos></phoneNos></ContactRecord>",
    );
    assert_eq!(written(Content::default()), expected);
    let blank = Content {
        name: Name { display: some(" "), prefix: some("\t"), ..Name::default() },
        emails: vec![email(" "), email("n/a")],
        phones: vec![phone(" ", "WORK")],
        addresses: vec![Address { kind: some("WORK"), lines: vec![String::new()], ..Address::default() }],
        birth_date: some("29.02.1980"),
        ..Content::default()
    };
    assert_eq!(written(blank), expected);
}

#[test]
fn of_a_customer_that_was_deleted_only_its_id_is_written() {
    let jane = Content { name: Name { first: some("Jane"), ..Name::default() }, ..Content::default() };
    let expected = "<ContactRecord><externalId>aa~7</externalId><deleted>true</deleted></ContactRecord>";
    assert_eq!(written(Content::tombstone_of(Some(&jane))), expected);
    assert_eq!(written(Content { status: Status::Deleted, ..jane.clone() }), expected);
    assert!(written(Content { status: Status::Inactive, ..jane }).contains("<deleted>false</deleted>"));
}

#[test]
fn a_full_name_is_the_display_name_or_made_of_the_others() {
    let full_name = |kind, name| contact_of(Content { kind, name, ..Content::default() }).full_name.unwrap();
    let acme = Name { display: some("Acme Ltd"), ..Name::default() };
    assert_eq!(full_name(CustomerType::Company, acme), "Acme Ltd");
    let jane = Name { first: some("Jane"), last: some("Doe"), ..Name::default() };
    assert_eq!(full_name(CustomerType::Person, jane), "Jane Doe");
}

#[test]
fn the_address_that_counts_is_the_primary_one_or_the_first_that_works() {
    let bad = |address| Email { bad: true, ..email(address) };
    let primary = |email| Email { primary: true, ..email };
    for (emails, counts, others) in [
        (vec![email("a@x"), primary(bad("b@x")), email("c@x")], "b@x", &[(8, "a@x"), (9, "c@x")][..]),
        (vec![bad("a@x"), email("b@x")], "b@x", &[(8, "a@x")]),
        (vec![bad("a@x"), bad("b@x")], "a@x", &[(8, "b@x")]),
        (vec![email("n/a"), email("a@x"), email(" a@x"), email("\u{200b}a@x")], "a@x", &[]),
        (vec![email("a@x"), email("b@x"), email("c@x"), email("d@x")], "a@x", &[(8, "b@x"), (9, "c@x"), (9, "d@x")]),
    ] {
        let content = Content { emails, ..Content::default() };
        assert_eq!(contact_of(content.clone()).email_address.as_deref(), Some(counts));
        let others: Vec<(i32, String)> = others.iter().map(|(code, text)| (*code, (*text).to_owned())).collect();
        assert_eq!(numbers(content), others);
    }
    // As another site of the same vendor has them.
    let of_kind = |address: &str, kind: &str| Email { kind: some(kind), ..email(address) };
    let emails = vec![primary(of_kind("c@x", "email 1")), of_kind("a@x", "email 3"), of_kind("b@x", "email 2")];
    let content = Content { emails, ..Content::default() };
    assert_eq!(numbers(content), [(9, "a@x".to_owned()), (8, "b@x".to_owned())]);
}

#[test]
fn several_numbers_of_one_type_are_all_written() {
    let phones = vec![phone("1", "HOME"), phone("2", "home"), phone("3", "ASSISTANT"), phone("4", "Fax")];
    let expected = [(1, "1"), (1, "2"), (1, "3"), (4, "4")].map(|(code, text)| (code, text.to_owned()));
    assert_eq!(numbers(Content { phones, ..Content::default() }), expected);
}

#[test]
fn a_date_of_birth_that_no_service_can_store_is_not_set() {
    let born = |birth_date: &str| {
        contact_of(Content { birth_date: some(birth_date), ..Content::default() }).date_of_birth.unwrap()
    };
    assert_eq!(born("1753-01-01"), date(1753, 1, 1).at(0, 0, 0, 0));
    for text in ["1752-12-31", "0000-01-01", "0001-01-01", "9999-12-31", "1980-02-30", "1980-02-29T10:00:00", "", "x"] {
        assert_eq!(born(text), date(1, 1, 1).at(0, 0, 0, 0), "{text}");
    }
}

#[test]
fn secrets_and_what_another_system_keeps_are_never_written() {
    let content = Content {
        hidden: [("customer_password".to_owned(), "$argon2id$hunter2".to_owned())].into(),
        attributes: [("username".to_owned(), model::Attribute::Text("jdoe".to_owned()))].into(),
        ..Content::default()
    };
    let written = written(content);
    assert!(!written.contains("hunter2") && !written.contains("jdoe") && !written.contains("password"), "{written}");
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[^\\p{Cc}\u{fffe}\u{ffff}]{0,8}", 1 => any::<String>(), 1 => "[<&>\\]\"' \r\n\t\0]{0,5}"]
}

prop_compose! {
    fn any_content()(
        texts in vec(any_text(), 12), many in vec((any_text(), any_text(), any::<bool>()), 0..4)
    ) -> Content {
        let text = |place: usize| Some(texts[place].clone());
        let kinds = ["HOME", "fax", "email 2", "PO Box"].map(some);
        let kind = |place: usize| kinds[place % kinds.len()].clone().or_else(|| text(place));
        let many = || many.iter().enumerate();
        Content {
            name: Name { display: text(0), prefix: text(1), first: text(2), last: text(3), ..Name::default() },
            emails: many().map(|(place, (one, other, primary))| Email {
                address: if *primary { format!("{one}@{other}") } else { one.clone() },
                kind: kind(place),
                primary: *primary,
                bad: !other.is_empty(),
            }).collect(),
            phones: many().map(|(place, (one, _, primary))| Phone {
                number: one.clone(), kind: kind(place), primary: *primary,
            }).collect(),
            addresses: many().map(|(place, (one, other, primary))| Address {
                lines: vec![one.clone(), other.clone(), texts[4].clone()],
                city: text(5), region: text(6), postal_code: text(7), country: text(8),
                kind: kind(place), primary: *primary,
            }).collect(),
            birth_date: text(9),
            ..Content::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_customer_is_written_as_well_formed_xml_or_its_element_is_named(content_to_send in any_content()) {
        match try_written(contact_of(content_to_send.clone())) {
            Ok(element) => {
                // A listing has the id of the site beside it.
                let read = content(&element.replacen("<ContactRecord>", "<ContactRecord><entityId>1</entityId>", 1));
                prop_assert_eq!(read.external_id.as_deref(), Some("aa~7"));
                let trimmed = |text: &Option<String>| {
                    // A reader has one kind of line end.
                    let text = text.as_deref().unwrap_or_default().trim().replace("\r\n", "\n").replace('\r', "\n");
                    (!text.is_empty()).then_some(text)
                };
                prop_assert_eq!(read.name.first, trimmed(&content_to_send.name.first));
                prop_assert_eq!(read.name.last, trimmed(&content_to_send.name.last));
                prop_assert_eq!(read.name.prefix, trimmed(&content_to_send.name.prefix));
            }
            Err(WriteError::Character { position, element }) => {
                prop_assert!(position == 1 && !element.is_empty());
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}
