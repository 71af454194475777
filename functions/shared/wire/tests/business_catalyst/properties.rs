//! Properties of every document.

use std::io::{self, Read};

use proptest::collection::vec;
use proptest::prelude::*;
use wire::Limits;
use wire::business_catalyst::{
    ContactListReader, ContactToWrite, Credentials, SoapVersion, read_update_insert_answer, update_insert_request,
};

use crate::sample::{JANE, contact, content, content_with, last_page, read};

const SECRET: &str = "hunter2";

/// Both readers read the bytes to an end.
fn read_with_all(bytes: &[u8], limits: Limits) {
    let mut reader = ContactListReader::new(bytes, limits);
    let mut errors = 0;
    for contact in reader.by_ref() {
        match contact {
            Ok(contact) => assert!(contact.raw.len() <= limits.raw),
            Err(_) => errors += 1,
        }
    }
    assert!(errors <= 1 && reader.next().is_none());
    assert_eq!(reader.page_end().is_none(), errors == 1);
    let _ = read_update_insert_answer(bytes, &limits);
}

fn small_limits() -> Limits {
    Limits {
        depth: 7,
        text_bytes: 100,
        customers: 3,
        queue_entries: 3,
        queue_id_bytes: 9,
        document_bytes: 10_000,
        elements_per_customer: 12,
        customer_bytes: 500,
        id_bytes: 5,
        raw: 50,
    }
}

/// Pieces that documents are made of, in any order.
fn xml_pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "<ContactRecord>",
        "</ContactRecord>",
        "<entityId>",
        "</entityId>",
        "1",
        "<password>",
        "</password>",
        "<password/>",
        "<a b='1'>",
        "<x:a xmlns:x='urn:x' xmlns='urn:y'>",
        "</x:a>",
        "</a>",
        "<c xsi:nil='true'/>",
        "&amp;",
        "&",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "<",
        ">",
        "'",
        "/",
        "ü",
        "<moreRecords>",
        "true",
        "</moreRecords>",
        "<ContactList_RetrieveResult>",
        "</ContactList_RetrieveResult>",
        "<Fault><faultstring>",
        "</faultstring></Fault>",
        "<crmForms><CrmForms>",
        "</CrmForms></crmForms>",
        " ",
        "\r\n",
    ]);
    vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// A body that comes in pieces of any length.
struct InPieces<'a> {
    bytes: &'a [u8],
    lengths: Vec<usize>,
}

impl Read for InPieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.lengths.pop().unwrap_or(usize::MAX).min(buffer.len());
        self.bytes.read(&mut buffer[..length])
    }
}

/// A contact's children, each of a different name.
fn children() -> impl Strategy<Value = Vec<String>> {
    let text = "[a-zA-Z0-9 .@&é-]{0,12}".prop_map(|text| text.replace('&', "&amp;"));
    let numbers = vec((0..12_u8, text.clone()), 0..5).prop_map(|entries| {
        let entries: String = entries
            .into_iter()
            .map(|(code, number)| {
                format!("<PhoneNo><phoneNoTypeID>{code}</phoneNoTypeID><phoneNo>{number}</phoneNo></PhoneNo>")
            })
            .collect();
        format!("<phoneNos>{entries}</phoneNos>")
    });
    let relationships = vec(text.clone(), 0..4).prop_map(|names| {
        let entries: String =
            names.into_iter().map(|name| format!("<Relationship><name>{name}</name></Relationship>")).collect();
        format!("<relationships>{entries}</relationships>")
    });
    let forms = vec((0..3_u8, 0..3_u8, text.clone()), 0..4).prop_map(|entries| {
        let entries: String = entries
            .into_iter()
            .map(|(id, name, value)| {
                format!(
                    "<CrmForms><formId>{id}</formId><formName>f{name}</formName><crmFormFields><CrmFormFields>\
                     <fieldName>n</fieldName><fieldValue>{value}</fieldValue></CrmFormFields></crmFormFields></CrmForms>"
                )
            })
            .collect();
        format!("<crmForms>{entries}</crmForms>")
    });
    (numbers, relationships, forms, text.clone(), text).prop_map(|(numbers, relationships, forms, email, first)| {
        vec![
            numbers,
            relationships,
            forms,
            format!("<emailAddress>{email}</emailAddress>"),
            format!("<firstName>{first}</firstName>"),
        ]
    })
}

