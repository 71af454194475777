//! Requests, letter by letter.

use jiff::civil::date;
use wire::business_catalyst::{
    AddressToWrite, ContactToWrite, Credentials, Operation, PhoneNumberToWrite, SoapVersion, WriteError,
    retrieve_request, update_insert_request,
};

const CREDENTIALS: Credentials = Credentials { username: "admin@example.com", password: "SECRET", site_id: 12345 };

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_retrieve_request_names_the_time_and_where_the_page_begins() {
    assert_eq!(
        retrieve_request(SoapVersion::V1_1, &CREDENTIALS, date(2012, 5, 1).at(0, 0, 0, 0), 0),
        concat!(
            r#"<?xml version="1.0" encoding="utf-8"?>"#,
            r#"<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>"#,
            r#"<ContactList_Retrieve xmlns="http://tempuri.org/CatalystDeveloperService/CatalystCRMWebservice">"#,
            "<username>admin@example.com</username><password>SECRET</password><siteId>12345</siteId>",
            "<lastUpdateDate>2012-05-01T00:00:00</lastUpdateDate><recordStart>0</recordStart>",
            "<moreRecords>false</moreRecords></ContactList_Retrieve></soap:Body></soap:Envelope>",
        )
    );
    assert_eq!(
        retrieve_request(SoapVersion::V1_2, &CREDENTIALS, date(1, 1, 1).at(23, 59, 58, 999_999_999), 4_200),
        concat!(
            r#"<?xml version="1.0" encoding="utf-8"?>"#,
            r#"<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body>"#,
            r#"<ContactList_Retrieve xmlns="http://tempuri.org/CatalystDeveloperService/CatalystCRMWebservice">"#,
            "<username>admin@example.com</username><password>SECRET</password><siteId>12345</siteId>",
            "<lastUpdateDate>0001-01-01T23:59:58</lastUpdateDate><recordStart>4200</recordStart>",
            "<moreRecords>false</moreRecords></ContactList_Retrieve></soap:Body></soap:Envelope>",
        )
    );
}

#[test]
fn a_site_token_comes_with_an_empty_user_name() {
    let token = Credentials { username: "", ..CREDENTIALS };
    let request = retrieve_request(SoapVersion::V1_1, &token, date(2012, 5, 1).at(0, 0, 0, 0), 0);
    assert!(request.contains("<username></username><password>SECRET</password>"), "{request}");
}

#[test]
fn each_version_has_its_headers() {
    assert_eq!(SoapVersion::V1_1.media_type(), "text/xml; charset=utf-8");
    assert_eq!(SoapVersion::V1_2.media_type(), "application/soap+xml; charset=utf-8");
    assert_eq!(
        SoapVersion::V1_1.soap_action(Operation::Retrieve).unwrap(),
        "\"http://tempuri.org/CatalystDeveloperService/CatalystCRMWebservice/ContactList_Retrieve\""
    );
    assert_eq!(
        SoapVersion::V1_1.soap_action(Operation::UpdateInsert).unwrap(),
        "\"http://tempuri.org/CatalystDeveloperService/CatalystCRMWebservice/ContactList_UpdateInsert\""
    );
    assert_eq!(SoapVersion::V1_2.soap_action(Operation::Retrieve), None);
}

#[test]
fn a_version_is_configured_by_its_number() {
    for (version, json) in [(SoapVersion::V1_1, "\"1.1\""), (SoapVersion::V1_2, "\"1.2\"")] {
        assert_eq!(serde_json::to_string(&version).unwrap(), json);
        assert_eq!(serde_json::from_str::<SoapVersion>(json).unwrap(), version);
    }
    assert!(serde_json::from_str::<SoapVersion>("\"1.3\"").is_err());
    assert_eq!(SoapVersion::default(), SoapVersion::V1_1);
}

fn written(contact: ContactToWrite) -> String {
    let request = update_insert_request(SoapVersion::V1_1, &CREDENTIALS, &[contact]).unwrap();
    let (_, list) = request.split_once("<contactsList>").unwrap();
    list.split_once("</contactsList>").unwrap().0.to_owned()
}

#[test]
fn an_update_insert_request_lists_contacts() {
    let contact = |id| ContactToWrite { external_id: some(id), ..ContactToWrite::default() };
    assert_eq!(
        update_insert_request(SoapVersion::V1_2, &CREDENTIALS, &[contact("a"), contact("b")]).unwrap(),
        concat!(
            r#"<?xml version="1.0" encoding="utf-8"?>"#,
            r#"<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body>"#,
            r#"<ContactList_UpdateInsert xmlns="http://tempuri.org/CatalystDeveloperService/CatalystCRMWebservice">"#,
            "<username>admin@example.com</username><password>SECRET</password><siteId>12345</siteId><contactsList>",
            "<ContactRecord><externalId>a</externalId></ContactRecord>",
            "<ContactRecord><externalId>b</externalId></ContactRecord>",
            "</contactsList></ContactList_UpdateInsert></soap:Body></soap:Envelope>",
        )
    );
}

