//! Characters that XML forbids cost no record: they are left out, and counted (4: one bad record costs one record).

use proptest::prelude::*;
use wire::business_catalyst::ContactListReader;
use wire::connector::{self, PushError};
use wire::{DetailsReader, Limits, ReadError};

use crate::sample::{bulk, customer, ids, read_queue};

/// The note of customer 1, which stands between two good ones, and how many characters were left out.
fn note(written: &str) -> (String, u64) {
    let bad = format!("<custInfo a=\"{written}\"><custId>1</custId><note>{written}</note></custInfo>");
    let document = bulk(&[customer("0").as_str(), &bad, &customer("2")].concat());
    let mut reader = DetailsReader::new(document.as_bytes(), Limits::default());
    let details: Vec<_> =
        reader.by_ref().collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{written}: {error}"));
    assert_eq!(ids(&details), [Some("0"), Some("1"), Some("2")]);
    assert_eq!(details[1].raw, bad, "the source text is what it was");
    let attributes = &details[1].content.as_ref().unwrap().attributes;
    let model::Attribute::Text(note) = &attributes["note"] else { panic!("{attributes:?}") };
    if !note.is_empty() {
        assert_eq!(attributes["@a"], attributes["note"]);
    }
    (note.clone(), reader.left_out())
}

#[test]
fn what_xml_forbids_is_left_out_and_counted_and_the_customer_is_taken_over() {
    for written in [
        "A\u{1}nn",
        "A&#x1F;nn",
        "A&#31;nn",
        "A&#0;nn",
        "A\u{0}nn",
        "A\u{fffe}nn",
        "A&#xFFFF;nn",
        "A&#xD83D;nn",
        "A&#xDE00;nn",
        "A&#x110000;nn",
    ] {
        // Once as a text, and once as an attribute.
        assert_eq!(note(written), ("Ann".to_owned(), 2), "{written:?}");
    }
    assert_eq!(note("\u{1}\u{2}&#3;"), (String::new(), 6));
}

#[test]
fn two_halves_of_a_surrogate_pair_that_stand_together_are_their_character() {
    assert_eq!(note("A&#xD83D;&#xDE00;nn"), ("A😀nn".to_owned(), 0));
    assert_eq!(note("A&#55357;&#56832;"), ("A😀".to_owned(), 0));
    assert_eq!(note("A&#xDE00;&#xD83D;"), ("A".to_owned(), 4), "in the wrong order they are none");
    assert_eq!(note("A&#xD83D; &#xDE00;nn"), ("A nn".to_owned(), 4));
}

#[test]
fn what_xml_forbids_in_a_character_data_section_is_left_out() {
    let document = bulk("<custInfo><custId>1</custId><note><![CDATA[A\u{b}nn]]></note></custInfo>");
    let mut reader = DetailsReader::new(document.as_bytes(), Limits::default());
    let content = reader.next().unwrap().unwrap().content.unwrap();
    assert_eq!(content.attributes["note"], crate::sample::text("Ann"));
    assert_eq!(reader.left_out(), 1);
}

#[test]
fn a_document_may_end_with_what_xml_forbids() {
    let document = bulk(&customer("1")) + "\u{0}\n\u{1a}";
    let mut reader = DetailsReader::new(document.as_bytes(), Limits::default());
    assert_eq!(reader.by_ref().filter(Result::is_ok).count(), 1);
    assert_eq!(reader.left_out(), 2);
}

#[test]
fn an_id_is_never_made_another_by_leaving_something_out() {
    let document = bulk(
        &["<custInfo><custId>1\u{1}2</custId></custInfo>", "<custInfo><custId>1&#1;2</custId></custInfo>"].concat(),
    );
    let details: Vec<_> = DetailsReader::new(document.as_bytes(), Limits::default()).map(Result::unwrap).collect();
    assert_eq!(ids(&details), [None, None]);
    for id in ["1\u{1}2", "1&#1;2"] {
        let document = format!("<q><max-queue-num>1</max-queue-num><cust-id>{id}</cust-id></q>");
        let mut told = Vec::new();
        let result = read_queue(document.as_bytes(), &Limits::default(), |customer| told.push(customer.source_id));
        assert!(!told.contains(&"12".to_owned()), "{result:?}");
    }
}

