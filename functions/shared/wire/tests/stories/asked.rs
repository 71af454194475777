//! An answer takes no more memory than the request can have meant (9: bounds).

use wire::{DetailsReader, Limits, ReadError};

use crate::sample::{bulk, customer, ids, read_queue};

fn read<'a>(document: &'a str, asked: &[&str]) -> (DetailsReader<&'a [u8]>, Vec<Result<wire::Detail, ReadError>>) {
    let mut reader = DetailsReader::of_asked(document.as_bytes(), None, asked.iter().copied());
    let details = reader.by_ref().collect();
    (reader, details)
}

#[test]
fn who_was_not_asked_for_is_counted_and_named_and_not_kept() {
    let relatives: String = (1..=40).map(|id| customer(&format!("x{id}"))).collect();
    let document = bulk(&[relatives.as_str(), &customer("1"), "<custInfo/>", &customer("x41")].concat());
    let (reader, details) = read(&document, &["1", "2"]);
    let details: Vec<_> = details.into_iter().collect::<Result<_, _>>().unwrap();
    // A customer without an id may be any: it is returned to the caller.
    assert_eq!(ids(&details), [Some("1"), None]);
    assert_eq!(reader.unasked().count, 41);
    let named: Vec<String> = (1..=10).map(|id| format!("x{id}")).collect();
    assert_eq!(reader.unasked().some, named);
}

#[test]
fn who_was_asked_for_is_known_in_another_spelling() {
    let document = bulk(&[customer("1002"), customer("AB12"), customer("10020")].concat());
    let (reader, details) = read(&document, &["0001002", "ab12"]);
    let details: Vec<_> = details.into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(ids(&details), [Some("1002"), Some("AB12")]);
    assert_eq!((reader.unasked().count, reader.unasked().some.as_slice()), (1, &["10020".to_owned()][..]));
}

#[test]
fn an_answer_about_a_crowd_that_nobody_asked_for_ends_the_reading() {
    let crowd: String = (1..=200).map(|id| customer(&format!("x{id}"))).collect();
    let document = bulk(&[customer("1").as_str(), &crowd].concat());
    let (_, details) = read(&document, &["1", "2"]);
    assert!(details[0].is_ok());
    let error = details[1].as_ref().unwrap_err();
    assert!(matches!(error, ReadError::Limit { limit: "customers", value: 102, .. }), "{error}");
    assert!(error.is_no_answer() && details.len() == 2);
}

#[test]
fn bytes_are_allowed_in_proportion_to_what_was_asked_for() {
    let mib = 1024 * 1024;
    for (asked, expected) in [(1, 8 * mib), (20, 20 * mib), (100, 64 * mib), (1_000, 64 * mib)] {
        assert_eq!(Limits::of_details(asked).document_bytes, expected, "{asked}");
        assert_eq!(Limits::of_details(asked).customers, asked + 100);
    }
    let text = format!("<custInfo><custId>9</custId><bio>{}</bio></custInfo>", "x".repeat(mib as usize));
    let (_, details) = read(&bulk(&text.repeat(9)), &["1"]);
    let error = details.last().unwrap().as_ref().unwrap_err();
    assert!(matches!(error, ReadError::Limit { limit: "document_bytes", .. }), "{error}");
    assert_eq!(details.len(), 1, "nobody was kept");
}

#[test]
fn the_source_text_is_kept_of_whom_somebody_may_have_to_look_at() {
    let bad = "<custInfo><custId>2</custId><error>no</error></custInfo>";
    let large = format!("<custInfo><custId>3</custId><bio>{}</bio></custInfo>", "x".repeat(Limits::RAW));
    let document = bulk(&[customer("1").as_str(), bad, &large].concat());
    let (_, details) = read(&document, &["1", "2", "3"]);
    let raws: Vec<_> = details.into_iter().map(|detail| detail.unwrap().raw).collect();
    assert_eq!((raws[0].as_str(), raws[1].as_str()), ("", bad));
    assert!(large.starts_with(&raws[2]) && raws[2].len() == Limits::RAW);
}

#[test]
fn the_ids_of_a_queue_are_bounded_in_bytes_and_a_million_long_ones_fit() {
    assert!(Limits::of_queue().queue_id_bytes >= 1_000_000 * Limits::ID_BYTES);
    assert!(Limits::of_queue().queue_entries >= 1_000_000);
    let limits = Limits { queue_id_bytes: 5, ..Limits::of_queue() };
    let read =
        |ids: &str| read_queue(format!("<q>{ids}<max-queue-num>1</max-queue-num></q>").as_bytes(), &limits, |_| {});
    assert!(read("<cust-id>123</cust-id><cust-id>45</cust-id>").is_ok());
    let error = read("<cust-id>123</cust-id><cust-id>456</cust-id>").unwrap_err();
    assert!(matches!(error, ReadError::Limit { limit: "queue_id_bytes", value: 5, .. }), "{error}");
}
