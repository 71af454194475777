//! The envelope may come in any form that SOAP allows.

use encoding_rs::Encoding;
use wire::ReadError;
use wire::business_catalyst::{NAMESPACE, PageEnd};

use crate::sample::{JANE, SOAP_1_1, SOAP_1_2, contact, contacts, content, ids, last_page, read, unexpected};

#[test]
fn either_version_and_any_prefixes_are_read() {
    let inner = |prefix: &str| {
        format!(
            "<{prefix}ContactList_RetrieveResult><{prefix}ContactRecord><{prefix}entityId>1</{prefix}entityId>\
             <{prefix}firstName>Jane</{prefix}firstName>\
             <{prefix}lastUpdateDate>2012-05-01T00:00:00</{prefix}lastUpdateDate></{prefix}ContactRecord>\
             </{prefix}ContactList_RetrieveResult><{prefix}moreRecords>false</{prefix}moreRecords>"
        )
    };
    for soap in [SOAP_1_1, SOAP_1_2] {
        for (envelope, declaration) in
            [("soap:", "xmlns:soap"), ("S:", "xmlns:S"), ("SOAP-ENV:", "xmlns:SOAP-ENV"), ("", "xmlns")]
        {
            for (source, source_declaration) in [("", "xmlns"), ("ns1:", "xmlns:ns1")] {
                let document = format!(
                    "<{envelope}Envelope {declaration}=\"{soap}\"><{envelope}Header><x><y>z</y></x></{envelope}Header>\
                     <{envelope}Body><{source}ContactList_RetrieveResponse {source_declaration}=\"{NAMESPACE}\">{}\
                     </{source}ContactList_RetrieveResponse></{envelope}Body></{envelope}Envelope>",
                    inner(source)
                );
                let contact = contacts(&document).remove(0);
                assert_eq!(contact.entity_id.as_deref(), Some("1"), "{document}");
                assert_eq!(contact.content.unwrap().name.first.as_deref(), Some("Jane"), "{document}");
            }
        }
    }
}

#[test]
fn an_answer_without_any_namespace_is_read() {
    let document = format!(
        "<Envelope><Body><ContactList_RetrieveResponse><ContactList_RetrieveResult>{}</ContactList_RetrieveResult>\
         <moreRecords>0</moreRecords></ContactList_RetrieveResponse></Body></Envelope>",
        contact("1")
    );
    assert_eq!(ids(&contacts(document)), [Some("1")]);
}

#[test]
fn a_namespace_may_be_declared_at_every_element_and_ends_with_it() {
    let record = format!(
        "<a:ContactRecord xmlns:a=\"{NAMESPACE}\"><a:entityId>1</a:entityId>\
         <b:lastUpdateDate xmlns:b=\"{NAMESPACE}\">2012-05-01T00:00:00</b:lastUpdateDate>\
         <b:firstName>Foreign</b:firstName><a:lastName xmlns:a=\"urn:other\">Foreign</a:lastName>\
         <a:lastName>Doe</a:lastName></a:ContactRecord>"
    );
    let content = content(&record);
    assert_eq!((content.name.first.as_deref(), content.name.last.as_deref()), (None, Some("Doe")));
    assert!(content.attributes.contains_key("b:firstName") && content.attributes.contains_key("a:lastName"));
}

#[test]
fn what_is_no_soap_envelope_with_this_answer_is_not_the_expected_document() {
    for (document, why) in [
        ("<html><body>Down for maintenance</body></html>".to_owned(), "HTML"),
        ("<ContactList_RetrieveResponse/>".to_owned(), "no SOAP `Envelope`"),
        ("<password>x</password>".to_owned(), "`ContactList_RetrieveResponse`"),
        ("<e:Envelope xmlns:e='urn:other'><e:Body/></e:Envelope>".to_owned(), "no SOAP `Envelope`"),
        ("<e:Envelope><e:Body/></e:Envelope>".to_owned(), "no SOAP `Envelope`"),
        (format!("<Envelope xmlns='{NAMESPACE}'><Body/></Envelope>"), "no SOAP `Envelope`"),
        ("<Envelope/>".to_owned(), "neither `ContactList_RetrieveResponse` nor a `Fault`"),
        ("<Envelope><Body/></Envelope>".to_owned(), "neither `ContactList_RetrieveResponse` nor a `Fault`"),
        ("<Envelope><Header/></Envelope>".to_owned(), "neither `ContactList_RetrieveResponse` nor a `Fault`"),
        ("<Envelope><Body><Other/></Body></Envelope>".to_owned(), "neither `ContactList_RetrieveResponse`"),
        (
            "<Envelope><Body><ContactList_UpdateInsertResponse/></Body></Envelope>".to_owned(),
            "neither `ContactList_RetrieveResponse`",
        ),
        (
            "<Envelope><Body><x:ContactList_RetrieveResponse xmlns:x='urn:x'/></Body></Envelope>".to_owned(),
            "neither `ContactList_RetrieveResponse`",
        ),
        ("<Envelope><Body>text</Body></Envelope>".to_owned(), "a text where an element should begin"),
        ("<Envelope><Body/><Body/></Envelope>".to_owned(), "a second `Body`"),
        (
            "<Envelope><Body><ContactList_RetrieveResponse/><ContactList_RetrieveResponse/></Body></Envelope>"
                .to_owned(),
            "a second element in the `Body`",
        ),
    ] {
        let error = unexpected(&document);
        assert!(error.contains(why), "{document}: {error}");
    }
}

#[test]
fn contacts_under_a_name_that_is_not_known_are_an_error_and_no_empty_list() {
    for inner in [
        format!("<ContactList_RetrieveResults>{}</ContactList_RetrieveResults>", contact("1")),
        contact("1"),
        format!("<ContactList_RetrieveResult><Contact>{}</Contact></ContactList_RetrieveResult>", contact("1")),
        "<ContactList_RetrieveResult><x:ContactRecord xmlns:x='urn:x'/></ContactList_RetrieveResult>".to_owned(),
        "<ContactList_RetrieveResult>no access</ContactList_RetrieveResult>".to_owned(),
        "no access".to_owned(),
        "<moreRecords><x/></moreRecords>".to_owned(),
    ] {
        let document = crate::sample::answer(&inner);
        assert!(
            unexpected(&document).contains("should begin") || unexpected(&document).contains("no list of contacts")
        );
    }
}

#[test]
fn one_contact_has_one_content_in_every_encoding() {
    let contact = JANE.replace("Jane", "J\u{fc}rgen");
    let document =
        |declared: &str| last_page(&contact).replace("encoding=\"utf-8\"", &format!("encoding=\"{declared}\""));
    let expected = content(&contact).hash();
    let latin = Encoding::for_label(b"ISO-8859-1").unwrap().encode(&document("ISO-8859-1")).0.into_owned();
    let utf_16: Vec<u8> = format!("\u{feff}{}", document("utf-16")).encode_utf16().flat_map(u16::to_le_bytes).collect();
    // The source's stack declares utf-16 if it made the document as a string.
    for bytes in [latin, utf_16, document("utf-16").into_bytes(), document("UTF-8").into_bytes()] {
        let (contacts, end) = read(&bytes).unwrap();
        assert_eq!(contacts[0].content.as_ref().unwrap().hash(), expected);
        assert_eq!(end, PageEnd::Contacts { more_records: false });
    }
    assert!(matches!(read(document("EBCDIC-37")), Err(ReadError::Encoding { .. })));
}