#[test]
fn a_contact_is_written_with_its_elements_in_the_sources_order() {
    let contact = ContactToWrite {
        external_id: some("M-7"),
        email_address: some("jane@example.org"),
        contact_title: some("Dr."),
        deleted: Some(false),
        full_name: some("Dr. Jane Doe"),
        first_name: some("Jane"),
        last_name: some("Doe"),
        date_of_birth: Some(date(1980, 2, 29).at(0, 0, 0, 0)),
        addresses: Some(vec![AddressToWrite {
            address_type_id: 1,
            address_line_1: some("1 Main St"),
            address_line_2: some("Floor 2"),
            city: some("Sydney"),
            zipcode: some("2001"),
            state: some("NSW"),
            country_code: some("AU"),
        }]),
        phone_numbers: Some(vec![PhoneNumberToWrite { phone_no_type_id: 3, phone_no: some("555-0100") }]),
    };
    assert_eq!(format!("{contact:?}"), "ContactToWrite { .. }");
    assert_eq!(
        written(contact),
        concat!(
            "<ContactRecord><externalId>M-7</externalId>",
            "<emailAddress>jane@example.org</emailAddress><contactTitle>Dr.</contactTitle><deleted>false</deleted>",
            "<fullName>Dr. Jane Doe</fullName><firstName>Jane</firstName><lastName>Doe</lastName>",
            "<dateOfBirth>1980-02-29T00:00:00</dateOfBirth>",
            "<addresses><Address><addressTypeID>1</addressTypeID><addressLine1>1 Main St</addressLine1>",
            "<addressLine2>Floor 2</addressLine2><city>Sydney</city><zipcode>2001</zipcode><state>NSW</state>",
            "<countryCode>AU</countryCode></Address></addresses>",
            "<phoneNos><PhoneNo><phoneNoTypeID>3</phoneNoTypeID><phoneNo>555-0100</phoneNo></PhoneNo></phoneNos>",
            "</ContactRecord>",
        )
    );
}

#[test]
fn what_is_missing_is_not_written_and_what_is_empty_empties_the_field() {
    let contact = ContactToWrite { email_address: some("jane@example.org"), ..ContactToWrite::default() };
    assert_eq!(
        written(contact.clone()),
        "<ContactRecord><emailAddress>jane@example.org</emailAddress></ContactRecord>"
    );
    let contact = ContactToWrite {
        first_name: some(""),
        last_name: some(" \n"),
        addresses: Some(vec![]),
        phone_numbers: Some(vec![PhoneNumberToWrite { phone_no_type_id: 5, phone_no: some("") }]),
        ..contact
    };
    assert_eq!(
        written(contact),
        concat!(
            "<ContactRecord><emailAddress>jane@example.org</emailAddress>",
            "<firstName></firstName><lastName></lastName><addresses></addresses>",
            "<phoneNos><PhoneNo><phoneNoTypeID>5</phoneNoTypeID><phoneNo></phoneNo></PhoneNo></phoneNos>",
            "</ContactRecord>",
        )
    );
}

#[test]
fn what_a_contact_is_found_by_is_never_written_empty() {
    let contact = ContactToWrite { email_address: some("jane@example.org"), ..ContactToWrite::default() };
    let blank_id = ContactToWrite { external_id: some(" "), ..contact.clone() };
    assert_eq!(written(blank_id), written(contact));
    let contact = ContactToWrite { external_id: some("M-7"), ..ContactToWrite::default() };
    let blank_address = ContactToWrite { email_address: some(""), ..contact.clone() };
    assert_eq!(written(blank_address), written(contact));
}

#[test]
fn a_contact_that_the_source_could_not_find_again_is_never_sent() {
    let good = ContactToWrite { external_id: some("a"), ..ContactToWrite::default() };
    for bad in [
        ContactToWrite { full_name: some("Jane Doe"), ..ContactToWrite::default() },
        ContactToWrite { external_id: some(""), email_address: some(" \n"), ..ContactToWrite::default() },
        ContactToWrite {
            phone_numbers: Some(vec![PhoneNumberToWrite { phone_no_type_id: 7, phone_no: some("jane@example.org") }]),
            ..ContactToWrite::default()
        },
    ] {
        let error = update_insert_request(SoapVersion::V1_1, &CREDENTIALS, &[good.clone(), bad]).unwrap_err();
        assert_eq!(error, WriteError::NotIdentified { position: 2 });
        assert_eq!(error.to_string(), "contact 2 of the list has neither an `externalId` nor an `emailAddress`");
    }
}

#[test]
fn what_xml_reserves_is_escaped_everywhere() {
    let awkward = Credentials { username: "a<b", password: "p&\"w>'", site_id: 1 };
    let request = retrieve_request(SoapVersion::V1_1, &awkward, date(2012, 5, 1).at(0, 0, 0, 0), 0);
    assert!(request.contains("<username>a&lt;b</username><password>p&amp;&quot;w&gt;&apos;</password>"), "{request}");
    let contact = ContactToWrite {
        external_id: some("<1&2>"),
        addresses: Some(vec![AddressToWrite { city: some("</city>"), ..AddressToWrite::default() }]),
        first_name: some("]]>"),
        last_name: some("one\r\ntwo"),
        ..ContactToWrite::default()
    };
    let written = written(contact);
    for expected in [">&lt;1&amp;2&gt;<", ">&lt;/city&gt;<", ">]]&gt;<", ">one&#13;\ntwo<"] {
        assert!(written.contains(expected), "{written}");
    }
}

#[test]
fn a_character_that_xml_does_not_allow_is_an_error_that_names_the_element() {
    let contact = ContactToWrite { external_id: some("a"), last_name: some("Z\u{1}zyx"), ..ContactToWrite::default() };
    let error = update_insert_request(SoapVersion::V1_1, &CREDENTIALS, &[contact]).unwrap_err();
    assert_eq!(error, WriteError::Character { position: 1, element: "lastName" });
    assert!(!error.to_string().contains("zyx"));
}

#[test]
fn credentials_do_not_show_in_debug_output() {
    let shown = format!("{CREDENTIALS:?}");
    assert!(!shown.contains("SECRET") && !shown.contains("admin"), "{shown}");
}