/// The same child with the entries of its list in reverse order.
fn turned(child: &str) -> String {
    for (wrapper, entry) in [("phoneNos", "PhoneNo"), ("relationships", "Relationship"), ("crmForms", "CrmForms")] {
        let (open, close) = (format!("<{wrapper}>"), format!("</{wrapper}>"));
        let Some(entries) = child.strip_prefix(&open).and_then(|rest| rest.strip_suffix(&close)) else {
            continue;
        };
        let end = format!("</{entry}>");
        let mut entries: Vec<&str> = entries.split_inclusive(&end).collect();
        entries.reverse();
        return format!("{open}{}{close}", entries.concat());
    }
    child.to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..400)) {
        read_with_all(&bytes, Limits::default());
        read_with_all(&bytes, small_limits());
    }

    #[test]
    fn no_order_of_markup_makes_a_reader_panic(document in xml_pieces()) {
        read_with_all(document.as_bytes(), Limits::default());
        read_with_all(last_page(&document).as_bytes(), small_limits());
        read_with_all(crate::sample::answer(&document).as_bytes(), small_limits());
        read_with_all(crate::sample::in_body(&document).as_bytes(), Limits::default());
    }

    #[test]
    fn no_mutation_of_an_answer_makes_a_reader_panic(
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6)
    ) {
        let mut bytes = last_page(&[JANE, &contact("2")].concat()).into_bytes();
        for (position, byte, kind) in changes {
            let position = position.index(bytes.len());
            match kind {
                0 => bytes[position] = byte,
                1 => drop(bytes.remove(position)),
                _ => bytes.insert(position, byte),
            }
        }
        read_with_all(&bytes, Limits::default());
        read_with_all(&bytes, small_limits());
    }

    #[test]
    fn it_does_not_matter_where_the_pieces_of_a_body_end(
        lengths in vec(1..3_000_usize, 0..200), padding in 0..70_000_usize, copies in 1..6_usize
    ) {
        let document = last_page(&(" ".repeat(padding) + &JANE.repeat(copies)));
        let expected = read(&document).unwrap().0;
        let mut reader = ContactListReader::new(InPieces { bytes: document.as_bytes(), lengths }, Limits::default());
        for (one, other) in reader.by_ref().map(Result::unwrap).zip(&expected) {
            prop_assert_eq!(&one.raw, &other.raw);
            prop_assert!(!one.raw.contains(SECRET));
            prop_assert_eq!(one.content.unwrap(), other.content.clone().unwrap());
        }
        prop_assert!(reader.page_end().is_some());
    }

    #[test]
    fn content_does_not_depend_on_the_order_of_children(
        (ordered, shuffled) in children().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        let one = content_with(&ordered.concat());
        let turned: String = shuffled.iter().map(|child| turned(child)).collect();
        let other = content_with(&turned);
        prop_assert_eq!(one.hash(), other.hash());
        prop_assert_eq!(one, other);
    }

    #[test]
    fn a_contact_that_is_written_reads_back(
        external_id in "[^\\p{Cc}\u{fffe}\u{ffff} \u{feff}]{1,20}", value in "[^\\p{Cc}\u{fffe}\u{ffff}]{0,40}"
    ) {
        prop_assume!(!external_id.trim().is_empty());
        let credentials = Credentials { username: "u", password: "p", site_id: 1 };
        let contact = ContactToWrite {
            external_id: Some(external_id.clone()),
            contact_title: Some(value.clone()),
            ..ContactToWrite::default()
        };
        let request = update_insert_request(SoapVersion::V1_1, &credentials, &[contact]).unwrap();
        let (_, record) = request.split_once("<contactsList>").unwrap();
        let record = record.split_once("</contactsList>").unwrap().0;
        // The source gives the id.
        let content = content(&record.replacen("<ContactRecord>", "<ContactRecord><entityId>7</entityId>", 1));
        prop_assert_eq!(content.external_id.unwrap(), external_id);
        let expected = value.trim_matches(' ');
        if value.trim().is_empty() {
            prop_assert_eq!(content.name.prefix, None);
        } else {
            prop_assert_eq!(content.name.prefix.as_deref(), Some(expected));
        }
    }
}
