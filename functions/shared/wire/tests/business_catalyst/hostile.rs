//! Malformed, hostile and wrong documents.

use std::io::{self, Cursor, ErrorKind, Read};

use wire::business_catalyst::{ContactListReader, read_update_insert_answer};
use wire::{Limits, ReadError};

use crate::sample::{JANE, answer, contact, content, fault, in_body, last_page, read, read_all};

/// Both readers report the same for a document that no reader accepts.
fn everywhere(document: &str, expected: fn(&ReadError) -> bool) {
    let written = read_update_insert_answer(document.as_bytes(), &Limits::default());
    for result in [read(document).map(|_| ()), written] {
        let error = result.expect_err(document);
        assert!(expected(&error), "{document}: {error}");
        assert!(!error.is_interrupted());
    }
}

#[test]
fn a_doctype_is_refused() {
    let endless = format!("<!DOCTYPE a [{}", "<!ENTITY a 'b'>".repeat(100_000));
    for document in [
        "<!DOCTYPE a><a/>",
        "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;\">]><Envelope>&lol2;</Envelope>",
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
        "<!doctype html><html/>",
        &endless,
    ] {
        everywhere(document, |error| matches!(error, ReadError::Doctype { .. }));
    }
}

#[test]
fn an_entity_that_xml_does_not_define_is_refused() {
    everywhere(&in_body("<soap:Fault>&nbsp;</soap:Fault>"), |error| matches!(error, ReadError::Entity { .. }));
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for document in ["", " ", "Bad gateway", "{\"error\":\"no\"}", "<Envelope>", "<Envelope", "<Envelope></Body>"] {
        everywhere(document, |error| matches!(error, ReadError::Malformed { .. }));
    }
    everywhere("<HTML><BODY>502</BODY></HTML>", |error| matches!(error, ReadError::Unexpected { .. }));
}

#[test]
fn a_body_that_is_cut_off_anywhere_is_malformed_and_never_a_complete_list() {
    for document in [last_page(&(contact("1") + JANE)), answer(""), fault("Server was unable to process request")] {
        for length in 0..document.len() {
            let mut reader = ContactListReader::new(&document.as_bytes()[..length], Limits::default());
            let last = reader.by_ref().last().unwrap();
            assert!(matches!(last, Err(ReadError::Malformed { .. })), "{length}");
            assert!(reader.next().is_none() && reader.page_end().is_none());
        }
        assert!(read(&document).is_ok());
    }
}

#[test]
fn bytes_that_stop_coming_are_told_from_a_body_that_is_cut_off() {
    struct Reset;
    impl Read for Reset {
        fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::ConnectionReset.into())
        }
    }
    let document = last_page(&contact("1"));
    let input = Cursor::new(&document[..document.len() - 3]).chain(Reset);
    let mut reader = ContactListReader::new(input, Limits::default());
    assert_eq!(reader.next().unwrap().unwrap().entity_id.as_deref(), Some("1"));
    assert!(reader.next().unwrap().unwrap_err().is_interrupted());
    assert!(reader.next().is_none() && reader.page_end().is_none());
    assert!(read_update_insert_answer(Reset, &Limits::default()).unwrap_err().is_interrupted());
}

#[test]
fn an_input_that_gives_one_byte_at_a_time_is_read_alike() {
    struct OneByOne<'a>(&'a [u8]);
    impl Read for OneByOne<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }
    let document = last_page(JANE);
    let reader = ContactListReader::new(OneByOne(document.as_bytes()), Limits::default());
    let slow: Vec<_> = reader.map(|contact| contact.unwrap().content.unwrap().hash()).collect();
    assert_eq!(slow, [content(JANE).hash()]);
}

#[test]
fn tokens_at_the_seams_of_what_is_read_at_once_are_whole() {
    let expected = content(JANE).hash();
    let raw = JANE.replace("<password>hunter2</password>", "");
    for shift in (0..JANE.len()).step_by(3) {
        let padding = " ".repeat(32 * 1024 - shift);
        let contact = read(last_page(&(padding + JANE))).unwrap().0.remove(0);
        assert_eq!(contact.raw, raw, "{shift}");
        assert_eq!(contact.content.unwrap().hash(), expected, "{shift}");
    }
}