#[test]
fn a_contact_is_taken_over_without_them_too() {
    let contact = "<ContactRecord><entityId>3</entityId><firstName>A&#x1F;nn &#xD83D;</firstName>\
                   <lastUpdateDate>2026-03-01T10:00:03</lastUpdateDate></ContactRecord>";
    let document = format!(
        "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><ContactList_RetrieveResponse \
         xmlns=\"{}\"><ContactList_RetrieveResult>{contact}</ContactList_RetrieveResult><moreRecords>false</moreRecords>\
         </ContactList_RetrieveResponse></soap:Body></soap:Envelope>",
        wire::business_catalyst::NAMESPACE
    );
    let mut reader = ContactListReader::new(document.as_bytes(), Limits::default());
    let name = reader.next().unwrap().unwrap().content.unwrap().name;
    assert_eq!(name.first.as_deref(), Some("Ann"));
    assert!(reader.next().is_none());
    assert_eq!(reader.left_out(), 2);
}

#[test]
fn an_entity_that_is_not_known_stays_an_error() {
    for written in ["&nbsp;", "&#;", "&#xZ;"] {
        let document = bulk(&format!("<custInfo><custId>1</custId><note>{written}</note></custInfo>"));
        let last = DetailsReader::new(document.as_bytes(), Limits::default()).last().unwrap();
        assert!(matches!(last, Err(ReadError::Entity { .. } | ReadError::Malformed { .. })), "{written}");
    }
}

#[test]
fn whoever_pushes_is_told_of_them_and_nothing_is_stored() {
    let push = |name: &str, attribute: &str| {
        let document = format!(
            "<user><providerInfo><identifier>P</identifier><clientID>c</clientID><clubID>k</clubID><recordID>r</recordID></providerInfo>\
             <userInfo a=\"{attribute}\"><firstname>{name}</firstname><lastname>Bar</lastname><userStatus>ACTIVE</userStatus>\
             <userType>MEMBER</userType></userInfo></user>"
        );
        connector::read_user(document.as_bytes(), &connector::limits())
    };
    assert!(push("Foo", "b").is_ok());
    for forbidden in
        ["\u{0}", "\u{1}", "\u{1b}", "\u{fffe}", "\u{ffff}", "&#0;", "&#x1F;", "&#xD83D;", "<![CDATA[\u{1}]]>"]
    {
        match push(&format!("A{forbidden}B"), "b") {
            Err(PushError::Unreadable(error @ ReadError::Malformed { .. })) => {
                assert!(error.to_string().contains("/user/userInfo/firstname"), "{error}");
            }
            other => panic!("{forbidden:?}: {other:?}"),
        }
        assert!(forbidden.starts_with('<') || push("A", &format!("b{forbidden}")).is_err(), "{forbidden:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Whatever characters a name is made of, as they are or as references: the result is what XML allows of it.
    #[test]
    fn any_characters_cost_nobody_and_what_is_allowed_comes_through(
        characters in proptest::collection::vec((0..0x11_0000_u32, 0..3_u8, any::<bool>()), 0..20)
    ) {
        let (mut written, mut expected, mut left_out) = (String::new(), String::new(), 0);
        for (mut number, kind, as_reference) in characters {
            match kind {
                0 => number %= 0x20,
                1 => number = 0xD800 + number % 0x400,
                _ => {}
            }
            let character = char::from_u32(number);
            match character {
                Some(raw) if !as_reference && !matches!(raw, '<' | '>' | '&' | '"') => written.push(raw),
                _ => written += &format!("&#{number};"),
            }
            let allowed = character.filter(|one| {
                matches!(one, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
            });
            match allowed {
                Some(one) => expected.push(one),
                None => left_out += 1,
            }
            written.push('.');
            expected.push('.');
        }
        let document = bulk(&format!("<custInfo><custId>1</custId><note>{written}</note></custInfo>"));
        let mut reader = DetailsReader::new(document.as_bytes(), Limits::default());
        let content = reader.next().unwrap().unwrap().content.unwrap();
        let expected = expected.replace("\r\n", "\n").replace('\r', "\n");
        let expected = expected.trim_matches([' ', '\t', '\r', '\n']);
        prop_assert_eq!(&content.attributes["note"], &crate::sample::text(expected));
        prop_assert_eq!(reader.left_out(), left_out);
    }
}
