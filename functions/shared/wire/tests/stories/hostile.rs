//! Malformed, hostile and wrong documents.

use std::io::{self, Cursor, ErrorKind, Read};

use wire::{DetailsReader, Limits, ReadError};

use crate::sample::{JANE, bulk, customer, error_text, read_bulk, read_queue, read_status};

/// Every reader reports the same for a document that no reader accepts.
fn everywhere(document: &str, expected: fn(&ReadError) -> bool) {
    let queue = read_queue(document.as_bytes(), &Limits::default(), |_| {}).map(|_| ());
    let status = read_status(document.as_bytes(), &Limits::default());
    let details = read_bulk(document).map(|_| ());
    for result in [details, queue, status] {
        let error = result.expect_err(document);
        assert!(expected(&error), "{document}: {error}");
        assert!(!error.is_interrupted());
    }
}

#[test]
fn a_doctype_is_refused() {
    for document in [
        "<!DOCTYPE a><a/>",
        "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;\">]><a>&lol2;</a>",
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
        "<!doctype html><html/>",
        "<!DOCTYPE a [",
    ] {
        everywhere(document, |error| matches!(error, ReadError::Doctype { .. }));
    }
    let endless = format!("<!DOCTYPE a [{}", "<!ENTITY a 'b'>".repeat(100_000));
    everywhere(&endless, |error| matches!(error, ReadError::Doctype { .. }));
}

#[test]
fn an_entity_that_xml_does_not_define_is_refused() {
    for document in ["<a>&nbsp;</a>", "<a><b c=\"&bomb;\"/></a>", "<a>&lt;&Amp;</a>", "<a><custInfo>&x;</custInfo></a>"]
    {
        everywhere(document, |error| matches!(error, ReadError::Entity { .. }));
    }
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for document in [
        "",
        " \n ",
        "<!-- nothing -->",
        "Bad gateway",
        "502 <b>Bad</b>",
        "{\"error\":\"no\"}",
        "<a/><b/>",
        "<a></a><a></a>",
        "<a/>garbage",
        "<a/>&amp;",
        "<a/><![CDATA[x]]>",
        "<a></b>",
        "<a><b></a></b>",
        "</a>",
        "<a></a></a>",
        "<a",
        "<a>",
        "<a>text",
        "<a><!-- ",
        "<a><![CDATA[ ",
        "<a>&#xZ;</a>",
        "<a b='x & y'/>",
        "<a b=1/>",
        "<a b/>",
        "<a b='1' b='2'/>",
        "<1/>",
        "<>x</>",
        "< a/>",
        "<a<b/>",
        "<a><?xml version='1.0'?></a>",
        "<a><!x></a>",
        "<a>&",
        "<a><",
        "<a></",
        "<a><!",
    ] {
        everywhere(document, |error| matches!(error, ReadError::Malformed { .. }));
    }
}

#[test]
fn a_page_for_people_is_not_the_expected_document() {
    for document in ["<html><body>Down for maintenance</body></html>", "<HTML/>", "<x:html xmlns:x='y'/>"] {
        everywhere(document, |error| matches!(error, ReadError::Unexpected { .. }));
        assert!(error_text(document).contains("HTML"), "{document}");
    }
}

#[test]
fn a_body_that_is_cut_off_anywhere_is_malformed() {
    let document = format!("<?xml version='1.0'?>{}", bulk(&[customer("1").as_str(), JANE].concat()));
    for length in 0..document.len() {
        let mut reader = DetailsReader::new(&document.as_bytes()[..length], Limits::default());
        let last = reader.by_ref().last().unwrap();
        assert!(matches!(last, Err(ReadError::Malformed { .. })), "{length}");
        assert!(reader.next().is_none());
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
    let document = bulk(&customer("1"));
    let input = Cursor::new(&document[..document.len() - 3]).chain(Reset);
    let mut reader = DetailsReader::new(input, Limits::default());
    assert_eq!(reader.next().unwrap().unwrap().source_id.as_deref(), Some("1"));
    let error = reader.next().unwrap().unwrap_err();
    assert!(matches!(error, ReadError::Io(_)) && error.is_interrupted());
    assert!(reader.next().is_none());
    assert!(read_queue(Reset, &Limits::default(), |_| {}).unwrap_err().is_interrupted());
    assert!(read_status(Reset, &Limits::default()).unwrap_err().is_interrupted());
}

/// An input that gives one byte at a time.
struct OneByOne<'a>(&'a [u8]);
impl Read for OneByOne<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

