//! Documents in every encoding that is accepted.

use encoding_rs::Encoding;
use wire::ReadError;

use crate::sample::{JANE, bulk, read_bulk};

fn document(declared: &str) -> String {
    let customer = JANE.replace("Jane", "J\u{fc}rgen").replace("Doe", "Ma\u{f1}ana");
    format!("<?xml version=\"1.0\" encoding=\"{declared}\"?>\n{}", bulk(&customer))
}

fn in_single_bytes(declared: &str) -> Vec<u8> {
    let encoding = Encoding::for_label(declared.as_bytes()).unwrap();
    encoding.encode(&document(declared)).0.into_owned()
}

fn in_utf_16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

#[test]
fn one_customer_has_one_content_in_every_encoding() {
    let expected = read_bulk(document("UTF-8")).unwrap().remove(0);
    let with_mark = format!("\u{feff}{}", document("utf-8"));
    let mut documents = vec![
        with_mark.clone().into_bytes(),
        document("UTF-8").split_once('\n').unwrap().1.as_bytes().to_vec(),
        in_single_bytes("ISO-8859-1"),
        in_single_bytes("windows-1252"),
    ];
    for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        documents.push(in_utf_16(&document("UTF-16"), to_bytes));
        documents.push(in_utf_16(&with_mark, to_bytes));
    }
    let hash = expected.content.unwrap().hash();
    for bytes in documents {
        let detail = read_bulk(&bytes).unwrap().remove(0);
        assert_eq!(detail.raw, expected.raw);
        assert_eq!(detail.content.unwrap().hash(), hash);
    }
}

#[test]
fn a_declaration_may_follow_white_space() {
    let mut bytes = b"\r\n".to_vec();
    bytes.extend(in_single_bytes("ISO-8859-1"));
    let name = read_bulk(bytes).unwrap().remove(0).content.unwrap().name;
    assert_eq!(name.first.as_deref(), Some("J\u{fc}rgen"));
}

#[test]
fn bytes_that_are_not_in_the_declared_encoding_are_an_error_that_names_it() {
    let mut bytes = document("UTF-8").into_bytes();
    let position = bytes.iter().rposition(|byte| *byte == 0xBC).unwrap();
    bytes[position] = b'x';
    match read_bulk(bytes) {
        Err(ReadError::Encoding { what }) => assert!(what.contains("UTF-8"), "{what}"),
        other => panic!("expected an encoding error, got {other:?}"),
    }
}

#[test]
fn an_encoding_that_is_not_known_is_an_error_that_names_it() {
    let error = read_bulk(document("EBCDIC-37")).unwrap_err();
    assert!(matches!(error, ReadError::Encoding { .. }));
    assert!(error.to_string().contains("EBCDIC-37"), "{error}");
}

/// A gateway may convert what it passes on, and says so in the header alone.
#[test]
fn the_character_set_that_the_header_states_counts_more_than_the_declaration() {
    let expected = read_bulk(document("UTF-8")).unwrap().remove(0).content.unwrap().hash();
    for (header, declared) in
        [("ISO-8859-1", None), ("windows-1252", Some("UTF-8")), ("WE8MSWIN1252", Some("AL32UTF8"))]
    {
        let text = document(declared.unwrap_or_default());
        let text = if declared.is_some() { text.as_str() } else { text.split_once('\n').unwrap().1 };
        let bytes = encoding_rs::WINDOWS_1252.encode(text).0;
        let charset = wire::Charset::of_content_type(&format!("text/xml; charset={header}"));
        let detail = wire::DetailsReader::of_asked(&*bytes, charset, ["1001"]).next().unwrap().unwrap();
        assert_eq!(detail.content.unwrap().hash(), expected, "{header}");
    }
}