fn ends_the_reading(document: &str, limits: Limits, expected: &str) {
    match read_all(document, limits) {
        Err(ReadError::Limit { limit, .. }) => assert_eq!(limit, expected),
        other => panic!("expected {expected}, got {other:?}"),
    }
}

#[test]
fn too_many_contacts_end_the_reading_nil_ones_included() {
    let limits = Limits { customers: 2, ..Limits::default() };
    assert_eq!(read_all(last_page(&contact("1").repeat(2)), limits).unwrap().0.len(), 2);
    ends_the_reading(&last_page(&contact("1").repeat(3)), limits, "customers");
    ends_the_reading(&last_page(&"<ContactRecord xsi:nil='true'/>".repeat(3)), limits, "customers");
}

#[test]
fn a_document_that_is_too_long_ends_the_reading() {
    let document = last_page(&contact("1").repeat(2_000));
    let length = document.len() as u64;
    assert!(read_all(&document, Limits { document_bytes: length, ..Limits::default() }).is_ok());
    ends_the_reading(&document, Limits { document_bytes: length - 1, ..Limits::default() }, "document_bytes");
}

#[test]
fn outside_any_contact_depth_and_text_end_the_reading() {
    let limits = Limits { depth: 6, text_bytes: 200, ..Limits::default() };
    let deep = format!("<detail>{}{}</detail>", "<a>".repeat(500), "</a>".repeat(500));
    for length in [201, 1_000_000] {
        let long = "x".repeat(length);
        for document in [
            fault(&long),
            in_body(&format!("<soap:Fault a='{long}'/>")),
            answer(&format!("<recordStart>{long}</recordStart>")),
            answer(&format!("<moreRecords><![CDATA[{long}]]></moreRecords>")),
        ] {
            ends_the_reading(&document, limits, "text_bytes");
        }
        let written = read_update_insert_answer(fault(&long).as_bytes(), &limits);
        assert!(matches!(written, Err(ReadError::Limit { limit: "text_bytes", .. })));
    }
    let document = in_body(&format!("<soap:Fault>{deep}</soap:Fault>"));
    ends_the_reading(&document, limits, "depth");
    let written = read_update_insert_answer(document.as_bytes(), &limits);
    assert!(matches!(written, Err(ReadError::Limit { limit: "depth", .. })));
}

#[test]
fn a_great_many_namespaces_cost_no_time_to_speak_of() {
    let declarations: String = (0..10_000).map(|number| format!(" xmlns:n{number}='urn:{number}'")).collect();
    let elements = "<n1:a/><b/>".repeat(2_000);
    let limits = Limits { customer_bytes: 100, ..Limits::default() };
    let record = format!("<ContactRecord{declarations}>{elements}</ContactRecord>");
    let (contacts, _) = read_all(last_page(&record.repeat(10)), limits).unwrap();
    assert_eq!(contacts.len(), 10);
}

#[test]
fn an_error_names_the_place_and_says_nothing_of_the_contact() {
    let bad = "<ContactRecord><entityId>777</entityId><phoneNos>\n<PhoneNo><phoneNo at='secret'>secret &secret; </phoneNo></PhoneNo></phoneNos></ContactRecord>";
    let document = last_page(&(contact("1") + bad));
    let text = read(&document).unwrap().0[1].content.as_ref().unwrap_err().to_string();
    let offset = document.find("&secret;").unwrap();
    let path = "/soap:Envelope/soap:Body/ContactList_RetrieveResponse/ContactList_RetrieveResult/ContactRecord[2]/phoneNos/PhoneNo/phoneNo";
    assert!(text.contains(&format!("{path} (byte {offset})")), "{text}");
    assert!(!text.contains("777"), "{text}");
}
