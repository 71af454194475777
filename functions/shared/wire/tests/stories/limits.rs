//! Every limit, by its name.

use wire::{Limits, ReadError};

use crate::sample::{bulk, customer, ids, read_all, read_queue, read_status};

/// A document in which this customer stands between two good ones.
fn between(bad: &str) -> String {
    bulk(&[customer("1").as_str(), bad, &customer("3")].concat())
}

/// The bad customer costs only itself; its error names the limit and the place; its id is known.
fn costs_only_itself(bad: &str, limits: Limits, limit: &str, path: &str) {
    let details = read_all(between(bad), limits).unwrap();
    assert_eq!(ids(&details), [Some("1"), Some("2"), Some("3")], "{limit}");
    let error = details[1].content.as_ref().unwrap_err().to_string();
    assert!(error.contains(limit) && error.contains(path), "{error}");
    assert_eq!(details[1].raw.as_bytes()[..], bad.as_bytes()[..limits.raw.min(bad.len())]);
    assert!(details[0].content.is_ok() && details[2].content.is_ok());
}

fn ends_the_reading(document: &str, limits: Limits, expected: &str, path: &str) {
    match read_all(document, limits) {
        Err(ReadError::Limit { limit, place, .. }) => {
            assert_eq!(limit, expected);
            assert_eq!(place.path, path);
        }
        other => panic!("expected {expected}, got {other:?}"),
    }
}

#[test]
fn too_many_elements_or_attributes_cost_one_customer() {
    let limits = Limits { elements_per_customer: 10, ..Limits::default() };
    let fits = format!("<custInfo>{}<custId>2</custId></custInfo>", "<a/>".repeat(9));
    assert!(read_all(bulk(&fits), limits).unwrap()[0].content.is_ok());
    let elements = format!("<custInfo><bio>{}</bio><custId>2</custId></custInfo>", "<a/>".repeat(10));
    costs_only_itself(&elements, limits, "elements_per_customer = 10", "/custInfos/custInfo[2]/bio/a");
    let attributes: String = (0..10).map(|number| format!(" a{number}='1'")).collect();
    let attributes = format!("<custInfo><bio{attributes}/><custId>2</custId></custInfo>");
    costs_only_itself(&attributes, limits, "elements_per_customer = 10", "/custInfos/custInfo[2]/bio");
}

#[test]
fn elements_nested_too_deeply_cost_one_customer() {
    let limits = Limits { depth: 5, ..Limits::default() };
    let fits = "<custInfo><custId>2</custId><a><b><c>x</c></b></a></custInfo>";
    assert!(read_all(bulk(fits), limits).unwrap()[0].content.is_ok());
    let deep = format!("<custInfo><a>{}{}</a><custId>2</custId></custInfo>", "<b>".repeat(1000), "</b>".repeat(1000));
    costs_only_itself(&deep, limits, "depth = 5", "/custInfos/custInfo[2]/a/b/b/…");
}

#[test]
fn a_text_that_is_too_long_costs_one_customer() {
    let limits = Limits { text_bytes: 100, raw: 2_000, ..Limits::default() };
    let fits = format!("<custInfo><custId>2</custId><bio>{}</bio></custInfo>", "x".repeat(100));
    assert!(read_all(bulk(&fits), limits).unwrap()[0].content.is_ok());
    // Both what fits a chunk of input and what is far larger.
    for length in [101, 1_000_000] {
        let long = "x".repeat(length);
        for bio in [
            format!("<bio>{long}</bio>"),
            format!("<bio><![CDATA[{long}]]></bio>"),
            format!("<bio>x&amp;{long}</bio>"),
            format!("<bio a='>' b=\"{long}\">x</bio>"),
            format!("<bio b='{long}'/>"),
        ] {
            let bad = format!("<custInfo>{bio}<custId>2</custId></custInfo>");
            costs_only_itself(&bad, limits, "text_bytes = 100", "/custInfos/custInfo[2]");
        }
    }
}