#[test]
fn an_input_that_gives_one_byte_at_a_time_is_read_alike() {
    let document = bulk(JANE);
    let slow: Vec<_> = DetailsReader::new(OneByOne(document.as_bytes()), Limits::default())
        .map(|detail| detail.unwrap().content.unwrap().hash())
        .collect();
    assert_eq!(slow, [read_bulk(&document).unwrap()[0].content.as_ref().unwrap().hash()]);
}

/// Old systems write it so; an entry, a customer or a contact is read as it is meant, at whatever place a piece of it
/// ends.
#[test]
fn an_ampersand_that_begins_no_reference_stands_for_itself() {
    for name in ["A & B", "AT&T", "&", "&& co", "x &amp", "A &amp; B & C", "B & a company of more than sixteen letters"]
    {
        let document =
            bulk(&format!("<custInfo><custId>1</custId><name><displayName>{name}</displayName></name></custInfo>"));
        let meant = name.replace("&amp; ", "& ");
        for reader in [
            DetailsReader::new(Box::new(document.as_bytes()) as Box<dyn Read>, Limits::default()),
            DetailsReader::new(Box::new(OneByOne(document.as_bytes())), Limits::default()),
        ] {
            let details: Vec<_> = reader.map(|detail| detail.unwrap().content.unwrap()).collect();
            assert_eq!(details[0].name.display.as_deref(), Some(meant.as_str()), "{name}");
        }
    }
}

#[test]
fn an_error_names_the_place_and_says_nothing_of_the_customer() {
    let bad = "<custInfo><custId>777</custId><emails>\n<email><address at='secret'>secret &secret; </address></email></emails></custInfo>";
    let document = bulk(&[customer("1").as_str(), bad].concat());
    let text = error_text(&document);
    let offset = document.find("&secret;").unwrap();
    assert!(text.contains(&format!("/custInfos/custInfo[2]/emails/email/address (byte {offset})")), "{text}");
    assert!(!text.contains("777"), "{text}");
    let text = error_text(document.replace("&secret; </address>", "</secret>"));
    assert!(text.contains("/custInfos/custInfo[2]/emails/email/address") && !text.contains("secret"), "{text}");
}

#[test]
fn tokens_at_the_seams_of_what_is_read_at_once_are_whole() {
    // Every token of the customer that is longer than three bytes comes to stand on a seam.
    let expected = read_bulk(bulk(JANE)).unwrap()[0].content.as_ref().unwrap().hash();
    for shift in (0..JANE.len()).step_by(3) {
        let padding = " ".repeat(32 * 1024 - shift);
        let detail = read_bulk(format!("<r>{padding}{JANE}</r>")).unwrap().remove(0);
        assert_eq!(detail.raw, JANE, "{shift}");
        assert_eq!(detail.content.unwrap().hash(), expected, "{shift}");
    }
}

#[test]
fn a_byte_order_mark_within_the_text_is_text() {
    for shift in 0..4 {
        let padding = " ".repeat(32 * 1024 - "<r><custInfo><custId>1</custId><bio>".len() - shift);
        let customer = "<custInfo><custId>1</custId><bio>\u{feff}\u{feff}a</bio></custInfo>";
        let detail = read_bulk(format!("<r>{padding}{customer}</r>")).unwrap().remove(0);
        assert_eq!(detail.raw, customer);
        assert!(detail.content.unwrap().canonical_json().contains("\"\u{feff}\u{feff}a\""));
    }
}