#[test]
fn long_comments_and_instructions_cost_nothing() {
    let limits = Limits { text_bytes: 100, ..Limits::default() };
    let long = "x - ü ? ".repeat(50_000);
    let commented =
        format!("<custInfo><custId>2</custId><!--{long}--><bio>b<?p {long}?>c</bio></custInfo><!--{long}-->");
    let details = read_all(between(&commented), limits).unwrap();
    assert_eq!(ids(&details), [Some("1"), Some("2"), Some("3")]);
    assert!(details[1].content.as_ref().unwrap().canonical_json().contains("\"bc\""));
}

#[test]
fn a_customer_that_is_too_long_costs_only_itself() {
    let limits = Limits { customer_bytes: 5_000, raw: 100, ..Limits::default() };
    let fits = format!("<custInfo><custId>2</custId>{}</custInfo>", "<a>x</a>".repeat(600));
    assert!(read_all(bulk(&fits), limits).unwrap()[0].content.is_ok());
    let long = format!("<custInfo>{}<custId>2</custId></custInfo>", "<a>x</a>".repeat(10_000));
    costs_only_itself(&long, limits, "customer_bytes = 5000", "/custInfos/custInfo[2]");
}

#[test]
fn a_customer_that_is_passed_over_must_still_be_well_formed() {
    let limits = Limits { elements_per_customer: 1, ..Limits::default() };
    let bad = "<custInfo><custId>2</custId><a/><b></c></custInfo>";
    let result = read_all(between(bad), limits);
    assert!(matches!(result, Err(ReadError::Malformed { .. })));
}

#[test]
fn too_many_customers_end_the_reading() {
    let limits = Limits { customers: 2, ..Limits::default() };
    let three = between(&customer("2"));
    ends_the_reading(&three, limits, "customers", "/custInfos/custInfo[3]");
    assert_eq!(read_all(bulk(&customer("1").repeat(2)), limits).unwrap().len(), 2);
}

#[test]
fn a_document_that_is_too_long_ends_the_reading() {
    let document = bulk(&customer("1").repeat(2_000));
    let length = document.len() as u64;
    let limits = Limits { document_bytes: length, ..Limits::default() };
    assert_eq!(read_all(&document, limits).unwrap().len(), 2_000);
    let limits = Limits { document_bytes: length - 1, ..Limits::default() };
    let result = read_all(&document, limits);
    assert!(matches!(result, Err(ReadError::Limit { limit: "document_bytes", value, .. }) if value == length - 1));
}

#[test]
fn outside_any_customer_depth_and_text_end_the_reading() {
    let limits = Limits { depth: 3, text_bytes: 100, ..Limits::default() };
    ends_the_reading("<a><b><c><d/></c></b></a>", limits, "depth", "/a/b/c/…");
    for length in [101, 1_000_000] {
        let long = "x".repeat(length);
        ends_the_reading(&format!("<a>{long}</a>"), limits, "text_bytes", "/a");
        ends_the_reading(&format!("<a><b>x</b><![CDATA[{long}]]></a>"), limits, "text_bytes", "/a");
        ends_the_reading(
            &format!("<a><b c='{long}'/></a>"),
            limits,
            "text_bytes",
            if length > 101 { "/a" } else { "/a/b" },
        );
    }
}

#[test]
fn depth_and_text_end_the_reading_of_the_other_answers_too() {
    let limits = Limits { depth: 3, text_bytes: 100, ..Limits::default() };
    let long = format!("<a>{}</a>", "x".repeat(101));
    for (document, expected) in [("<a><b><c><d/></c></b></a>", "depth"), (&long, "text_bytes")] {
        for result in
            [read_queue(document.as_bytes(), &limits, |_| {}).map(|_| ()), read_status(document.as_bytes(), &limits)]
        {
            assert!(matches!(result, Err(ReadError::Limit { limit, .. }) if limit == expected), "{document}");
        }
    }
}

#[test]
fn a_text_of_the_customers_own_root_that_is_too_long_costs_that_customer() {
    let limits = Limits { text_bytes: 100, ..Limits::default() };
    let document = format!("<r><custId>2</custId><bio>{}</bio></r>", "x".repeat(200_000));
    let details = read_all(document, limits).unwrap();
    assert_eq!(ids(&details), [Some("2")]);
    assert!(details[0].content.as_ref().unwrap_err().to_string().contains("text_bytes"));
}
